"""`puffer sweep`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pufferlib.annotations import JsonObject
from pufferlib.cli.parser import ENV_HELP, Parser, add_free_keys, add_settings, values_of
from pufferlib.cli.preset import preset_to_write
from pufferlib.config import ALGORITHMS, algorithm_config
from pufferlib.exceptions import ArgumentError
from pufferlib.runs.settings import names_of
from pufferlib.sweep.config import AllSettings
from pufferlib.sweep.preset import check_preset, values_to_write, write_preset
from pufferlib.sweep.report import points
from pufferlib.sweep.sweep import Sweep

if TYPE_CHECKING:
    from optuna import Study

_SPACE_HELP = (
    "how a setting is searched: log|uniform|integer|power2|logit LOW HIGH, choices VALUE ..., or "
    "fixed; see docs/sweeps.md"
)


_LEAVE_OUT = "Leave it out: the report has a command line for each trial of the front."


def add_arguments(parser: Parser, words: Sequence[str]) -> None:
    """Add the options of the command."""
    parser.add_argument("env", help=ENV_HELP)
    parser.add_argument(
        "--write",
        nargs="?",
        type=int,
        const=-1,
        metavar="TRIAL",
        help="write the settings of a trial into the preset (without TRIAL: of the front, the best "
        "with fresh seeds)",
    )
    group = parser.add_argument_group("space of the sweep")
    add_free_keys(group, words, "sweep.space", _SPACE_HELP)
    parser.add_argument(
        "--run", metavar="FOLDER", help="of the sweep, to start or continue (runs/sweep-TASK)"
    )
    known = {"run"}
    for name in dict.fromkeys([*ALGORITHMS, *values_of(words, "--algorithm")]):
        settings = AllSettings(algorithm=name, train=algorithm_config(name)())
        names = [name for name in names_of(settings) if name not in known]
        known.update(names)
        add_settings(parser, words, names, settings)


def run(arguments: argparse.Namespace) -> int:
    """Search, and print the front; return the exit status."""
    folder = {} if arguments.run is None else {"run": arguments.run}
    sweep = Sweep.configure(arguments.env, {**arguments.overrides, **folder})
    path = None
    if arguments.write is not None:
        path = preset_of(sweep)
    console = Console(highlight=False)
    study = sweep.run(console)
    if path is not None:
        number, values = values_of_trial(study, sweep.facts(), arguments.write)
        write_preset(path, values)
        console.print(
            f"Wrote the settings of trial {number} into {path}", markup=False, soft_wrap=True
        )
    return 0


def preset_of(sweep: Sweep) -> Path:
    """Return the preset that `--write` changes: of the task, also where the family was named.

    Raises:
        SettingError: there is none, or the settings of the sweep cannot stand in it.
    """
    source = sweep.preset.source
    path = preset_to_write(source, source.name, _LEAVE_OUT, sweep.preset.config.algorithm)
    check_preset(path, sweep)
    return path


def values_of_trial(study: "Study", facts: JsonObject, trial: int) -> tuple[int, dict[str, Any]]:
    """Return the number of a trial, and what a preset needs for its settings.

    Args:
        study: of the sweep.
        facts: contents of its `sweep.json`.
        trial: its number; -1: of the front, the one with the best score with fresh seeds.

    Raises:
        ArgumentError: it is none of the sweep, or has no score.
    """
    done = {each.number: each for each in study.get_trials(deepcopy=False) if each.values}
    if trial == -1:
        found = points(study, facts)
        if not found:
            raise ArgumentError("No trial has a score; the preset is unchanged.")
        trial = max(
            found, key=lambda each: (bool(each.confirmed), fmean(each.confirmed or [each.score]))
        ).number
    elif trial not in done:
        raise ArgumentError(
            f"--write must name a trial that has a score; got {trial}. The preset is unchanged."
        )
    return trial, values_to_write(facts, done[trial].user_attrs["settings"])
