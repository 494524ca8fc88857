"""Apply a user's function to the observations or rewards of an environment."""

from collections.abc import Callable
from typing import SupportsFloat

import gymnasium
import pettingzoo

from pufferlib.annotations import (
    Action,
    Agent,
    GymnasiumEnv,
    GymnasiumStep,
    GymnasiumWrapper,
    Observation,
    Options,
    ParallelReset,
    ParallelStep,
    Space,
    UserEnv,
)
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError
from pufferlib.old_interfaces import adapted
from pufferlib.wrappers._arguments import check_callable, described, is_parallel_env

Shaper = Callable[[Observation, Action, Info], SupportsFloat]


def featurize(
    env: UserEnv, feature: Callable[[Observation], Observation], observation_space: Space
) -> UserEnv:
    """Return `env` with every observation replaced by `feature(observation)`.

    >>> import numpy as np
    >>> space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    >>> env = featurize(gymnasium.make("CartPole-v1"), lambda observation: observation[2:], space)
    >>> env.reset(seed=0)[0].shape
    (2,)

    Args:
        env: a Gymnasium or PettingZoo parallel environment.
        feature: called with one observation, of any agent. It returns a value of
            `observation_space`, which may be a view.
        observation_space: the space of `feature`'s results, for every agent.

    Raises:
        ArgumentError: if `env` is of another kind, `feature` is not callable, or
            `observation_space` is not a space.
    """
    env = adapted(env)
    is_parallel = is_parallel_env(env, "featurize")
    check_callable(feature, "feature", "a function of one observation")
    if not isinstance(observation_space, gymnasium.Space):
        raise ArgumentError(
            f"observation_space must be a gymnasium.Space, got {described(observation_space)}. "
            f"Pass the space of feature's results."
        )
    if is_parallel:
        return FeaturizedAgents(env, feature, observation_space)
    return gymnasium.wrappers.TransformObservation(env, feature, observation_space)


class FeaturizedAgents(pettingzoo.utils.BaseParallelWrapper):
    """The result of `featurize` for a PettingZoo environment."""

    def __init__(
        self, env: UserEnv, feature: Callable[[Observation], Observation], space: Space
    ) -> None:
        super().__init__(env)
        self._feature, self._space = feature, space

    def observation_space(self, agent: Agent) -> Space:
        return self._space

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> ParallelReset[Agent]:
        observations, infos = super().reset(seed=seed, options=options)
        return self._featurized(observations), infos

    def step(self, actions: dict[Agent, Action]) -> ParallelStep[Agent]:
        observations, *rest = super().step(actions)
        return self._featurized(observations), *rest

    def _featurized(self, observations: dict[Agent, Observation]) -> dict[Agent, Observation]:
        return {agent: self._feature(observation) for agent, observation in observations.items()}


def shape_reward(env: UserEnv, shaper: Shaper) -> UserEnv:
    """Return `env` with every reward replaced by `shaper(reward, observation, info)`.

    Args:
        env: a Gymnasium or PettingZoo parallel environment.
        shaper: called with one agent's reward for a step, its next observation (None if the
            environment returned none for the agent) and its info. Returns the new reward.

    Raises:
        ArgumentError: if `env` is of another kind, or `shaper` is not callable.
    """
    env = adapted(env)
    is_parallel = is_parallel_env(env, "shape_reward")
    check_callable(shaper, "shaper", "a function of a reward, an observation and an info")
    return ShapedRewards(env, shaper) if is_parallel else ShapedReward(env, shaper)


# gymnasium.wrappers.TransformReward passes only the reward to its function.
class ShapedReward(GymnasiumWrapper, gymnasium.utils.RecordConstructorArgs):
    """The result of `shape_reward` for a Gymnasium environment."""

    def __init__(self, env: GymnasiumEnv, shaper: Shaper) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, _disable_deepcopy=True, shaper=shaper)
        gymnasium.Wrapper.__init__(self, env)
        self._shaper = shaper

    def step(self, action: Action) -> GymnasiumStep:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, self._shaper(reward, observation, info), terminated, truncated, info


class ShapedRewards(pettingzoo.utils.BaseParallelWrapper):
    """The result of `shape_reward` for a PettingZoo environment."""

    def __init__(self, env: UserEnv, shaper: Shaper) -> None:
        super().__init__(env)
        self._shaper = shaper

    def step(self, actions: dict[Agent, Action]) -> ParallelStep[Agent]:
        observations, rewards, *flags, infos = super().step(actions)
        shaped = {
            agent: self._shaper(reward, observations.get(agent), infos.get(agent, {}))
            for agent, reward in rewards.items()
        }
        return observations, shaped, *flags, infos
