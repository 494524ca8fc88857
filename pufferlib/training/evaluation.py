"""Evaluate a policy on full episodes, with a confidence interval."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pufferlib.annotations import Array
from pufferlib.exceptions import ArgumentError
from pufferlib.global_random import GlobalStreams
from pufferlib.training.policy_actor import PolicyActor
from pufferlib.training.torch_state import RandomStreams
from pufferlib.vector import VectorEnv, check_autoreset

# Chooses actions for rows, given observations and which rows are at the first step of an episode.
Actor = Callable[[Array, NDArray[np.bool_]], Array]

_RESAMPLES = 10_000
_ROUNDING = 1e-6  # of sums of float32 rewards


@dataclass(frozen=True)
class Evaluation:
    """The episodes of one policy.

    Attributes:
        returns: float64 (episodes,), undiscounted, in the order of the rows.
        lengths: int64 (episodes,), in steps.
        games: int64 (episodes,), which game each is from: the returns of one game are correlated.
        num_unfinished: episodes that were cut, and are left out.
        num_steps: for how many steps all rows were played.
        agents: int64 (episodes,), the place of each one's agent among those of its environment.
    """

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    games: NDArray[np.int64]
    num_unfinished: int = 0
    num_steps: int = 0
    agents: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def mean(self) -> float:
        """The mean return; NaN without an episode, 0 where the returns of every game cancel."""
        if len(self.returns) == 0:
            return math.nan
        mean = float(self.returns.mean())
        is_rounding = abs(mean) <= _ROUNDING * np.abs(self.returns).mean()
        return 0.0 if is_rounding else mean

    def interval(self) -> tuple[float, float]:
        """Return the 95% confidence interval of the mean return; NaN for fewer than two games.

        The percentile bootstrap (Efron 1979) over games, each with all its episodes.
        """
        _, game, episodes = np.unique(self.games, return_inverse=True, return_counts=True)
        if len(episodes) < 2:
            return math.nan, math.nan
        sums = np.bincount(game, self.returns)
        generator = np.random.default_rng(0)
        picks = generator.integers(len(episodes), size=(_RESAMPLES, len(episodes)))
        means = sums[picks].sum(1) / episodes[picks].sum(1)
        low, high = np.percentile(means, [2.5, 97.5])
        return float(low), float(high)

    def by_policy(self, policy_of: Sequence[str]) -> dict[str, "Evaluation"]:
        """Return the episodes of each of several policies, by its name.

        Args:
            policy_of: the name of the policy of each agent of an environment.
        """
        found = {}
        for name in dict.fromkeys(policy_of):
            own = np.isin(self.agents, [a for a, each in enumerate(policy_of) if each == name])
            found[name] = Evaluation(
                *(self.returns[own], self.lengths[own], self.games[own]),
                num_steps=self.num_steps,
                agents=self.agents[own],
            )
        return found

    def is_above(self, other: "Evaluation") -> bool:
        """Return whether the interval is above that of `other`, without an overlap."""
        return self.interval()[0] > other.interval()[1]

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.mean:.2f}  [{low:.2f}, {high:.2f}]"


def evaluate(
    vecenv: VectorEnv,
    policy: nn.Module | None,
    seed: int,
    is_greedy: bool = False,
    max_steps: int | None = None,
) -> Evaluation:
    """Return the first episode of every agent, played from `seed` on.

    Each agent plays the one episode that its seed begins, however short the others are, so that
    long episodes count as much as short ones, and two policies meet the same games. An agent that
    joins late counts from there; one that takes no part in its environment's first episode is left
    out.

    Args:
        vecenv: synchronous, with autoreset="same_step"; environment i plays with the seed
            `seed + i`; of native environments of several games, each game with the next one.
        policy: on the device it is to run on, in eval mode; None plays uniformly at random. Its
            mode, and the random generators of torch, NumPy and `random`, are restored.
        seed: of the first environment, and of the sampled actions.
        is_greedy: the policy takes the most probable actions; otherwise it samples them, as in
            training.
        max_steps: episodes that have not ended after so many are cut; None: there is no limit.

    Raises:
        ArgumentError: a pool, or another autoreset mode.
        NotFiniteError: the policy gives NaN in place of actions or their probabilities.
    """
    check_autoreset(vecenv, "same_step", "evaluate")
    if vecenv.batch_size != vecenv.num_envs:
        raise ArgumentError(
            f"evaluate needs a synchronous vectorizer; got a pool with "
            f"batch_size={vecenv.batch_size} of num_envs={vecenv.num_envs}. Use batch_size=None."
        )
    with (
        GlobalStreams(seed).active(),
        RandomStreams(seed).active(),  # of environments in this process
        acting(vecenv, policy, seed, is_greedy) as act,
    ):
        return _play(vecenv, act, seed, max_steps)


@contextlib.contextmanager
def acting(
    vecenv: VectorEnv, policy: nn.Module | None, seed: int, is_greedy: bool = False
) -> Iterator[Actor]:
    """Give a function that chooses actions for all rows of `vecenv`, sampling from `seed` on.

    In this block the policy is in eval mode, and nothing else draws from the actions' random
    stream; both are restored.

    Args:
        vecenv: the actor's rows are its rows.
        policy: on the device it is to run on; None acts uniformly at random.
        seed: of the sampled actions.
        is_greedy: the policy takes the most probable actions instead.
    """
    if policy is None:
        vecenv.action_space.seed(seed)
        yield lambda observations, starts: vecenv.action_space.sample()
        return
    device = next(policy.parameters()).device
    actor = PolicyActor(vecenv, policy, vecenv.num_agents, device)
    random = RandomStreams(seed, device)

    def act(observations: Array, starts: NDArray[np.bool_]) -> Array:
        rows = torch.as_tensor(observations, device=device)
        with random.active():
            flags = torch.as_tensor(starts, device=device)
            return actor.act(rows, flags, is_greedy=is_greedy)

    modes = {module: module.training for module in policy.modules()}
    policy.eval()
    try:
        yield act
    finally:
        for module, is_training in modes.items():
            module.training = is_training


def _play(vecenv: VectorEnv, act: Actor, seed: int, max_steps: int | None) -> Evaluation:
    env_of_row = np.repeat(np.arange(vecenv.num_envs), vecenv.agents_per_env)
    returns, lengths = np.zeros(vecenv.num_agents), np.zeros(vecenv.num_agents, np.int64)
    vecenv.async_reset(seed)
    batch = vecenv.recv()
    starts = np.ones(vecenv.num_agents, np.bool_)
    playing, steps = starts.copy(), 0
    while playing.any() and (max_steps is None or steps < max_steps):
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
        starts = ends | (starts & ~was_there)  # who waits, masked, goes on
        steps += 1
    took_part = lengths > 0
    whole, cut = took_part & ~playing, int((took_part & playing).sum())
    agents = np.concatenate([np.arange(count) for count in vecenv.agents_per_env])[whole]
    return Evaluation(returns[whole], lengths[whole], _games(vecenv)[whole], cut, steps, agents)


def _games(vecenv: VectorEnv) -> NDArray[np.int64]:
    """Return which game each row plays in."""
    env_of_row = np.repeat(np.arange(vecenv.num_envs), vecenv.agents_per_env)
    if vecenv.num_agents == vecenv.num_envs:
        return env_of_row
    is_one_game = np.array(vecenv.get_attr("is_one_game"))[env_of_row]
    return np.where(is_one_game, -1 - env_of_row, np.arange(vecenv.num_agents))
