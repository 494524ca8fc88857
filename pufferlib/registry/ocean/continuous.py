"""Continuous: move to a target with continuous actions."""

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array
from pufferlib.arguments import whole_number
from pufferlib.environment import Buffers, Info, PufferEnv, StepResult
from pufferlib.exceptions import ArgumentError

_SPEED = 0.1  # along each axis, a step


class Continuous(PufferEnv):
    """Many games of Continuous, stepped together.

    Tests continuous actions, and truncated episodes. The agent starts in the middle of
    a square that reaches from -1 to 1 along both axes, with a target somewhere at distance 1. It
    moves by up to 0.1 along each axis. The reward is how much nearer it came; a game terminates,
    with `score` 1, within `radius` of the target, and is truncated, with 0, after `horizon` steps.

    The optimal score is 1: straight on, the target is reached after 10 steps at most. A random
    policy scores less than 0.001: 20 uniform moves have a deviation of
    0.1 * (20 / 3)**0.5 = 0.26 along the line to the target, and it would have to come 0.9 along it,
    3.5 deviations; by the reflection principle that happens with probability 2 * 0.00025.

    Observation: Box(-1, 1, (4,)), position and target, x and y each. Action: Box(-1, 1, (2,)), the
    move along x and y in units of 0.1; what is outside counts as the nearest inside.

    Args:
        num_agents: games, each with its one agent.
        radius: distance at which the target counts as reached, between 0 and 1.
        horizon: steps before a game is truncated.
        buffers: rows to write into.

    Raises:
        ArgumentError: a radius not between 0 and 1, or a horizon below 1.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012  (as Gymnasium declares it)
    render_mode: str | None = "ansi"

    def __init__(
        self,
        num_agents: int = 1,
        radius: float = 0.1,
        horizon: int = 20,
        buffers: Buffers | None = None,
    ) -> None:
        if not 0 < radius < 1:
            raise ArgumentError(f"radius must be above 0 and below 1; got {radius}.")
        horizon = whole_number("horizon", horizon)
        self.radius, self.horizon = radius, horizon
        self.num_agents = num_agents
        self.single_observation_space = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
        self.single_action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
        super().__init__(buffers)
        self._positions = np.zeros((num_agents, 2))
        self._targets = np.zeros((num_agents, 2))
        self._returns = np.zeros(num_agents)
        self._ticks = np.zeros(num_agents, np.int64)

    def reset(self, seed: int | None = None) -> tuple[Array, list[Info]]:
        """Start a new episode in every game; return (observations, infos)."""
        self._random = np.random.default_rng(seed)
        self.rewards[:] = 0
        self.terminals[:] = self.truncations[:] = False
        self.masks[:] = True
        self._begin(np.ones(self.num_agents, np.bool_))
        self._show(self.observations)
        return self.observations, []

    def step(self, actions: Array) -> StepResult:
        """Move in every game; games that end start again."""
        before = self._distances()
        self._positions = np.clip(self._positions + _SPEED * np.clip(actions, -1, 1), -1, 1)
        distances = self._distances()
        self.rewards[:] = before - distances
        self._returns += before - distances
        self._ticks += 1
        self.terminals[:] = distances <= self.radius
        self.truncations[:] = (self._ticks == self.horizon) & ~self.terminals
        infos: list[Info] = []
        ends = self.terminals | self.truncations
        if ends.any():
            self._show(self.final_observations)
            infos = self._results(ends)
            self._begin(ends)
        self._show(self.observations)
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def render(self) -> str | None:
        """Return the first game as text: `@` the agent, `x` the target."""
        if self.render_mode is None:
            return None
        grid = np.full((11, 21), ".")
        for (x, y), symbol in ((self._targets[0], "x"), (self._positions[0], "@")):
            grid[round(5 - 5 * y), round(10 + 10 * x)] = symbol
        return "\n".join("".join(row) for row in grid)

    def _begin(self, games: NDArray[np.bool_]) -> None:
        angles = self._random.uniform(0, 2 * np.pi, int(games.sum()))
        self._targets[games] = np.stack([np.cos(angles), np.sin(angles)], 1)
        self._positions[games] = 0
        self._returns[games] = self._ticks[games] = 0

    def _distances(self) -> NDArray[np.float64]:
        return np.hypot(*(self._targets - self._positions).T)

    def _show(self, rows: Array) -> None:
        rows[:, :2], rows[:, 2:] = self._positions, self._targets

    def _results(self, ends: NDArray[np.bool_]) -> list[Info]:
        return [
            {
                "episode_return": float(self._returns[game]),
                "episode_length": int(self._ticks[game]),
                "score": float(self.terminals[game]),
            }
            for game in ends.nonzero()[0]
        ]
