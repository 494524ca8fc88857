"""Group agents into teams that each act as one agent."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pettingzoo
from gymnasium.spaces import Dict, Discrete, Tuple

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
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError
from pufferlib.wrappers._arguments import parallel_env
from pufferlib.wrappers._filler import filler, shared

Team = Agent


class Teams(pettingzoo.utils.BaseParallelWrapper):
    """Make each team of agents in a PettingZoo environment act as one agent.

    A team observes a Tuple with a Dict for each member, in the given order:

    - "observation": the member's observation on this step, or without one a filler, the value of
      its space nearest to zero, in read-only arrays that all observations share;
    - "present": Discrete(2), whether the member has an observation: 1 until the step that ends its
      episode, inclusive; 0 afterwards, and before it joins.

    It acts with a Tuple of the members' actions; only those of living members are passed on. Its
    reward is the sum of its members' rewards. Its info holds the non-empty infos by member; an info
    whose key is not an agent keeps its key.

    A team joins with its first member. Its episode ends when all members' episodes have ended, or
    no agent is left in the environment: a member that has not joined may do so until then. The team
    is terminated if each member that took part was, else truncated; a member that disappears
    without a flag counts as truncated.

    Args:
        env: a PettingZoo environment; an AEC one is converted with
            `pettingzoo.utils.aec_to_parallel`.
        teams: from each team's name to its agents; each of `possible_agents` is in exactly one
            team.

    Attributes:
        teams: the same, as a dict of lists.
        possible_agents: the names of the teams.
        agents: the teams that are now alive.

    Raises:
        ArgumentError: if `env` is not a PettingZoo environment with `possible_agents`, or `teams`
            does not hold each of them exactly once.
        SpaceError: if an observation space has no fixed size.
    """

    def __init__(self, env: UserEnv, teams: Mapping[Team, Sequence[Agent]]) -> None:
        env = parallel_env(env, "Teams")
        super().__init__(env)
        _check_teams(teams, env.possible_agents)
        self.teams: dict[Team, list[Agent]] = {team: list(agents) for team, agents in teams.items()}
        self.possible_agents: list[Team] = list(self.teams)
        self.agents: list[Team] = []
        self._ended: dict[Agent, bool] = {}  # agents that ended in this episode: terminated?
        self._over: set[Team] = set()
        self._fillers, self._observation_spaces, self._action_spaces = {}, {}, {}
        for team, agents in self.teams.items():
            spaces = [env.observation_space(agent) for agent in agents]
            for agent, space in zip(agents, spaces, strict=True):
                self._fillers[agent] = filler(space, (agent,))
            self._observation_spaces[team] = Tuple(
                [Dict(observation=space, present=Discrete(2)) for space in spaces]
            )
            # Copies: each has its own random state.
            actions = [copy.deepcopy(env.action_space(agent)) for agent in agents]
            self._action_spaces[team] = Tuple(actions)

    def observation_space(self, agent: Team) -> Space:
        """Return the team's observation space."""
        return self._observation_spaces[agent]

    def action_space(self, agent: Team) -> Space:
        """Return the team's action space."""
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: Options | None = None) -> ParallelReset[Team]:
        """Start an episode; return (observations, infos)."""
        observations, infos = super().reset(seed=seed, options=options)
        alive = set(self.env.agents)
        self._ended, self._over = {}, set()
        self.agents = self._taking_part(alive)
        return self._observe(self.agents, observations, alive), self._report(self.agents, infos)

    def step(self, actions: dict[Team, Action]) -> ParallelStep[Team]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        before = set(self.env.agents)
        chosen = {
            agent: action
            for team, joint in actions.items()
            for agent, action in zip(self.teams[team], joint, strict=True)
            if agent in before
        }
        observations, rewards, terminations, truncations, infos = super().step(chosen)
        alive = set(self.env.agents)
        ending = {
            agent: bool(terminations.get(agent))
            for agent in self.env.possible_agents
            if agent not in self._ended
            and (terminations.get(agent) or truncations.get(agent) or agent in before - alive)
        }
        self._ended |= ending
        teams = self._taking_part(alive)
        ends = {team: self._end(team, alive) for team in teams}
        self._over |= {team for team, end in ends.items() if end}
        self.agents = [team for team in teams if team not in self._over]
        return (
            self._observe(teams, observations, alive | ending.keys()),
            {team: sum(float(rewards.get(a, 0)) for a in self.teams[team]) for team in teams},
            {team: end == "terminated" for team, end in ends.items()},
            {team: end == "truncated" for team, end in ends.items()},
            self._report(teams, infos),
        )

    def _taking_part(self, alive: set[Agent]) -> list[Team]:
        """Return the teams that have joined and had not ended before this step."""
        return [
            team
            for team, agents in self.teams.items()
            if team not in self._over and any(a in alive or a in self._ended for a in agents)
        ]

    def _end(self, team: Team, alive: set[Agent]) -> str | None:
        """Return how the team's episode ends on this step; None if it continues."""
        ended = [self._ended[agent] for agent in self.teams[team] if agent in self._ended]
        if alive and len(ended) < len(self.teams[team]):
            return None
        return "terminated" if all(ended) else "truncated"

    def _observe(
        self, teams: list[Team], observations: dict[Agent, Observation], shown: set[Agent]
    ) -> dict[Team, tuple[dict[str, Structure], ...]]:
        return {
            team: tuple(
                {"observation": observations[agent], "present": 1}
                if agent in shown and agent in observations
                else {"observation": shared(self._fillers[agent]), "present": 0}
                for agent in self.teams[team]
            )
            for team in teams
        }

    def _report(self, teams: list[Team], infos: dict[Agent, Info]) -> dict[Team, Any]:
        shared_infos = {key: info for key, info in infos.items() if key not in self._fillers}
        return shared_infos | {
            team: {agent: infos[agent] for agent in self.teams[team] if infos.get(agent)}
            for team in teams
        }


def _check_teams(teams: object, possible_agents: list[Agent]) -> None:
    if not isinstance(teams, Mapping) or not all(
        isinstance(agents, Sequence) and agents and not isinstance(agents, str)
        for agents in teams.values()
    ):
        raise ArgumentError(
            f"teams must be a dict from each team's name to a list of its agents, at least one; "
            f"got {teams!r}. possible_agents are {possible_agents}."
        )
    given = [agent for agents in teams.values() for agent in agents]
    faults = {
        "missing": [agent for agent in possible_agents if agent not in given],
        "duplicate": [agent for agent in dict.fromkeys(given) if given.count(agent) > 1],
        "unknown": [agent for agent in given if agent not in possible_agents],
    }
    if any(faults.values()):
        found = ", ".join(f"{fault} {agents}" for fault, agents in faults.items() if agents)
        raise ArgumentError(
            f"Each agent must be in exactly one team; {found}. Change teams, got {teams!r}; "
            f"possible_agents are {possible_agents}."
        )
