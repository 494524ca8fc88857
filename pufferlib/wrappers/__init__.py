"""Wrappers that go on before emulation does: ordinary Gymnasium or PettingZoo environments.

| you want | use |
|---|---|
| returns and lengths of episodes in `info` | `EpisodeStats`, `MultiAgentEpisodeStats` |
| another observation | `featurize` |
| another reward | `shape_reward` |
| to find where a NaN comes from | `check_nan` |
| no output from an environment | `silence`; from its constructor as well: `make_silent` |
| agents of unlike spaces in rows that are alike | `EqualSpaceTeams` |
| agents that act as one | `Teams` |
| games by turns, an AEC environment, with a row for every agent | `Turns` |
"""

from pufferlib.wrappers.equal_spaces import EqualSpaceTeams
from pufferlib.wrappers.hooks import featurize, shape_reward
from pufferlib.wrappers.nan import check_nan
from pufferlib.wrappers.silencing import make_silent, silence
from pufferlib.wrappers.statistics import EpisodeStats, MultiAgentEpisodeStats
from pufferlib.wrappers.teams import Teams
from pufferlib.wrappers.turns import Turns

__all__ = [
    "EpisodeStats",
    "EqualSpaceTeams",
    "MultiAgentEpisodeStats",
    "Teams",
    "Turns",
    "check_nan",
    "featurize",
    "make_silent",
    "shape_reward",
    "silence",
]
