"""Which policy acts for which agent of an environment, from the settings of a run."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from pufferlib.emulation.description import HasSpaces
from pufferlib.exceptions import SettingError
from pufferlib.selfplay.sides import agent_facts, kind_of


def agents_of(env: HasSpaces, setting: str = "policy.agents") -> list[str]:
    """Return the names of the agents of one environment, in the order of its rows.

    Agents of a `PufferEnv` without `possible_agents` are agent_0, agent_1 and so on.

    Args:
        env: a flat environment, or a vectorizer.
        setting: that needs them, for the error.

    Raises:
        SettingError: its agents do not play one game, or environments differ in their numbers.
    """
    counts, is_one_game, names = agent_facts(env)
    if len(counts) > 1 or counts == {1} or not is_one_game:
        number = " or ".join(map(str, sorted(counts)))
        found = "one agent" if counts == {1} else f"{number} agents"
        if not is_one_game and counts != {1}:
            found += ", each in a separate game"
        raise SettingError(
            f"{setting} is for several agents that play one game. Here an environment has {found}. "
            f"Leave it out, or name an environment in which several agents play together."
        )
    return names


def policy_of_agents(agents: str | Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the name of the policy of each agent.

    Args:
        agents: the setting `policy.agents`, not "shared".
        names: of the agents.

    Raises:
        SettingError: an agent has no policy or two, a pattern matches no agent, or all agents
            would have the same policy by their names.
    """
    if isinstance(agents, str):
        kinds = [kind_of(name) or name for name in names]
        if len(set(kinds)) == 1:
            raise SettingError(
                f"policy.agents 'by-name' has no effect: the names of all agents here are alike "
                f"but for a number, {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}. "
                f"Leave it out, or name the agents of each policy, as in "
                f"""--policy.agents '{{"one": "{names[0]}", "other": ["{names[1]}"]}}'."""
            )
        return kinds
    found: dict[str, list[str]] = {name: [] for name in names}
    for policy, given in agents.items():
        for pattern in [given] if isinstance(given, str) else given:
            matched = [name for name in names if fnmatchcase(name, pattern)]
            if not matched:
                raise SettingError(
                    f"policy.agents names {pattern!r} for the policy {policy!r}, which is no agent "
                    f"here. Agents: {', '.join(names)}."
                )
            for name in matched:
                found[name] = [*dict.fromkeys([*found[name], policy])]
    without = [name for name, policies in found.items() if not policies]
    if without:
        raise SettingError(
            f"policy.agents must give every agent a policy; {', '.join(without)} have none. Add "
            f"them to one of {', '.join(agents)}, or to another."
        )
    for name, policies in found.items():
        if len(policies) > 1:
            raise SettingError(
                f"policy.agents must give every agent one policy; {name} has "
                f"{' and '.join(policies)}. Name it once."
            )
    return [policies[0] for policies in found.values()]
