"""The commands of a page work one after another in one folder, each with less to do."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
from documented_commands import PAGES, ROOT, Command, commands, parsed
from reader import Reader

# Added to the commands of `puffer`: what they are to do at most.
LESS = {
    "autotune": ["--rounds", "1", "--seconds", "0.05"],
    "bench": ["--rounds", "1", "--seconds", "0.05"],
    "eval": ["--episodes", "2"],
    "match": ["--games", "4"],
    "rank": ["--games", "4"],
    "sweep": ["--sweep.trials", "2", "--sweep.confirm", "0"],
    "train": ["--train.horizon", "8", "--train.total-timesteps", "2048"],
}
# `puffer doctor` judges runs of ten updates; those of squared are of 512 steps.
MORE = {"docs/diagnosis.md": ["--train.total-timesteps", "5120"]}
RESUMED = ["--train.total-timesteps", "4096"]
# Commands that are not run, with the reason.
NOT_RUN = {
    r"^puffer install ": "needs a network",
    r"^puffer train all": "trains 28 families; their tests do",
    r" --write": "changes the presets of this checkout",
    r"--sweep.executor ray": "needs a cluster",
    r"/workspace/": "needs a rented machine",
    r" trained\.pt": "a fenced block of Python makes it",
}
LIMIT_S = 600  # for each command
# Found without bash, which would fail the collection of all tests on a page that it cannot read.
OF_PUFFER = [
    page for page in PAGES if re.search(r"^ {4,}(\$ )?puffer ", (ROOT / page).read_text(), re.M)
]


def typed(page):
    """Return the commands, each once, and blocks of Python that a reader types, in their order."""
    blocks = [block for block in parsed(page)[0] if block.language == "python"]
    whole = [block for block in blocks if re.match("import|from", block.text)]
    lines = list({each.words: each for each in commands(page)[::-1] if is_run(each)}.values())
    return sorted(
        [*lines, *(block for block in whole if not block.is_fenced)], key=lambda each: each.line
    )


def is_run(command):
    is_puffer = command.kind == "block" and command.words[0] == "puffer"
    return is_puffer and not reasons_not_to_run(command)


def reasons_not_to_run(command):
    text = shlex.join(command.words)
    return [reason for pattern, reason in NOT_RUN.items() if re.search(pattern, text)]


def follow(page, folder, puffer, python):
    """Type what a page shows; `puffer` and `python` run a command and a program."""

    def make_run(path, env):
        puffer(["train", env, "--run", str(path), *LESS["train"]])

    reader = Reader(page, folder, make_run)
    for each in typed(page):
        if isinstance(each, Command):
            words = reader.words_of(each)
            less = LESS.get(words[0], []) + (MORE.get(page, []) if words[0] == "train" else [])
            puffer([*words, *(RESUMED if "--resume" in words else less)])
        else:
            python(re.sub(r"runs/[\w-]+", lambda match: reader.run(match[0]), each.text))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", OF_PUFFER)
def test_the_commands_of_a_page_work(page, tmp_path, monkeypatch):
    if not typed(page):
        reasons = {reason for each in commands(page) for reason in reasons_not_to_run(each)}
        pytest.skip(f"every command: {', '.join(sorted(reasons))}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # no windows
    monkeypatch.setenv("WANDB_MODE", "offline")
    follow(
        page,
        tmp_path,
        lambda words: finish(shlex.join(["puffer", *words]), "-m", "pufferlib.cli", *words),
        lambda text: finish(text, "-c", text),
    )


def finish(shown, *arguments):
    """Run Python until it ends, and end what it leaves."""
    print(f"$ {shown}", flush=True)
    process = subprocess.Popen([sys.executable, *arguments], start_new_session=True)
    try:
        status = process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        pytest.fail(f"still running after {LIMIT_S} s: {shown}", pytrace=False)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert status == 0, shown
