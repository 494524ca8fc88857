"""Train with Sample Factory, in a Python that has it; benchmarks/training.py starts this script.

    PYTHON benchmarks/sample_factory_run.py ROLLOUTS --env=CartPole-v1 ...

The arguments after ROLLOUTS are Sample Factory's. The last line of output has the environment steps
per second of ROLLOUTS iterations, the CPU time of all its processes in microseconds per step, and
the mean return of the last hundred episodes. As many iterations before these are a warm-up, like
the first turn of the other contenders.
"""

import os
import statistics
import sys
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import gymnasium
from sample_factory.algo.runners.runner import AlgoObserver, Runner
from sample_factory.cfg.arguments import parse_full_cfg, parse_sf_args
from sample_factory.envs.env_utils import register_env
from sample_factory.train import make_runner
from turns import cpu_s, descendants


class Mark(NamedTuple):
    """A point in time, and the CPU time used until then."""

    wall_s: float
    cpu_s: float


class Clock(AlgoObserver):
    """Records the ends of the iterations between which speed is measured."""

    def __init__(self, iterations: tuple[int, int]) -> None:
        self.iterations = iterations
        self.pids: list[int] = []
        self.marks: list[Mark] = []

    def on_start(self, runner: Runner) -> None:
        self.pids = [os.getpid(), *descendants()]

    def on_training_step(self, runner: Runner, training_iteration_since_resume: int) -> None:
        if training_iteration_since_resume in self.iterations:
            self.marks.append(Mark(perf_counter(), cpu_s(self.pids)))


def make_env(task: str, *_: Any, **__: Any) -> Any:
    """Return the game that the other contenders play."""
    if not task.startswith("ALE/"):
        return gymnasium.make(task, disable_env_checker=True)
    import ale_py

    sys.path.append(str(Path(__file__).parents[1]))  # our package, which pip did not install here
    from pufferlib.registry._atari_env import AtariGame

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    game = gymnasium.make(task, frameskip=1, disable_env_checker=True)
    return AtariGame(
        game,
        frame_skip=4,
        frame_stack=4,
        screen_size=84,
        noop_max=30,
        fire_on_reset=False,
        episodic_life=False,
        clip_rewards=False,
    )


def main() -> None:
    """Train with the settings of the command line and print the measurements."""
    rollouts, settings = int(sys.argv[1]), sys.argv[2:]
    parser, _ = parse_sf_args(settings)
    config = parse_full_cfg(parser, settings)
    register_env(config.env, make_env)
    rollout = config.batch_size * config.num_batches_per_epoch
    config.train_for_env_steps = 2 * rollouts * rollout
    config, runner = make_runner(config)
    clock = Clock((rollouts, 2 * rollouts))
    runner.register_observer(clock)
    runner.init()
    runner.run()
    began, ended = clock.marks
    steps = rollouts * rollout
    speed, cpu_us = steps / (ended.wall_s - began.wall_s), (ended.cpu_s - began.cpu_s) / steps * 1e6
    (returns,) = runner.policy_avg_stats.get("reward", [[]])
    print(speed, cpu_us, statistics.mean(returns) if returns else "nan")


if __name__ == "__main__":
    main()
