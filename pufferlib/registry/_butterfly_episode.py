"""What knights_archers_zombies needs around it: episodes that begin alike."""

from typing import Any

import pettingzoo

from pufferlib.environment import Info

Agent = Any


class ZombieEpisode(pettingzoo.utils.BaseParallelWrapper):
    """Begin an episode with a whole interval until the first zombie comes.

    The package counts it from where the episode before was left; a second `reset` with the same
    seed then plays another episode than the first.
    """

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Agent, Any], dict[Agent, Info]]:
        """Start an episode; return (observations, infos)."""
        game: Any = self.env.unwrapped
        game.zombie_spawn_interval.reset()
        return super().reset(seed=seed, options=options)
