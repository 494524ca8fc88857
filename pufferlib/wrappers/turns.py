"""Games in which agents take turns, played by all agents at once."""

from typing import Any

import gymnasium
import numpy as np
import pettingzoo
from gymnasium.spaces import Box, Dict, Discrete
from numpy.typing import NDArray

from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError
from pufferlib.wrappers._arguments import described

Agent = Any
Mask = NDArray[np.int8]


class Turns(pettingzoo.ParallelEnv[Agent, Any, Any]):
    """An AEC environment of turns as a parallel one: each step is one agent's turn.

    `pettingzoo.utils.aec_to_parallel` takes only games in which all agents move in each cycle; this
    takes any. All agents observe every step and get their rewards in the step that brings them,
    also for what others do on their turns. An agent observes a Dict:

    - "observation": what the game shows it;
    - "action_mask": int8, 1 for each action it may take. Where it is not the agent's turn that is
      action 0 alone, and whatever it does is ignored;
    - "turn": Discrete(2), 1 where it is the agent's turn.

    An illegal action is replaced by a legal one, drawn from a generator that `reset(seed)` seeds:
    the game goes on, and a random policy plays legal moves. PettingZoo's own games would end, the
    offender losing. The agent's last info tells how often that was: `illegal_actions`.

    Args:
        env: an AEC environment whose agents observe a Dict of "observation" and "action_mask", and
            act with Discrete.
        is_reseeded: give every episode a seed of its own, for a game that without one draws from
            the system's entropy.

    Raises:
        ArgumentError: `env` is no such environment.
    """

    def __init__(self, env: Any, is_reseeded: bool = False) -> None:
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
        self._mask: Mask = np.zeros(0, np.int8)  # of the agent whose turn it is

    @property
    def unwrapped(self) -> Any:
        return self.env.unwrapped

    def observation_space(self, agent: Agent) -> gymnasium.Space[Any]:
        """Return the agent's observation space, the same object on every call."""
        return self._spaces[agent]

    def action_space(self, agent: Agent) -> gymnasium.Space[Any]:
        """Return the agent's action space, the same object on every call."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Agent, Any], dict[Agent, Info]]:
        """Start an episode; return (observations, infos)."""
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        if self._is_reseeded:
            seed = int(self._generator.integers(2**31))
        self.env.reset(seed=seed, options=options)
        self.agents = list(self.env.agents)
        self._illegal = dict.fromkeys(self.agents, 0)
        return self._observe(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions: dict[Agent, Any]) -> tuple[dict[Agent, Any], ...]:
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
            env.step(None)  # PettingZoo's way to take leave of an agent
        observations = ended | self._observe(self.agents)
        return observations, rewards, terminations, truncations, infos

    def render(self) -> Any:
        """Return the game's own rendering."""
        return self.env.render()

    def close(self) -> None:
        """Close the game."""
        self.env.close()

    def _observe(self, agents: list[Agent]) -> dict[Agent, dict[str, Any]]:
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


def legal(action: Any, mask: Any, generator: np.random.Generator) -> tuple[int, bool]:
    """Return `action` if the mask allows it, else one that it does, and whether it was allowed."""
    if 0 <= action < len(mask) and mask[action]:
        return int(action), True
    return int(generator.choice(np.flatnonzero(mask))), False


def waiting(count: int) -> Mask:
    """Return the mask, of `count` actions, of an agent that may only wait."""
    mask = np.zeros(count, np.int8)
    mask[0] = 1
    return mask


def _with_turn(env: Any, agent: Agent) -> Dict:
    space, actions = env.observation_space(agent), env.action_space(agent)
    parts = getattr(space, "spaces", {})
    if set(parts) != {"observation", "action_mask"} or not isinstance(actions, Discrete):
        raise ArgumentError(
            f"Turns needs agents that observe a Dict of 'observation' and 'action_mask' and act "
            f"with Discrete; {agent!r} has {space} and {actions}."
        )
    mask = Box(0, 1, (int(actions.n),), np.int8)
    return Dict(observation=parts["observation"], action_mask=mask, turn=Discrete(2))
