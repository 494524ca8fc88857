"""`puffer install`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pufferlib import registry
from pufferlib.cli.parser import Parser
from pufferlib.installation import install


def add_arguments(parser: Parser, words: Sequence[str]) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "env", nargs="+", help=f"any of {', '.join(registry.families())}; all; or an extra"
    )
    parser.add_argument("--constraint", type=Path, help="a file of exact versions")


def run(arguments: argparse.Namespace) -> int:
    """Install; return pip's exit status."""
    status, versions = install(arguments.env, arguments.constraint)
    if status == 0:
        listed = ", ".join(f"{name} {version}" for name, version in versions.items())
        message = f"Installed: {listed}" if versions else "Nothing more is needed."
        Console(highlight=False).print(message, soft_wrap=True)
    return status
