"""`puffer export`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pufferlib.cli.parser import Parser
from pufferlib.runs.export import export
from pufferlib.runs.folder import CHECKPOINT


def add_arguments(parser: Parser, words: Sequence[str]) -> None:
    """Add the options of the command."""
    parser.add_argument("run", type=Path, help="folder of a run, or a checkpoint file")
    parser.add_argument(
        "--out", type=Path, required=True, help="FILE.onnx, or FILE.pt for TorchScript"
    )
    parser.add_argument(
        "--checkpoint",
        default=CHECKPOINT,
        metavar="NAME",
        help="in the folder: default %(default)s",
    )
    parser.add_argument("--policy", metavar="NAME", help="which of several (policy.agents)")


def run(arguments: argparse.Namespace) -> int:
    """Write the model, and print its inputs and outputs; return the exit status."""
    console = Console()
    made = export(arguments.run, arguments.out, arguments.checkpoint, arguments.policy)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "name", "type", "shape"):
        table.add_column(heading)
    for kind, values in (("input", made.inputs), ("output", made.outputs)):
        for value in values:
            table.add_row(kind, value.name, value.dtype, str(value.shape))
    console.print(table)
    console.print(f"Exported {arguments.out}", highlight=False, soft_wrap=True)
    return 0
