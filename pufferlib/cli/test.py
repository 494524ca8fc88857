"""`puffer test`."""

import argparse
import subprocess
import sys
from collections.abc import Sequence

from rich.console import Console

from pufferlib.cli.all import for_each
from pufferlib.cli.parser import ENV_OR_ALL_HELP, Parser, add_settings
from pufferlib.config import Config
from pufferlib.exceptions import ContractError
from pufferlib.registry import Family
from pufferlib.runs import Run
from pufferlib.runs.smoke import installed_version, smoke_test

_SETTINGS = ("env.kwargs", "policy.name", "policy.kwargs", "policy.hidden_size")


def add_arguments(parser: Parser, words: Sequence[str]) -> None:
    """Add the options of the command."""
    parser.add_argument("env", help=f"{ENV_OR_ALL_HELP}. All samples of a family are tested")
    add_settings(parser, words, _SETTINGS, Config())


def run(arguments: argparse.Namespace) -> int:
    """Test, and print a table if ENV is all; return the exit status."""

    def test(env: str, console: Console) -> dict[str, str]:
        run = Run.configure(env, arguments.overrides)
        family = run.source.family
        if family is None or env != family.name or arguments.overrides:
            return smoke_test(run, console)
        if len(family.samples) == 1:
            return smoke_test(Run.configure(family.samples[0]), console)
        run.source.check()
        return _test_each(family)

    return for_each(arguments.env, test, needs_all=True)


def _test_each(family: Family) -> dict[str, str]:
    """Run `puffer test` for each sample of a family; each prints its own failure.

    Each runs in its own process: threads of one, of a Java machine for example, must not exist when
    the workers of the next are forked.
    """
    command = [sys.executable, "-m", "pufferlib.cli", "test"]
    failed = [
        task for task in family.samples if subprocess.run([*command, task], check=False).returncode
    ]
    if failed:
        raise ContractError(
            f"{len(failed)} of the {len(family.samples)} samples of {family.name} failed: "
            f"{', '.join(failed)}. See the errors above."
        )
    return {"version": installed_version(family)}
