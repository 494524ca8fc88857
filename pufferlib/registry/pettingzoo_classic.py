"""Board and card games of PettingZoo, by turns.

Source: https://pettingzoo.farama.org/environments/classic/   License: MIT; chess needs the package
chess, GPL-3
Cite: Terry et al. 2021, PettingZoo: Gym for Multi-Agent Reinforcement Learning, arXiv:2009.14471.
Install: make install ENV=pettingzoo_classic
Observations: Dict of 'observation', 'action_mask' and 'turn' Discrete(2), see
`pufferlib.wrappers.Turns`; the first two are Box(False, True, (8, 8, 111), bool) and Box(0, 1,
(4672,), int8) in chess, Box(0, 1, (6, 7, 2), int8) and Box(0, 1, (7,), int8) in connect_four,
Box(False, True, (19, 19, 17), bool) and Box(0, 1, (362,), int8) in go, Box(-inf, inf, (658,),
float64) and Box(0, 1, (20,), int8) in hanabi, Box(0.0, 1.0, (36,), float32) and Box(0, 1, (4,),
int8) in leduc_holdem, Box(0.0, 1.0, (72,), float32) and Box(0, 1, (4,), int8) in texas_holdem,
Box(0.0, [1. 1. ... 100. 100.], (54,), float32) and Box(0, 1, (5,), int8) in texas_holdem_no_limit,
Box(0, 1, (3, 3, 2), int8) and Box(0, 1, (9,), int8) in tictactoe. rps, in which both move at once,
observes Discrete(4) alone.
Actions: Discrete(4672) chess, Discrete(7) connect_four, Discrete(362) go, Discrete(20) hanabi,
Discrete(4) leduc_holdem and texas_holdem, Discrete(3) rps, Discrete(5) texas_holdem_no_limit,
Discrete(9) tictactoe. 2 agents, hanabi up to 5.
Deterministic under a seed; hanabi is seeded here.
"""

import warnings
from typing import TYPE_CHECKING, Any

from pufferlib.exceptions import ArgumentError
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import PettingZooPufferEnv

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
    render_modes=("rgb_array", "ansi", "human"),
)
__getattr__ = lazily(Policy="pufferlib.policies.masked:MaskedDefault")

_AT_ONCE = "rps_v2"
_WRITTEN = "chess_v6"
_RESEEDED = "hanabi_v5"  # draws from the system's entropy on every reset without a seed


def make_env(
    name: str = FAMILY.default, render_mode: str | None = None, **kwargs: Any
) -> "PettingZooPufferEnv":
    """Return the task `name`, flat, with statistics of each agent's episode.

    Every agent has a row on every step; where it is not its turn the mask leaves action 0 alone.
    An illegal action is replaced by a legal one at random; at an episode's end an agent's info has,
    besides its return and length, `illegal_actions`: how often.

    Args:
        name: one of `FAMILY.tasks`.
        render_mode: "rgb_array" or "human"; both need pygame. Chess also takes "ansi", the board
            as text. None draws nothing.
        **kwargs: passed to `pettingzoo.make` (`board_size`, `players` ...). Go games of
            different board sizes must not share a process.

    Raises:
        ArgumentError: there is no such render mode.
    """
    FAMILY.check(name, render_mode)
    if render_mode == "ansi" and name != _WRITTEN:
        raise ArgumentError(
            f"render_mode='ansi' is available for {_WRITTEN} only; got it for {name}."
        )
    import pettingzoo

    from pufferlib.registry._emulated import emulate_agents
    from pufferlib.wrappers import Turns
    from pufferlib.wrappers.silencing import silent

    if name == _RESEEDED:
        # Shimmy imports gym, which prints, and dm_control, which needs a display, if installed.
        with silent(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*DISPLAY environment variable is missing")
            import shimmy  # noqa: F401
    kind = "parallel" if name == _AT_ONCE else "aec"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*precision lowered by casting")  # no_limit's spaces
        env = pettingzoo.make(kind, f"classic/{name}", render_mode=render_mode, **kwargs)
    if kind == "aec":
        env = Turns(env, is_reseeded=name == _RESEEDED)
    return emulate_agents(env)


env_creator = creator_of(FAMILY, make_env)
