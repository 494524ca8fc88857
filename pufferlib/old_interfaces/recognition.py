"""Recognize and explain environments with interfaces of earlier versions of gym and PettingZoo."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import gymnasium
import pettingzoo

from pufferlib.annotations import Options, UserEnv
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ContractError
from pufferlib.old_interfaces.gym import OldGymEnv
from pufferlib.old_interfaces.pettingzoo import OldAECEnv, OldParallelEnv
from pufferlib.old_interfaces.reset import has_old_reset, reset_differences

_NOT_FIVE = r"values to unpack \(expected 5|cannot unpack non-iterable"


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
        if isinstance(layer, (OldGymEnv, OldParallelEnv, OldAECEnv)) and layer.differences
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


def five_results(env: UserEnv, result: Any) -> Any:
    """Return `result`, which `env.step` returned.

    Args:
        env: the environment; None if it is not known.
        result: what its `step` returned.

    Raises:
        ContractError: it does not have five parts; names the adapter if it has another number.
    """
    try:
        number = len(result)
    except TypeError:
        raise _wrong_step(env, f"returned {result!r:.80} instead of five results") from None
    if number != 5:
        raise _old(env, f"step returns {number} results instead of five")
    return result


def explain_step(env: UserEnv, error: TypeError | ValueError) -> None:
    """Raise a clearer error if a wrapper inside `env` could not unpack five results of `step`.

    Args:
        env: the environment whose `step` raised.
        error: what it raised.

    Raises:
        ContractError: from `error`; names the adapter if there were four results.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None or not re.search(_NOT_FIVE, str(error)):
        return
    frame, bare = traceback.tb_frame, getattr(env, "unwrapped", env)
    layer = frame.f_locals.get("self")
    if frame.f_code.co_name != "step" or layer is bare or not hasattr(layer, "env"):
        return  # not a wrapper that unpacks the results of the environment inside
    if str(error).endswith("got 4)"):
        raise _old(env, "step returns 4 results instead of five") from error
    raise _wrong_step(env, f"does not return five results: {error}") from error


def adapter_for(env: UserEnv) -> str:
    """Return the name of the adapter for an environment of this kind with an old interface."""
    adapter: type = OldGymEnv
    if isinstance(env, pettingzoo.AECEnv):
        adapter = OldAECEnv
    elif hasattr(env, "possible_agents"):
        adapter = OldParallelEnv
    return f"pufferlib.wrappers.{adapter.__name__}"


def _wrong_step(env: UserEnv, fault: str) -> ContractError:
    bare = getattr(env, "unwrapped", env)
    name = "the environment" if bare is None else str(bare)
    names = "(observation, reward, terminated, truncated, info)"
    if hasattr(bare, "possible_agents"):
        names = "(observations, rewards, terminations, truncations, infos), each a dict by agent"
    return ContractError(f"step of {name} {fault}. Return {names}.")


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
