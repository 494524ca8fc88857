"""What a call returns: as many results as are due, each of its kind.

A `PufferEnv` returns the rows it is bound to; Gymnasium and PettingZoo environments, values that
are the caller's to keep.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.environment import Buffers
from pufferlib.testing.breach import breach, require

_ROWS = ("observations", "rewards", "terminals", "truncations")
_STEP = ("observation", "reward", "terminated", "truncated", "info")
_PARALLEL_STEP = ("observations", "rewards", "terminations", "truncations", "infos")


def check_reset_rows(result: Any, rows: Buffers) -> None:
    """Check what `reset` of a `PufferEnv` returns: (observations, infos)."""
    _check_count(result, "reset", ("observations", "infos"))
    _check_are_rows("observations", result[0], rows.observations, "reset")


def check_step_rows(result: Any, rows: Buffers, where: str) -> None:
    """Check what `step` of a `PufferEnv` returns: four of the rows it is bound to, and infos."""
    _check_count(result, where, (*_ROWS, "infos"))
    for name, given in zip(_ROWS, result, strict=False):
        _check_are_rows(name, given, getattr(rows, name), where)


def _check_are_rows(name: str, given: Any, rows: NDArray[Any], where: str) -> None:
    require(
        isinstance(given, np.ndarray)
        and given.shape == rows.shape
        and (rows.size == 0 or np.shares_memory(given, rows)),
        f"{where} returns {name} that are not the rows it is bound to",
        f"self.{name}, filled in place: self.{name}[:] = ...",
    )


def reset_bare(env: Any, where: str, **seed: int) -> dict[Any, Any]:
    """Reset a Gymnasium or PettingZoo environment; return the observations, by agent.

    Args:
        env: the environment.
        where: the name of the call.
        **seed: `seed`, or nothing.
    """
    where = f"{where} of {env}"
    try:
        result = env.reset(**seed)
    except TypeError as error:
        own = getattr(env, "unwrapped", env).reset
        if seed and "seed" not in inspect.signature(own).parameters:
            raise breach(
                f"{where} takes no seed", "reset(self, seed=None, options=None)"
            ) from error
        raise
    if isinstance(env, gymnasium.Env):
        _check_count(result, where, ("observation", "info"))
        _check_info(result[1], where)
        return {0: result[0]}
    _check_count(result, where, ("observations", "infos"))
    for name, of_agents in zip(("observations", "infos"), result, strict=True):
        _check_agents(name, of_agents, env, where)
    for agent, info in result[1].items():
        _check_info(info, where, f" for {agent!r}")
    return dict(result[0])


def step_bare(env: Any, action: Any, where: str) -> tuple[dict[Any, Any], bool]:
    """Step a Gymnasium or PettingZoo environment; return the observations, by agent, and its end.

    Args:
        env: the environment.
        action: one; of a PettingZoo environment those of the living agents.
        where: the name of the call.
    """
    where, result = f"{where} of {env}", env.step(action)
    if isinstance(env, gymnasium.Env):
        _check_count(result, where, _STEP)
        observation, reward, terminated, truncated, info = result
        _check_reward(reward, where)
        _check_flag("terminated", terminated, where)
        _check_flag("truncated", truncated, where)
        _check_info(info, where)
        return {0: observation}, bool(terminated or truncated)
    _check_count(result, where, _PARALLEL_STEP)
    for name, of_agents in zip(_PARALLEL_STEP, result, strict=True):
        _check_agents(name, of_agents, env, where)
    observations, rewards, terminations, truncations, infos = result
    for agent, reward in rewards.items():
        _check_reward(reward, where, f" for {agent!r}")
    for name, flags in (("terminations", terminations), ("truncations", truncations)):
        for agent, flag in flags.items():
            _check_flag(name, flag, where, f" for {agent!r}")
    for agent, info in infos.items():
        _check_info(info, where, f" for {agent!r}")
    return dict(observations), not env.agents


# Told only of what is wrong: the text of a whole result takes longer than the step that gave it.


def _check_count(result: Any, where: str, names: tuple[str, ...]) -> None:
    is_tuple = isinstance(result, tuple)
    if not (is_tuple and len(result) == len(names)):
        count = f" of {len(result)}" if is_tuple else ""
        found = f"{where} returns a {type(result).__name__}{count}, {result!r:.80}"
        raise breach(found, f"({', '.join(names)})")


def _check_agents(name: str, of_agents: Any, env: Any, where: str) -> None:
    if not isinstance(of_agents, Mapping):
        raise breach(
            f"{where} returns {name} {of_agents!r:.80}",
            "a dict, with a value for each agent that takes part",
        )
    if name not in ("observations", "rewards"):
        return  # flags and infos may tell of all agents together
    strangers = [agent for agent in of_agents if agent not in env.possible_agents]
    require(
        not strangers,
        f"{where} returns {name} of {', '.join(map(repr, strangers))}",
        "agents of possible_agents, which hold all that may ever take part",
    )


def _check_reward(reward: Any, where: str, whose: str = "") -> None:
    array = np.asarray(reward)
    is_object = array.dtype.kind == "O" and hasattr(reward, "__float__")  # a Fraction, say
    if not (array.ndim == 0 and (array.dtype.kind in "biuf" or is_object)):
        found = f"{where} returns the reward {reward!r:.80}{whose}"
        raise breach(found, "a number, such as a float")


def _check_flag(name: str, flag: Any, where: str, whose: str = "") -> None:
    array = np.asarray(flag)
    if not (array.size == 1 and array.dtype.kind in "biuf"):
        found = f"{where} returns {name} {flag!r:.80}{whose}"
        raise breach(found, "True or False: any text is true")


def _check_info(info: Any, where: str, whose: str = "") -> None:
    if not isinstance(info, Mapping):
        found = f"{where} returns the info {info!r:.80}{whose}"
        raise breach(found, "a dict; {} where there is nothing to tell")
