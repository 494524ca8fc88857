"""Read the command line and run one command."""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from pufferlib.cli.parser import Parser, normalized
from pufferlib.exceptions import ArgumentError, PufferError, WorkerError

# Each is a module of this package with add_arguments(parser, words) and run(arguments).
COMMANDS = {
    "train": "train a policy; ENV --help lists every setting with its default",
    "eval": "evaluate a checkpoint and a random policy on the same seeds",
    "match": "play games between two players and print the score of the first",
    "rank": "rate runs and other players by a round robin",
    "test": "smoke-test an environment: contract, vectorized steps, policy",
    "bench": "compare throughput with Gymnasium and Stable-Baselines3",
    "autotune": "find the fastest backend and number of environments and workers on this machine",
    "sweep": "search for settings that score high at a low cost",
    "export": "write the policy of a run to ONNX or TorchScript",
    "plot": "draw the learning curves of runs",
    "envs": "list environment families, or the tasks of one",
    "install": "install the packages of environment families, or other extras",
    "doctor": "name the faults of a run; without RUN, show this machine and its problems",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status.

    A user's mistake, and a file or device that the system refuses, is one line on stderr and
    status 2, without a traceback.
    """
    words = normalized(sys.argv[1:] if arguments is None else arguments)
    prog = "puffer"
    try:
        with _flushed_at_exit():
            command: str = _top_parser().parse_args(words[:1]).command
            prog = f"puffer {command}"
            module = importlib.import_module(f"pufferlib.cli.{command}")  # it may load torch
            parser = Parser(prog=prog, description=COMMANDS[command])
            module.add_arguments(parser, words[1:])
            status: int = module.run(parser.parse_args(words[1:]))
        return status
    except PufferError as error:
        cause = error.__cause__ if isinstance(error, WorkerError) else None
        shown = cause if isinstance(cause, ArgumentError) else error  # without where it was raised
        print(f"{prog}: {shown}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # puffer ... | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        _flush_or_discard_output()
        print(f"{prog}: {_described(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


@contextlib.contextmanager
def _flushed_at_exit() -> Iterator[None]:
    """Flush stdout after the block, also where it exits, as --help and --version do."""
    try:
        yield
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()


def _described(error: OSError) -> str:
    """Return the reason that the system gave, and the file it is about."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return f"{reason}."
    return f"{error.filename}: {reason}. Check the path and its permissions, or name another."


def _flush_or_discard_output() -> None:
    """Flush stdout; if that fails, as on a full disk, drop what it has not written.

    Otherwise the interpreter would try again at exit, print a traceback and change the status.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Version(argparse.Action):
    """Looks the version up only if it is asked for: a bare source tree has none."""

    def __call__(self, *_: Any) -> None:
        print(f"pufferlib {version('pufferlib')}")
        raise SystemExit(0)


def _top_parser() -> Parser:
    listed = "\n".join(f"  {name:<10}{text}" for name, text in COMMANDS.items())
    parser = Parser(
        prog="puffer",
        usage="puffer COMMAND ...",
        description="Train, evaluate, test and time reinforcement-learning agents.",
        epilog=f"commands:\n{listed}\n\nOptions of one: puffer COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="listed below")
    return parser
