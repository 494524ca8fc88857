"""Squared: walk from the middle of a square to the targets on its edge."""

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array
from pufferlib.arguments import whole_number
from pufferlib.environment import Buffers, Info, PufferEnv, StepResult
from pufferlib.registry.ocean._results import results

_MOVES = np.array([(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)])
_AGENT, _TARGET = -1.0, 1.0


class Squared(PufferEnv):
    """Many games of Squared, stepped together.

    The agent starts in the middle of a square, moves in any of eight directions, and is put back
    into the middle when it reaches a target. A game lasts just as long as reaching every target
    takes, so the best play hits all of them: `score`, the fraction hit, is then 1. The reward is 1
    less the distance (in moves, over `distance_to_target`) to the nearest target that is left:
    between -1 and 1, and 1 where a target is hit.

    The optimal score is 1. A random policy is on the edge after three moves in 104 of 512 cases (27
    with all three to one side, 4 corners counted twice), and meets the target there in one of 24:
    it scores 0.0085.

    Observation: Box(-1, 1, (cells,)), -1 where the agent is, 1 where a target is left. Action:
    Discrete(8), a direction.

    Args:
        num_agents: games, each with its one agent.
        distance_to_target: moves from the middle to the edge.
        num_targets: targets of a game, at most the cells of the edge.
        buffers: rows to write into.

    Raises:
        ArgumentError: no game, a distance below 1, or more targets than the edge has cells.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012  (as Gymnasium declares it)
    render_mode: str | None = "ansi"

    def __init__(
        self,
        num_agents: int = 1,
        distance_to_target: int = 3,
        num_targets: int = 1,
        buffers: Buffers | None = None,
    ) -> None:
        distance_to_target = whole_number("distance_to_target", distance_to_target)
        self.distance_to_target = distance_to_target
        self.side = 2 * distance_to_target + 1
        cells = np.indices((self.side, self.side)).reshape(2, -1).T
        self._edge = cells[np.abs(cells - distance_to_target).max(1) == distance_to_target]
        num_targets = whole_number("num_targets", num_targets, most=len(self._edge))
        self.num_targets = num_targets
        self.episode_length = num_targets * distance_to_target
        self.num_agents = num_agents = whole_number("num_agents", num_agents)
        self.single_observation_space = gymnasium.spaces.Box(-1, 1, (self.side**2,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(len(_MOVES))
        self._every = np.arange(num_agents)
        self._position: Array  # (games, 2)
        self._targets: Array  # (games, targets, 2)
        self._left: NDArray[np.bool_]  # (games, targets), not yet hit
        super().__init__(buffers)

    def reset(self, seed: int | None = None) -> tuple[Array, list[Info]]:
        """Start a new episode in every game; return (observations, infos)."""
        self._random = np.random.default_rng(seed)
        self._begin()
        self.rewards[:] = 0
        self.terminals[:] = self.truncations[:] = False
        self.masks[:] = True
        self._draw(self.observations)
        return self.observations, []

    def step(self, actions: Array) -> StepResult:
        """Move in every game; all games end, and start again, on the same step."""
        edge = 2 * self.distance_to_target
        self._position = np.clip(self._position + _MOVES[actions], 0, edge)
        apart = np.abs(self._targets - self._position[:, None]).max(2)  # (games, targets)
        apart[~self._left] = 2 * edge
        nearest = apart.argmin(1)
        distance = apart[self._every, nearest]
        self.rewards[:] = np.maximum(1 - distance / self.distance_to_target, -1)
        hit = distance == 0
        self._left[self._every[hit], nearest[hit]] = False
        self._position[hit] = self.distance_to_target
        self.rewards[~self._left.any(1) & ~hit] = 0  # nothing is left to walk to
        self._returns += self.rewards
        self._tick += 1
        infos: list[Info] = []
        ended = self._tick == self.episode_length
        self.terminals[:] = ended
        if ended:
            self._draw(self.final_observations)
            infos = results(self._returns, self.episode_length, 1 - self._left.mean(1))
            self._begin()
        self._draw(self.observations)
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def render(self) -> str | None:
        """Return the first game as text: `@` the agent, `x` targets that are left."""
        if self.render_mode is None:
            return None
        grid = self.observations[0].reshape(self.side, self.side)
        symbols = {_AGENT: "@", _TARGET: "x", 0.0: "."}
        return "\n".join("".join(symbols[float(cell)] for cell in row) for row in grid)

    def _begin(self) -> None:
        self._tick = 0
        self._returns = np.zeros(self.num_agents)
        self._position = np.full((self.num_agents, 2), self.distance_to_target)
        shuffled = self._random.random((self.num_agents, len(self._edge))).argsort(1)
        self._targets = self._edge[shuffled[:, : self.num_targets]]  # (games, targets, 2)
        self._left = np.ones((self.num_agents, self.num_targets), np.bool_)

    def _draw(self, rows: Array) -> None:
        cells = self._targets @ (self.side, 1)  # (games, targets)
        rows[:] = 0
        games, targets = self._left.nonzero()
        rows[games, cells[games, targets]] = _TARGET
        rows[self._every, self._position @ (self.side, 1)] = _AGENT
