"""Board and card games of PettingZoo, by turns.

Source: https://pettingzoo.farama.org/environments/classic/   Licence: MIT; chess needs the package
chess, GPL-3
Cite: Terry et al. 2021, PettingZoo: Gym for Multi-Agent Reinforcement Learning, arXiv:2009.14471.
Install: make install ENV=pettingzoo_classic
Observations: Dict of 'observation', 'action_mask' Box(0, 1, (n,), int8) and 'turn' Discrete(2), see
`pufferlib.wrappers.Turns`; 'observation' is Box(0, 1, (8, 8, 111), bool) in chess, (6, 7, 2) int8
in connect_four, (19, 19, 17) bool in go, Box(-inf, inf, (658,), float64) in hanabi, Box(0, 1,
(36,), float32) in leduc_holdem, (72,) in texas_holdem, Box(..., (54,), float32) in
texas_holdem_no_limit, Box(0, 1, (3, 3, 2), int8) in tictactoe. rps, in which both move at once,
observes Discrete(4) alone.
Actions: Discrete(n), n of 4672 chess, 7 connect_four, 362 go, 20 hanabi, 4 leduc_holdem, 3 rps, 4
texas_holdem, 5 texas_holdem_no_limit, 9 tictactoe. 2 agents, hanabi up to 5.
Deterministic under a seed, hanabi through the seeding done here.
"""

import warnings
from typing import Any

from pufferlib.registry._family import Family, creator_of, lazily

FAMILY = Family(
    name="pettingzoo_classic",
    package="pettingzoo",
    needs=("chess", "pygame", "pyspiel", "rlcard", "shimmy"),
    default="connect_four_v3",
    tasks=(
        "chess_v6",
        "connect_four_v3",
        "go_v5",
        "hanabi_v5",
        "leduc_holdem_v4",
        "rps_v2",
        "texas_holdem_no_limit_v6",
        "texas_holdem_v4",
        "tictactoe_v3",
    ),
    samples=("connect_four_v3", "chess_v6", "hanabi_v5", "leduc_holdem_v4", "rps_v2"),
)
__getattr__ = lazily(Policy="pufferlib.policies.masked:MaskedDefault")

_AT_ONCE = "rps_v2"
_RESEEDED = "hanabi_v5"  # draws from the system's entropy on every reset without a seed


def make_env(name: str = FAMILY.default, render_mode: str | None = None, **kwargs: Any) -> Any:
    """Return the task `name`, flat, with statistics of each agent's episode.

    Every agent has a row on every step; where it is not its turn the mask leaves action 0 alone.
    An illegal action is replaced by a legal one at random; at an episode's end an agent's info has,
    besides its return and length, `illegal_actions`: how often.

    Args:
        name: one of `FAMILY.tasks`.
        render_mode: "rgb_array" or "human"; both need pygame. None draws nothing.
        **kwargs: passed to `pettingzoo.make` (`board_size`, `players` ...). Games of go with
            different board sizes disturb each other in one process.
    """
    FAMILY.check(name)
    import pettingzoo

    from pufferlib.registry._agents import emulated
    from pufferlib.wrappers import Turns
    from pufferlib.wrappers.silencing import silent

    if name == _RESEEDED:
        with silent():  # shimmy imports gym where that is installed, and gym talks
            import shimmy  # noqa: F401
    kind = "parallel" if name == _AT_ONCE else "aec"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*precision lowered by casting")  # no_limit's spaces
        env = pettingzoo.make(kind, f"classic/{name}", render_mode=render_mode, **kwargs)
    return emulated(env if kind == "parallel" else Turns(env, is_reseeded=name == _RESEEDED))


env_creator = creator_of(FAMILY, make_env)
