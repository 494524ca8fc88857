"""The published path of `pufferlib.published.postprocess`; see docs/published-names.md."""

from pufferlib.published.postprocess import (
    EpisodeStats,
    MeanOverAgents,
    MultiagentEpisodeStats,
    PettingZooWrapper,
)

__all__ = ["EpisodeStats", "MeanOverAgents", "MultiagentEpisodeStats", "PettingZooWrapper"]
