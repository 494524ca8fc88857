"""Convert any supported environment to a `PufferEnv`, the interface that is vectorized."""

import gymnasium
import pettingzoo

from pufferlib.annotations import UserEnv
from pufferlib.emulation.multi import PettingZooPufferEnv
from pufferlib.emulation.multi_rows import PettingZooRows
from pufferlib.emulation.native_multi import NativeParallelEnv
from pufferlib.emulation.native_single import NativeGymnasiumEnv
from pufferlib.emulation.next_step import NextStepPettingZooRows
from pufferlib.emulation.rows import EmulatedRows
from pufferlib.emulation.single import GymnasiumPufferEnv, GymnasiumRows
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.old_interfaces import adapted


def native(env: UserEnv, same_step: bool = True) -> PufferEnv:
    """Return `env` as a `PufferEnv`, wrapping a bare Gymnasium or PettingZoo environment.

    Interfaces of earlier versions are adapted: see `pufferlib.wrappers.OldGymEnv`. From the result
    of `to_gymnasium` or `to_pettingzoo`, the native environment inside is returned.

    Args:
        env: the environment.
        same_step: the step that ends an episode starts the next one. If False, the step after it
            does, in Gymnasium and PettingZoo environments; a `PufferEnv` is returned unchanged.

    Raises:
        ArgumentError: if `env` has another type.
    """
    env = adapted(env)
    if isinstance(env, EmulatedRows) and not same_step:
        env = env.env
    if isinstance(env, PufferEnv):
        return env
    if isinstance(env, (NativeGymnasiumEnv, NativeParallelEnv)):
        return env.env
    if isinstance(env, (pettingzoo.ParallelEnv, pettingzoo.AECEnv)):
        env = env if isinstance(env, PettingZooPufferEnv) else PettingZooPufferEnv(env)
        return PettingZooRows(env) if same_step else NextStepPettingZooRows(env)
    if isinstance(env, gymnasium.Env):
        env = env if isinstance(env, GymnasiumPufferEnv) else GymnasiumPufferEnv(env)
        return GymnasiumRows(env, same_step)
    raise ArgumentError(
        f"An environment must be a gymnasium.Env, a pettingzoo.ParallelEnv or AECEnv, or a "
        f"PufferEnv; got {type(env).__module__}.{type(env).__name__}. Any other object with reset, "
        f"step, observation_space and action_space, or possible_agents, is adapted if it is one "
        f"environment, not a vectorized one."
    )
