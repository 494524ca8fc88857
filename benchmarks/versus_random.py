"""Evaluate a policy trained by self-play against random play; prints rows for docs/learning.md.

    puffer train connect_four_v3 --run runs/connect_four
    python benchmarks/versus_random.py runs/connect_four --games 256

The return during training is the sum of both players, which is always 0: one wins what the other
loses. Here the policy plays one seat, and a random player, who draws among the legal actions, the
other; then they change seats, with the same seeds. Columns: the mean return of a game and its 95%
interval, for each seat, of a random player in it and of the policy.
"""

import argparse
from contextlib import closing
from pathlib import Path

import numpy as np

from pufferlib.runs import Run
from pufferlib.runs.folder import CHECKPOINT
from pufferlib.training.evaluation import Actor, Evaluation, acting
from pufferlib.vector import VectorEnv

FIRST_SEED = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs")
    parser.add_argument("--games", type=int, default=256, help="for each seat")
    arguments = parser.parse_args()
    print("| task | seat | random | trained |\n|---|---|---|---|")
    for folder in arguments.runs:
        run = Run.open(folder).in_this_process()
        task = run.config.env.task
        with closing(run.make_vecenv(num_envs=arguments.games)) as vecenv:
            if vecenv.agents_per_env[0] != 2:
                parser.error(
                    f"{task} has {vecenv.agents_per_env[0]} agents. Name runs of games of two "
                    f"players."
                )
            policy = run.load_policy(vecenv, folder / CHECKPOINT)
            for seat in range(2):
                cells = []
                for each in (None, policy):
                    with acting(vecenv, each, FIRST_SEED) as act:
                        cells.append(str(play(vecenv, seat, act)))
                print(f"| `{task}` | {seat + 1} | {' | '.join(cells)} |", flush=True)


def play(vecenv: VectorEnv, seat: int, actor: Actor) -> Evaluation:
    """Play a game in each environment: `actor` has the seat, a random player the other."""
    is_seat = np.arange(vecenv.num_agents) % 2 == seat
    returns, lengths = np.zeros(vecenv.num_envs), np.zeros(vecenv.num_envs, np.int64)
    observations, _ = vecenv.reset(FIRST_SEED)
    playing, starts = np.ones(vecenv.num_envs, np.bool_), np.ones(vecenv.num_agents, np.bool_)
    with acting(vecenv, None, FIRST_SEED) as other:
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
