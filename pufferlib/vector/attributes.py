"""Find, read and set attributes of an environment through its wrappers.

| environment | a name is looked up in | a new name is set on |
|---|---|---|
| Gymnasium | the outermost wrapper that has it (`Env.get_wrapper_attr`) | the outermost wrapper |
| PettingZoo | the outermost wrapper that defines it | `unwrapped` |
| `PufferEnv` | the environment | the environment |

Emulation counts as none of the wrappers: only its public names can be read, where the environment
has no attribute of that name, and nothing is ever set on it. `OldGymEnv` passes names on to the
environment inside, through wrappers of gym.
"""

from typing import Any

import gymnasium

from pufferlib.annotations import UserEnv
from pufferlib.emulation.multi import PettingZooPufferEnv
from pufferlib.emulation.single import GymnasiumPufferEnv
from pufferlib.environment import PufferEnv
from pufferlib.old_interfaces import OldGymEnv
from pufferlib.old_interfaces.nesting import declares, defines, wrapped_envs

# PettingZoo's wrappers copy these from the environment when they are made.
_COPIED = ("metadata", "render_mode", "state_space")


def own_env(env: PufferEnv) -> UserEnv:
    """Return the environment inside emulation, with its author's wrappers; else `env.user_env`."""
    return env.user_env.env if _is_emulated(env) else env.user_env


def base_env(env: PufferEnv) -> UserEnv:
    """Return the environment without any wrapper, not even an adapter for an old interface."""
    own = own_env(env)
    base = getattr(own, "unwrapped", own)
    if isinstance(base, OldGymEnv):  # around an environment of another class
        inner = base.env
        *_, base = wrapped_envs(getattr(inner, "unwrapped", inner))
    return base


def has_attribute(env: PufferEnv, name: str) -> bool:
    """Return whether `get_attribute` finds `name`."""
    return _place(env, name) is not None


def is_missing(env: PufferEnv, name: str) -> bool:
    """Return whether neither the environment nor a wrapper has `name`, readable or not."""
    is_declared = any(declares(each, name) for each in wrapped_envs(own_env(env)))
    return not is_declared and not has_attribute(env, name)


def get_attribute(env: PufferEnv, name: str) -> Any:
    """Return the attribute `name` of an environment.

    Raises:
        AttributeError: neither the environment nor a wrapper has it; or what its property raises.
    """
    place = _place(env, name)
    if place is None:
        for each in wrapped_envs(own_env(env)):
            if declares(each, name):  # a property that raises AttributeError
                return getattr(each, name)
        raise AttributeError(f"{own_env(env)} has no attribute {name!r}")
    return place.get_wrapper_attr(name) if _is_gymnasium(place) else getattr(place, name)


def set_attribute(env: PufferEnv, name: str, value: object) -> None:
    """Set the attribute `name` of an environment, where it is stored.

    Raises:
        AttributeError: it cannot be set.
    """
    own = own_env(env)
    if _is_gymnasium(own):
        own.set_wrapper_attr(name, value)
        return
    places = [each for each in wrapped_envs(own) if defines(each, name, settable=True)]
    places = places or [base_env(env)]
    for place in places if name in _COPIED else places[:1]:
        setattr(place, name, value)


def _place(env: PufferEnv, name: str) -> UserEnv | None:
    """Return the object from which to read `name`, or None."""
    own = own_env(env)
    if _is_gymnasium(own):
        if own.has_wrapper_attr(name):
            return own
    else:
        wrapped = list(wrapped_envs(own))
        for place in wrapped:
            if defines(place, name):
                return place
        for place in wrapped:  # found by its `__getattr__`, or inherited
            if hasattr(place, name):
                return place
    if _is_emulated(env) and not name.startswith("_") and hasattr(env.user_env, name):
        return env.user_env
    return None


def _is_gymnasium(env: UserEnv) -> bool:
    return isinstance(env, gymnasium.Env)


def _is_emulated(env: PufferEnv) -> bool:
    return isinstance(env.user_env, (GymnasiumPufferEnv, PettingZooPufferEnv))
