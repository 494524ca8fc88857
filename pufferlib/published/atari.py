"""Atari with the infos of 0.x and 1.0: `pufferlib.environments.atari`."""

from functools import partial
from typing import Any

from pufferlib.annotations import Action, EnvCreator, GymnasiumWrapper, UserEnv
from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.environment import Info
from pufferlib.registry import atari


def make_env(name: str = atari.FAMILY.default, **kwargs: Any) -> UserEnv:
    """Return a game as `pufferlib.registry.atari.make_env` does, with more infos at its end.

    `episode` has its return "r" and its length "l"; `lives` is how many are left. Native games
    (`num_envs`) have the infos of today.
    """
    env = atari.make_env(name, **kwargs)
    return GymnasiumPufferEnv(_GameInfos(env.env)) if isinstance(env, GymnasiumPufferEnv) else env


def env_creator(name: str = atari.FAMILY.default) -> EnvCreator:
    """Return a picklable function that makes the task `name`."""
    atari.FAMILY.check(name)
    return partial(make_env, name)


class _GameInfos(GymnasiumWrapper):
    def step(self, action: Action) -> tuple[Any, Any, bool, bool, Info]:
        *results, info = self.env.step(action)
        if "episode_return" in info:
            episode = {"r": info["episode_return"], "l": info["episode_length"]}
            game: Any = self.env.unwrapped
            info |= {"episode": episode, "lives": game.ale.lives()}
        observation, reward, terminated, truncated = results
        return observation, reward, terminated, truncated, info
