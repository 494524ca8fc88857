"""Training beside others, of the same settings and network; prints tables of docs/benchmarks.md.

    python benchmarks/training.py --only cartpole minihack --rounds 5

All learn by PPO on 8 environments from rollouts of 128 steps, in 4 epochs of 4 minibatches, with
one thread of torch. Stable-Baselines3 is given our network: encoder, a linear layer for actions,
another for values. Pool is `Multiprocessing` in batches of half the environments, Native `Serial`
of one environment that steps all games, where the family has such a one. All compute in float32 but
for the row that says otherwise, which is there where the network costs more than the environment.
The contenders of a table are alive together and take turns of equally many rollouts, each going on
from its last. Columns: environment steps per second, of collecting and learning together, as the
median over the rounds; its ratio to the best of the alternatives', taken round by round; CPU time
of the caller and all workers, microseconds per step; the mean return of the last hundred episodes.

CleanRL is scripts rather than a package. `--cleanrl PYTHON PPO` names its cleanrl/ppo.py and an
interpreter that can run it, `--cleanrl-atari PYTHON PPO_ATARI` its cleanrl/ppo_atari.py; they have
rows of CartPole and Breakout then, with networks of their own: in CartPole two of that size, one
for the actions and one for the value. Each of their turns is a run from the start of twice the
rollouts; the second half is measured, by the times that the script tells. The return is that of the
last such run.

Sample Factory 2 needs a Gymnasium below 1.0, so a virtual environment of its own; with that
Gymnasium, ALE from 0.11 on registers no games:

    python3.11 -m venv sf-venv && sf-venv/bin/pip install torch==2.13.0
    sf-venv/bin/pip install sample-factory==2.1.1 "ale-py<0.11" torch==2.13.0

`--sample-factory sf-venv/bin/python` adds rows to CartPole and Breakout, of its serial mode and of
its asynchronous workers: its own networks of our layers, on the bare CartPole and on our Atari
game. Its turns are runs of that kind, too. With `stable-baselines3==2.3.2`, `tyro` and
`tensorboard` it runs CleanRL's Atari script.
"""

import argparse
import functools
import math
import os
import re
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from turns import cpu_s, descendants, median_ratio, rest, take_turns

from pufferlib import registry, vector
from pufferlib.ppo import TrainConfig, Trainer

ENVS, HORIZON, EPOCHS, MINIBATCHES = 8, 128, 4, 4
ROLLOUT = ENVS * HORIZON
LEARNING_RATE, ENTROPY, VALUE, WORKERS = 2.5e-4, 0.01, 0.5, 2


@dataclass(frozen=True)
class Cell:
    """What is trained on, with how wide a network, and which rows it has that others have not."""

    task: str
    hidden_size: int
    kwargs: dict[str, Any] = field(default_factory=dict)
    has: tuple[str, ...] = ()

    @property
    def creator(self) -> Callable[[], Any]:
        return functools.partial(registry.resolve(self.task)[0].make_env, self.task, **self.kwargs)

    def policy(self, env: Any) -> Any:
        return registry.resolve(self.task)[0].Policy(env, hidden_size=self.hidden_size)


NATIVE, HALF = "Native", "Serial, bfloat16"
NETHACK_KEYS = {"observation_keys": ("chars", "colors", "blstats", "message")}
CELLS = {
    "cartpole": Cell("CartPole-v1", 64),
    "breakout": Cell("ALE/Breakout-v5", 512, has=(NATIVE, HALF)),
    "nethack": Cell("NetHackScore-v0", 128, NETHACK_KEYS),
    "minihack": Cell("MiniHack-Room-5x5-v0", 128),
}


class Contender(NamedTuple):
    """A training under way.

    Attributes:
        learn: from so many rollouts.
        score: returns the mean return of the last hundred episodes.
        close: ends it.
    """

    learn: Callable[[int], None]
    score: Callable[[], float]
    close: Callable[[], None]


def ours(cell: Cell, settings: Mapping[str, Any] | None = None, **kwargs: Any) -> Contender:
    """Return our trainer; `settings` of it go on top of what all contenders have in common."""
    envs = vector.make(cell.creator, **{"num_envs": ENVS, **kwargs})
    torch.manual_seed(1)
    config = TrainConfig(
        **{"device": "cpu", **(settings or {})},
        horizon=HORIZON,
        minibatches=MINIBATCHES,
        update_epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        anneal_learning_rate=False,
        entropy_coefficient=ENTROPY,
        value_coefficient=VALUE,
    )
    trainer = Trainer(config, envs, cell.policy(envs))

    def learn(rollouts: int) -> None:
        config.use_threads()
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
        """Our network up to its hidden state, given the bytes that SB3 made floats of."""

        def __init__(self, observation_space: Any) -> None:
            super().__init__(observation_space, cell.hidden_size)
            env = cell.creator()
            self.policy = cell.policy(env)
            self.dtype = torch.from_numpy(observation_space.sample()).dtype
            env.close()

        def forward(self, observations: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.policy.encode_observations(observations.to(self.dtype))[0]
            return hidden

    envs = getattr(vec_env, kind)([lambda: Monitor(cell.creator())] * ENVS, **kwargs)
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
        policy_kwargs={
            "features_extractor_class": Encoder,
            "net_arch": [],
            "normalize_images": False,
        },
    )

    def learn(rollouts: int) -> None:
        model.learn(rollouts * ROLLOUT, log_interval=None, reset_num_timesteps=False)

    def score() -> float:
        returns = [episode["r"] for episode in model.ep_info_buffer or ()]
        return statistics.mean(returns) if returns else math.nan

    return Contender(learn, score, envs.close)


MULTIPROCESSING = {"backend": "Multiprocessing", "num_workers": WORKERS}
OURS: dict[str, Callable[[Cell], Contender]] = {
    "Serial": functools.partial(ours, backend="Serial"),
    "Multiprocessing": functools.partial(ours, **MULTIPROCESSING),
    "Pool": functools.partial(ours, **MULTIPROCESSING, batch_size=ENVS // 2),
    NATIVE: functools.partial(ours, backend="Serial", num_envs=1, env_kwargs={"num_envs": ENVS}),
    HALF: functools.partial(ours, settings={"precision": "bfloat16"}, backend="Serial"),
}
ALTERNATIVES: dict[str, Callable[[Cell], Contender]] = {
    "SB3 Dummy": functools.partial(of_sb3, kind="DummyVecEnv"),
    "SB3 Subproc": functools.partial(of_sb3, kind="SubprocVecEnv", start_method="fork"),
}
CLEANRL = "CleanRL"
CLEANRL_TASKS = {"CartPole-v1": "CartPole-v1", "ALE/Breakout-v5": "ale_py:BreakoutNoFrameskip-v4"}
SAMPLE_FACTORY: dict[str, dict[str, Any]] = {
    "Sample Factory serial": {
        "serial_mode": True,
        "async_rl": False,
        "num_workers": 1,
        "num_envs_per_worker": ENVS,
    },
    "Sample Factory async": {
        "serial_mode": False,
        "async_rl": True,
        "num_workers": WORKERS,
        "num_envs_per_worker": ENVS // WORKERS,
    },
}
SAMPLE_FACTORY_NETWORKS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"nonlinearity": "tanh"},
    "ALE/Breakout-v5": {
        "nonlinearity": "relu",
        "encoder_conv_architecture": "convnet_atari",
        "obs_scale": 255,
    },
}


class Turn(NamedTuple):
    """What a turn measured; of a contender that begins anew in each, the score, too."""

    steps_per_s: float
    cpu_us_a_step: float
    score: float = math.nan


def take_turn(learn: Callable[[int], None], pids: list[int], rollouts: int) -> Turn:
    """Measure one contender while all others rest."""
    rest(descendants())
    steps, began_s, began_cpu_s = rollouts * ROLLOUT, perf_counter(), cpu_s(pids)
    learn(rollouts)
    elapsed_s = perf_counter() - began_s
    return Turn(steps / elapsed_s, (cpu_s(pids) - began_cpu_s) / steps * 1e6)


def run_cleanrl(task: str, python: str, script: str, rollouts: int) -> Turn:
    """Run CleanRL's script; return the speed of the second half, by what it tells after each."""
    flags = {
        "env-id": task,
        "num-envs": ENVS,
        "num-steps": HORIZON,
        "num-minibatches": MINIBATCHES,
        "update-epochs": EPOCHS,
        "total-timesteps": 2 * rollouts * ROLLOUT,
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    lines = run_apart([python, script, *words])
    speeds = [float(line.split()[1]) for line in lines if line.startswith("SPS:")]
    elapsed_s = [count * ROLLOUT / speed for count, speed in enumerate(speeds, 1)]
    steps_per_s = rollouts * ROLLOUT / (elapsed_s[-1] - elapsed_s[rollouts - 1])
    returns = re.findall(r"episodic_return=\[?\s*(-?[\d.]+)", "\n".join(lines))[-100:]
    return Turn(
        steps_per_s, math.nan, statistics.mean(map(float, returns)) if returns else math.nan
    )


def run_sample_factory(cell: Cell, mode: dict[str, Any], python: str, rollouts: int) -> Turn:
    """Run Sample Factory; return what the run tells last."""
    settings = {
        **mode,
        **SAMPLE_FACTORY_NETWORKS[cell.task],
        "env": cell.task,
        "device": "cpu",
        "worker_num_splits": 1,  # two halves of so few environments take it longer
        "rollout": HORIZON,
        "batch_size": ROLLOUT // MINIBATCHES,
        "num_batches_per_epoch": MINIBATCHES,
        "num_epochs": EPOCHS,
        "shuffle_minibatches": True,
        "use_rnn": False,
        "normalize_input": False,
        "normalize_returns": False,
        "learning_rate": LEARNING_RATE,
        "exploration_loss_coeff": ENTROPY,
        "value_loss_coeff": VALUE / 2,  # of the squared error, where ours is of half of it
        "ppo_clip_ratio": 0.2,
        "max_grad_norm": 0.5,
        "adam_eps": 1e-5,
    }
    script = str(Path(__file__).with_name("sample_factory_run.py").resolve())
    words = [f"--{name}={value}" for name, value in settings.items()]
    width = str(cell.hidden_size)
    widths = ["--encoder_mlp_layers", width, width, "--encoder_conv_mlp_layers", width]
    lines = run_apart([python, script, str(rollouts), *words, *widths])
    return Turn(*map(float, lines[-1].split()))


def run_apart(command: list[str]) -> list[str]:
    """Run a command in a folder that goes afterwards, with one thread; return its lines."""
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
        )
    if result.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{result.stderr[-4000:]}")
    return result.stdout.splitlines()


def compare(
    cell: Cell,
    rounds: int,
    rollouts: int,
    cleanrl: Mapping[str, list[str] | None],
    sample_factory: str | None,
) -> tuple[dict[str, list[Turn]], dict[str, float]]:
    """Return the turns of a cell's contenders, and the scores that they reached."""
    turns: dict[str, Callable[[], Turn]] = {}
    scores: dict[str, Callable[[], float]] = {}
    with ExitStack() as stack:
        for name, make in (OURS | ALTERNATIVES).items():
            if name in (NATIVE, HALF) and name not in cell.has:
                continue
            before = descendants()
            contender = make(cell)
            stack.callback(contender.close)
            pids = [os.getpid(), *(descendants() - before)]
            turns[name] = functools.partial(take_turn, contender.learn, pids, rollouts)
            scores[name] = contender.score
        if command := cleanrl.get(cell.task):
            task = CLEANRL_TASKS[cell.task]
            turns[CLEANRL] = functools.partial(run_cleanrl, task, *command, rollouts)
        if sample_factory and cell.task in SAMPLE_FACTORY_NETWORKS:
            for name, mode in SAMPLE_FACTORY.items():
                turns[name] = functools.partial(
                    run_sample_factory, cell, mode, sample_factory, rollouts
                )
        results = take_turns(turns, rounds)
        begun_anew = {name: turns[-1].score for name, turns in results.items()}
        return results, begun_anew | {name: score() for name, score in scores.items()}


def table(results: dict[str, list[Turn]], scores: dict[str, float]) -> Iterator[str]:
    """Yield the lines of a cell's table, in the form of Markdown."""
    yield "| | steps/s | of the best alternative | CPU us a step | return |"
    yield "|---|---|---|---|---|"
    rates = {name: [turn.steps_per_s for turn in turns] for name, turns in results.items()}
    medians = {name: statistics.median(own) for name, own in rates.items()}
    best = max(results.keys() - OURS.keys(), key=medians.__getitem__)
    for name, turns in results.items():
        cpu_us = statistics.median(turn.cpu_us_a_step for turn in turns)
        yield (
            f"| {name} | {medians[name]:,.0f} | {median_ratio(rates[name], rates[best]):.2f} | "
            f"{_told(cpu_us, '.0f')} | {_told(scores.get(name, math.nan), '.1f')} |"
        )


def _told(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def main() -> None:
    """Train on the cells that were asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CELLS, metavar="NAME", help="these cells")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument("--rollouts", type=int, default=4, help="of a turn")
    for name, script in (("--cleanrl", "ppo"), ("--cleanrl-atari", "ppo_atari")):
        parser.add_argument(
            name,
            nargs=2,
            type=os.path.abspath,
            metavar=("PYTHON", script.upper()),
            help=f"its cleanrl/{script}.py, and what runs it",
        )
    parser.add_argument(
        "--sample-factory",
        type=os.path.abspath,
        metavar="PYTHON",
        help="of the virtual environment that it is installed in",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cleanrl = {"CartPole-v1": arguments.cleanrl, "ALE/Breakout-v5": arguments.cleanrl_atari}
    steps = (arguments.rounds + 1) * arguments.rollouts * ROLLOUT
    for name in arguments.only or CELLS:
        cell = CELLS[name]
        print(f"**{cell.task}, {steps:,} steps each** (`{name}`)\n")
        sizes = (arguments.rounds, arguments.rollouts)
        results = compare(cell, *sizes, cleanrl, arguments.sample_factory)
        print("\n".join(table(*results)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
