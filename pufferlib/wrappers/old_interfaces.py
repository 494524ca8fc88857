"""Recognize and explain environments with interfaces of earlier versions of gym and PettingZoo."""

import inspect
from collections.abc import Iterator
from typing import Any

import gymnasium
import pettingzoo

from pufferlib.annotations import Options, UserEnv
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ContractError
from pufferlib.wrappers._old_reset import has_old_reset, reset_differences
from pufferlib.wrappers.old_gym import OldGymEnv
from pufferlib.wrappers.old_pettingzoo import OldAECEnv, OldParallelEnv


def adapted(env: UserEnv) -> UserEnv:
    """Return `env`, or an adapter around it if it has the interface of an earlier version.

    It is recognized by the arguments of its `reset`, or because it has the methods of an
    environment and not its base class. Anything else is returned unchanged.
    """
    if inspect.isclass(env) or isinstance(env, PufferEnv):
        return env
    if isinstance(env, gymnasium.Env):
        return OldGymEnv(env) if has_old_reset(env) else env
    if isinstance(env, pettingzoo.AECEnv):
        is_old = has_old_reset(env) or not hasattr(env, "metadata")
        return OldAECEnv(env) if is_old else env
    if isinstance(env, pettingzoo.ParallelEnv):
        return OldParallelEnv(env) if has_old_reset(env) else env
    if not (hasattr(env, "reset") and hasattr(env, "step")) or hasattr(env, "num_envs"):
        return env  # num_envs: several environments
    if hasattr(env, "possible_agents"):
        return OldParallelEnv(env)
    if hasattr(env, "observation_space") and hasattr(env, "action_space"):
        return OldGymEnv(env)
    return env


def old_interfaces(env: UserEnv) -> list[str]:
    """Return a text for each adapter around `env` or inside it: what it has adapted so far."""
    return [
        f"{layer.env} has an old interface: {'; '.join(layer.differences)}. "
        f"pufferlib.wrappers.{type(layer).__name__} adapts it. Update the environment to need no "
        f"adapter."
        for layer in _layers(env)
        if isinstance(layer, (OldGymEnv, OldParallelEnv, OldAECEnv))
    ]


def checked_reset(
    env: UserEnv, seed: int | None = None, options: Options | None = None
) -> tuple[Any, Any]:
    """Return the two results of `env.reset`.

    Raises:
        ContractError: if an environment inside has an old interface that no adapter was chosen for;
            names the adapter.
    """
    try:
        result = env.reset(seed=seed, options=options)
    except (TypeError, AttributeError) as error:
        fault = _fault(getattr(env, "unwrapped", env), error)
        if fault is None:
            raise
        raise _old(env, fault) from error
    if isinstance(result, (tuple, list)) and len(result) == 2:
        return result[0], result[1]
    names = "(observation, info)" if isinstance(env, gymnasium.Env) else "(observations, infos)"
    raise _old(env, f"reset returns {result!r:.80} instead of {names}")


def _fault(bare: UserEnv, error: TypeError | AttributeError) -> str | None:
    """Return what is old about an environment whose `reset` raised `error`; None if nothing is."""
    if isinstance(error, AttributeError):
        has_dones = hasattr(bare, "dones") and not hasattr(bare, "terminations")
        return "it has dones instead of terminations and truncations" if has_dones else None
    if "unexpected keyword argument" in str(error) and has_old_reset(bare):
        return "; ".join(reset_differences(bare))
    return None


def wrong_step(env: UserEnv, result: Any) -> ContractError:
    """Return the error for a result of `env.step` that does not have five parts.

    Args:
        env: the environment; None if it is not known.
        result: what its `step` returned.
    """
    return _old(env, f"step returns {len(result)} results instead of five")


def adapter_for(env: UserEnv) -> str:
    """Return the name of the adapter for an environment of this kind with an old interface."""
    adapter: type = OldGymEnv
    if isinstance(env, pettingzoo.AECEnv):
        adapter = OldAECEnv
    elif hasattr(env, "possible_agents"):
        adapter = OldParallelEnv
    return f"pufferlib.wrappers.{adapter.__name__}"


def _old(env: UserEnv, fault: str) -> ContractError:
    bare = getattr(env, "unwrapped", env)
    name = "The environment" if bare is None else str(bare)
    return ContractError(
        f"{name} has an old interface: {fault}. Update it, or wrap it with {adapter_for(bare)} "
        f"before any other wrapper."
    )


def _layers(env: UserEnv) -> Iterator[UserEnv]:
    """Yield `env` and the environments that it wraps, the outermost first."""
    while env is not None:
        yield env
        attributes = getattr(env, "__dict__", {})
        env = attributes.get("env") or attributes.get("aec_env")
