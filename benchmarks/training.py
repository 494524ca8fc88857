"""Compare training with other libraries, at equal settings and networks; print tables of the docs.

    python benchmarks/training.py --only cartpole minihack --rounds 5

All learn by PPO on 8 environments from rollouts of 128 steps, in 4 epochs of 4 minibatches, with
one thread of torch and rewards as they are. Stable-Baselines3 uses our network: encoder, a linear
layer for actions, another for values; in Hopper its MlpPolicy, which has our layers. Pool is
`Multiprocessing` in batches of half the environments, Native is `Serial` with one environment that
steps all games, if the family has one. All compute in float32 except the bfloat16 rows. The
contenders of a table exist at the same time and run in turns of equally many rollouts, each from
where its last turn ended. Columns: environment steps per second of collecting and learning, the
median over the rounds; its ratio to that of Stable-Baselines3's faster row, per round; CPU time of
the caller and all workers in microseconds per step; the mean return of the last hundred episodes.
The tables are those of docs/benchmarks.md.

CleanRL is scripts rather than a package. `--cleanrl PYTHON PPO` names its cleanrl/ppo.py and an
interpreter that can run it, `--cleanrl-atari PYTHON PPO_ATARI` its cleanrl/ppo_atari.py. They add
rows to CartPole and Breakout, with CleanRL's networks: in CartPole two of our size, one for the
actions and one for the value. Each of their turns is a new run of twice the rollouts; its second
half is measured, by the times that the script prints. The return is that of the last run.

Sample Factory 2 needs a Gymnasium below 1.0, so it has a separate virtual environment; with that
Gymnasium, ALE from 0.11 on registers no games:

    python3.11 -m venv sf-venv && sf-venv/bin/pip install torch==2.13.0
    sf-venv/bin/pip install sample-factory==2.1.1 "ale-py<0.11" "numpy<2" torch==2.13.0

`--sample-factory sf-venv/bin/python` adds rows to CartPole and Breakout, for its serial mode and
its asynchronous workers: its networks with our layers, on the bare CartPole and on our Atari game.
Each of its turns is a new run, too. With `stable-baselines3==2.3.2`, `tyro` and `tensorboard` that
environment also runs CleanRL's scripts.

SBX, Stable-Baselines3's PPO with JAX, has another:

    python3.11 -m venv sbx-venv
    sbx-venv/bin/pip install sbx-rl==0.28.0 "jax[cpu]" torch==2.13.0 mujoco==3.17.0

`--sbx sbx-venv/bin/python` adds a row to CartPole and Hopper: separate networks for actions and
value, each of two layers as wide as ours. Each of its turns is a new run, timed once JAX has
compiled.
"""

import argparse
import functools
import math
import os
import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from time import perf_counter
from typing import Any, NamedTuple

import record
import torch
from tables import Table
from training_apart import turns_apart
from training_cells import (
    CELLS,
    COMPILED_HALF,
    ENTROPY,
    ENVS,
    EPOCHS,
    HALF,
    HORIZON,
    LEARNING_RATE,
    MINIBATCHES,
    NATIVE,
    NATIVE_CALLER_STEPS,
    ROLLOUT,
    VALUE,
    WORKERS,
    Cell,
    Turn,
)
from turns import cpu_s, descendants, median_ratio, rest, take_turns

from pufferlib import vector
from pufferlib.ppo import PPOConfig
from pufferlib.training import Trainer


class Contender(NamedTuple):
    """A running training.

    Attributes:
        learn: trains on the given number of rollouts.
        score: returns the mean return of the last hundred episodes.
        close: ends it.
    """

    learn: Callable[[int], None]
    score: Callable[[], float]
    close: Callable[[], None]


def ours(cell: Cell, settings: Mapping[str, Any] | None = None, **kwargs: Any) -> Contender:
    """Return our trainer; `settings` override the settings that all contenders share."""
    envs = vector.make(cell.creator, **{"num_envs": ENVS, **kwargs})
    torch.manual_seed(1)
    config = PPOConfig(
        **{"device": "cpu", "horizon": HORIZON, **(settings or {})},
        minibatches=MINIBATCHES,
        update_epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        anneal_learning_rate=False,
        entropy_coefficient=ENTROPY,
        normalize_rewards=False,  # none of the others does
        value_coefficient=VALUE,
    )
    trainer = Trainer(config, envs, cell.policy(envs))

    def learn(rollouts: int) -> None:
        for _ in range(rollouts):
            trainer.step()

    def score() -> float:
        return trainer.metrics().get("episode/episode_return", math.nan)

    return Contender(learn, score, envs.close)


def of_sb3(cell: Cell, kind: str, **kwargs: Any) -> Contender:
    from stable_baselines3 import PPO
    from stable_baselines3.common import vec_env
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

    class Encoder(BaseFeaturesExtractor):
        """Our network up to its hidden state, for bytes that SB3 converted to floats."""

        def __init__(self, observation_space: Any) -> None:
            super().__init__(observation_space, cell.hidden_size)
            env = cell.creator()
            self.policy = cell.policy(env)
            self.dtype = torch.from_numpy(observation_space.sample()).dtype
            env.close()

        def forward(self, observations: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.policy.encode_observations(observations.to(self.dtype))[0]
            return hidden

    ours_until_the_heads = {
        "features_extractor_class": Encoder,
        "net_arch": [],
        "normalize_images": False,
    }
    layers = {"net_arch": [cell.hidden_size] * 2} if cell.is_separate else ours_until_the_heads
    envs = getattr(vec_env, kind)([lambda: Monitor(cell.others_creator())] * ENVS, **kwargs)
    model = PPO(
        "MlpPolicy",
        envs,
        seed=1,
        device="cpu",
        n_steps=HORIZON,
        batch_size=ROLLOUT // MINIBATCHES,
        n_epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        ent_coef=ENTROPY,
        vf_coef=VALUE / 2,  # of the squared error, where ours is of half of it
        policy_kwargs=layers,
    )

    def learn(rollouts: int) -> None:
        model.learn(rollouts * ROLLOUT, log_interval=None, reset_num_timesteps=False)

    def score() -> float:
        returns = [episode["r"] for episode in model.ep_info_buffer or ()]
        return statistics.mean(returns) if returns else math.nan

    return Contender(learn, score, envs.close)


MULTIPROCESSING = {"backend": "Multiprocessing", "num_workers": WORKERS}
OF_SOME = (NATIVE, NATIVE_CALLER_STEPS, HALF, COMPILED_HALF)  # rows of the cells that have them
OURS: dict[str, Callable[[Cell], Contender]] = {
    "Serial": functools.partial(ours, backend="Serial"),
    "Multiprocessing": functools.partial(ours, **MULTIPROCESSING),
    "Caller steps": functools.partial(ours, **MULTIPROCESSING, caller_steps=True),
    "Pool": functools.partial(ours, **MULTIPROCESSING, batch_size=ENVS // 2),
    NATIVE: functools.partial(ours, backend="Serial", num_envs=1, env_kwargs={"num_envs": ENVS}),
    NATIVE_CALLER_STEPS: functools.partial(
        ours,
        **MULTIPROCESSING,
        caller_steps=True,
        num_envs=WORKERS,
        env_kwargs={"num_envs": ENVS // WORKERS},
    ),
    HALF: functools.partial(ours, settings={"precision": "bfloat16"}, backend="Serial"),
    COMPILED_HALF: functools.partial(
        ours, settings={"precision": "bfloat16", "compile": "default"}, backend="Serial"
    ),
}
ALTERNATIVES: dict[str, Callable[[Cell], Contender]] = {
    "SB3 Dummy": functools.partial(of_sb3, kind="DummyVecEnv"),
    "SB3 Subproc": functools.partial(of_sb3, kind="SubprocVecEnv", start_method="fork"),
}


def take_turn(learn: Callable[[int], None], pids: list[int], rollouts: int) -> Turn:
    """Measure one contender while all others rest."""
    rest(descendants())
    steps, began_s, began_cpu_s = rollouts * ROLLOUT, perf_counter(), cpu_s(pids)
    learn(rollouts)
    elapsed_s = perf_counter() - began_s
    return Turn(steps / elapsed_s, (cpu_s(pids) - began_cpu_s) / steps * 1e6)


def compare(
    cell: Cell, arguments: argparse.Namespace
) -> tuple[dict[str, list[Turn]], dict[str, float]]:
    """Return the turns of a cell's contenders, and their scores."""
    turns: dict[str, Callable[[], Turn]] = {}
    scores: dict[str, Callable[[], float]] = {}
    with ExitStack() as stack:
        for name, make in (OURS | ALTERNATIVES).items():
            if name in OF_SOME and name not in cell.has:
                continue
            before = descendants()
            contender = make(cell)
            stack.callback(contender.close)
            pids = [os.getpid(), *(descendants() - before)]
            turns[name] = functools.partial(take_turn, contender.learn, pids, arguments.rollouts)
            scores[name] = contender.score
        apart = dict(turns_apart(cell, arguments))
        results = take_turns(turns | apart, arguments.rounds, cold=apart)
        last_run_scores = {name: turns[-1].score for name, turns in results.items()}
        return results, last_run_scores | {name: score() for name, score in scores.items()}


def table(name: str, title: str, results: dict[str, list[Turn]], scores: dict[str, float]) -> Table:
    """Return the medians of a cell's contenders."""
    rates = {each: [turn.steps_per_s for turn in turns] for each, turns in results.items()}
    medians = {each: statistics.median(own) for each, own in rates.items()}
    best = max(ALTERNATIVES, key=medians.__getitem__)
    rows = {}
    for each, turns in results.items():
        row = {
            "steps_per_s": medians[each],
            "of_sb3": median_ratio(rates[each], rates[best]),
            "cpu_us": statistics.median(turn.cpu_us_a_step for turn in turns),
            "score": scores.get(each, math.nan),
        }
        rows[each] = {key: value for key, value in row.items() if not math.isnan(value)}
    return Table(name, title, rows)


def main() -> None:
    """Train on the selected cells and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CELLS, metavar="NAME", help="these cells")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument("--rollouts", type=int, default=4, help="rollouts per turn")
    for name, script in (("--cleanrl", "ppo"), ("--cleanrl-atari", "ppo_atari")):
        parser.add_argument(
            name,
            nargs=2,
            type=os.path.abspath,
            metavar=("PYTHON", script.upper()),
            help=f"a Python that runs CleanRL, and its cleanrl/{script}.py",
        )
    parser.add_argument(
        "--sample-factory",
        type=os.path.abspath,
        metavar="PYTHON",
        help="a Python of the virtual environment that has Sample Factory",
    )
    parser.add_argument(
        "--sbx",
        type=os.path.abspath,
        metavar="PYTHON",
        help="a Python of the virtual environment that has SBX",
    )
    record.add_argument(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recorder = record.Recorder("training", arguments.record)
    steps = (arguments.rounds + 1) * arguments.rollouts * ROLLOUT
    for name in arguments.only or CELLS:
        cell = CELLS[name]
        results = compare(cell, arguments)
        recorder.add(table(name, f"{cell.task}, {steps:,} steps each", *results))


if __name__ == "__main__":
    main()
