"""Ocean: small environments of our own, each of which tests one thing that trainers get wrong.

Source: this package   Licence: MIT
Install: part of pufferlib
Tasks: `squared` (Box(0 .. 1), Discrete(8)): does anything learn at all? See each task's own module.
Native: `num_agents` games are stepped in one NumPy call. Deterministic under a seed.
"""

from typing import Any

from pufferlib.registry._family import Family, creator_of, lazily

FAMILY = Family(name="ocean", package=None, default="squared", tasks=("squared",))
__getattr__ = lazily(Policy="pufferlib.models:Default")


def make_env(name: str = FAMILY.default, **kwargs: Any) -> Any:
    """Return the task `name`, a native `PufferEnv`.

    Args:
        name: one of `FAMILY.tasks`.
        **kwargs: passed to its class: `num_agents`, how many games it steps, and its own.
    """
    FAMILY.check(name)
    from pufferlib.registry.ocean.squared import Squared

    return {"squared": Squared}[name](**kwargs)


env_creator = creator_of(FAMILY, make_env)
