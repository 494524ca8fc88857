"""Evaluate a policy on full episodes, with a confidence interval."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pufferlib.annotations import Array
from pufferlib.exceptions import ArgumentError
from pufferlib.global_random import GlobalStreams
from pufferlib.pytorch import action_converter
from pufferlib.training.policy_runner import PolicyRunner
from pufferlib.training.torch_state import RandomStreams
from pufferlib.vector import VectorEnv

# Chooses actions for rows, given observations and which rows are at the first step of an episode.
Actor = Callable[[Array, NDArray[np.bool_]], Array]

_RESAMPLES = 10_000


@dataclass(frozen=True)
class Evaluation:
    """The episodes of one policy.

    Attributes:
        returns: float64 (episodes,), undiscounted, in the order of the rows.
        lengths: int64 (episodes,), in steps.
        games: int64 (episodes,), which game each is from: the returns of one game are correlated.
    """

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    games: NDArray[np.int64]

    @property
    def mean(self) -> float:
        return float(self.returns.mean())

    def interval(self) -> tuple[float, float]:
        """Return the 95% confidence interval of the mean return; NaN if there is only one game.

        The percentile bootstrap (Efron 1979) over games, each with all its episodes.
        """
        _, game, episodes = np.unique(self.games, return_inverse=True, return_counts=True)
        if len(episodes) == 1:
            return math.nan, math.nan
        sums = np.bincount(game, self.returns)
        generator = np.random.default_rng(0)
        picks = generator.integers(len(episodes), size=(_RESAMPLES, len(episodes)))
        means = sums[picks].sum(1) / episodes[picks].sum(1)
        low, high = np.percentile(means, [2.5, 97.5])
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.mean:.2f}  [{low:.2f}, {high:.2f}]"


def evaluate(vecenv: VectorEnv, policy: nn.Module | None, seed: int) -> Evaluation:
    """Return the first episode of every agent, played from `seed` on.

    Each agent plays the one episode that its seed begins, however short the others are, so that
    long episodes count as much as short ones, and two policies meet the same games. An agent that
    joins late counts from there; one that takes no part in its environment's first episode is left
    out.

    Args:
        vecenv: synchronous; environment i plays with the seed `seed + i`.
        policy: samples actions as in training, but in eval mode; None plays uniformly at random.
            Its mode, and the random generators of torch, NumPy and `random`, are restored.
        seed: of the first environment, and of the sampled actions.

    Raises:
        ArgumentError: a pool.
    """
    if vecenv.batch_size != vecenv.num_envs:
        raise ArgumentError(
            f"evaluate needs a synchronous vectorizer; got a pool with "
            f"batch_size={vecenv.batch_size} of num_envs={vecenv.num_envs}. Use batch_size=None."
        )
    with GlobalStreams(seed).active(), acting(vecenv, policy, seed) as act:
        return _play(vecenv, act, seed)


@contextlib.contextmanager
def acting(vecenv: VectorEnv, policy: nn.Module | None, seed: int) -> Iterator[Actor]:
    """Give a function that chooses actions for all rows of `vecenv`, sampling from `seed` on.

    In this block the policy is in eval mode, and nothing else draws from the actions' random
    stream; both are restored.

    Args:
        vecenv: the actor's rows are its rows.
        policy: on the device it is to run on; None acts uniformly at random.
        seed: of the sampled actions.
    """
    if policy is None:
        vecenv.action_space.seed(seed)
        yield lambda observations, starts: vecenv.action_space.sample()
        return
    device = next(policy.parameters()).device
    runner, random = PolicyRunner(policy, vecenv.num_agents, device), RandomStreams(seed, device)
    convert = action_converter(vecenv, policy)

    @torch.no_grad()
    def act(observations: Array, starts: NDArray[np.bool_]) -> Array:
        rows = torch.as_tensor(observations, device=device)
        with random.active():
            decision = runner.act(rows, torch.as_tensor(starts, device=device))
        return convert(decision.actions, decision.heads)

    modes = {module: module.training for module in policy.modules()}
    policy.eval()
    try:
        yield act
    finally:
        for module, is_training in modes.items():
            module.training = is_training


def _play(vecenv: VectorEnv, act: Actor, seed: int) -> Evaluation:
    env_of_row = np.repeat(np.arange(vecenv.num_envs), vecenv.agents_per_env)
    returns, lengths = np.zeros(vecenv.num_agents), np.zeros(vecenv.num_agents, np.int64)
    vecenv.async_reset(seed)
    batch = vecenv.recv()
    starts = np.ones(vecenv.num_agents, np.bool_)
    playing = starts.copy()
    while playing.any():
        active = playing & batch.masks
        was_there = batch.masks.copy()
        vecenv.send(act(batch.observations, starts))
        batch = vecenv.recv()
        ends = batch.terminals | batch.truncations
        returns[active] += batch.rewards[active]
        lengths[active] += 1
        playing &= ~(active & ends)
        # Rows that wait to join do so while others of their environment play on, or not at all.
        continuing = np.bincount(env_of_row, active & ~ends, vecenv.num_envs) > 0
        playing &= continuing[env_of_row]
        starts = ends | (batch.masks & ~was_there)
    took_part = lengths > 0
    return Evaluation(returns[took_part], lengths[took_part], _games(vecenv)[took_part])


def _games(vecenv: VectorEnv) -> NDArray[np.int64]:
    """Return which game each row plays in."""
    env_of_row = np.repeat(np.arange(vecenv.num_envs), vecenv.agents_per_env)
    if vecenv.num_agents == vecenv.num_envs:
        return env_of_row
    is_one_game = np.array(vecenv.get_attr("is_one_game"))[env_of_row]
    return np.where(is_one_game, -1 - env_of_row, np.arange(vecenv.num_agents))
