"""Train a recurrent policy on NetHack, compare it with a random one, and watch it play.

    make demo          (or, where pufferlib[nethack] is installed: python examples/demo.py)

The task is NetHackScout, which rewards each cell of the map that comes into view, in games of at
most 500 steps: a policy learns it in two minutes on a laptop's CPU. `make train ENV=nethack` trains
on NetHackScore, in games of full length.
"""

import argparse
from pathlib import Path

from rich.console import Console

from pufferlib.runs import Run
from pufferlib.runs.terminal import print_comparison, replay

TASK = "NetHackScout-v0"
MAX_EPISODE_STEPS = 500
SEED = 1_000_000  # of the evaluation's games, far from those of training


def main() -> None:
    """Train, evaluate, replay."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120, help="of training (default 120)")
    parser.add_argument("--episodes", type=int, default=128, help="of each policy (default 128)")
    parser.add_argument("--replay-steps", type=int, default=MAX_EPISODE_STEPS, help="shown")
    parser.add_argument("--run", type=Path, help="folder of the run (default: runs/TASK-TIME)")
    given = parser.parse_args()
    console = Console()

    overrides = {
        "train.max_seconds": given.seconds,
        "train.total_timesteps": 1_000_000_000,
        "env.kwargs.max_episode_steps": MAX_EPISODE_STEPS,
    }
    if given.run is not None:
        overrides["run"] = given.run
    run = Run.configure(TASK, overrides)
    checkpoint = run.train(console)

    console.print(f"\nPlaying {given.episodes} games with each policy ...")
    results = run.evaluate(checkpoint, given.episodes, SEED)
    print_comparison(console, TASK, results, SEED)
    if results["sampled"].is_above(results["random"]):
        console.print("The trained policy beats the random one; the intervals do not overlap.")
    else:
        console.print("The intervals overlap: train for longer (--seconds).")

    console.print("\nOne game of the trained policy:")
    replay(console, run, checkpoint, SEED, max_steps=given.replay_steps)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
