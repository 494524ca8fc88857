"""`puffer sweep`."""

import argparse
from collections.abc import Sequence

from rich.console import Console

from pufferlib.cli.parser import ENV_HELP, Parser, add_free_keys, add_settings
from pufferlib.config import ALGORITHMS
from pufferlib.runs.settings import names_of
from pufferlib.sweep.config import AllSettings
from pufferlib.sweep.sweep import Sweep

_SPACE_HELP = (
    "how a setting is searched: log|uniform|integer|power2|logit LOW HIGH, choices VALUE ..., or "
    "fixed; see docs/sweeps.md"
)


def add_arguments(parser: Parser, words: Sequence[str]) -> None:
    """Add the options of the command."""
    parser.add_argument("env", help=ENV_HELP)
    group = parser.add_argument_group("space of the sweep")
    add_free_keys(group, words, "sweep.space", _SPACE_HELP)
    known: set[str] = set()
    for name, algorithm in ALGORITHMS.items():
        settings = AllSettings(algorithm=name, train=algorithm())
        names = [name for name in names_of(settings) if name not in known]
        known.update(names)
        add_settings(parser, words, names, settings)


def run(arguments: argparse.Namespace) -> int:
    """Search, and print the front; return the exit status."""
    sweep = Sweep.configure(arguments.env, arguments.overrides)
    console = Console(highlight=False)
    sweep.run(console)
    return 0
