"""`Binding` of PufferLib 0.2: how to make an environment, with hooks, statistics and silence."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
import pettingzoo

from pufferlib.annotations import Action, Agent, EnvCreator, Observation, Space, UserEnv
from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv
from pufferlib.emulation.creation import creator_arguments
from pufferlib.exceptions import ArgumentError
from pufferlib.old_interfaces import adapted, checked_reset
from pufferlib.wrappers import EpisodeStats, MultiAgentEpisodeStats, make_silent

Hook = Callable[[dict[Agent, Any], int], dict[Agent, Any]]
_ONLY = 1  # the agent of a single-agent environment, as hooks know it


class Binding:
    """How to make an environment; `env_creator()` makes it, flat and with episode statistics.

    Today: a function that wraps the environment, with `pufferlib.wrappers` and
    `pufferlib.emulation`. The three `emulate_` flags have no effect: flattening what is flat
    already costs nothing.

    Args:
        env_cls: class of the environment, or
        env_creator: a function that returns it.
        default_args: positional arguments for it.
        default_kwargs: keyword arguments for it.
        env_name: its name.
        feature_parser: called with the observations by agent, and how many steps the episode has
            taken; returns others, always of the same shapes. The agent of a single-agent
            environment is 1.
        reward_shaper: the same for rewards.
        emulate_flat_obs: without effect.
        emulate_flat_atn: without effect.
        emulate_const_horizon: truncate episodes at so many steps.
        emulate_const_num_agents: without effect.
        suppress_env_prints: silence the environment; see `pufferlib.wrappers.silence`.
        record_episode_statistics: report `episode_return` and `episode_length` in `info`.

    Raises:
        ArgumentError: both or neither of `env_cls` and `env_creator` are given.
    """

    def __init__(
        self,
        env_cls: type | None = None,
        env_creator: EnvCreator | None = None,
        default_args: Sequence[object] = (),
        default_kwargs: Mapping[str, object] | None = None,
        env_name: str | None = None,
        feature_parser: Hook | None = None,
        reward_shaper: Hook | None = None,
        emulate_flat_obs: bool = True,
        emulate_flat_atn: bool = True,
        emulate_const_horizon: int | None = None,
        emulate_const_num_agents: bool = True,
        suppress_env_prints: bool = True,
        record_episode_statistics: bool = True,
    ) -> None:
        creator = env_cls or env_creator
        if creator is None or (env_cls and env_creator):
            raise ArgumentError("Binding takes either env_cls or env_creator.")
        self.env_name = env_name
        self._creator = make_silent(creator) if suppress_env_prints else creator
        self._arguments = creator_arguments(default_args, default_kwargs)
        self._hooks = (feature_parser, reward_shaper, emulate_const_horizon)
        self._has_statistics = record_episode_statistics

    def raw_env_creator(self) -> UserEnv:
        """Return a new environment as its author wrote it, but silent."""
        args, kwargs = self._arguments
        return self._creator(*args, **kwargs)

    def env_creator(self) -> GymnasiumPufferEnv | PettingZooPufferEnv:
        """Return a new environment, emulated."""
        env = adapted(self.raw_env_creator())
        is_single = isinstance(env, gymnasium.Env)
        if not is_single and isinstance(env, pettingzoo.AECEnv):
            env = pettingzoo.utils.aec_to_parallel(env)
        if any(hook is not None for hook in self._hooks):
            env = (_HookedEnv if is_single else _HookedAgents)(env, *self._hooks)
        if self._has_statistics:
            env = EpisodeStats(env) if is_single else MultiAgentEpisodeStats(env)
        return GymnasiumPufferEnv(env) if is_single else PettingZooPufferEnv(env)

    @cached_property
    def _env(self) -> Any:
        env = self.env_creator()
        env.close()
        return env

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the environment: each process makes its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_env"}

    @property
    def single_observation_space(self) -> gymnasium.spaces.Box:
        """The flat observation space of one agent."""
        return self._env.single_observation_space

    @property
    def single_action_space(self) -> Space:
        """The flat action space of one agent."""
        return self._env.single_action_space

    @property
    def raw_single_observation_space(self) -> Space:
        """The observation space of one agent, after the hooks."""
        return self._env.observation_layout.original

    @property
    def raw_single_action_space(self) -> Space:
        """The action space of one agent."""
        return self._env.action_layout.original

    @property
    def max_agents(self) -> int:
        """How many agents may take part."""
        return len(getattr(self._env, "possible_agents", [_ONLY]))


class _Hooks:
    """The hooks of one environment, and the steps of its episode."""

    def __init__(
        self, feature_parser: Hook | None, reward_shaper: Hook | None, horizon: int | None
    ) -> None:
        self._parse, self._shape, self._horizon = feature_parser, reward_shaper, horizon
        self.steps = 0

    def features(self, observations: dict[Agent, Observation]) -> dict[Agent, Observation]:
        return self._parse(observations, self.steps) if self._parse else observations

    def rewards(self, rewards: dict[Agent, Any]) -> dict[Agent, Any]:
        return self._shape(rewards, self.steps) if self._shape else rewards

    @property
    def is_cut_off(self) -> bool:
        return self._horizon is not None and self.steps >= self._horizon

    def spaces(self, spaces: dict[Agent, Space]) -> dict[Agent, Space]:
        """Return the spaces of what the feature parser makes of samples of all `spaces`."""
        if self._parse is None:
            return spaces
        features = self._parse({agent: _sample(space) for agent, space in spaces.items()}, 0)
        return {agent: _space_like(features[agent]) for agent in spaces}


def _sample(space: Space) -> Observation:
    """Return the same sample of `space` every time; its random state stays as it is."""
    copied = copy.deepcopy(space)
    copied.seed(0)
    return copied.sample()


def _space_like(value: Observation) -> Space:
    """Return a space without bounds whose values are like `value`."""
    if isinstance(value, Mapping):
        return gymnasium.spaces.Dict({key: _space_like(part) for key, part in value.items()})
    if isinstance(value, tuple):
        return gymnasium.spaces.Tuple([_space_like(part) for part in value])
    array = np.asarray(value)
    low, high = (0.0, 1.0) if array.dtype == np.bool_ else (-np.inf, np.inf)
    if array.dtype.kind in "iu":
        low, high = np.iinfo(array.dtype).min, np.iinfo(array.dtype).max
    return gymnasium.spaces.Box(low, high, array.shape, array.dtype.type)


class _HookedEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env: UserEnv, *hooks: Any) -> None:
        super().__init__(env)
        self._hooks = _Hooks(*hooks)
        self.observation_space = self._hooks.spaces({_ONLY: env.observation_space})[_ONLY]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        observation, info = checked_reset(self.env, seed, options)
        self._hooks.steps = 0
        return self._hooks.features({_ONLY: observation})[_ONLY], info

    def step(self, action: Action) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._hooks.steps += 1
        observation = self._hooks.features({_ONLY: observation})[_ONLY]
        reward = self._hooks.rewards({_ONLY: reward})[_ONLY]
        return observation, reward, terminated, truncated or self._hooks.is_cut_off, info


class _HookedAgents(pettingzoo.utils.BaseParallelWrapper):
    def __init__(self, env: UserEnv, *hooks: Any) -> None:
        super().__init__(env)
        self._hooks = _Hooks(*hooks)
        self.observation_spaces = self._hooks.spaces(
            {agent: env.observation_space(agent) for agent in env.possible_agents}
        )

    @property
    def agents(self) -> list[Agent]:
        return [] if self._hooks.is_cut_off else self.env.agents

    def observation_space(self, agent: Agent) -> Space:
        return self.observation_spaces[agent]

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        observations, infos = super().reset(seed=seed, options=options)
        self._hooks.steps = 0
        return self._hooks.features(observations), infos

    def step(self, actions: dict[Agent, Action]) -> tuple[Any, ...]:
        observations, rewards, terminations, truncations, infos = super().step(actions)
        self._hooks.steps += 1
        if self._hooks.is_cut_off:
            truncations = dict.fromkeys(truncations, True)
        observations, rewards = self._hooks.features(observations), self._hooks.rewards(rewards)
        return observations, rewards, terminations, truncations, infos
