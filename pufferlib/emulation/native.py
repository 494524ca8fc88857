"""Convert any supported environment to a `PufferEnv`, the interface that is vectorized."""

import gymnasium
import pettingzoo

from pufferlib.annotations import UserEnv
from pufferlib.emulation.multi import PettingZooPufferEnv, PettingZooRows
from pufferlib.emulation.native_multi import NativeParallelEnv
from pufferlib.emulation.native_single import NativeGymnasiumEnv
from pufferlib.emulation.single import GymnasiumPufferEnv, GymnasiumRows
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.old_interfaces import adapted


def native(env: UserEnv) -> PufferEnv:
    """Return `env` as a `PufferEnv`, wrapping a bare Gymnasium or PettingZoo environment.

    Interfaces of earlier versions are adapted: see `pufferlib.wrappers.OldGymEnv`. From the result
    of `to_gymnasium` or `to_pettingzoo`, the native environment inside is returned.

    Raises:
        ArgumentError: if `env` has another type.
    """
    env = adapted(env)
    if isinstance(env, PufferEnv):
        return env
    if isinstance(env, (NativeGymnasiumEnv, NativeParallelEnv)):
        return env.env
    if isinstance(env, (pettingzoo.ParallelEnv, pettingzoo.AECEnv)):
        env = env if isinstance(env, PettingZooPufferEnv) else PettingZooPufferEnv(env)
        return PettingZooRows(env)
    if isinstance(env, gymnasium.Env):
        env = env if isinstance(env, GymnasiumPufferEnv) else GymnasiumPufferEnv(env)
        return GymnasiumRows(env)
    raise ArgumentError(
        f"An environment must be a gymnasium.Env, a pettingzoo.ParallelEnv or AECEnv, or a "
        f"PufferEnv; got {type(env).__module__}.{type(env).__name__}. Any other object with reset, "
        f"step, observation_space and action_space, or possible_agents, is adapted if it is one "
        f"environment, not a vectorized one."
    )
