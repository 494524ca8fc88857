"""A function of yours between an environment and whoever plays it."""

from collections.abc import Callable
from typing import Any, SupportsFloat

import gymnasium
import pettingzoo

from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError
from pufferlib.wrappers._arguments import check_callable, described, is_parallel_env

Shaper = Callable[[Any, Any, Info], SupportsFloat]


def featurize(
    env: Any, feature: Callable[[Any], Any], observation_space: gymnasium.Space[Any]
) -> Any:
    """Return `env` with every observation replaced by `feature(observation)`.

    >>> import numpy as np
    >>> space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    >>> env = featurize(gymnasium.make("CartPole-v1"), lambda observation: observation[2:], space)
    >>> env.reset(seed=0)[0].shape
    (2,)

    Args:
        env: a Gymnasium or PettingZoo parallel environment.
        feature: is given one observation, of any agent. It may return a view; what it returns
            should belong to `observation_space`.
        observation_space: of what `feature` returns, for every agent.

    Raises:
        ArgumentError: `env` is no such environment, `feature` cannot be called, or
            `observation_space` is no space.
    """
    is_parallel = is_parallel_env(env, "featurize")
    check_callable(feature, "feature", "a function of one observation")
    if not isinstance(observation_space, gymnasium.Space):
        raise ArgumentError(
            f"observation_space must be a gymnasium.Space, got {described(observation_space)}. "
            f"Give the space of what feature returns."
        )
    if is_parallel:
        return FeaturizedAgents(env, feature, observation_space)
    return gymnasium.wrappers.TransformObservation(env, feature, observation_space)


class FeaturizedAgents(pettingzoo.utils.BaseParallelWrapper):
    """What `featurize` makes of a PettingZoo environment."""

    def __init__(
        self, env: Any, feature: Callable[[Any], Any], space: gymnasium.Space[Any]
    ) -> None:
        super().__init__(env)
        self._feature, self._space = feature, space

    def observation_space(self, agent: Any) -> gymnasium.Space[Any]:
        return self._space

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Any, Any], dict[Any, Info]]:
        observations, infos = super().reset(seed=seed, options=options)
        return self._featurized(observations), infos

    def step(self, actions: dict[Any, Any]) -> tuple[dict[Any, Any], ...]:
        observations, *rest = super().step(actions)
        return self._featurized(observations), *rest

    def _featurized(self, observations: dict[Any, Any]) -> dict[Any, Any]:
        return {agent: self._feature(observation) for agent, observation in observations.items()}


def shape_reward(env: Any, shaper: Shaper) -> Any:
    """Return `env` with every reward replaced by `shaper(reward, observation, info)`.

    Args:
        env: a Gymnasium or PettingZoo parallel environment.
        shaper: is given the reward of a step, the observation after it and its info, those of one
            agent; None where the environment showed the agent nothing. Returns the new reward.

    Raises:
        ArgumentError: `env` is no such environment, or `shaper` cannot be called.
    """
    is_parallel = is_parallel_env(env, "shape_reward")
    check_callable(shaper, "shaper", "a function of a reward, an observation and an info")
    return ShapedRewards(env, shaper) if is_parallel else ShapedReward(env, shaper)


# gymnasium.wrappers.TransformReward shows its function the reward only.
class ShapedReward(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """What `shape_reward` makes of a Gymnasium environment."""

    def __init__(self, env: gymnasium.Env[Any, Any], shaper: Shaper) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, _disable_deepcopy=True, shaper=shaper)
        gymnasium.Wrapper.__init__(self, env)
        self._shaper = shaper

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, Info]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, self._shaper(reward, observation, info), terminated, truncated, info


class ShapedRewards(pettingzoo.utils.BaseParallelWrapper):
    """What `shape_reward` makes of a PettingZoo environment."""

    def __init__(self, env: Any, shaper: Shaper) -> None:
        super().__init__(env)
        self._shaper = shaper

    def step(self, actions: dict[Any, Any]) -> tuple[dict[Any, Any], ...]:
        observations, rewards, *flags, infos = super().step(actions)
        shaped = {
            agent: self._shaper(reward, observations.get(agent), infos.get(agent, {}))
            for agent, reward in rewards.items()
        }
        return observations, shaped, *flags, infos
