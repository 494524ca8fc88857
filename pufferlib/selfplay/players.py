"""Players: whatever chooses actions for some rows of a vectorizer."""

import copy
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pufferlib.annotations import Array
from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.exceptions import ActionError, ArgumentError
from pufferlib.selfplay.masks import ActionMask
from pufferlib.spaces import difference, joint_space
from pufferlib.training.policy_actor import PolicyActor
from pufferlib.training.torch_state import RandomStreams
from pufferlib.vector import VectorEnv


class Player(Protocol):
    """Chooses actions for some rows of a vectorizer, which may be others in each step.

    Attributes:
        name: in the record of games.
    """

    name: str

    def act(self, observations: Array, starts: NDArray[np.bool_], rows: NDArray[np.int64]) -> Array:
        """Return flat actions (B, *single_action_space.shape) for B rows.

        Args:
            observations: (B, *single_observation_space.shape).
            starts: bool (B,), the observation is the first of an episode, or the player takes over
                the row: whatever it remembers of the row is void.
            rows: int64 (B,), ascending: which rows of the vectorizer these are.
        """
        ...


class NetworkPlayer:
    """A policy that plays with its own memory, and its own random stream.

    Args:
        name: in the record of games.
        policy: a `Policy`, a `RecurrentPolicy` or `AgentPolicies`, on the device it is to run
            on, in eval mode.
        env: the vectorizer, whose rows it may act for.
        num_rows: of the vectorizer.
        seed: of the sampled actions.
        is_greedy: take the most probable actions instead.
    """

    def __init__(
        self,
        name: str,
        policy: nn.Module,
        env: HasSpaces,
        num_rows: int,
        seed: int,
        is_greedy: bool = False,
    ) -> None:
        self.name, self.policy = name, policy
        device = next(policy.parameters()).device
        self._actor = PolicyActor(env, policy, num_rows, device)
        self._random, self._device = RandomStreams(seed, device), device
        self._is_greedy = is_greedy

    def act(self, observations: Array, starts: NDArray[np.bool_], rows: NDArray[np.int64]) -> Array:
        """Return actions; see `Player`."""
        with self._random.active():
            return self._actor.act(
                torch.as_tensor(observations, device=self._device),
                torch.as_tensor(starts, device=self._device),
                torch.as_tensor(rows, device=self._device),
                self._is_greedy,
            )


class RandomPlayer:
    """Draws uniformly among the legal actions.

    See `ActionMask` for which are; without a mask all are.

    Args:
        env: the vectorizer, or one of its environments.
        seed: of the actions.
        name: in the record of games.
    """

    def __init__(self, env: HasSpaces, seed: int, name: str = "random") -> None:
        self.name = name
        description = describe(env)
        self._space = copy.deepcopy(description.single_action_space)
        self._space.seed(seed)
        self._generator = np.random.default_rng(seed)
        self._mask = ActionMask(description)

    def act(self, observations: Array, starts: NDArray[np.bool_], rows: NDArray[np.int64]) -> Array:
        """Return actions; see `Player`."""
        if self._mask.is_present:
            return self._mask.draw(observations, self._generator)
        return np.stack([self._space.sample() for _ in rows])


class CheckedPlayer:
    """A player of a user's, whose errors and illegal actions are reported with its name.

    Args:
        name: in the record of games, and in errors.
        create: called with (env, seed), returns the player.
        env: the vectorizer.
        seed: for its random numbers.

    Raises:
        ArgumentError: `create` raised, or returned something else than a player.
    """

    def __init__(
        self, name: str, create: Callable[[VectorEnv, int], Player], env: VectorEnv, seed: int
    ) -> None:
        self.name, self._space = name, env.single_action_space
        self._mask = ActionMask(env)
        self._env_ends = np.cumsum(env.agents_per_env)  # rows
        try:
            self._player = create(env, seed)
        except Exception as error:  # a user's function may raise anything
            raise ArgumentError(
                f"The player {name} cannot be made: {type(error).__name__}: {error}. It is called "
                f"with the vectorizer and a seed."
            ) from error
        if not callable(getattr(self._player, "act", None)):
            raise ArgumentError(
                f"{name} must return a player, with a method act(observations, starts, rows); got "
                f"{self._player!r:.80}."
            )

    def act(self, observations: Array, starts: NDArray[np.bool_], rows: NDArray[np.int64]) -> Array:
        """Return actions; see `Player`.

        Raises:
            ActionError: the player raised, or chose what is not in the action space, or not legal.
        """
        try:
            actions = np.asarray(self._player.act(observations, starts, rows))
        except Exception as error:
            raise ActionError(
                f"The player {self.name} failed: {type(error).__name__}: {error}. Nothing was "
                f"learned from its game. Fix it, and resume the run."
            ) from error
        fault = difference(actions, joint_space(self._space, len(rows)))
        if fault:
            raise ActionError(
                f"The player {self.name} chose actions that do not fit: "
                f"{fault.replace('value', 'actions', 1)}. Allowed is one of {self._space} for each "
                f"of the {len(rows)} rows. Fix it, and resume the run."
            )
        illegal = self._mask.is_present and self._mask.first_illegal(observations, actions)
        if illegal:
            index, reason = illegal
            row = int(rows[index])
            env = int(np.searchsorted(self._env_ends, row, "right"))
            raise ActionError(
                f"The player {self.name} chose {actions[index].tolist()} in row {row} (environment "
                f"{env}), which is not legal: {reason}, by action_mask in its observation. Fix it, "
                f"and resume the run."
            )
        return actions
