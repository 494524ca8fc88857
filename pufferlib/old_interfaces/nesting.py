"""Walk through the wrappers of an environment, of any package, and find where a name is defined."""

from collections.abc import Iterator

import pettingzoo

from pufferlib.annotations import UserEnv

# Their methods and `__getattr__` pass on what the wrapped environment has.
_BASE_CLASSES = (
    object,
    pettingzoo.AECEnv,
    pettingzoo.ParallelEnv,
    pettingzoo.utils.BaseParallelWrapper,
    pettingzoo.utils.BaseWrapper,
)


def wrapped_envs(env: UserEnv) -> Iterator[UserEnv]:
    """Yield `env`, the environment that it wraps, and so on to the innermost."""
    seen: list[UserEnv] = []
    while callable(getattr(env, "step", None)) and not any(env is each for each in seen):
        yield env
        seen.append(env)
        own = getattr(env, "__dict__", {})
        env = own.get("env", own.get("aec_env"))


def declares(env: UserEnv, name: str) -> bool:
    """Return whether `env` itself has `name`, if only as a property that cannot be read."""
    classes = [each for each in type(env).__mro__ if each not in _BASE_CLASSES]
    return any(name in getattr(each, "__dict__", {}) for each in (env, *classes))


def defines(env: UserEnv, name: str, settable: bool = False) -> bool:
    """Return whether `env` has `name` itself, rather than passes on that of another.

    Args:
        env: a wrapper or an environment.
        name: of an attribute.
        settable: a property without a setter does not count.
    """
    if name in getattr(env, "__dict__", {}):
        return True
    for each in type(env).__mro__:
        if name in vars(each) and each not in _BASE_CLASSES:
            found = vars(each)[name]
            is_read_only = isinstance(found, property) and found.fset is None
            return hasattr(env, name) and not (settable and is_read_only)
    return False
