"""Whatever a user's creator returns, as the one kind of environment that is vectorized."""

from typing import Any

import gymnasium
import pettingzoo

from pufferlib.emulation.multi import PettingZooPufferEnv, PettingZooRows
from pufferlib.emulation.single import GymnasiumPufferEnv, GymnasiumRows
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError


def native(env: Any) -> PufferEnv:
    """Return `env` as a `PufferEnv`, wrapping a bare Gymnasium or PettingZoo environment.

    Raises:
        ArgumentError: it is none of these.
    """
    if isinstance(env, PufferEnv):
        return env
    if isinstance(env, (pettingzoo.ParallelEnv, pettingzoo.AECEnv)):
        env = env if isinstance(env, PettingZooPufferEnv) else PettingZooPufferEnv(env)
        return PettingZooRows(env)
    if isinstance(env, gymnasium.Env):
        env = env if isinstance(env, GymnasiumPufferEnv) else GymnasiumPufferEnv(env)
        return GymnasiumRows(env)
    raise ArgumentError(
        f"An environment must be a gymnasium.Env, a pettingzoo.ParallelEnv or AECEnv, or a "
        f"PufferEnv; got {type(env).__module__}.{type(env).__name__}. pufferlib.wrappers adapts "
        f"other interfaces."
    )
