"""Published wrappers that report episodes in `info`; today's are in `pufferlib.wrappers`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pettingzoo

from pufferlib.annotations import Action, Agent, Options, ParallelReset, ParallelStep
from pufferlib.environment import Info
from pufferlib.wrappers import EpisodeStats, MultiAgentEpisodeStats

__all__ = ["EpisodeStats", "MeanOverAgents", "MultiagentEpisodeStats", "PettingZooWrapper"]

MultiagentEpisodeStats = MultiAgentEpisodeStats
PettingZooWrapper = pettingzoo.utils.BaseParallelWrapper


class MeanOverAgents(pettingzoo.utils.BaseParallelWrapper):
    """Average the numbers in the infos of all agents.

    The means are in the info of the first of these agents; those of the others are empty. So the
    game adds one info to those of a vectorizer.
    """

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> ParallelReset[Agent]:
        """Start an episode; return (observations, infos)."""
        observations, infos = super().reset(seed=seed, options=options)
        return observations, _averaged(infos)

    def step(self, actions: dict[Agent, Action]) -> ParallelStep[Agent]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        *results, infos = super().step(actions)
        observations, rewards, terminations, truncations = results
        return observations, rewards, terminations, truncations, _averaged(infos)


def _averaged(infos: Mapping[Agent, Info]) -> dict[Agent, Info]:
    values: dict[str, list[Any]] = {}
    for info in infos.values():
        for key, value in info.items():
            if np.ndim(value) == 0 and np.issubdtype(np.asarray(value).dtype, np.number):
                values.setdefault(key, []).append(value)
    averaged: dict[Agent, Info] = {agent: {} for agent in infos}
    if averaged:
        averaged[next(iter(averaged))] = {k: float(np.mean(each)) for k, each in values.items()}
    return averaged
