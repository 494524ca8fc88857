"""NetHack's network beside an MLP of the same width; prints the table of docs/learning.md.

    python benchmarks/networks.py --timesteps 100000 --seeds 1 2 3

Both learn NetHackScout-v0, which pays for what of the dungeon is seen, in games of 500 steps, by
the settings of the preset for NetHack, without memory, which is the same for both. Columns: the
mean return of whole games from seeds that training never saw, with its 95% interval; parameters;
CPU seconds of training, the games' own counted in.
"""

import argparse
import dataclasses
import functools
import time
from contextlib import closing
from typing import Any

import torch

from pufferlib import config, models, vector
from pufferlib.ppo import Trainer, evaluate
from pufferlib.registry import nethack

TASK, ENVS, FIRST_SEED = "NetHackScout-v0", 16, 1_000_000
NETWORKS = {"models.Default": models.Default, "policies.nethack": nethack.Policy}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timesteps", type=int, default=100_000, help="of a training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="of trainings")
    parser.add_argument("--games", type=int, default=32, help="that decide")
    parser.add_argument("--game-steps", type=int, default=500, help="of a game, at most")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    preset = config.load(["nethack"])
    make_env = functools.partial(
        nethack.make_env, TASK, **preset.env.kwargs, max_episode_steps=arguments.game_steps
    )
    print(f"**{TASK}, {arguments.timesteps:,} steps**\n")
    print("| network | seed | return | parameters | CPU s |\n|---|---|---|---|---|")
    with closing(vector.make(make_env, num_envs=arguments.games)) as games:
        print(f"| random | | {evaluate(games, None, FIRST_SEED)} | | |", flush=True)
        for seed in arguments.seeds:
            for name, network in NETWORKS.items():
                torch.manual_seed(seed)
                policy = network(games, hidden_size=preset.policy.hidden_size)
                settings = dataclasses.replace(
                    preset.train, seed=seed, total_timesteps=arguments.timesteps
                )
                cpu_s = train(policy, settings, make_env)
                result = evaluate(games, policy, FIRST_SEED)
                size = sum(weights.numel() for weights in policy.parameters())
                print(f"| {name} | {seed} | {result} | {size:,} | {cpu_s:.0f} |", flush=True)
    print()


def train(policy: Any, settings: Any, make_env: Any) -> float:
    """Train `policy`; return the CPU seconds it took."""
    began_s = time.process_time()
    with closing(vector.make(make_env, num_envs=ENVS)) as envs:
        trainer = Trainer(settings, envs, policy)
        while not trainer.is_done:
            trainer.step()
    return time.process_time() - began_s


if __name__ == "__main__":
    main()
