"""Scripted players: functions from an observation to an action."""

import copy
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from pufferlib.annotations import Action, Array, Observation, Space
from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.emulation.packing import unpacker
from pufferlib.exceptions import ArgumentError, PufferError

Choose = Callable[[Observation], Action]


class PlayError(PufferError):
    """A player failed in a row.

    Attributes:
        row: of the vectorizer.
    """

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row


def idle_action(space: Space) -> Array:
    """Return a flat action for rows whose action does not matter."""
    action = np.zeros(space.shape or (), space.dtype)
    return np.clip(action, space.low, space.high) if isinstance(space, Box) else action


def player_name(reference: str) -> str:
    """Return the name of a scripted player in the record of games: without the folder of a file."""
    return Path(reference).name if ".py:" in reference else reference


def check_script(name: str, script: Any) -> None:
    """Refuse what cannot be called with one observation.

    Raises:
        ArgumentError: says why.
    """
    if isinstance(script, type):
        try:
            script = script()
        except Exception as error:  # a user's class may raise anything
            raise ArgumentError(
                f"The player {name} cannot be made: {type(error).__name__}: {error}. Its "
                f"class is called without arguments."
            ) from error
    if not callable(script):
        raise ArgumentError(
            f"A scripted player must be a function of an observation, or a class of callable "
            f"objects; {name} is an instance of {type(script).__name__}."
        )
    try:
        inspect.signature(script).bind(None)
    except TypeError as error:
        raise ArgumentError(
            f"The player {name} cannot be called with an observation: {error}."
        ) from error
    except ValueError:  # some callables of C have no signature
        pass


class ScriptedPlayer:
    """Plays by a function of one agent's observation.

    It is not called for an agent whose turn it is not ("turn" is 0 in its observation). Actions are
    checked: one outside the space, or one that "action_mask" forbids, is an error.

    Args:
        name: in the record of games.
        script: a function from an observation to an action, both as the environment gives and
            takes them. Of a class, which is called without arguments, each agent of an
            environment has an instance, and of another object a copy. Where either has a
            method `reset`, it is called before the first observation of an episode.
        env: the vectorizer, or one of its environments.

    Raises:
        ArgumentError: `script` cannot be called with one argument.
    """

    def __init__(self, name: str, script: Any, env: HasSpaces) -> None:
        self.name, self._script = name, script
        description = describe(env)
        self._layout, self._actions = description.observation_layout, description.action_layout
        self._unpack = unpacker(self._layout.original)
        self._action_space: Space = (
            self._actions.original if self._actions else description.single_action_space
        )
        self._idle_action = idle_action(description.single_action_space)
        self._own: dict[int, Choose] = {}  # by row
        check_script(name, script)

    def act(self, observations: Array, starts: NDArray[np.bool_], rows: NDArray[np.int64]) -> Array:
        """Return actions; see `Player`."""
        nested = self._layout.unflatten(observations)
        actions = np.stack([self._idle_action] * len(rows))
        for index, row in enumerate(rows.tolist()):
            observation = _at(nested, index)
            try:
                choose = self._of_row(row, bool(starts[index]))
                if isinstance(observation, dict) and observation.get("turn", 1) == 0:
                    continue
                shown = observation if self._unpack is None else self._unpack(observation)
                action = choose(shown)
            except Exception as error:  # a user's function may raise anything
                raise PlayError(row, f"{type(error).__name__}: {error}") from error
            actions[index] = self._flat(action, observation, row)
        return actions

    def _of_row(self, row: int, is_start: bool) -> Choose:
        if row not in self._own:
            is_class, is_function = isinstance(self._script, type), inspect.isroutine(self._script)
            shared: Any = self._script
            self._own[row] = (
                shared() if is_class else shared if is_function else copy.deepcopy(shared)
            )
        own = self._own[row]
        if is_start and hasattr(own, "reset"):
            own.reset()
        return own

    def _flat(self, action: Action, observation: Observation, row: int) -> Array:
        """Return an action as a flat row, once it was found to be legal."""
        space, dtype = self._action_space, self._action_space.dtype
        if isinstance(action, list | np.ndarray) and dtype is not None:
            action = np.asarray(action)
            action = action.astype(dtype) if np.can_cast(action, dtype, "same_kind") else action
        if not space.contains(action):
            raise PlayError(row, f"it chose {action!r:.80}, which is not in {space}.")
        mask = observation.get("action_mask") if isinstance(observation, dict) else None
        if mask is not None and np.shape(mask) == (getattr(space, "n", None),):
            legal = np.flatnonzero(mask) + int(getattr(space, "start", 0))
            if len(legal) and action not in legal:
                raise PlayError(
                    row, f"it chose {action}, which is not legal. Legal are {legal.tolist()}."
                )
        return self._actions.flatten(action) if self._actions else np.asarray(action)


def _at(nested: Any, index: int) -> Any:
    """Return the observation of one row."""
    if isinstance(nested, dict):
        return {key: _at(part, index) for key, part in nested.items()}
    if isinstance(nested, tuple):
        return tuple(_at(part, index) for part in nested)
    return nested[index]
