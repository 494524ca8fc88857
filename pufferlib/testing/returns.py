"""Check the number and types of the values that `reset` and `step` return.

A `PufferEnv` returns the rows it is bound to; Gymnasium and PettingZoo environments return values
that the caller may keep.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from pufferlib.annotations import Action, Agent, Array, Observation, UserEnv
from pufferlib.emulation.results import is_number
from pufferlib.environment import Buffers
from pufferlib.testing.breach import breach, require

_ROWS = ("observations", "rewards", "terminals", "truncations")
_STEP = ("observation", "reward", "terminated", "truncated", "info")
_PARALLEL_STEP = ("observations", "rewards", "terminations", "truncations", "infos")


def check_reset_rows(result: Any, rows: Buffers) -> None:
    """Check the result of `PufferEnv.reset`: (observations, infos)."""
    _check_count(result, "reset", ("observations", "infos"))
    _check_are_rows("observations", result[0], rows.observations, "reset")


def check_step_rows(result: Any, rows: Buffers, where: str) -> None:
    """Check the result of `PufferEnv.step`: four of the arrays it is bound to, and infos."""
    _check_count(result, where, (*_ROWS, "infos"))
    for name, given in zip(_ROWS, result, strict=False):
        _check_are_rows(name, given, getattr(rows, name), where)


def _check_are_rows(name: str, given: object, rows: Array, where: str) -> None:
    require(
        isinstance(given, np.ndarray)
        and given.shape == rows.shape
        and (rows.size == 0 or np.shares_memory(given, rows)),
        f"{where} returns {name} that are not the rows it is bound to",
        f"self.{name}, filled in place: self.{name}[:] = ...",
    )


def reset_bare(env: UserEnv, where: str, **seed: int) -> dict[Agent, Observation]:
    """Reset a Gymnasium or PettingZoo environment; return the observations, by agent.

    Args:
        env: the environment.
        where: the name of the call.
        **seed: `seed`, or no argument.
    """
    where, result = f"{where} of {env}", env.reset(**seed)
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


def step_bare(env: UserEnv, action: Action, where: str) -> tuple[dict[Agent, Observation], bool]:
    """Step a Gymnasium or PettingZoo environment once.

    Args:
        env: the environment.
        action: one action; for a PettingZoo environment a dict with those of the living agents.
        where: the name of the call.

    Returns:
        The observations by agent, and whether the episode has ended.
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
    _check_agents_left(env, terminations, truncations, where)
    return dict(observations), not env.agents


# The checks below format their messages only on failure: formatting a result takes longer than the
# step that returned it.


def _check_count(result: Any, where: str, names: tuple[str, ...]) -> None:
    is_tuple = isinstance(result, tuple)
    if not (is_tuple and len(result) == len(names)):
        count = f" of {len(result)}" if is_tuple else ""
        found = f"{where} returns a {type(result).__name__}{count}, {result!r:.80}"
        raise breach(found, f"({', '.join(names)})")


def _check_agents(name: str, of_agents: object, env: UserEnv, where: str) -> None:
    if not isinstance(of_agents, Mapping):
        raise breach(
            f"{where} returns {name} {of_agents!r:.80}",
            "a dict, with a value for each agent that takes part",
        )
    if name not in ("observations", "rewards"):
        return  # flags and infos may have keys for all agents together
    unknown_agents = [agent for agent in of_agents if agent not in env.possible_agents]
    require(
        not unknown_agents,
        f"{where} returns {name} of {', '.join(map(repr, unknown_agents))}",
        "agents of possible_agents, which must list every agent that may take part",
    )


def _check_agents_left(
    env: UserEnv, terminations: Mapping[Agent, Any], truncations: Mapping[Agent, Any], where: str
) -> None:
    ended = [a for a in env.agents if terminations.get(a) or truncations.get(a)]
    if ended:
        raise breach(
            f"{where} reports that {', '.join(map(repr, ended))} ended, and `agents` still lists "
            f"{'them' if len(ended) > 1 else 'it'}",
            "`agents` without the agents that have ended, and empty once all have",
        )


def _check_reward(reward: object, where: str, whose: str = "") -> None:
    if not is_number(reward):
        found = f"{where} returns the reward {reward!r:.80}{whose}"
        raise breach(found, "a number, such as a float")


def _check_flag(name: str, flag: object, where: str, whose: str = "") -> None:
    array = np.asarray(flag)
    if not (array.size == 1 and array.dtype.kind in "biuf"):
        found = f"{where} returns {name} {flag!r:.80}{whose}"
        raise breach(found, "True or False, not text")


def _check_info(info: object, where: str, whose: str = "") -> None:
    if not isinstance(info, Mapping):
        found = f"{where} returns the info {info!r:.80}{whose}"
        raise breach(found, "a dict; {} if there is nothing to report")
