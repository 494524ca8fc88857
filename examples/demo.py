"""Train a recurrent policy on real NetHack, see that it beats a random one, and watch it play.

    make demo          (or, where pufferlib[nethack] is installed: python examples/demo.py)

The task is NetHackScout, whose reward is every cell of the map that comes into view, in games of at
most 500 steps: what two minutes on a laptop's CPU can learn. `make train ENV=nethack` trains
NetHackScore, in games of full length.
"""

import argparse
import dataclasses
from pathlib import Path

from rich.console import Console

from pufferlib.cli.evaluation import compare, print_comparison, replay
from pufferlib.cli.run import settings
from pufferlib.cli.train import run_training

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

    config = settings(TASK, [], "train")
    train = dataclasses.replace(
        config.train, max_seconds=given.seconds, total_timesteps=1_000_000_000
    )
    kwargs = {**config.env.kwargs, "max_episode_steps": MAX_EPISODE_STEPS}
    env = dataclasses.replace(config.env, kwargs=kwargs)
    config = dataclasses.replace(config, env=env, train=train, run=given.run)
    checkpoint = run_training(config, console=console)

    console.print(f"\nPlaying {given.episodes} games with each policy ...")
    results = compare(config, checkpoint, given.episodes, SEED)
    print_comparison(console, config, results, SEED)
    if results["trained"].interval()[0] > results["random"].interval()[1]:
        console.print("The trained policy beats the random one beyond both intervals.")
    else:
        console.print("The intervals overlap: train for longer (--seconds).")

    console.print("\nOne game of the trained policy:")
    replay(console, config, checkpoint, SEED, max_steps=given.replay_steps)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
