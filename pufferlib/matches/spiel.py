"""Players that see the state of an OpenSpiel game: tree search, and perfect play."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array
from pufferlib.exceptions import ArgumentError, MissingAttributeError
from pufferlib.vector import VectorEnv

MAX_POSITIONS = 200_000
_EXPLORATION = 2.0  # as in OpenSpiel's examples
_MEMORY_MB = 1000

Choose = Callable[[Any], int]  # a legal action of the player who is to move in a state


class SpielPlayer:
    """Plays by the state of the game, which other players do not see.

    Args:
        name: in the record of games.
        vecenv: of games of the family `open_spiel`, in this process.
        choose: returns an action for a state.
    """

    def __init__(self, name: str, vecenv: VectorEnv, choose: Choose) -> None:
        self.name, self._vecenv, self._choose = name, vecenv, choose
        self._num_agents = vecenv.agents_per_env[0]

    def act(self, observations: Array, starts: NDArray[np.bool_], rows: NDArray[np.int64]) -> Array:
        """Return actions; see `Player`."""
        actions = np.zeros(len(rows), np.int64)
        envs, agents = np.divmod(rows, self._num_agents)
        states = self._vecenv.get_attr("spiel_state", envs.tolist())
        for index, (state, agent) in enumerate(zip(states, agents, strict=True)):
            if state.current_player() == agent:
                actions[index] = self._choose(state)
        return actions


def spiel_game(vecenv: VectorEnv, who: str, task: str) -> Any:
    """Return the game of OpenSpiel that the environments play.

    Raises:
        ArgumentError: they play none.
    """
    try:
        vecenv.get_attr("spiel_state", [0])
    except MissingAttributeError as error:
        raise ArgumentError(
            f"{who} needs a game of the family open_spiel; {task} is none. List these games with: "
            f"puffer envs open_spiel"
        ) from error
    return vecenv.get_attr("game", [0])[0]


def check_search(game: Any, who: str, task: str) -> None:
    """Refuse games that tree search is not for.

    Raises:
        ArgumentError: a game of hidden information, or in which players move at once.
    """
    kind = game.get_type()
    if (
        kind.dynamics != kind.Dynamics.SEQUENTIAL
        or kind.information != kind.Information.PERFECT_INFORMATION
        or kind.reward_model != kind.RewardModel.TERMINAL
    ):
        raise ArgumentError(
            f"{who} searches games in which players move by turns, see everything, and are "
            f"rewarded at the end; {task} is another: {_described(kind)}. Leave the player out."
        )


def mcts(game: Any, simulations: int, seed: int) -> Choose:
    """Return Monte-Carlo tree search with a random rollout for each simulation (`MCTSBot`).

    Exploration is UCT's with c = 2, and proven wins and losses are backed up, as in OpenSpiel's
    examples.
    """
    import pyspiel

    evaluator = pyspiel.RandomRolloutEvaluator(1, seed)
    bot = pyspiel.MCTSBot(
        game, evaluator, _EXPLORATION, simulations, _MEMORY_MB, True, seed + 1, False
    )
    return lambda state: int(bot.step(state))


class Solver:
    """The value of every position of a small game, by minimax with a table.

    Positions are equal if OpenSpiel writes them alike, after as many moves.

    Args:
        game: of two players who move by turns, see everything, and win what the other loses.
        task: its name, for errors.

    Raises:
        ArgumentError: another kind of game, or one of more than `MAX_POSITIONS` positions.
    """

    def __init__(self, game: Any, task: str) -> None:
        kind = game.get_type()
        if (
            game.num_players() != 2
            or kind.dynamics != kind.Dynamics.SEQUENTIAL
            or kind.information != kind.Information.PERFECT_INFORMATION
            or kind.chance_mode != kind.ChanceMode.DETERMINISTIC
            or kind.utility not in (kind.Utility.ZERO_SUM, kind.Utility.CONSTANT_SUM)
        ):
            raise ArgumentError(
                f"perfect plays games of two players without chance, in which they move by turns, "
                f"see everything, and one wins what the other loses; {task} is another: "
                f"{_described(kind)}, {game.num_players()} players. Leave the player out."
            )
        self._task = task
        self._values: dict[tuple[int, str], float] = {}
        self._value(game.new_initial_state())

    def best_actions(self, state: Any) -> list[int]:
        """Return all actions that keep the value of `state` for the player who is to move."""
        sign = 1 if state.current_player() == 0 else -1
        values = {action: sign * self._value(state.child(action)) for action in _legal(state)}
        return [action for action, value in values.items() if value == max(values.values())]

    def _value(self, state: Any) -> float:
        """Return what the first player gets from here on if both play perfectly."""
        if state.is_terminal():
            return float(state.player_return(0))
        key = (state.move_number(), str(state))
        if key not in self._values:
            if len(self._values) >= MAX_POSITIONS:
                raise ArgumentError(
                    f"perfect needs a table of all positions, and {self._task} has more than "
                    f"{MAX_POSITIONS:,}. Take mcts:1000 in its place, say."
                )
            best = max if state.current_player() == 0 else min
            self._values[key] = best(self._value(state.child(action)) for action in _legal(state))
        return self._values[key]


def perfect(solver: Solver, seed: int) -> Choose:
    """Return perfect play; it draws among the best actions."""
    generator = np.random.default_rng(seed)
    return lambda state: int(generator.choice(solver.best_actions(state)))


def _legal(state: Any) -> list[int]:
    actions: list[int] = state.legal_actions()
    return actions


def _described(kind: Any) -> str:
    parts = (kind.dynamics, kind.information, kind.chance_mode, kind.utility, kind.reward_model)
    return ", ".join(part.name.lower().replace("_", " ") for part in parts)
