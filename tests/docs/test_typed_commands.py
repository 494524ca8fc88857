"""The commands of a page work one after another in one folder, each with less to do."""

import multiprocessing
import re
import shlex
import sys

import pytest
from documented_commands import PAGES, Command, commands, parsed
from reader import Reader

from pufferlib.cli.main import main

# Added to the commands of `puffer`: what they are to do at most.
LESS = {
    "autotune": ["--rounds", "1", "--seconds", "0.05"],
    "bench": ["--rounds", "1", "--seconds", "0.05"],
    "eval": ["--episodes", "2"],
    "match": ["--games", "4"],
    "rank": ["--games", "4"],
    "sweep": ["--sweep.trials", "2", "--sweep.confirm", "0"],
    "train": ["--train.total-timesteps", "2048"],
}
RESUMED = ["--train.total-timesteps", "4096"]
# Commands that are not run, with the reason.
NOT_RUN = {
    r"^puffer install ": "needs a network",
    r"^puffer train all": "trains 28 families; their tests do",
    r" --write": "changes the presets of this checkout",
    r"--sweep.executor ray": "needs a cluster",
    r"/workspace/": "needs a rented machine",
}
QUICK = ("docs/first-agent.md",)


def typed(page):
    """Return the commands, each once, and blocks of Python that a reader types, in their order."""
    blocks = [block for block in parsed(page)[0] if block.language == "python"]
    whole = [block for block in blocks if re.match("import|from", block.text)]
    lines = list({each.words: each for each in commands(page)[::-1] if is_run(each)}.values())
    return sorted(
        [*lines, *(block for block in whole if not block.is_fenced)], key=lambda each: each.line
    )


def is_run(command):
    text = shlex.join(command.words)
    is_puffer = command.kind == "block" and command.words[0] == "puffer"
    return is_puffer and not any(re.search(pattern, text) for pattern in NOT_RUN)


def follow(page, folder, puffer, python):
    """Type what a page shows; `puffer` and `python` run a command and a program."""

    def make_run(path, env):
        puffer(["train", env, "--run", str(path), *LESS["train"]])

    reader = Reader(page, folder, make_run)
    for each in typed(page):
        if isinstance(each, Command):
            words = reader.words_of(each)
            puffer([*words, *(RESUMED if "--resume" in words else LESS.get(words[0], []))])
        else:
            python(re.sub(r"runs/[\w-]+", lambda match: reader.run(match[0]), each.text))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.long if page in QUICK else pytest.mark.slow)
        for page in PAGES
        if typed(page)
    ],
)
def test_the_commands_of_a_page_work(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # no windows
    monkeypatch.setenv("WANDB_MODE", "offline")
    follow(
        page,
        tmp_path,
        lambda words: in_new_process(shlex.join(["puffer", *words]), main, words),
        lambda text: in_new_process(text, exec, text, {"__name__": "__main__"}),
    )


def in_new_process(shown, call, *arguments):
    """Call a function in a fork of this process, which has imported torch and little else."""
    print(f"$ {shown}", flush=True)
    process = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(call(*arguments)))
    process.start()
    process.join(600)
    process.kill()
    process.join()
    assert process.exitcode == 0, shown
