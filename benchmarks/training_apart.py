"""Contenders of benchmarks/training.py that need an interpreter with other packages."""

import math
import os
import re
import statistics
import subprocess
import tempfile
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


def run_apart(command: list[str]) -> list[str]:
    """Run a command in a temporary folder, with one thread; return its lines of output."""
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
