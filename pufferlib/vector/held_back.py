"""Hold back the next episode of a native environment, which starts it in the step of the end."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array, Rendered, UserEnv
from pufferlib.environment import Buffers, Info, PufferEnv, StepResult
from pufferlib.exceptions import ContractError


class HeldBack(PufferEnv):
    """A `PufferEnv` that returns the first observations of an episode in the step after an end.

    In the step that ends an agent's episode its last observation is in `observations`, too. When
    the episodes of all acting agents have ended, the next step ignores its actions and steps
    nothing: it returns the first observations, with rewards 0 and flags False. So does a reset
    without seed and options.

    Args:
        env: a game of one agent, or of several that end together.

    Raises:
        ContractError: from `step`, if an agent starts a new episode while others go on.
    """

    def __init__(self, env: PufferEnv) -> None:
        self.env = env
        self.single_observation_space = env.single_observation_space
        self.single_action_space = env.single_action_space
        self.num_agents, self.is_one_game = env.num_agents, env.is_one_game
        self.render_mode, self.metadata = env.render_mode, env.metadata
        for name in ("observation_layout", "action_layout"):
            if hasattr(env, name):
                setattr(self, name, getattr(env, name))
        self._own: tuple[Array, NDArray[np.bool_]] | None = None  # as the environment wrote them
        self._is_over = False
        super().__init__()

    @property
    def user_env(self) -> UserEnv:
        """The environment as its author wrote it."""
        return self.env.user_env

    def bind(self, buffers: Buffers) -> None:
        """Write into `buffers` from now on."""
        super().bind(buffers)
        self.env.bind(buffers)

    def reset(self, seed: int | None = None, **keywords: Any) -> tuple[Array, list[Info]]:
        """Start an episode; return (observations, infos).

        Args:
            seed: of the environment.
            **keywords: options, if the environment takes any.
        """
        begins = self._is_over and seed is None and not keywords.get("options")
        self._restore()
        self._is_over = False
        if not (begins and self.masks.any()):
            return self.observations, self.env.reset(seed, **keywords)[1]
        self.rewards[:] = 0
        self.terminals[:] = self.truncations[:] = False
        return self.observations, []

    def step(self, actions: Array) -> StepResult:
        """Step all agents; if their episodes are over, begin the next ones instead."""
        if self._is_over:
            infos = self.reset()[1]
        else:
            self._restore()
            acted = self.masks.copy()
            infos = self.env.step(actions)[4]
            ended = self.terminals | self.truncations
            if ended.any():
                self._hold_back(acted, ended)
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def render(self) -> Rendered:
        """Return the environment's rendering."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _hold_back(self, acted: NDArray[np.bool_], ended: NDArray[np.bool_]) -> None:
        """Show the last observations of the agents that have ended."""
        self._is_over = not (acted & ~ended).any()
        if not self._is_over and (ended & self.masks).any():
            raise ContractError(
                f"Agents of {type(self.env).__name__} start new episodes while others go on (rows "
                f"{np.flatnonzero(ended & self.masks).tolist()}), although num_agents is 1 or "
                f"is_one_game True. Such an environment needs autoreset='same_step'."
            )
        self._own = self.observations.copy(), self.masks.copy()
        if self._is_over:
            self.observations[:] = 0
            self.masks[:] = False
        self.observations[ended] = self.final_observations[ended]
        self.masks[ended] = False

    def _restore(self) -> None:
        """Undo `_hold_back`: the environment may continue from what it wrote."""
        if self._own is not None:
            self.observations[:], self.masks[:] = self._own
            self._own = None
