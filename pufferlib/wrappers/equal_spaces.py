"""Give agents with different spaces one common space."""

import copy
from collections.abc import Sequence

import pettingzoo
from gymnasium.spaces import Dict, Discrete

from pufferlib.annotations import (
    Action,
    Agent,
    Observation,
    Options,
    ParallelReset,
    ParallelStep,
    Space,
    Structure,
    UserEnv,
)
from pufferlib.exceptions import ArgumentError
from pufferlib.wrappers._arguments import parallel_env
from pufferlib.wrappers._filler import filler, shared

TEAM = "team"  # the part of an observation that names the team


class EqualSpaceTeams(pettingzoo.utils.BaseParallelWrapper):
    """Give the agents of a PettingZoo environment equal spaces, although their originals differ.

    Agents with equal observation spaces and equal action spaces form a team. An agent observes a
    Dict:

    - "team": Discrete, the index of its team, by order of first appearance;
    - the name of each team: an observation in that team's space. Its own team's part holds the
      agent's observation. Every other part is a filler, the value of its space nearest to zero, in
      read-only arrays that all observations share.

    It acts with a Dict from the name of each team to an action; only its own team's part is used.

    Args:
        env: a PettingZoo environment; an AEC one is converted with
            `pettingzoo.utils.aec_to_parallel`.
        names: the teams' names, by order of first appearance in `possible_agents`; "team_0",
            "team_1" and so on if None.

    Attributes:
        teams: from each team's name to its agents, in order.

    Raises:
        ArgumentError: if `env` is not a PettingZoo environment with `possible_agents`, or `names`
            does not hold one distinct string per team.
        SpaceError: if an observation space has no fixed size.
    """

    def __init__(self, env: UserEnv, names: Sequence[str] | None = None) -> None:
        env = parallel_env(env, "EqualSpaceTeams")
        super().__init__(env)
        groups = _equal_groups(env)
        self.teams: dict[str, list[Agent]] = dict(
            zip(_team_names(names, groups), groups, strict=True)
        )
        self._team_of = {agent: team for team, agents in self.teams.items() for agent in agents}
        self._index = {team: index for index, team in enumerate(self.teams)}
        own = {team: env.observation_space(agents[0]) for team, agents in self.teams.items()}
        self._fillers = {team: filler(space, (team,)) for team, space in own.items()}
        # A list keeps its order; a Dict made from a dict is sorted, "team_10" before "team_2".
        self._observation_space = Dict([(TEAM, Discrete(len(own))), *own.items()])
        actions = {team: env.action_space(agents[0]) for team, agents in self.teams.items()}
        self._action_spaces = {  # one per agent: each has its own random state
            agent: Dict([(team, copy.deepcopy(space)) for team, space in actions.items()])
            for agent in env.possible_agents
        }

    def observation_space(self, agent: Agent) -> Space:
        """Return the observation space, the same object for every agent."""
        return self._observation_space

    def action_space(self, agent: Agent) -> Space:
        """Return the agent's action space, the same object on every call."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> ParallelReset[Agent]:
        """Start an episode; return (observations, infos)."""
        observations, infos = super().reset(seed=seed, options=options)
        return self._in_parts(observations), infos

    def step(self, actions: dict[Agent, Action]) -> ParallelStep[Agent]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        own = {agent: action[self._team_of[agent]] for agent, action in actions.items()}
        observations, *rest = super().step(own)
        return self._in_parts(observations), *rest

    def _in_parts(
        self, observations: dict[Agent, Observation]
    ) -> dict[Agent, dict[str, Structure]]:
        parted = {}
        for agent, observation in observations.items():
            own = self._team_of[agent]
            parted[agent] = {TEAM: self._index[own]} | {
                team: observation if team == own else shared(part)
                for team, part in self._fillers.items()
            }
        return parted


def _equal_groups(env: UserEnv) -> list[list[Agent]]:
    """Return the agents grouped by equal spaces, in order of first appearance."""
    groups: list[list[Agent]] = []
    for agent in env.possible_agents:
        spaces = env.observation_space(agent), env.action_space(agent)
        for group in groups:
            if spaces == (env.observation_space(group[0]), env.action_space(group[0])):
                group.append(agent)
                break
        else:
            groups.append([agent])
    return groups


def _team_names(names: Sequence[str] | None, groups: list[list[Agent]]) -> list[str]:
    if names is None:
        return [f"{TEAM}_{index}" for index in range(len(groups))]
    if (
        not isinstance(names, Sequence)
        or isinstance(names, str)
        or not all(isinstance(name, str) and name != TEAM for name in names)
        or not len(set(names)) == len(names) == len(groups)
    ):
        raise ArgumentError(
            f"names must be a different string for each team, {TEAM!r} not among them; got "
            f"{names!r}. There are {len(groups)} teams, in this order: {groups}."
        )
    return list(names)
