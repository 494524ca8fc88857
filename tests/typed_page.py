"""Type what a page shows of `puffer`, and its blocks of Python, each with less to do.

    python tests/typed_page.py docs/sweeps.md

All of it runs in this process, in the current directory: to start Python and torch for each command
would take longer than most commands. The tests of the command line start `puffer` as a program.
"""

import re
import shlex
import sys
from pathlib import Path

from documented_commands import Block, Command, commands, parsed
from reader import Reader

SHORT = ["--train.horizon", "8", "--train.total-timesteps", "2048"]
# Added to the commands of `puffer`: what they are to do at most.
LESS = {
    "autotune": ["--rounds", "1", "--seconds", "0.05"],
    "bench": ["--rounds", "1", "--seconds", "0.05"],
    "eval": ["--episodes", "2"],
    "match": ["--games", "4"],
    "rank": ["--games", "4"],
    "sweep": ["--sweep.trials", "2", "--sweep.confirm", "0", *SHORT],
    "train": SHORT,
}
# Of sweeps that search what is shortened here: only trial 0, which has the preset's values.
FIRST_TRIAL = [
    *("--sweep.trials", "1", "--sweep.seeds", "1", "--sweep.episodes", "2"),
    *("--sweep.space.train.horizon", "fixed", "--sweep.space.train.total-timesteps", "fixed"),
]
BY_PAGE = {
    # `puffer doctor` judges runs of ten updates; those of squared are of 512 steps.
    "docs/diagnosis.md": ["--train.total-timesteps", "5120"],
    # Each of the 20 agents of pistonball sees half a megabyte.
    "docs/multi-agent.md": [
        *("--vec.num-envs", "2", "--train.horizon", "2", "--train.total-timesteps", "160"),
    ],
}
# A policy that learned nothing plays a game of NetHack to NLE's limit of 5,000 steps.
SHORT_GAMES = ["--env.kwargs.max-episode-steps", "100"]
RESUMED = ["--train.total-timesteps", "4096"]
# Commands that are not run, with the reason.
NOT_RUN = {
    r"^puffer install ": "a network is missing",
    r"^puffer train all": "trains 28 families; their tests do",
    r" --write": "changes the presets of this checkout",
    r"--sweep.executor ray": "a cluster is missing",
    r"/workspace/": "a rented machine is missing",
    r" trained\.pt": "trained.pt is missing, which a fenced block of Python makes",
}


def typed(page: str) -> list[Command | Block]:
    """Return the commands, each once, and blocks of Python that a reader types, in their order."""
    blocks = [block for block in parsed(page)[0] if block.language == "python"]
    whole = [block for block in blocks if re.match("import|from", block.text)]
    lines = list({each.words: each for each in commands(page)[::-1] if is_run(each)}.values())
    return sorted(
        [*lines, *(block for block in whole if not block.is_fenced)], key=lambda each: each.line
    )


def is_run(command: Command) -> bool:
    """Whether a command is one of `puffer`, in a block, that can run here."""
    is_puffer = command.kind == "block" and command.words[0] == "puffer"
    return is_puffer and not reasons_not_to_run(command)


def reasons_not_to_run(command: Command) -> list[str]:
    """Return why a command cannot run here."""
    text = shlex.join(command.words)
    return [reason for pattern, reason in NOT_RUN.items() if re.search(pattern, text)]


def type_all_of(page: str) -> None:
    """Run what `typed` returns of a page; exit with the status of what fails."""

    def make_run(path: Path, env: str) -> None:
        puffer(["train", env, "--run", str(path), *SHORT])

    reader = Reader(page, Path.cwd(), make_run)
    for each in typed(page):
        if isinstance(each, Command):
            words = reader.words_of(each)
            puffer([*words, *(RESUMED if "--resume" in words else less_for(words, page))])
        else:
            text = re.sub(r"runs/[\w-]+", lambda match: reader.run(match[0]), each.text)
            print(f"{page}, line {each.line}: Python", flush=True)
            exec(compile(text, page, "exec"), {"__name__": "__main__"})


def less_for(words: list[str], page: str) -> list[str]:
    """Return what is added to the words of a command."""
    less = LESS.get(words[0], [])
    if words[0] == "train":
        return less + BY_PAGE.get(page, [])
    if words[0] == "sweep" and "--sweep.space.train.horizon" in words:
        return less + FIRST_TRIAL
    return less + (SHORT_GAMES if words[:2] == ["eval", "nethack"] else [])


def puffer(words: list[str]) -> None:
    """Run `puffer`, as its command does."""
    from pufferlib.cli.main import main

    print(f"$ {shlex.join(['puffer', *words])}", flush=True)
    if status := main(words):
        sys.exit(status)


if __name__ == "__main__":
    type_all_of(sys.argv[1])
