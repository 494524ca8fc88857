"""Adapt single-agent environments with the interface of an earlier gym or Gymnasium."""

from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.utils.step_api_compatibility import convert_to_terminated_truncated_step_api

from pufferlib.annotations import (
    Action,
    GymnasiumReset,
    GymnasiumStep,
    Observation,
    Options,
    Rendered,
    UserEnv,
)
from pufferlib.old_interfaces.gym_spaces import gymnasium_space
from pufferlib.old_interfaces.nesting import defines, wrapped_envs
from pufferlib.old_interfaces.reset import call_reset, note, parameters_of, reset_differences
from pufferlib.spaces import difference

# The adapter copies these when it is made.
_COPIED = ("action_space", "metadata", "observation_space", "render_mode")


class OldGymEnv(gymnasium.Env[Observation, Action]):
    """A Gymnasium environment made from one with the interface of an earlier gym or Gymnasium.

    `reset` may lack the arguments seed and options, and may return the observation alone. `step`
    may return (observation, reward, done, info): done becomes terminated, or truncated if
    `info["TimeLimit.truncated"]` is true. A seed that `reset` does not take goes to `env.seed`, or
    to the `np_random` of a `gymnasium.Env`; otherwise it has no effect.

    Spaces of gym become the equal ones of Gymnasium. All other attributes are those of `env`.

    Args:
        env: has `reset`, `step`, `observation_space` and `action_space`.
        render_mode: passed to a `render` that takes a mode; None means "rgb_array" if the metadata
            list it.

    Attributes:
        differences: what is adapted, as far as it has occurred.
    """

    def __init__(self, env: UserEnv, render_mode: str | None = None) -> None:
        self.env = env
        self.observation_space = gymnasium_space(env.observation_space)
        self.action_space = gymnasium_space(env.action_space)
        self.metadata = _renamed(getattr(env, "metadata", None) or {})
        self.render_mode = render_mode or getattr(env, "render_mode", None)
        self._takes_mode = "mode" in parameters_of(getattr(env, "render", None))
        if self._takes_mode and self.render_mode is None:
            modes = self.metadata["render_modes"]
            self.render_mode = "rgb_array" if "rgb_array" in modes else None
        self.differences = [] if _is_gymnasium(env) else ["it is not a gymnasium.Env"]
        self.differences += reset_differences(env)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the environment inside."""
        if name == "env" or name.startswith("__"):  # looked up while a copy is made
            raise AttributeError(name)
        env = self.env
        return env.get_wrapper_attr(name) if _is_gymnasium(env) else getattr(env, name)

    def set_wrapper_attr(self, name: str, value: Any, *, force: bool = True) -> bool:
        """Set an attribute where it is defined, on a wrapper inside or on the environment.

        Args:
            name: of the attribute.
            value: of the attribute.
            force: set a name that is not defined on the innermost environment.

        Returns:
            Whether it was set.
        """
        is_copied = name in _COPIED
        if is_copied:
            setattr(self, name, value)
        if _is_gymnasium(self.env):
            is_set = self.env.set_wrapper_attr(name, value, force=force and not is_copied)
            return is_set or is_copied
        inner = list(wrapped_envs(self.env))
        place = next((env for env in inner if defines(env, name, settable=True)), inner[-1])
        if hasattr(place, name) or (force and not is_copied):
            setattr(place, name, value)
            return True
        return is_copied

    @property
    def np_random(self) -> Any:
        """The generator of the environment, or of this adapter if the environment has none."""
        return self.env.np_random if hasattr(self.env, "np_random") else super().np_random

    @np_random.setter
    def np_random(self, value: Any) -> None:
        if hasattr(self.env, "np_random"):
            self.env.np_random = value
        else:
            self._np_random, self._np_random_seed = value, -1

    @property
    def np_random_seed(self) -> Any:
        """The seed of the environment's generator, or of the adapter's; -1 if it is not known."""
        if hasattr(self.env, "np_random"):
            return getattr(self.env, "np_random_seed", -1)
        return super().np_random_seed

    @property
    def spec(self) -> Any:
        """The environment's; None if it has none."""
        return getattr(self.env, "spec", None)

    @spec.setter
    def spec(self, value: Any) -> None:
        self.env.spec = value

    @property
    def unwrapped(self) -> Any:
        """The innermost gymnasium.Env: this one around an environment of another class."""
        return self.env.unwrapped if _is_gymnasium(self.env) else self

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> GymnasiumReset:
        """Start an episode; return (observation, info)."""
        super().reset(seed=seed)  # the generator for an environment without one
        result = call_reset(self.env, seed, options)
        is_pair = isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)
        if is_pair and difference(result, self.observation_space) is not None:
            return result
        note(self.differences, "reset returns no info")
        return result, {}

    def step(self, action: Action) -> GymnasiumStep:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        result: Any = self.env.step(action)
        if isinstance(result, (tuple, list)) and len(result) == 4:
            note(self.differences, "step returns done instead of terminated and truncated")
            observation, reward, done, info = result
            result = convert_to_terminated_truncated_step_api((observation, reward, done, info))
        return result

    def render(self) -> Rendered:
        """Return the environment's rendering."""
        if not self._takes_mode:
            return self.env.render()
        return None if self.render_mode is None else self.env.render(mode=self.render_mode)

    def close(self) -> None:
        """Close the environment."""
        if hasattr(self.env, "close"):
            self.env.close()

    def __str__(self) -> str:
        return f"<{type(self).__name__}{self.env}>"


def _is_gymnasium(env: UserEnv) -> bool:
    return isinstance(env, gymnasium.Env)


def _renamed(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata under today's names; gym before 0.22 had others."""
    names = {"render.modes": "render_modes", "video.frames_per_second": "render_fps"}
    return {"render_modes": [], **{names.get(name, name): metadata[name] for name in metadata}}
