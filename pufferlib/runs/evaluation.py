"""Evaluate a checkpoint, with sampled and with greedy actions, and a random policy."""

from collections.abc import Collection
from contextlib import closing
from pathlib import Path

import torch
from torch import nn

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError, SettingError
from pufferlib.runs.agents import agents_of, policy_of_agents
from pufferlib.runs.run import Run
from pufferlib.training import Evaluation, evaluate
from pufferlib.training.config import MAX_SEED, choose_device
from pufferlib.training.torch_state import torch_threads
from pufferlib.vector import VectorEnv

ALL = ("random", "sampled", "greedy")


def compare(
    run: Run, path: Path | None, episodes: int, seed: int, kinds: Collection[str] = ALL
) -> dict[str, Evaluation]:
    """Return the evaluations of a random policy and of a checkpoint, on the same seeds.

    The checkpoint is checked before any process starts. It plays on `train.device`, or without a
    GPU on the CPU if only the run had one. The run's number of torch threads is used, and restored
    afterwards.

    Args:
        run: the run that made the checkpoint.
        path: the checkpoint; None evaluates only the random policy.
        episodes: at least so many, each agent's counted, in at least two games. Each environment
            has its own seed.
        seed: of the first episode.
        kinds: which evaluations.

    Returns:
        "random"; and if there is a checkpoint "sampled", with actions sampled as in training, and
        "greedy", with the most probable actions.

    Raises:
        ArgumentError: there are too few episodes, or no such seed.
        SettingError: a setting is impossible, or there is no such device here.
        CheckpointError: the checkpoint does not fit the run's policy.
    """
    if episodes < 2:
        raise ArgumentError(
            f"episodes must be at least 2, for a confidence interval; got {episodes}."
        )
    whole_number("seed", seed, 0, MAX_SEED)
    run.config.policy.check()
    run.config.train.check_values()
    playing_device(run)
    if path is not None:
        run.check_checkpoint(path)
    with torch_threads(run.config.train.threads), closing(_make_rows(run, episodes)) as vecenv:
        results = {"random": evaluate(vecenv, None, seed)} if "random" in kinds else {}
        if path is not None:
            policy = load_policy(run, vecenv, path)
            for name in (name for name in ("sampled", "greedy") if name in kinds):
                results[name] = evaluate(vecenv, policy, seed, is_greedy=name == "greedy")
    return results


def policies_by_agent(run: Run) -> list[str]:
    """Return the name of the policy of each agent; an empty list if one acts for all."""
    if run.config.policy.agents == "shared":
        return []
    with closing(run.in_this_process().make_vecenv()) as one:
        return policy_of_agents(run.config.policy.agents, agents_of(one))


def load_policy(run: Run, vecenv: VectorEnv, path: Path) -> nn.Module:
    """Return the policy of a checkpoint, on the device that it is to play on."""
    return run.load_policy(vecenv, path).to(playing_device(run))


def playing_device(run: Run) -> torch.device:
    """Return the device of the run; the default one here if it was not asked for, and is missing.

    Raises:
        SettingError: `train.device` was given, and there is no such device here.
    """
    try:
        return choose_device(run.config.train.device)
    except SettingError:
        if "train.device" in run.given:
            raise
        return choose_device("auto")


def _make_rows(run: Run, episodes: int) -> VectorEnv:
    """Return environments with at least `episodes` rows and two games, as few as have them."""
    with closing(run.make_vecenv(num_envs=1)) as one:
        agents = one.num_agents
        least = 2 if agents > 1 and one.get_attr("is_one_game")[0] else 1
    return run.make_vecenv(num_envs=max(least, -(-episodes // agents)))
