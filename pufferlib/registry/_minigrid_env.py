"""A wrapper for MiniGrid tasks: the mission as bounded text, and success."""

import gymnasium
from gymnasium.spaces import Dict, Text

from pufferlib.annotations import (
    Action,
    AnySpace,
    GymnasiumEnv,
    GymnasiumReset,
    GymnasiumStep,
    GymnasiumWrapper,
    Observation,
    Options,
)
from pufferlib.wrappers.silencing import silent


class Mission(GymnasiumWrapper, gymnasium.utils.RecordConstructorArgs):
    """Observe the mission as a Text, or not at all; report `success` at an episode's end.

    BabyAI samples missions until one can be fulfilled, and prints each that cannot; the output is
    suppressed here.

    Args:
        env: a MiniGrid or BabyAI environment.
        characters: that the mission is written in; None leaves it out.
        max_length: of the mission, in characters.
    """

    def __init__(self, env: GymnasiumEnv, characters: str | None, max_length: int) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(
            self, characters=characters, max_length=max_length
        )
        gymnasium.Wrapper.__init__(self, env)
        space: AnySpace = env.observation_space
        parts = {key: part for key, part in space.spaces.items() if key != "mission"}
        if characters is not None:
            parts["mission"] = Text(max_length, min_length=0, charset=characters)
        self.observation_space = Dict(parts)
        self._reads = characters is not None
        self._prints = env.spec is not None and env.spec.id.startswith("BabyAI")

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> GymnasiumReset:
        """Start an episode; return (observation, info)."""
        if self._prints:
            with silent():
                observation, info = self.env.reset(seed=seed, options=options)
        else:
            observation, info = self.env.reset(seed=seed, options=options)
        return self._bounded(observation), info

    def step(self, action: Action) -> GymnasiumStep:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            # Lava, a wrong object and a collision end an episode with a reward of 0 or less.
            info = dict(info, success=float(terminated and float(reward) > 0))
        return self._bounded(observation), reward, terminated, truncated, info

    def _bounded(self, observation: Observation) -> Observation:
        if self._reads:
            return observation
        return {key: part for key, part in observation.items() if key != "mission"}
