"""Compare NetHack's network with an MLP of the same width; print the table of docs/learning.md.

    python benchmarks/networks.py --timesteps 300000 --seeds 1 2 3

Both learn the same tasks, without a recurrent layer: NetHackScout-v0, which rewards exploring the
dungeon, in games of 500 steps, and a MiniHack room with random positions of hero and stairs.
Columns: the mean return of full games from seeds not used in training, with its 95% interval;
parameters; CPU seconds of training, including the games. `--record FILE` also writes them for
benchmarks/learning_record.py.
"""

import argparse
import dataclasses
import functools
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import torch
from learning_record import LearningRecorder
from learning_tables import COLUMNS, Row, markdown
from presets import numbers
from record import add_argument, command

from pufferlib import config, models, registry, vector
from pufferlib.registry import nethack
from pufferlib.training import Trainer, evaluate

ENVS, FIRST_SEED = 16, 1_000_000
NETWORKS = {"models.Default": models.Default, "policies.nethack": nethack.Policy}
# By task: the preset to train with, and settings that differ from it.
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "NetHackScout-v0": ("nethack", {"max_episode_steps": 500}),
    "MiniHack-Room-Random-5x5-v0": ("MiniHack-Room-5x5-v0", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=[*TASKS])
    parser.add_argument("--timesteps", type=int, default=300_000, help="steps per training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="seeds of the trainings")
    parser.add_argument("--games", type=int, default=64, help="games per evaluation")
    add_argument(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recorder = LearningRecorder(arguments.record, command())
    for task in arguments.tasks:
        print(f"**{task}, {arguments.timesteps:,} steps**\n\n{markdown(COLUMNS['networks'], [])}")
        for row in compare(task, arguments.timesteps, arguments.seeds, arguments.games):
            print(markdown(COLUMNS["networks"], [row]).splitlines()[-1], flush=True)
            recorder.add("networks", row)
        print()


def compare(task: str, timesteps: int, seeds: list[int], num_games: int) -> Iterator[Row]:
    """Yield the rows of a task as they are measured."""
    name, differs = TASKS[task]
    preset = config.load([name])
    make_env = functools.partial(
        registry.resolve(task).make_env, **{**preset.env.kwargs, **differs}
    )
    of_task = {"task": task, "steps": timesteps}
    with closing(vector.make(make_env, num_envs=num_games)) as games:
        random = numbers(evaluate(games, None, FIRST_SEED))
        yield {**of_task, "network": "random", "return": random}
        for seed in seeds:
            for network_name, network in NETWORKS.items():
                torch.manual_seed(seed)
                policy = network(games, hidden_size=preset.policy.hidden_size)
                settings = dataclasses.replace(preset.train, seed=seed, total_timesteps=timesteps)
                cpu_s = train(policy, settings, make_env)
                yield {
                    **of_task,
                    "network": network_name,
                    "seed": seed,
                    "return": numbers(evaluate(games, policy, FIRST_SEED)),
                    "parameters": sum(weights.numel() for weights in policy.parameters()),
                    "cpu_s": round(cpu_s),
                }


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
