"""A wrapper for SISL environments: time limits as truncations, rendering without warnings."""

import warnings
from typing import Any

import pettingzoo

from pufferlib.annotations import Action, Agent, ParallelStep, Rendered


class SislEpisode(pettingzoo.utils.BaseParallelWrapper):
    """Report time limits as truncations.

    On the step of the time limit, multiwalker reports all agents as terminated, and pursuit all as
    truncated. Here an agent whose game is over is terminated, any other one truncated.
    """

    def step(self, actions: dict[Agent, Action]) -> ParallelStep[Agent]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        observations, rewards, terminations, truncations, infos = super().step(actions)
        game = self.env.unwrapped.env
        if game.frames >= game.max_cycles:
            is_over = self._is_over(game)
            terminations = {agent: is_over[agent] for agent in terminations}
            truncations = {agent: not is_over[agent] for agent in truncations}
        return observations, rewards, terminations, truncations, infos

    def render(self) -> Rendered:
        """Return the rendering, without pursuit's warning about a missing font."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The system font", UserWarning)
            return super().render()

    def _is_over(self, game: Any) -> dict[Agent, bool]:
        agents = self.possible_agents
        if hasattr(game, "last_dones"):  # multiwalker, agent by agent
            return {agent: bool(done) for agent, done in zip(agents, game.last_dones, strict=True)}
        return dict.fromkeys(agents, bool(game.is_terminal))
