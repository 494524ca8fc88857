"""What training against oneself is worth against chance; prints rows for docs/learning.md.

    puffer train connect_four_v3 --run runs/connect_four
    python benchmarks/versus_random.py runs/connect_four --games 256

The return of training is that of both players, which tells nothing: what one wins the other loses.
Here each of two games starts from the same seed: the policy plays one seat, and a random player,
who draws among what is allowed, the other; then they change. Columns: the mean return of a game and
its 95% interval, for each seat, of a random player in it and of the policy.
"""

import argparse
import dataclasses
from contextlib import closing
from pathlib import Path

import numpy as np
import torch

from pufferlib import registry
from pufferlib.cli.run import load_policy, make_vecenv
from pufferlib.cli.run_folder import CHECKPOINT, read_config
from pufferlib.config import VecConfig
from pufferlib.ppo import Evaluation
from pufferlib.ppo.evaluate import Actor
from pufferlib.vector import VectorEnv

FIRST_SEED = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs")
    parser.add_argument("--games", type=int, default=256, help="for each seat")
    arguments = parser.parse_args()
    print("| task | seat | random | trained |\n|---|---|---|---|")
    for run in arguments.runs:
        config = read_config(run)
        vec = VecConfig(backend="Serial", num_envs=arguments.games)
        config = dataclasses.replace(config, vec=vec)
        with closing(make_vecenv(config, registry.resolve(config.env.task)[0])) as vecenv:
            if vecenv.agents_per_env[0] != 2:
                parser.error(
                    f"{config.env.task} is played by {vecenv.agents_per_env[0]}. Give runs of "
                    f"games of two players."
                )
            policy = load_policy(config, vecenv, run / CHECKPOINT)
            for seat in range(2):
                cells = [str(play(vecenv, seat, Actor(vecenv, each, 0))) for each in (None, policy)]
                print(f"| `{config.env.task}` | {seat + 1} | {' | '.join(cells)} |", flush=True)


def play(vecenv: VectorEnv, seat: int, actor: Actor) -> Evaluation:
    """Return a game of each environment, in which `actor` has the seat and chance the other."""
    torch.manual_seed(FIRST_SEED)
    other = Actor(vecenv, None, FIRST_SEED)
    is_seat = np.arange(vecenv.num_agents) % 2 == seat
    returns, lengths = np.zeros(vecenv.num_envs), np.zeros(vecenv.num_envs, np.int64)
    observations, _ = vecenv.reset(FIRST_SEED)
    playing, starts = np.ones(vecenv.num_envs, np.bool_), np.ones(vecenv.num_agents, np.bool_)
    while playing.any():
        chosen, by_chance = actor(observations, starts), other(observations, starts)
        actions = np.where(is_seat.reshape(-1, *[1] * (chosen.ndim - 1)), chosen, by_chance)
        observations, rewards, terminals, truncations, _ = vecenv.step(actions)
        returns[playing] += rewards[is_seat][playing]
        lengths[playing] += 1
        starts = terminals | truncations
        playing &= ~starts[is_seat]
    return Evaluation(returns, lengths, np.arange(vecenv.num_envs))


if __name__ == "__main__":
    main()
