"""Players: whatever chooses actions for some rows of a vectorizer."""

import copy
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pufferlib.annotations import Array
from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.exceptions import ActionError
from pufferlib.global_random import GlobalStreams
from pufferlib.selfplay.masks import ActionMask
from pufferlib.selfplay.scripted import PlayError, ScriptedPlayer
from pufferlib.training.policy_actor import PolicyActor
from pufferlib.training.torch_state import RandomStreams


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
    """A scripted player of a user's in self-play, whose faults are errors of the run.

    Args:
        name: in the record of games, and in errors.
        script: see `ScriptedPlayer`.
        env: the vectorizer.
        seed: of what it draws from the global generators of `random`, NumPy and torch.

    Raises:
        ArgumentError: `script` cannot be called with an observation.
    """

    def __init__(self, name: str, script: Any, env: HasSpaces, seed: int) -> None:
        self.name, self._player = name, ScriptedPlayer(name, script, env)
        self._random, self._torch = GlobalStreams(seed), RandomStreams(seed)

    def act(self, observations: Array, starts: NDArray[np.bool_], rows: NDArray[np.int64]) -> Array:
        """Return actions; see `Player`.

        Raises:
            ActionError: the player raised, or chose what is not legal.
        """
        try:
            with self._random.active(), self._torch.active():
                return self._player.act(observations, starts, rows)
        except PlayError as error:
            raise ActionError(
                f"The player {self.name} failed: {str(error).rstrip('.')}. Nothing was learned "
                f"from its game. Fix it, and resume the run."
            ) from error.__cause__
