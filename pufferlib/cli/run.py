"""Assemble a run from its settings."""

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import tyro
from torch import nn

from pufferlib import config as presets
from pufferlib import registry
from pufferlib.cli.env_flags import take_env_kwargs
from pufferlib.config import Config, VecConfig
from pufferlib.exceptions import ArgumentError
from pufferlib.models import LSTMWrapper, NormalizedObservations
from pufferlib.ppo import checkpoint
from pufferlib.vector import VectorEnv, make


def settings(env: str, flags: Sequence[str], command: str, base: Config | None = None) -> Config:
    """Return the settings of a run: the presets of `env`, or `base`, with `flags` on top.

    A flag that does not exist ends the program, with the nearest that do.

    Raises:
        ArgumentError: `base` is of another task.
        SettingError: an `--env.kwargs.KEY` without a value.
    """
    module, task = registry.resolve(env)
    if base is not None and base.env.task != task:
        raise ArgumentError(
            f"The run was made with {base.env.task}, the environment given is {task}. Give "
            f"{base.env.task}, or another run."
        )
    config = base or presets.load([module.FAMILY.name, task])
    if base is None:
        config = dataclasses.replace(config, env=dataclasses.replace(config.env, task=task))
    left, kwargs = take_env_kwargs(flags, config.env.kwargs)
    config = tyro.cli(
        Config, prog=f"puffer {command} {env}", default=config, args=left, compact_help=False
    )
    kwargs = {**config.env.kwargs, **kwargs}
    return dataclasses.replace(config, env=dataclasses.replace(config.env, kwargs=kwargs))


def make_vecenv(config: Config, module: ModuleType, num_envs: int | None = None) -> VectorEnv:
    """Return the environments of a run; `num_envs` overrides the setting.

    Raises:
        NotInstalledError: before any process starts.
        ArgumentError: likewise.
    """
    arguments = config.vec.backend_arguments()
    if num_envs is not None and arguments:
        # The number set need not divide another num_envs.
        arguments["num_workers"] = num_envs if module.FAMILY.is_one_per_process else None
        arguments["batch_size"] = None
    return make(
        module.env_creator(config.env.task),
        env_kwargs=config.env.kwargs,
        backend=config.vec.backend,
        num_envs=num_envs or config.vec.num_envs,
        **arguments,
    )


def check_checkpoint(config: Config, path: Path) -> None:
    """Refuse a checkpoint that does not fit the run's network, before any process starts.

    Raises:
        CheckpointError: it cannot be read, or is of another architecture.
    """
    state = checkpoint.load(path)
    module, _ = registry.resolve(config.env.task)
    serial = dataclasses.replace(config, vec=VecConfig(backend="Serial", num_envs=1))
    with closing(make_vecenv(serial, module)) as one:
        checkpoint.load_policy(make_policy(config, module, one), state, path)


def make_policy(config: Config, module: ModuleType, vecenv: Any) -> nn.Module:
    """Return the network of a run, drawn from its seed."""
    torch.manual_seed(config.train.seed)
    policy: nn.Module = module.Policy(vecenv, hidden_size=config.policy.hidden_size)
    if config.policy.normalize_observations:
        policy = NormalizedObservations(vecenv, policy)
    return LSTMWrapper(vecenv, policy) if config.policy.recurrent else policy


def load_policy(config: Config, vecenv: VectorEnv, path: Path) -> nn.Module:
    """Return the network of a run with the weights of its checkpoint.

    Raises:
        CheckpointError: it cannot be read, or is of another architecture.
    """
    config.train.use_threads()
    module, _ = registry.resolve(config.env.task)
    policy = make_policy(config, module, vecenv)
    checkpoint.load_policy(policy, checkpoint.load(path), path)
    return policy
