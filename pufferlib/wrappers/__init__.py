"""Gymnasium and PettingZoo wrappers, to apply before emulation.

| you want | use |
|---|---|
| returns and lengths of episodes in `info` | `EpisodeStats`, `MultiAgentEpisodeStats` |
| another observation | `featurize` |
| another reward | `shape_reward` |
| to find the source of a NaN | `check_nan` |
| no output from an environment | `silence`; including its constructor: `make_silent` |
| agents with different spaces in rows of one space | `EqualSpaceTeams` |
| agents that act as one | `Teams` |
| turn-based games (AEC environments) with a row for every agent | `Turns` |
| environments of an earlier gym or PettingZoo | `OldGymEnv`, `OldParallelEnv`, `OldAECEnv` |

The last three are applied automatically to environments that they recognize.
"""

from typing import TYPE_CHECKING

from pufferlib.old_interfaces.gym import OldGymEnv
from pufferlib.old_interfaces.pettingzoo import OldAECEnv, OldParallelEnv
from pufferlib.published_names import names_of
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
    "OldAECEnv",
    "OldGymEnv",
    "OldParallelEnv",
    "Teams",
    "Turns",
    "check_nan",
    "featurize",
    "make_silent",
    "shape_reward",
    "silence",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = names_of(__name__)
