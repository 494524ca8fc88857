"""Reset a PettingZoo environment in the step after the end of an episode."""

import numpy as np

from pufferlib.annotations import Array, Options
from pufferlib.emulation.multi import PettingZooPufferEnv
from pufferlib.emulation.multi_rows import PettingZooRows
from pufferlib.environment import Info, StepResult


class NextStepPettingZooRows(PettingZooRows):
    """A `PettingZooPufferEnv` that writes rows, as `PettingZooRows`, and is reset a step later.

    In the step in which an agent dies, its last observation is in `observations`, too; from the
    next step on it is zeros. In the step that leaves no agent alive no episode starts. The step
    after it ignores its actions: it resets the environment and returns the first observations, with
    rewards 0 and flags False.
    """

    def __init__(self, env: PettingZooPufferEnv) -> None:
        self._is_over = False
        self._ended = np.zeros(len(env.possible_agents), np.bool_)
        super().__init__(env)

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> tuple[Array, list[Info]]:
        """Start an episode; return (observations, infos)."""
        observations, infos = super().reset(seed, options)
        self._is_over = False
        self._ended[:] = False
        return observations, infos

    def step(self, actions: Array) -> StepResult:
        """Step all living agents; if there is none, start the next episode."""
        if self._is_over:
            infos = self.reset()[1]
            return self.observations, self.rewards, self.terminals, self.truncations, infos
        self.observations[self._ended] = 0
        result = super().step(actions)
        np.logical_or(self.terminals, self.truncations, out=self._ended)
        self.observations[self._ended] = self.final_observations[self._ended]
        return result

    def _end(self, reported: list[Info]) -> list[Info]:
        self._is_over = True
        return reported
