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
from pufferlib.old_interfaces.reset import call_reset, note, parameters_of, reset_differences
from pufferlib.spaces import difference


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
        self.differences = [] if isinstance(env, gymnasium.Env) else ["it is not a gymnasium.Env"]
        self.differences += reset_differences(env)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the environment inside."""
        if name == "env" or name.startswith("__"):  # looked up while a copy is made
            raise AttributeError(name)
        return getattr(self.env, name)

    def set_wrapper_attr(self, name: str, value: Any, *, force: bool = True) -> bool:
        """Set an attribute of the environment inside; return True."""
        setattr(self.env, name, value)
        return True

    @property
    def unwrapped(self) -> Any:
        """The innermost gymnasium.Env: this one around an environment of another class."""
        return self.env.unwrapped if isinstance(self.env, gymnasium.Env) else self

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> GymnasiumReset:
        """Start an episode; return (observation, info)."""
        super().reset(seed=seed)
        result = call_reset(self.env, seed, options)
        is_pair = isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)
        if is_pair and difference(result, self.observation_space) is not None:
            return result
        note(self.differences, "reset returns no info")
        return result, {}

    def step(self, action: Action) -> GymnasiumStep:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        result: Any = self.env.step(action)
        if len(result) == 4:
            note(self.differences, "step returns done instead of terminated and truncated")
            result = convert_to_terminated_truncated_step_api(result)
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


def _renamed(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata under today's names; gym before 0.22 had others."""
    names = {"render.modes": "render_modes", "video.frames_per_second": "render_fps"}
    return {"render_modes": [], **{names.get(name, name): metadata[name] for name in metadata}}
