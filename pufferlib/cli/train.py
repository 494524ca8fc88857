"""`puffer train`."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pufferlib import registry
from pufferlib.cli.all import check_one_run, for_each
from pufferlib.cli.parser import ENV_OR_ALL_HELP, Parser, add_settings, values_of
from pufferlib.config import ALGORITHMS, Config, algorithm_config
from pufferlib.exceptions import ArgumentError
from pufferlib.runs import Run
from pufferlib.runs.folder import latest_run, read_config
from pufferlib.runs.seeds import (
    configure_seeds,
    is_group,
    mean_interval,
    members,
    open_seeds,
    score,
    train_seeds,
)
from pufferlib.runs.settings import names_of
from pufferlib.runs.terminal import print_change
from pufferlib.training.loggers import read_metrics


def add_arguments(parser: Parser, words: Sequence[str], config: Config | None = None) -> None:
    """Add the options of the command; the help shows the values of `config` as defaults."""
    parser.add_argument("env", help=ENV_OR_ALL_HELP)
    first = parser.add_mutually_exclusive_group()
    first.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="folder of a run to continue (without RUN: the latest of ENV in runs/)",
    )
    first.add_argument(
        "--init",
        "--policy.from",
        dest="init",
        type=Path,
        metavar="RUN",
        help="start from the weights of a run, or of a checkpoint, in a new folder; the task may "
        "be another one with the same spaces",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="COUNT",
        help="train COUNT runs, with the seeds from --train.seed on, in one folder",
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
    used = values_of(words, "--algorithm") or (_resumed_algorithm(words) if words else [])
    return list(dict.fromkeys([*ALGORITHMS, *used]))


def _resumed_algorithm(words: Sequence[str]) -> list[str]:
    """Return the algorithm of the run to resume, in a list; [] if none is resumed."""
    if words[0] == "all":  # refused later
        return []
    found = []
    for name in values_of(words, "--resume"):
        folder = _folder(name, words[0])
        begun = members(folder)[:1] if is_group(folder) else [folder]
        found += [read_config(each).algorithm for each in begun]
    return found


def _folder(resume: str, env: str) -> Path:
    """Return the folder that `--resume` names, or of the latest run of `env`, or of its group."""
    if not resume or resume.startswith("-"):
        latest = latest_run(registry.resolve(env).name)
        return latest.parent if is_group(latest.parent) else latest
    folder = Path(resume)
    if os.path.isfile(folder):
        raise ArgumentError(f"--resume needs the folder of a run; {folder} is a file.")
    return folder


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
    """Train, and print a table if ENV is all, or of several seeds; return the exit status."""
    resume, overrides, seeds = arguments.resume, arguments.overrides, arguments.seeds
    options = {"--resume": resume, "--init": arguments.init, "--seeds": seeds}
    check_one_run(arguments.env, {**options, "--run": overrides.get("run")})
    if resume is not None and seeds is not None:
        raise ArgumentError(
            "--seeds is for new runs; those of a folder continue with --resume FOLDER alone."
        )

    def train(env: str, console: Console) -> dict[str, str]:
        runs = _runs(env, arguments, console)
        if isinstance(runs, Run):
            return _cells(runs.train(console, arguments.profile))
        rows = {}
        for path in train_seeds(runs, console, arguments.profile):
            rows[path.parent] = _cells(path)
        _print_seeds(console, rows)
        return {}

    return for_each(arguments.env, train)


def _runs(env: str, arguments: argparse.Namespace, console: Console) -> Run | list[Run]:
    """Return the run that the command line means, or the runs that differ in their seed."""
    if arguments.resume is None:
        run = Run.configure(env, arguments.overrides, arguments.init)
        return run if arguments.seeds is None else configure_seeds(run, arguments.seeds)
    folder = _folder(arguments.resume, env)
    console.print(f"Resuming {folder}", highlight=False, soft_wrap=True)
    if is_group(folder):
        return open_seeds(folder, arguments.overrides, env)
    run = Run.open(folder, arguments.overrides, env)
    print_change(console, run)
    return run


def _print_seeds(console: Console, rows: dict[Path, dict[str, str]]) -> None:
    """Print a line for each run, then the mean of their returns and its 95% interval."""
    if not any(rows.values()):
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    headings = dict.fromkeys(n for cells in rows.values() for n in cells if n != "checkpoint")
    for heading in ("run", *headings):
        table.add_column(heading, justify="left" if heading == "run" else "right")
    for folder, cells in rows.items():
        table.add_row(folder.name, *(cells.get(heading, "") for heading in headings))
    console.print(table)
    scores = [found for found in map(score, rows) if found is not None]
    if scores:
        mean, low, high = mean_interval(scores)
        console.print(
            f"Mean return of {len(scores)} seeds: {mean:.2f}  95% interval of the mean "
            rf"\[{low:.2f}, {high:.2f}]",
            highlight=False,
        )


def _cells(path: Path) -> dict[str, str]:
    """Return the cells of a row of a table, of the run with a checkpoint."""
    if int(os.environ.get("RANK", "0")) > 0:
        return {}  # torchrun's first process prints
    metrics = read_metrics(path.parent)
    if not metrics:
        return {"checkpoint": str(path)}
    last = metrics[-1]
    returned = last.get("episode/episode_return")
    return {
        "timesteps": f"{last['timesteps']:,}",
        "steps_per_second": f"{last['steps_per_second']:,.0f}",
        "episode_return": "" if returned is None else f"{returned:.2f}",
        "checkpoint": str(path),
    }
