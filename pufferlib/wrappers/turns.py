"""Play turn-based games as parallel environments."""

import numpy as np
import pettingzoo
from gymnasium.spaces import Box, Dict, Discrete
from numpy.typing import NDArray

from pufferlib.annotations import (
    Action,
    Agent,
    Array,
    Observation,
    Options,
    ParallelReset,
    ParallelStep,
    Rendered,
    Space,
    Structure,
    UserEnv,
)
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError
from pufferlib.old_interfaces import adapted
from pufferlib.wrappers._arguments import described

Mask = NDArray[np.int8]


class Turns(pettingzoo.ParallelEnv[Agent, Observation, Action]):
    """Convert a turn-based AEC environment to a parallel one: each step is one agent's turn.

    `pettingzoo.utils.aec_to_parallel` accepts only games in which all agents move in each cycle;
    this class accepts any. All agents observe every step and receive rewards in the step that
    causes them, also for other agents' turns. An agent observes a Dict:

    - "observation": the agent's observation of the game;
    - "action_mask": int8, 1 for each legal action. If it is not the agent's turn, only action 0 is
      legal, and the action is ignored;
    - "turn": Discrete(2), 1 if it is the agent's turn.

    An illegal action is replaced by a legal one, drawn from a generator that `reset(seed)` seeds:
    the game continues, and a random policy plays legal moves. PettingZoo's games would end, and the
    agent that moved would lose. The agent's last info counts its `illegal_actions`.

    Args:
        env: an AEC environment whose agents observe a Dict of "observation" and "action_mask", and
            act with Discrete.
        is_reseeded: pass a new seed to every episode, for a game that would otherwise draw from the
            system's entropy.

    Raises:
        ArgumentError: if `env` is of another kind.
    """

    def __init__(self, env: UserEnv, is_reseeded: bool = False) -> None:
        env = adapted(env)
        if not isinstance(env, pettingzoo.AECEnv):
            raise ArgumentError(
                f"Turns takes a pettingzoo.AECEnv, got {described(env)}. A parallel environment "
                f"needs no turns."
            )
        self.env = env
        self.metadata = env.metadata
        self.render_mode = getattr(env, "render_mode", None)
        self.possible_agents = list(env.possible_agents)
        self.agents: list[Agent] = []
        self._is_reseeded = is_reseeded
        self._spaces = {agent: _with_turn(env, agent) for agent in self.possible_agents}
        self._action_spaces = {agent: env.action_space(agent) for agent in self.possible_agents}
        self._generator = np.random.default_rng()
        self._illegal: dict[Agent, int] = {}
        self._mask: Mask = np.zeros(0, np.int8)  # that of the agent whose turn it is

    @property
    def unwrapped(self) -> UserEnv:
        return self.env.unwrapped

    def observation_space(self, agent: Agent) -> Space:
        """Return the agent's observation space, the same object on every call."""
        return self._spaces[agent]

    def action_space(self, agent: Agent) -> Space:
        """Return the agent's action space, the same object on every call."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> ParallelReset[Agent]:
        """Start an episode; return (observations, infos)."""
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        if self._is_reseeded:
            seed = int(self._generator.integers(2**31))
        self.env.reset(seed=seed, options=options)
        self.agents = list(self.env.agents)
        self._illegal = dict.fromkeys(self.agents, 0)
        return self._observe(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions: dict[Agent, Action]) -> ParallelStep[Agent]:
        """Play one turn; return (observations, rewards, terminations, truncations, infos)."""
        env, playing = self.env, self.agents
        agent = env.agent_selection
        action, is_legal = legal(actions[agent], self._mask, self._generator)
        self._illegal[agent] += not is_legal
        env.step(action)
        rewards = {agent: float(env.rewards.get(agent, 0)) for agent in playing}
        terminations = {agent: bool(env.terminations.get(agent, True)) for agent in playing}
        truncations = {agent: bool(env.truncations.get(agent, False)) for agent in playing}
        self.agents = [a for a in playing if not (terminations[a] or truncations[a])]
        infos: dict[Agent, Info] = {agent: {} for agent in playing}
        for agent in playing:
            if agent not in self.agents:
                infos[agent]["illegal_actions"] = self._illegal[agent]
        ended = self._observe([a for a in playing if a not in self.agents])
        while self.agents and env.agent_selection not in self.agents:
            env.step(None)  # removes an agent that has ended, by PettingZoo's convention
        observations = ended | self._observe(self.agents)
        return observations, rewards, terminations, truncations, infos

    def render(self) -> Rendered:
        """Return the game's rendering."""
        return self.env.render()

    def close(self) -> None:
        """Close the game."""
        self.env.close()

    def _observe(self, agents: list[Agent]) -> dict[Agent, dict[str, Structure]]:
        observations = {}
        for agent in agents:
            shown = self.env.observe(agent)
            is_turn = agent in self.agents and agent == self.env.agent_selection
            mask = waiting(len(shown["action_mask"]))
            if is_turn:
                mask[:] = self._mask = np.array(shown["action_mask"], np.int8)
            observations[agent] = {
                "observation": np.array(shown["observation"]),
                "action_mask": mask,
                "turn": int(is_turn),
            }
        return observations


def legal(action: Action, mask: Array, generator: np.random.Generator) -> tuple[int, bool]:
    """Return `action` if it is legal, else a random legal one, and whether it was legal."""
    if 0 <= action < len(mask) and mask[action]:
        return int(action), True
    return int(generator.choice(np.flatnonzero(mask))), False


def waiting(count: int) -> Mask:
    """Return the mask of an agent that must wait: of `count` actions only action 0 is legal."""
    mask = np.zeros(count, np.int8)
    mask[0] = 1
    return mask


def _with_turn(env: UserEnv, agent: Agent) -> Dict:
    space, actions = env.observation_space(agent), env.action_space(agent)
    parts = getattr(space, "spaces", {})
    if set(parts) != {"observation", "action_mask"} or not isinstance(actions, Discrete):
        raise ArgumentError(
            f"Turns needs agents that observe a Dict of 'observation' and 'action_mask' and act "
            f"with Discrete; {agent!r} has {space} and {actions}."
        )
    mask = Box(0, 1, (int(actions.n),), np.int8)
    return Dict(observation=parts["observation"], action_mask=mask, turn=Discrete(2))
