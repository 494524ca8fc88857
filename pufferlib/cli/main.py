"""Read the command line and hand over to a command."""

import argparse
import functools
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pufferlib import registry
from pufferlib.exceptions import ArgumentError, PufferError, WorkerError

_ENV_HELP = "an environment family or task; list them with: puffer envs"
_ENV_OR_ALL_HELP = f"{_ENV_HELP}; or: all, one task of each family that is installed"
_HELP = frozenset({"-h", "--help"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status. A user's mistake is one line, without traceback."""
    parser, commands = _parser()
    given = sys.argv[1:] if arguments is None else list(arguments)
    asks_help = given[:1] in (["train"], ["eval"]) and not _HELP.isdisjoint(given)
    if asks_help:
        commands[given[0]].print_help()  # our own options; the settings follow from tyro
        if given[1].startswith("-"):
            return 0
    known, flags = parser.parse_known_args(given)
    if flags and known.command not in ("train", "eval"):
        commands[known.command].error(f"unrecognized arguments: {' '.join(flags)}")
    try:
        if asks_help:
            return _settings_help(known.env, known.command)
        _check_one_run(known, flags)
        return _dispatch(known, flags)
    except PufferError as error:
        cause = error.__cause__ if isinstance(error, WorkerError) else None
        said = cause if isinstance(cause, ArgumentError) else error  # and not where it was raised
        print(f"puffer {known.command}: {said}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _settings_help(env: str, command: str) -> int:
    """Print every setting with its default for `env`; of the first family if that is "all"."""
    from pufferlib.cli.run import settings

    print(flush=True)
    settings(registry.families()[0] if env == "all" else env, ["--help"], command)
    return 0


def _check_one_run(known: argparse.Namespace, flags: Sequence[str]) -> None:
    """Refuse options that are of one run where all environments are meant.

    Raises:
        ArgumentError: says which.
    """
    given = [
        name for name in ("resume", "checkpoint", "video") if getattr(known, name, None) is not None
    ]
    given += ["write"] if getattr(known, "write", None) else []
    given += ["run" for flag in flags if flag.partition("=")[0] == "--run"]
    if getattr(known, "env", None) == "all" and given:
        raise ArgumentError(
            f"--{given[0]} is of one run; got it for all environments. Name the one it is of, or "
            f"leave it out."
        )


def _dispatch(known: argparse.Namespace, flags: list[str]) -> int:
    # Commands load torch and the environments: import only the one that runs.
    if known.command == "envs":
        from pufferlib.cli.envs import list_families, list_tasks

        if known.gallery is not None:
            from pufferlib.cli.gallery import draw_gallery

            return draw_gallery(known.gallery, known.env)

        return list_tasks(known.env) if known.env else list_families()
    if known.command == "install":
        from pufferlib.cli.install import install

        return install(known.env, known.constraint)
    if known.command == "doctor":
        from pufferlib.cli.doctor import doctor

        return doctor(brief=known.brief)
    from pufferlib.cli.all import for_each

    if known.command == "test":
        from pufferlib.cli.smoke import smoke_test

        return for_each(known.env, smoke_test, needs_all=True)
    if known.command == "bench":
        from pufferlib.cli.bench import bench, bench_apart, check_table, check_time, write_table

        sizes = (known.num_envs, known.num_workers, known.rounds, known.seconds)
        check_time(known.rounds, known.seconds)
        report = None
        if known.table is not None:
            check_table(known.table, known.env)
            report = functools.partial(
                write_table, known.table, num_envs=known.num_envs, rounds=known.rounds
            )
        measure = bench_apart if known.env == "all" else bench
        return for_each(known.env, lambda env, console: measure(env, console, *sizes), report)
    if known.command == "autotune":
        from pufferlib.cli.autotune import Limits, autotune

        limits = Limits(
            *(known.max_envs, known.batch_size, known.max_memory, known.seconds, known.rounds)
        )
        return for_each(known.env, lambda env, console: autotune(env, console, limits, known.write))
    if known.command == "train":
        from pufferlib.cli.train import train

        how = (flags, known.resume, known.profile)
        return for_each(known.env, lambda env, console: train(env, console, *how))
    if known.command == "plot":
        from pufferlib.cli.plot import plot

        return plot(known.run, known.metric, known.x, known.out)
    from pufferlib.cli.evaluation import evaluation

    options = (flags, known.checkpoint, known.episodes, known.seed, known.render, known.video)
    return for_each(known.env, lambda env, console: evaluation(env, console, *options))


class _Version(argparse.Action):
    """Looks the version up only where it is asked for: a bare source tree has none."""

    def __call__(self, *_: Any) -> None:
        print(f"pufferlib {version('pufferlib')}")
        raise SystemExit(0)


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser(
        prog="puffer", description="Train, evaluate, test and time reinforcement-learning agents."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    sub = parser.add_subparsers(dest="command", required=True)
    commands: dict[str, argparse.ArgumentParser] = {}

    def add(name: str, help_text: str, *, has_settings: bool = False) -> argparse.ArgumentParser:
        commands[name] = sub.add_parser(
            name, help=help_text, description=help_text, add_help=not has_settings
        )
        return commands[name]

    train = add("train", "train a policy; ENV --help lists every setting", has_settings=True)
    train.add_argument("env", help=_ENV_OR_ALL_HELP)
    train.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="folder of a run to go on with (without RUN: the latest of ENV in runs/)",
    )
    train.add_argument("--profile", action="store_true", help="print where the time went")

    evaluation = add("eval", "evaluate a checkpoint, or a random policy", has_settings=True)
    evaluation.add_argument("env", help=_ENV_OR_ALL_HELP)
    evaluation.add_argument(
        "--checkpoint", type=Path, default=None, help="default: of the latest run in runs/"
    )
    evaluation.add_argument("--episodes", type=int, default=32, help="default 32")
    evaluation.add_argument(
        "--seed", type=int, default=1_000_000, help="of the first episode (default 1000000)"
    )
    evaluation.add_argument("--render", action="store_true", help="replay one in the terminal")
    evaluation.add_argument(
        "--video", type=Path, default=None, metavar="FILE", help="film one: FILE.mp4 or FILE.gif"
    )

    plot = add("plot", "draw the learning curves of runs")
    plot.add_argument("run", nargs="+", type=Path, help="folder of a run")
    plot.add_argument("--metric", default="episode/episode_return", help="default %(default)s")
    plot.add_argument("--x", choices=("timesteps", "seconds"), default="timesteps")
    plot.add_argument(
        "--out",
        type=Path,
        default=Path("curve.png"),
        help="a .png, .svg or .pdf (default curve.png)",
    )

    bench = add("bench", "measure throughput beside the alternatives")
    bench.add_argument("env", help=_ENV_OR_ALL_HELP)
    bench.add_argument("--num-envs", type=int, default=8, help="environments (default 8)")
    bench.add_argument("--num-workers", type=int, default=None, help="processes (default: cores)")
    bench.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    bench.add_argument("--seconds", type=float, default=1.0, help="of a round, each (default 1)")
    bench.add_argument(
        "--table", type=Path, metavar="FILE", help="of all: into a Markdown file, at its markers"
    )

    tune = add("autotune", "find out which backend, environments and workers are fastest here")
    tune.add_argument("env", help=_ENV_OR_ALL_HELP)
    tune.add_argument("--max-envs", type=int, help="at most so many (default: 16 for each core)")
    tune.add_argument("--batch-size", type=int, help="environments in a batch (default: any)")
    tune.add_argument(
        "--max-memory", type=float, metavar="GIB", help="of environments (default: half the free)"
    )
    tune.add_argument("--seconds", type=float, default=1.0, help="of a turn (default 1)")
    tune.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    tune.add_argument(
        "--write",
        nargs="?",
        const="",
        metavar="PATH",
        help="put the fastest that trains into [vec] of a TOML file (default: of the preset)",
    )

    test = add("test", "smoke-test a task, or the samples of a family: contract, rows, policy")
    test.add_argument("env", help=_ENV_OR_ALL_HELP)

    envs = add("envs", "list families, or the tasks of one")
    envs.add_argument("env", nargs="?", help="a family")
    envs.add_argument(
        "--gallery", type=Path, metavar="FOLDER", help="draw a picture of it, or of each"
    )

    install = add("install", "install what environment families, or other extras, need")
    install.add_argument(
        "env", nargs="+", help=f"any of {', '.join(registry.families())}; all; or an extra"
    )
    install.add_argument("--constraint", type=Path, default=None, help="a file of exact pins")

    doctor = add("doctor", "say what this machine has, and what is wrong with it")
    doctor.add_argument("--brief", action="store_true", help="a line, and what is wrong")
    return parser, commands
