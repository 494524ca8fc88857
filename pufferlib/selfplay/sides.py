"""The sides of a game: which agents win and lose together."""

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv
from pufferlib.emulation.description import HasSpaces
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.vector import VectorEnv

SideRule = Literal["auto", "agents", "teams"]


def sides_of(agents: Sequence[str], rule: SideRule = "auto") -> tuple[int, ...]:
    """Return the number of each agent's side, counted from 0 in the order of the agents.

    Args:
        agents: their names: `possible_agents`, without those that never play.
        rule: "agents": each agent is a side. "teams": agents whose names differ only in the number
            at their end are a side: red_0 and red_1 against blue_0 and blue_1. "auto": teams if
            there are two or more, not each of one agent, and otherwise agents.

    Raises:
        ArgumentError: fewer than two sides.
    """
    names = [kind_of(agent) for agent in agents]
    teams = list(dict.fromkeys(names))
    if rule == "auto":
        rule = "teams" if 1 < len(teams) < len(agents) else "agents"
    sides = range(len(agents)) if rule == "agents" else (teams.index(name) for name in names)
    found = tuple(sides)
    if len(set(found)) < 2:
        raise ArgumentError(
            f"Self-play needs an environment of two sides or more; got the agents {list(agents)}, "
            f"which are one side ({rule}). Name an environment of several agents"
            f"{', or let each agent be a side' if len(agents) > 1 else ''}."
        )
    return found


def side_returns(
    returns: NDArray[np.float64], took_part: NDArray[np.bool_], sides: NDArray[np.int64]
) -> list[float]:
    """Return the mean return of each side's agents that took part; 0 if none did.

    Args:
        returns: (agents,).
        took_part: bool (agents,).
        sides: (agents,), the number of each agent's side.
    """
    members = np.eye(sides.max() + 1)[sides] * took_part[:, None]
    means: list[float] = (returns @ members / np.maximum(members.sum(0), 1)).tolist()
    return means


def kind_of(agent: str) -> str:
    """Return the name of an agent without the number at its end."""
    return re.sub(r"_?\d+$", "", agent)


def agent_names(vecenv: VectorEnv) -> list[str]:
    """Return the names of the agents of one environment, by their rows.

    Agents of a `PufferEnv`, which have none, are called agent_0, agent_1 and so on. It must play
    one game; its agents are otherwise games, with a single side each.

    Raises:
        ArgumentError: the environments differ in their numbers of agents.
    """
    counts, is_one_game, names = agent_facts(vecenv)
    if len(counts) > 1:
        raise ArgumentError(
            f"Self-play needs environments with the same number of agents; got "
            f"{sorted(counts)}. Make them with the same arguments."
        )
    return names if is_one_game else ["agent_0"]


def agent_facts(env: HasSpaces) -> tuple[set[int], bool, list[str]]:
    """Return the numbers of agents of environments, whether they play one game, their names.

    The names are those of one environment; agents that have none are called agent_0 and so on.

    Args:
        env: a flat environment, or a vectorizer.
    """
    counts, is_one_game, names = _declared(env)
    count = min(counts)
    if len(names) != count:
        names = [f"agent_{number}" for number in range(count)]
    return counts, is_one_game and counts != {1}, names


def _declared(env: Any) -> tuple[set[int], bool, list[str]]:
    """Return the numbers of agents of environments, whether they play one game, their names."""
    if isinstance(env, GymnasiumPufferEnv | PettingZooPufferEnv | PufferEnv):
        names = [str(agent) for agent in getattr(env, "possible_agents", [])]
        is_one_game = bool(getattr(env, "is_one_game", False))
        return {len(names) or int(getattr(env, "num_agents", 1))}, is_one_game, names
    counts = set(env.agents_per_env)
    is_one_game = counts != {1} and bool(env.get_attr("is_one_game", [0])[0])
    try:
        names = [str(a) for a in env.get_attr("possible_agents", [0])[0]] if is_one_game else []
    except AttributeError:
        names = []
    return counts, is_one_game, names
