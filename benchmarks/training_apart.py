"""Contenders of benchmarks/training.py that need an interpreter with other packages."""

import functools
import json
import math
import os
import re
import statistics
import subprocess
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from training_cells import (
    ENTROPY,
    ENVS,
    EPOCHS,
    HORIZON,
    LEARNING_RATE,
    MINIBATCHES,
    ROLLOUT,
    VALUE,
    WORKERS,
    Cell,
    Turn,
)

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
SBX = "SBX"
# One thread, as torch has.
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def turns_apart(cell: Cell, arguments: Namespace) -> Iterator[tuple[str, Callable[[], Turn]]]:
    """Yield the contenders of a cell for which the command line names an interpreter."""
    rollouts = arguments.rollouts
    commands = {"CartPole-v1": arguments.cleanrl, "ALE/Breakout-v5": arguments.cleanrl_atari}
    if command := commands.get(cell.task):
        yield CLEANRL, functools.partial(run_cleanrl, CLEANRL_TASKS[cell.task], *command, rollouts)
    if arguments.sample_factory and cell.task in SAMPLE_FACTORY_NETWORKS:
        python = arguments.sample_factory
        for name, mode in SAMPLE_FACTORY.items():
            yield name, functools.partial(run_sample_factory, cell, mode, python, rollouts)
    if arguments.sbx and cell.is_vector:
        yield SBX, functools.partial(run_sbx, cell, arguments.sbx, rollouts)


def run_cleanrl(task: str, python: str, script: str, rollouts: int) -> Turn:
    """Run CleanRL's script; return the speed of the second half, from the script's output."""
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
    """Run Sample Factory; return the measurements in its last line of output."""
    settings = {
        **mode,
        **SAMPLE_FACTORY_NETWORKS[cell.task],
        "env": cell.task,
        "device": "cpu",
        "worker_num_splits": 1,  # splitting so few environments makes it slower
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


def run_sbx(cell: Cell, python: str, rollouts: int) -> Turn:
    """Run SBX; return the measurements in its last line of output."""
    settings = {
        "n_steps": HORIZON,
        "batch_size": ROLLOUT // MINIBATCHES,
        "n_epochs": EPOCHS,
        "learning_rate": LEARNING_RATE,
        "ent_coef": ENTROPY,
        "vf_coef": VALUE / 2,  # of the squared error, where ours is of half of it
        "policy_kwargs": {"net_arch": [cell.hidden_size] * 2},
    }
    script = str(Path(__file__).with_name("sbx_run.py").resolve())
    words = [cell.task, str(ENVS), str(rollouts * ROLLOUT), json.dumps(settings)]
    return Turn(*map(float, run_apart([python, script, *words])[-1].split()))


def run_apart(command: list[str]) -> list[str]:
    """Run a command in a temporary folder, with one thread; return its lines of output."""
    one_thread = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "XLA_FLAGS": ONE_THREAD}
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **one_thread},
            capture_output=True,
            text=True,
        )
    if result.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{result.stderr[-4000:]}")
    return result.stdout.splitlines()
