"""What SISL environments need around them: a time limit told as one, quiet pictures."""

import warnings
from typing import Any

import pettingzoo

Agent = Any


class SislEpisode(pettingzoo.utils.BaseParallelWrapper):
    """Tell a time limit from an end.

    On the step of the time limit, multiwalker reports all agents as terminated, and pursuit all as
    truncated; here those are terminated whose game is over, and the others truncated.
    """

    def step(self, actions: dict[Agent, Any]) -> tuple[dict[Agent, Any], ...]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        observations, rewards, terminations, truncations, infos = super().step(actions)
        game = self.env.unwrapped.env
        if game.frames >= game.max_cycles:
            is_over = self._is_over(game)
            terminations = {agent: is_over[agent] for agent in terminations}
            truncations = {agent: not is_over[agent] for agent in truncations}
        return observations, rewards, terminations, truncations, infos

    def render(self) -> Any:
        """Return the environment's own rendering; pursuit's wants a font that few machines have."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The system font", UserWarning)
            return super().render()

    def _is_over(self, game: Any) -> dict[Agent, bool]:
        agents = self.possible_agents
        if hasattr(game, "last_dones"):  # multiwalker, agent by agent
            return {agent: bool(done) for agent, done in zip(agents, game.last_dones, strict=True)}
        return dict.fromkeys(agents, bool(game.is_terminal))
