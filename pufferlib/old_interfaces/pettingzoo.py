"""Adapt environments with the interface of an earlier PettingZoo."""

from collections.abc import Mapping
from typing import Any

import pettingzoo

from pufferlib.annotations import (
    Action,
    Agent,
    AnySpace,
    Options,
    ParallelReset,
    ParallelStep,
    UserEnv,
)
from pufferlib.old_interfaces.gym_spaces import gymnasium_space
from pufferlib.old_interfaces.reset import call_reset, note, reset_differences

_INHERITED = {
    getattr(kind, name)
    for kind in (pettingzoo.ParallelEnv, pettingzoo.AECEnv)
    for name in ("observation_space", "action_space")
}


class OldParallelEnv(pettingzoo.utils.BaseParallelWrapper):
    """A parallel environment made from one with the interface of an earlier PettingZoo.

    `reset` may lack the arguments seed and options, and may return observations alone. `step` may
    return (observations, rewards, dones, infos): an agent's done becomes its termination, or its
    truncation if `infos[agent]["TimeLimit.truncated"]` is true. Spaces may be in the dicts
    `observation_spaces` and `action_spaces` only, and may be those of gym. A seed that `reset` does
    not take goes to `env.seed`; without such a method it has no effect.

    Args:
        env: has `reset`, `step`, `possible_agents`, `agents`, and spaces.

    Attributes:
        differences: what is adapted, as far as it has occurred.
    """

    def __init__(self, env: UserEnv) -> None:
        super().__init__(env)
        self.metadata = getattr(env, "metadata", {})
        is_parallel = isinstance(env, pettingzoo.ParallelEnv)
        self._spaces: dict[tuple[str, Agent], AnySpace] = {}
        self.differences = [] if is_parallel else ["it is not a pettingzoo.ParallelEnv"]
        self.differences += reset_differences(env)

    @property
    def unwrapped(self) -> Any:
        """The innermost environment."""
        return getattr(self.env, "unwrapped", self.env)

    def observation_space(self, agent: Agent) -> AnySpace:
        """Return the agent's observation space."""
        return _space(self, "observation_space", agent)

    def action_space(self, agent: Agent) -> AnySpace:
        """Return the agent's action space."""
        return _space(self, "action_space", agent)

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> ParallelReset[Agent]:
        """Start an episode; return (observations, infos)."""
        result = call_reset(self.env, seed, options)
        if isinstance(result, tuple):
            return result
        note(self.differences, "reset returns no infos")
        return result, {agent: {} for agent in result}

    def step(self, actions: dict[Agent, Action]) -> ParallelStep[Agent]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        result: Any = self.env.step(actions)
        if not (isinstance(result, (tuple, list)) and len(result) == 4):
            return result
        note(self.differences, "step returns dones instead of terminations and truncations")
        observations, rewards, dones, infos = result
        late = {agent: infos.get(agent, {}).get("TimeLimit.truncated", False) for agent in dones}
        terminations = {agent: bool(done and not late[agent]) for agent, done in dones.items()}
        truncations = {agent: bool(done and late[agent]) for agent, done in dones.items()}
        return observations, rewards, terminations, truncations, infos

    def close(self) -> None:
        """Close the environment."""
        if hasattr(self.env, "close"):
            self.env.close()


class OldAECEnv(pettingzoo.utils.BaseWrapper):
    """An AEC environment made from one with the interface of an earlier PettingZoo.

    `dones` count as terminations. `reset` may lack the arguments seed and options, spaces may be in
    the dicts `observation_spaces` and `action_spaces` only, or those of gym, and there may be no
    metadata.

    Args:
        env: an AECEnv.

    Attributes:
        differences: what is adapted, as far as it has occurred.
    """

    def __init__(self, env: UserEnv) -> None:
        super().__init__(env)
        self.metadata = getattr(env, "metadata", {})
        self.render_mode = getattr(env, "render_mode", None)
        self._spaces: dict[tuple[str, Agent], AnySpace] = {}
        self.differences = reset_differences(env)
        if not hasattr(env, "metadata"):
            self.differences.append("it has no metadata")
        bare = env.unwrapped
        if not hasattr(bare, "_was_done_step"):  # the name of _was_dead_step before PettingZoo 1.22
            bare._was_done_step = bare._was_dead_step

    def observation_space(self, agent: Agent) -> AnySpace:
        """Return the agent's observation space."""
        return _space(self, "observation_space", agent)

    def action_space(self, agent: Agent) -> AnySpace:
        """Return the agent's action space."""
        return _space(self, "action_space", agent)

    def reset(self, seed: int | None = None, options: Options | None = None) -> None:
        """Start an episode."""
        call_reset(self.env, seed, options)
        self._split_dones()

    def step(self, action: Action) -> None:
        """Take the step of the agent whose turn it is."""
        self.env.step(action)
        self._split_dones()

    def _split_dones(self) -> None:
        """Give the environment the two flags that PettingZoo reads."""
        bare = self.env.unwrapped
        if hasattr(bare, "dones"):
            note(self.differences, "it has dones instead of terminations and truncations")
            bare.terminations = bare.dones  # the same dict: an agent is removed from both
            bare.truncations = dict.fromkeys(bare.dones, False)


def _space(adapter: UserEnv, name: str, agent: Agent) -> AnySpace:
    """Return an agent's space, of Gymnasium's classes, the same object on every call."""
    spaces = adapter._spaces
    if (name, agent) not in spaces:
        spaces[name, agent] = gymnasium_space(_own_space(adapter.env, name, agent))
    return spaces[name, agent]


def _own_space(env: UserEnv, name: str, agent: Agent) -> AnySpace:
    """Return an agent's space: of the method `name`, or from the dict of earlier versions."""
    method = getattr(type(env), name, None)
    spaces = getattr(env, f"{name}s", None)
    if (method is None or method in _INHERITED) and isinstance(spaces, Mapping):
        return spaces[agent]  # PettingZoo's method would do so too, and warn
    return getattr(env, name)(agent)
