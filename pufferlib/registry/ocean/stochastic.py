"""Stochastic: play action 0 with a given probability."""

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array
from pufferlib.arguments import whole_number
from pufferlib.environment import Buffers, Info, PufferEnv, StepResult
from pufferlib.exceptions import ArgumentError
from pufferlib.registry.ocean._results import results


class Stochastic(PufferEnv):
    """Many games of Stochastic, stepped together.

    Tests whether a policy that has to stay random does: the best one plays action 0 with
    probability `p`, and any that always does the same is bad. Let a be 1 for action 0, else 0, and
    f how often 0 was played before in this game, `p` on its first step. The reward is
    -(a - p) * (f - p): for an action that there were too few of, against one there were too many
    of. For a policy that plays 0 with probability q its mean is -(q - p)**2 on every step but the
    first, so that q = p is best. Nothing observed helps to do better; memory would: use none.

    `score` compares the frequency f of a whole game with the better of the two policies that always
    do the same, which scores 0: it is 1 - ((f - p) / d)**2, or 0 if that is less, where d is the
    lesser of p and 1 - p. As f varies by p * (1 - p) / horizon about its mean, q = p scores
    1 - p * (1 - p) / (horizon * d**2): 0.977. A random policy, q = 1/2, scores
    1 - ((1/2 - p)**2 + 1 / (4 * horizon)) / d**2: 0.53.

    Observation: Box(1, 1, (1,)), always 1. Action: Discrete(2).

    Args:
        num_agents: games, each with its one agent.
        p: of action 0, between 0 and 1.
        horizon: steps of a game.
        buffers: rows to write into.

    Raises:
        ArgumentError: `p` is not between 0 and 1, or the horizon below 1.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012  (as Gymnasium declares it)
    render_mode: str | None = "ansi"

    def __init__(
        self,
        num_agents: int = 1,
        p: float = 0.7,
        horizon: int = 100,
        buffers: Buffers | None = None,
    ) -> None:
        if not 0 < p < 1:
            raise ArgumentError(f"p must be above 0 and below 1; got {p}.")
        horizon = whole_number("horizon", horizon)
        self.p, self.horizon = p, horizon
        self.num_agents = num_agents
        self.single_observation_space = gymnasium.spaces.Box(1, 1, (1,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        super().__init__(buffers)

    def reset(self, seed: int | None = None) -> tuple[Array, list[Info]]:
        """Start a new episode in every game; return (observations, infos). `seed` has no effect."""
        self._begin()
        self.observations[:] = 1
        self.rewards[:] = 0
        self.terminals[:] = self.truncations[:] = False
        self.masks[:] = True
        return self.observations, []

    def step(self, actions: Array) -> StepResult:
        """Act in every game; all games end, and start again, on the same step."""
        is_zero = actions == 0
        too_often = self._zeros / self._tick - self.p if self._tick else 0.0
        self.rewards[:] = (self.p - is_zero) * too_often
        self._zeros += is_zero
        self._returns += self.rewards
        self._tick += 1
        infos: list[Info] = []
        ended = self._tick == self.horizon
        self.terminals[:] = ended
        if ended:
            self.final_observations[:] = 1
            infos = results(self._returns, self.horizon, self._scores())
            self._begin()
        self.observations[:] = 1
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def render(self) -> str | None:
        """Return the first game as text: how often action 0 was played."""
        if self.render_mode is None:
            return None
        return f"action 0: {self._zeros[0]} of {self._tick}, due {self.p:.0%}"

    def _begin(self) -> None:
        self._tick = 0
        self._zeros = np.zeros(self.num_agents, np.int64)
        self._returns = np.zeros(self.num_agents)

    def _scores(self) -> NDArray[np.float64]:
        apart = (self._zeros / self.horizon - self.p) / min(self.p, 1 - self.p)
        return np.maximum(1 - apart**2, 0)
