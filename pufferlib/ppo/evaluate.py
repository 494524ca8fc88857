"""What a policy is worth: whole episodes from given seeds, and how sure their mean is."""

import math
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pufferlib.exceptions import ArgumentError
from pufferlib.models import LSTMWrapper
from pufferlib.ppo.actions import to_numpy
from pufferlib.pytorch import sample_actions
from pufferlib.vector import VectorEnv

_RESAMPLES = 10_000


@dataclass(frozen=True)
class Evaluation:
    """The episodes of one policy.

    Attributes:
        returns: float64 (episodes,), undiscounted, in the order of the rows.
        lengths: int64 (episodes,), in steps.
        games: int64 (episodes,), which game each was a part of: agents of one game hang together.
    """

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    games: NDArray[np.int64]

    @property
    def mean(self) -> float:
        return float(self.returns.mean())

    def interval(self) -> tuple[float, float]:
        """Return the 95% interval of the mean return; NaN if there was but one game.

        The percentile bootstrap (Efron 1979), which draws games with all their episodes.
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

    Each plays the one episode that its seed begins, however short the others are, so that long
    episodes count as much as short ones, and two policies meet the same games. An agent that joins
    late counts from there; one that takes no part in its environment's first episode not at all.

    Args:
        vecenv: synchronous; environment i plays with the seed `seed + i`.
        policy: draws actions as in training; None plays uniformly at random. Left in eval mode.
        seed: of the first environment, and of the draws of actions.

    Raises:
        ArgumentError: a pool.
    """
    if vecenv.batch_size != vecenv.num_envs:
        raise ArgumentError("evaluate needs a synchronous vectorizer: batch_size=None.")
    env_of_row = np.repeat(np.arange(vecenv.num_envs), vecenv.agents_per_env)
    returns, lengths = np.zeros(vecenv.num_agents), np.zeros(vecenv.num_agents, np.int64)
    generator_state = torch.get_rng_state()
    torch.manual_seed(seed)
    act = Actor(vecenv, policy, seed)
    vecenv.async_reset(seed)
    batch = vecenv.recv()
    starts = np.ones(vecenv.num_agents, np.bool_)
    playing = starts.copy()
    while playing.any():
        acting = playing & batch.masks
        was_there = batch.masks.copy()
        vecenv.send(act(batch.observations, starts))
        batch = vecenv.recv()
        ends = batch.terminals | batch.truncations
        returns[acting] += batch.rewards[acting]
        lengths[acting] += 1
        playing &= ~(acting & ends)
        # Rows that wait to join do so while others of their environment play on, or not at all.
        going_on = np.bincount(env_of_row, acting & ~ends, vecenv.num_envs) > 0
        playing &= going_on[env_of_row]
        starts = ends | (batch.masks & ~was_there)
    torch.set_rng_state(generator_state)
    took_part = lengths > 0
    return Evaluation(returns[took_part], lengths[took_part], _games(vecenv)[took_part])


def _games(vecenv: VectorEnv) -> NDArray[np.int64]:
    """Return which game each row plays in."""
    env_of_row = np.repeat(np.arange(vecenv.num_envs), vecenv.agents_per_env)
    if vecenv.num_agents == vecenv.num_envs:
        return env_of_row
    is_one_game = np.array(vecenv.get_attr("is_one_game"))[env_of_row]
    return np.where(is_one_game, -1 - env_of_row, np.arange(vecenv.num_agents))


class Actor:
    """Chooses actions for a batch, with the memory that takes.

    Args:
        vecenv: whose rows it acts for.
        policy: put in eval mode; None acts uniformly at random.
        seed: of the random actions; a policy draws from torch's own generator.
    """

    def __init__(self, vecenv: VectorEnv, policy: nn.Module | None, seed: int) -> None:
        self._policy = None if policy is None else policy.eval()
        self._random_space: gymnasium.Space[Any] = vecenv.action_space
        self._random_space.seed(seed)
        self._space = vecenv.single_action_space
        self._state: Any = None

    @torch.no_grad()
    def __call__(self, observations: NDArray[Any], starts: NDArray[np.bool_]) -> NDArray[Any]:
        """Return actions for rows, of which `starts` are at the first step of an episode."""
        if self._policy is None:
            sampled: NDArray[Any] = self._random_space.sample()
            return sampled
        device = next(self._policy.parameters()).device
        rows = torch.as_tensor(observations, device=device)
        if isinstance(self._policy, LSTMWrapper):
            fresh = torch.as_tensor(starts, device=device)
            heads, _, self._state = self._policy(rows, self._state, fresh)
        else:
            heads, _ = self._policy(rows)
        return to_numpy(sample_actions(heads)[0], self._space)
