"""A native `PufferEnv` as a PettingZoo parallel environment."""

import copy
from collections.abc import Mapping

import numpy as np
import pettingzoo
from numpy.typing import NDArray

from pufferlib.annotations import Action, Array, Options, Rendered, Space, UserEnv
from pufferlib.emulation.multi import PettingZooPufferEnv
from pufferlib.emulation.native_episodes import (
    Episodes,
    advice_for_agents,
    check_action,
    check_native,
    merged,
    no_episode,
    take_layouts,
)
from pufferlib.emulation.published import NativeNames
from pufferlib.environment import Info, PufferEnv
from pufferlib.exceptions import ActionError, ArgumentError, ContractError


def to_pettingzoo(env: UserEnv) -> "PettingZooPufferEnv | NativeParallelEnv":
    """Return a native environment as a `pettingzoo.ParallelEnv`, which does not autoreset.

    Args:
        env: a `PufferEnv` with one agent, or with several that play one game (`is_one_game`). A
            `PettingZooPufferEnv` and the result of this function, which are PettingZoo environments
            already, are returned as they are. From now on call reset, step and close of the result
            only.

    Raises:
        ArgumentError: another object, or an environment of several separate games: they end and
            start again at different times, which one parallel environment cannot.
    """
    if isinstance(env, (PettingZooPufferEnv, NativeParallelEnv)):
        return env
    check_native(env, "to_pettingzoo")
    if env.num_agents > 1 and not env.is_one_game:
        raise ArgumentError(
            f"A PettingZoo environment is one game; this {type(env).__name__} has "
            f"{env.num_agents} agents and is_one_game=False. {advice_for_agents(env)}"
        )
    return NativeParallelEnv(env)


class NativeParallelEnv(NativeNames, pettingzoo.ParallelEnv[str, Array, Action]):
    """The result of `to_pettingzoo`: a native environment whose agents play one game.

    Row i is the agent "agent_i". Agents that are absent are not in `agents`; one whose episode ends
    leaves with its last observation. When none is left, `agents` is empty until `reset`. Seeds and
    `options` are those of `NativeGymnasiumEnv`.

    The infos of a native environment do not name their agents: all those of a step are in a list,
    `infos[agent]["agent_infos"]` of the first agent of that step. With one agent, its info has
    their entries.

    Attributes:
        env: the native environment. `pufferlib.vector.make` steps it directly.
        observation_layout: that of `env`, if it has one; the spaces carry their layouts too.
        action_layout: the same for actions.
    """

    def __init__(self, env: PufferEnv) -> None:
        self.env = env
        self.metadata = {"name": type(env).__name__, "render_modes": [], **env.metadata}
        self.render_mode = env.render_mode
        take_layouts(self, env)
        self.single_observation_space = env.single_observation_space
        self.single_action_space = env.single_action_space
        self.possible_agents = [f"agent_{row}" for row in range(env.num_agents)]
        self.agents: list[str] = []
        # A space for each agent, which has its own random state.
        self.observation_spaces = self._copies(env.single_observation_space)
        self.action_spaces = self._copies(env.single_action_space)
        self._row_of = {agent: row for row, agent in enumerate(self.possible_agents)}
        self._episodes = Episodes(env)
        self._random = np.random.default_rng()
        shape = env.single_action_space.shape or ()
        self._actions = np.zeros((env.num_agents, *shape), env.single_action_space.dtype)
        self._is_action_checked = False

    @property
    def done(self) -> bool:
        """No agent is left."""
        return not self.agents

    def observation_space(self, agent: str) -> Space:
        """Return the agent's observation space, the same object on every call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space:
        """Return the agent's action space, the same object on every call."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> tuple[dict[str, Array], dict[str, Info]]:
        """Begin an episode; return (observations, infos) of the agents that are present."""
        if seed is not None:
            self._random = np.random.default_rng(seed)
        infos = self._episodes.begin(seed, options, self._random)
        self.agents = self._names(self.env.masks)
        observations = {agent: self.env.observations[self._row_of[agent]] for agent in self.agents}
        return copy.deepcopy(observations), self._by_agent(infos, self.agents)

    def step(
        self, actions: Mapping[str, Action]
    ) -> tuple[
        dict[str, Array], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]
    ]:
        """Take one step; return (observations, rewards, terminations, truncations, infos).

        Args:
            actions: one of each agent of `agents`.

        Raises:
            ActionError: an agent has no action, another one has, or one of the first actions is
                outside its space.
            CallOrderError: before the first reset, or when no agent is left.
            ContractError: an agent began a new episode while others are still in theirs.
        """
        env = self.env
        self._write(actions)
        *_, infos = env.step(self._actions)
        acted = np.isin(self.possible_agents, self.agents)
        ended = env.terminals | env.truncations
        is_over = bool(ended[acted].all())
        self._episodes.is_next_ready = is_over and bool(env.masks.any())
        present = np.zeros_like(acted) if is_over else env.masks.copy()
        self._check_no_return(present & ended)
        self.agents = self._names(present)
        reported = self._names(acted | present)
        rows = {agent: self._row_of[agent] for agent in reported}
        observations = {
            agent: (env.final_observations if ended[row] else env.observations)[row].copy()
            for agent, row in rows.items()
        }
        return (
            observations,
            {agent: float(env.rewards[row]) for agent, row in rows.items()},
            {agent: bool(env.terminals[row]) for agent, row in rows.items()},
            {agent: bool(env.truncations[row]) for agent, row in rows.items()},
            self._by_agent(infos, reported),
        )

    def render(self) -> Rendered:
        """Return the native environment's rendering."""
        return self.env.render()

    def close(self) -> None:
        """Close the native environment."""
        self.env.close()

    def _write(self, actions: Mapping[str, Action]) -> None:
        """Write the actions into the rows of their agents; those of absent ones are ignored."""
        if not self.agents:
            raise no_episode()
        if actions.keys() != set(self.agents):
            raise ActionError(
                f"step takes an action of each agent of env.agents, {self.agents}; got those of "
                f"{list(actions)}."
            )
        for agent, action in actions.items():
            if not self._is_action_checked:
                check_action(action, self.single_action_space, f"The first action of {agent}")
            self._actions[self._row_of[agent]] = action
        self._is_action_checked = True

    def _check_no_return(self, returned: NDArray[np.bool_]) -> None:
        if returned.any():
            raise ContractError(
                f"{self._names(returned)} of {type(self.env).__name__} began a new episode while "
                f"other agents are still in theirs. Agents of PettingZoo leave for good. Use the "
                f"PufferEnv with pufferlib.vector.make, which allows it."
            )

    def _names(self, rows: NDArray[np.bool_]) -> list[str]:
        return [
            agent for agent, is_named in zip(self.possible_agents, rows, strict=True) if is_named
        ]

    def _by_agent(self, infos: list[Info], agents: list[str]) -> dict[str, Info]:
        by_agent: dict[str, Info] = {agent: {} for agent in agents}
        if infos and agents:
            is_only = len(self.possible_agents) == 1
            by_agent[agents[0]] = merged(infos) if is_only else {"agent_infos": list(infos)}
        return by_agent

    def _copies(self, space: Space) -> dict[str, Space]:
        return {agent: copy.deepcopy(space) for agent in self.possible_agents}
