"""The sides of a game: which agents win and lose together."""

import re
from collections.abc import Sequence
from typing import Literal

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
    counts = set(vecenv.agents_per_env)
    if len(counts) > 1:
        raise ArgumentError(
            f"Self-play needs environments with the same number of agents; got "
            f"{sorted(counts)}. Make them with the same arguments."
        )
    count = counts.pop()
    if count == 1 or not vecenv.get_attr("is_one_game", [0])[0]:
        return ["agent_0"]
    try:
        names = [str(agent) for agent in vecenv.get_attr("possible_agents", [0])[0]]
    except AttributeError:
        names = []
    return names if len(names) == count else [f"agent_{number}" for number in range(count)]
