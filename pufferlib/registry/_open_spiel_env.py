"""Games of OpenSpiel, turn by turn or all at once, as PettingZoo parallel environments."""

import functools
import json
import subprocess
import sys
from bisect import bisect_right
from typing import Any

import numpy as np
import pettingzoo
import pyspiel
from gymnasium.spaces import Box, Dict, Discrete
from open_spiel.python.observation import INFO_STATE_OBS_TYPE, make_observation

from pufferlib.annotations import (
    Action,
    Array,
    Kwargs,
    Observation,
    Options,
    ParallelReset,
    ParallelStep,
    Space,
)
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError
from pufferlib.wrappers.turns import legal, waiting

Agent = str

_PLAYERS = ("players", "num_players", "numPlayers")  # as the games call their number
_TRIAL_TIMEOUT_S = 60.0
_TRIAL = """
import json, sys, pyspiel
name, parameters = json.load(sys.stdin)
print("begun", flush=True)
try:
    game = pyspiel.load_game(name, parameters)
    state = game.new_initial_state()
    while state.is_chance_node():
        state.apply_action(state.chance_outcomes()[0][0])
    is_seen = game.get_type().provides_observation_tensor
    state.observation_tensor(0) if is_seen else state.information_state_tensor(0)
except Exception:
    pass
print("done", flush=True)
"""


class SpielGame(pettingzoo.ParallelEnv[Agent, Observation, Action]):
    """An OpenSpiel game in which every player observes every step.

    A player observes a Dict as with `pufferlib.wrappers.Turns`: "observation", "action_mask" and
    "turn". It is the turn of one player, or of several that move at once. Others may only take
    action 0, which is ignored. An illegal action is replaced by a legal one at random, and counted
    in the last info, `illegal_actions`. Chance is drawn from the generator that `reset(seed)`
    seeds.

    A reward is the change of the player's return in a step. OpenSpiel's `rewards()` would repeat
    the reward of an earlier move after a chance move.

    Args:
        name: the game's short name.
        is_information_state: observe all that the player has seen since the game began, in place
            of what it sees now; games that have only one of the two show that.
        parameters: of the game.
        render_mode: "ansi" or None.

    Attributes:
        random_moves: an episode begins after 0 to `random_moves` random moves, their number drawn
            uniformly; 0 at first. A curriculum may set it.

    Raises:
        ArgumentError: the game cannot be loaded with these parameters, or has no such tensors; or,
            when it is set, `random_moves` is not an integer of at least 0.
    """

    metadata = {"name": "open_spiel", "render_modes": ["ansi"]}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(
        self,
        name: str,
        is_information_state: bool = False,
        parameters: Kwargs | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = render_mode
        self.agents: list[Agent] = []
        self._generator = np.random.default_rng()
        self._illegal: list[int] = []
        self.random_moves = 0
        self._returns: list[float] = []
        parameters = _checked(name, parameters) if parameters else {}
        try:
            self.game = pyspiel.load_game(name, parameters)
            self._declare(is_information_state)
            self._begin()
        except (pyspiel.SpielError, TypeError, ValueError) as error:  # also a space of no actions
            raise _refusal(name, parameters, str(error)) from error

    def _declare(self, is_information_state: bool) -> None:
        """Set the players and their spaces."""
        kind = self.game.get_type()
        self._is_information_state = kind.provides_information_state_tensor and (
            is_information_state or not kind.provides_observation_tensor
        )
        self._shape = tuple(
            self.game.information_state_tensor_shape()
            if self._is_information_state
            else self.game.observation_tensor_shape()
        )
        self._tensors = _Tensors(self.game, self._is_information_state)
        self._actions = self.game.num_distinct_actions()
        self.possible_agents = [f"player_{player}" for player in range(self.game.num_players())]
        space = Dict(
            observation=Box(-np.inf, np.inf, self._shape, np.float32),
            action_mask=Box(0, 1, (self._actions,), np.int8),
            turn=Discrete(2),
        )
        self._spaces = dict.fromkeys(self.possible_agents, space)
        self._action_spaces = {agent: Discrete(self._actions) for agent in self.possible_agents}
        self._waiting = waiting(self._actions)

    def observation_space(self, agent: Agent) -> Space:
        """Return the observation space, the same object for every player."""
        return self._spaces[agent]

    def action_space(self, agent: Agent) -> Space:
        """Return the player's action space, the same object on every call."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> ParallelReset[Agent]:
        """Start an episode; return (observations, infos)."""
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        self._begin()
        self.agents = list(self.possible_agents)
        return self._observe(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[Agent, Action]) -> ParallelStep[Agent]:
        """Play one step; return (observations, rewards, terminations, truncations, infos)."""
        playing, state = self.agents, self._state
        if state.is_simultaneous_node():
            moves = range(len(playing))
            state.apply_actions([self._move(player, actions[playing[player]]) for player in moves])
        else:
            player = state.current_player()
            state.apply_action(self._move(player, actions[playing[player]]))
        self._play_chance()
        before, self._returns = self._returns, state.returns()
        is_over = state.is_terminal()
        infos: dict[Agent, Info] = {agent: {} for agent in playing}
        if is_over:
            for player, agent in enumerate(playing):
                infos[agent]["illegal_actions"] = self._illegal[player]
            self.agents = []
        rewards = [now - then for now, then in zip(self._returns, before, strict=True)]
        return (
            self._observe(),
            dict(zip(playing, rewards, strict=True)),
            dict.fromkeys(playing, is_over),
            dict.fromkeys(playing, False),
            infos,
        )

    def render(self) -> str | None:
        """Return the state of the game as text, or None."""
        return None if self.render_mode is None else str(self._state)

    def close(self) -> None:
        """Do nothing: a game has only memory."""

    @property
    def spiel_state(self) -> pyspiel.State:
        """The state of the game, in which a player is to move, or several at once."""
        return self._state

    @property
    def random_moves(self) -> int:
        """The most random moves that an episode begins after."""
        return self._random_moves

    @random_moves.setter
    def random_moves(self, most: int) -> None:
        if not isinstance(most, (int, np.integer)) or isinstance(most, bool) or most < 0:
            raise ArgumentError(f"random_moves must be an integer of at least 0; got {most!r}.")
        self._random_moves = int(most)

    def _begin(self) -> None:
        self._state = self.game.new_initial_state()
        self._play_chance()
        if self.random_moves:
            self._play_opening()
        self._returns = self._state.returns()
        self._illegal = [0] * len(self.possible_agents)

    def _play_opening(self) -> None:
        """Play 0 to `random_moves` random moves, but none that ends the game."""
        for _ in range(self._generator.integers(self.random_moves + 1)):
            before = self._state.clone()
            self._state.apply_action(int(self._generator.choice(before.legal_actions())))
            self._play_chance()
            if self._state.is_terminal():
                self._state = before
                return

    def _play_chance(self) -> None:
        while self._state.is_chance_node():
            outcomes, chances = zip(*self._state.chance_outcomes(), strict=True)
            drawn = bisect_right(_cumulative(chances), self._generator.random())
            self._state.apply_action(outcomes[drawn])

    def _move(self, player: int, action: Action) -> int:
        """Return the player's legal action; 0 where it has none, which OpenSpiel ignores."""
        mask = self._masks[player]
        if mask is None:
            return 0
        move, is_legal = legal(action, mask, self._generator)
        self._illegal[player] += not is_legal
        return move

    def _mask(self, state: pyspiel.State, player: int) -> Array | None:
        """Return the mask of a player who is to move; None for others."""
        if state.is_terminal() or not (actions := state.legal_actions(player)):
            return None
        mask = np.zeros(self._actions, np.int8)
        mask[actions] = 1
        return mask

    def _observe(self) -> dict[Agent, dict[str, Observation]]:
        state = self._state
        self._masks = [self._mask(state, each) for each in range(len(self.possible_agents))]
        return {
            agent: self._shown(state, each, self._masks[each])
            for each, agent in enumerate(self.possible_agents)
        }

    def shown(self, state: pyspiel.State, player: int) -> dict[str, Observation]:
        """Return what a player observes in a state of the game."""
        return self._shown(state, player, self._mask(state, player))

    def _shown(
        self, state: pyspiel.State, player: int, mask: Array | None
    ) -> dict[str, Observation]:
        return {
            "observation": self._tensors.of(state, player).reshape(self._shape),
            "action_mask": (self._waiting if mask is None else mask).copy(),
            "turn": int(mask is not None),
        }


class _Tensors:
    """What players observe, by OpenSpiel's observers, which write into an array.

    The methods of a state that return the same numbers make lists of them: ten times as slow.

    Args:
        game: of OpenSpiel.
        is_information_state: all that a player has seen since the game began.
    """

    def __init__(self, game: pyspiel.Game, is_information_state: bool) -> None:
        self._arguments = game, is_information_state
        self._observer = make_observation(
            game, INFO_STATE_OBS_TYPE if is_information_state else None
        )

    def __reduce__(self) -> tuple[type["_Tensors"], tuple[pyspiel.Game, bool]]:
        return _Tensors, self._arguments  # an observer cannot be copied

    def of(self, state: pyspiel.State, player: int) -> Array:
        """Return what a player observes, float32 (n,), a new array."""
        self._observer.set_from(state, player)
        seen: Array = self._observer.tensor.copy()
        return seen


def _checked(name: str, parameters: Kwargs) -> Kwargs:
    """Return the parameters in Python's own types.

    Raises:
        ArgumentError: a number of players that the game is not for, or what ends the process in
            C++.
    """
    try:
        parameters = json.loads(json.dumps(parameters, default=_plain))
    except (TypeError, ValueError) as error:
        kinds = "they must be numbers, texts, or games as a dict with their name"
        raise _refusal(name, parameters, kinds) from error
    kind = pyspiel.load_game(name).get_type()
    least, most = kind.min_num_players, kind.max_num_players
    for option in _PLAYERS:
        count = parameters.get(option, least)
        if isinstance(count, int) and not least <= count <= most:
            raise _refusal(name, parameters, f"{option} must be {least} to {most}")
    try:
        reason = _try_to_begin(json.dumps([name, parameters]))
    except subprocess.TimeoutExpired as error:
        slow = f"it does not start within {error.timeout:g} s"
        raise _refusal(name, parameters, slow) from error
    if reason is not None:
        raise _refusal(name, parameters, reason)
    return parameters


def _plain(value: Any) -> Any:
    """Return a number of NumPy as one of Python."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"no parameter can be {value!r}")


@functools.lru_cache(maxsize=64)
def _try_to_begin(game: str) -> str | None:
    """Start a game in a separate process; return why that failed, or None if it did not."""
    trial = subprocess.run(
        [sys.executable, "-c", _TRIAL],
        input=game,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=_TRIAL_TIMEOUT_S,
    )
    if not trial.stdout.startswith("begun") or trial.stdout.endswith("done\n"):
        return None
    said = " ".join(trial.stderr.split())
    return f"it ends the process. {said}".strip()


def _refusal(name: str, parameters: Kwargs, reason: str) -> ArgumentError:
    known = pyspiel.load_game(name).get_type().parameter_specification
    return ArgumentError(
        f"OpenSpiel cannot load {name} with {parameters or 'no parameters'}: "
        f"{reason.rstrip('. ')}. Its parameters are {known}."
    )


@functools.lru_cache(maxsize=1024)
def _cumulative(chances: tuple[float, ...]) -> list[float]:
    """Return cumulative probabilities, as `numpy.random.Generator.choice` computes them."""
    array = np.array(chances)
    sums = (array / array.sum()).cumsum()
    cumulative: list[float] = (sums / sums[-1]).tolist()
    return cumulative
