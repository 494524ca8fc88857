"""A wrapper for knights_archers_zombies: every episode starts in the same state."""

from typing import Any

import pettingzoo

from pufferlib.annotations import Agent, Options, ParallelReset


class ZombieEpisode(pettingzoo.utils.BaseParallelWrapper):
    """Start each episode with a full interval until the first zombie appears.

    The package continues the interval of the previous episode, so a second `reset` with the same
    seed would play a different episode.
    """

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> ParallelReset[Agent]:
        """Start an episode; return (observations, infos)."""
        game: Any = self.env.unwrapped
        game.zombie_spawn_interval.reset()
        return super().reset(seed=seed, options=options)
