"""`puffer train`."""

import argparse
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from pufferlib import registry
from pufferlib.cli.all import check_one_run, for_each
from pufferlib.cli.parser import ENV_OR_ALL_HELP, Parser, add_settings
from pufferlib.config import ALGORITHMS, Config, algorithm_config
from pufferlib.exceptions import ArgumentError
from pufferlib.runs import Run
from pufferlib.runs.folder import latest_run, read_config
from pufferlib.runs.settings import names_of
from pufferlib.runs.terminal import print_change
from pufferlib.training.loggers import METRICS


def add_arguments(parser: Parser, words: Sequence[str], config: Config | None = None) -> None:
    """Add the options of the command; the help shows the values of `config` as defaults."""
    parser.add_argument("env", help=ENV_OR_ALL_HELP)
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="folder of a run to continue (without RUN: the latest of ENV in runs/)",
    )
    parser.add_argument("--profile", action="store_true", help="print where the time went")
    if config is not None:
        add_settings(parser, words, names_of(config), config)
        return
    parser.add_argument("-h", "--help", nargs=0, action=_Help, help=argparse.SUPPRESS)
    known: set[str] = set()
    for name in _algorithms(words):  # each has settings that the others lack
        config = Config(algorithm=name, train=algorithm_config(name)())
        names = [name for name in names_of(config) if name not in known]
        known.update(names)
        add_settings(parser, words, names, config)


def _algorithms(words: Sequence[str]) -> list[str]:
    """Return the names of our algorithms, and of those that the command line uses."""
    used = _values(words, "--algorithm") or (_resumed_algorithm(words) if words else [])
    return list(dict.fromkeys([*ALGORITHMS, *used]))


def _resumed_algorithm(words: Sequence[str]) -> list[str]:
    """Return the algorithm of the run to resume, in a list; [] if none is resumed."""
    if words[0] == "all":  # refused later
        return []
    return [read_config(_folder(name, words[0])).algorithm for name in _values(words, "--resume")]


def _folder(resume: str, env: str) -> Path:
    """Return the folder of the run that `--resume` names, or of the latest of `env`."""
    if not resume or resume.startswith("-"):
        return latest_run(registry.resolve(env).name)
    folder = Path(resume)
    if os.path.isfile(folder):
        raise ArgumentError(f"--resume needs the folder of a run; {folder} is a file.")
    return folder


def _values(words: Sequence[str], flag: str) -> list[str]:
    """Return what follows each `flag` on a command line."""
    return [
        word.partition("=")[2] or following
        for word, following in itertools.pairwise([*words, ""])
        if word.partition("=")[0] == flag
    ]


class _Help(argparse.Action):
    """Prints the help with the settings, and their defaults, of the environment given before it."""

    def __call__(self, parser: Any, namespace: Any, *_: Any) -> None:
        config, env = Config(), namespace.env
        if env is not None:
            env = registry.families()[0] if env == "all" else env
            given = namespace.overrides
            algorithm = {key: given[key] for key in given if key == "algorithm"}
            config = Run.configure(env, algorithm).config
        detailed = Parser(prog=parser.prog, description=parser.description)
        add_arguments(detailed, [], config)
        detailed.print_help()
        parser.exit()


def run(arguments: argparse.Namespace) -> int:
    """Train, and print a table if ENV is all; return the exit status."""
    resume, overrides = arguments.resume, arguments.overrides
    check_one_run(arguments.env, {"--resume": resume, "--run": overrides.get("run")})

    def train(env: str, console: Console) -> dict[str, str]:
        if resume is None:
            return _train(Run.configure(env, overrides), console, arguments.profile)
        folder = _folder(resume, env)
        resumed = Run.open(folder, overrides, env)
        console.print(f"Resuming {folder}", highlight=False, soft_wrap=True)
        print_change(console, resumed)
        return _train(resumed, console, arguments.profile)

    return for_each(arguments.env, train)


def _train(run: Run, console: Console, profile: bool) -> dict[str, str]:
    """Train; return the cells of a row of a table."""
    path = run.train(console, profile)
    if int(os.environ.get("RANK", "0")) > 0:
        return {}  # torchrun's first process prints
    lines = (path.parent / METRICS).read_text().splitlines()
    if not lines:
        return {"checkpoint": str(path)}
    last = json.loads(lines[-1])
    returned = last.get("episode/episode_return")
    return {
        "timesteps": f"{last['timesteps']:,}",
        "steps/s": f"{last['steps_per_second']:,.0f}",
        "return": "" if returned is None else f"{returned:.2f}",
        "checkpoint": str(path),
    }
