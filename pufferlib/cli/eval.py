"""`puffer eval`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pufferlib import registry
from pufferlib.cli.all import check_one_run, for_each
from pufferlib.cli.parser import ENV_OR_ALL_HELP, Parser, add_settings
from pufferlib.config import Config
from pufferlib.exceptions import ArgumentError, UnknownNameError
from pufferlib.runs import Run
from pufferlib.runs.evaluation import policies_by_agent
from pufferlib.runs.film import film
from pufferlib.runs.folder import CHECKPOINT, CONFIG, GROUP, latest_checkpoint, refuse_group
from pufferlib.runs.terminal import print_change, print_comparison, replay, unfinished
from pufferlib.runs.video import check_video

_MOVED = ("algorithm", "policy.name")  # say where files of the run are now
# Those that affect an evaluation; --episodes says how many environments play.
_SETTINGS = (
    *("env.kwargs", "vec.backend", "vec.timeout_s", "vec.on_failure", "vec.caller_steps"),
    *_MOVED,
    *("train.device", "train.threads"),
)


def add_arguments(parser: Parser, words: Sequence[str]) -> None:
    """Add the options of the command."""
    parser.add_argument("env", help=ENV_OR_ALL_HELP)
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="a checkpoint or the folder of a run (default: the latest of ENV in runs/)",
    )
    parser.add_argument(
        "--episodes", type=int, default=32, help="play at least so many (default 32)"
    )
    parser.add_argument(
        "--seed", type=int, default=1_000_000, help="of the first episode (default 1000000)"
    )
    parser.add_argument("--render", action="store_true", help="replay one episode in the terminal")
    parser.add_argument(
        "--video", type=Path, metavar="FILE", help="film one episode: FILE.mp4 or FILE.gif"
    )
    parser.add_argument(
        "--greedy",
        action="store_true",
        help="--render and --video: take the most probable actions (default: sample them)",
    )
    add_settings(parser, words, _SETTINGS, Config())


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, and print a table if ENV is all; return the exit status."""
    options = {"--checkpoint": arguments.checkpoint, "--video": arguments.video}
    check_one_run(arguments.env, options)
    if arguments.greedy and not (arguments.render or arguments.video):
        raise ArgumentError(
            "--greedy has no effect without --render or --video: sampled and greedy actions are "
            "both evaluated. Leave it out."
        )
    return for_each(arguments.env, lambda env, console: _evaluate(env, console, arguments))


def _evaluate(env: str, console: Console, arguments: argparse.Namespace) -> dict[str, str]:
    """Evaluate a checkpoint and a random policy; return the cells of a row of a table."""
    path, seed, is_greedy = arguments.checkpoint, arguments.seed, arguments.greedy
    if path is None:
        task = _task(env)
        path = latest_checkpoint(task)
        console.print(
            f"Checkpoint: {path}"
            if path
            else f"No checkpoint of {task} in runs/; evaluating the random policy only",
            highlight=False,
            soft_wrap=True,
        )
    elif path.is_dir():
        refuse_group(path)
        path /= CHECKPOINT
    if path is not None and not path.exists():
        raise ArgumentError(f"There is no checkpoint {path}. Name the folder of a run.")
    if path is None:
        for name in _MOVED:
            if name in arguments.overrides:
                raise ArgumentError(
                    f"--{name} has no effect without a checkpoint: only the random policy plays. "
                    f"Leave it out, or name a run with --checkpoint."
                )
        if is_greedy:
            raise ArgumentError(
                "--greedy has no effect without a checkpoint: only the random policy plays. Leave "
                "it out, or name a run with --checkpoint."
            )
        run = Run.configure(env, arguments.overrides)
    else:
        is_in_folder = (path.parent / CONFIG).exists()
        run = Run.open(path.parent if is_in_folder else path, arguments.overrides, env)
        print_change(console, run)
    if arguments.video is not None:
        check_video(arguments.video)
    with console.status("Playing full episodes"):
        results = run.evaluate(path, arguments.episodes, seed)
    print_comparison(console, run.config.env.task, results, seed, policies_by_agent(run))
    if arguments.render:
        replay(console, run, path, seed, is_greedy=is_greedy)
    if arguments.video is not None:
        episode, fps = film(run, path, seed, arguments.video, is_greedy)
        console.print(
            f"Filmed {arguments.video}: {episode.steps} frames at {fps:g} per second, return "
            f"{episode.total:.2f}{unfinished(episode.has_ended)}",
            highlight=False,
            soft_wrap=True,
        )
    return {name: str(result) for name, result in results.items()}


def _task(env: str) -> str:
    """Return the name of the task that `env` means."""
    try:
        return registry.resolve(env).name
    except UnknownNameError:
        path = Path(env)
        if not (path.suffix == ".pt" or (path / CONFIG).exists() or (path / GROUP).exists()):
            raise
        raise ArgumentError(
            f"{env} is a run or a checkpoint. Name its environment, too: "
            f"puffer eval ENV --checkpoint {env}"
        ) from None
