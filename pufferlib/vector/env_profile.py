"""What one environment costs, measured in this process before any other is started."""

import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.emulation import native
from pufferlib.environment import PufferEnv

_ACTIONS = 64  # drawn beforehand, and played again and again
_RESETS = 100  # at most, and at least 2
_STATM = Path("/proc/self/statm")
_SCHEDSTAT = Path("/proc/thread-self/schedstat")


@dataclass(frozen=True)
class EnvProfile:
    """What one environment costs under random actions, with emulation and without a vectorizer.

    Attributes:
        num_agents: its rows.
        steps: how many steps were measured; a step is one of all agents.
        step_us: microseconds of a step that ends no episode, mean. If every step ends one: of all.
        step_cv: standard deviation of those by their mean: what a synchronous batch waits for.
        reset_us: microseconds of a reset, mean.
        reset_share: of the time of stepping, in [0, 1]: what steps that end an episode, and begin
            the next, take longer than others. 0 if no episode ended, or one did in every step.
        cpu_share: of the time of stepping that it had a core or needed none, in which it had one:
            well below 1 it waits for something, above 1 it has threads.
        queued_share: of the time of stepping, in which other programs had the core; 0 where that
            cannot be read.
        steps_per_second: of agents, with the resets in between.
        observation_bytes: of a step, all agents together.
        bandwidth_mb_s: observations written, 10^6 bytes a second.
        memory_bytes: what the process grew by for another one, as far as the kernel gave it new
            pages; None where that cannot be read.
    """

    num_agents: int
    steps: int
    step_us: float
    step_cv: float
    reset_us: float
    reset_share: float
    cpu_share: float
    queued_share: float
    steps_per_second: float
    observation_bytes: int
    bandwidth_mb_s: float
    memory_bytes: int | None


def profile(make_env: Callable[[], Any], seconds: float = 1.0) -> EnvProfile:
    """Return what an environment costs.

    Args:
        make_env: returns a PufferEnv or a Gymnasium or PettingZoo environment. Two are made, one
            after the other, and closed.
        seconds: of stepping; resets get a quarter of that.

    Raises:
        Exception: whatever the environment raises, as it is.
    """
    with closing(native(make_env())) as env:
        actions = _draw_actions(env)
        reset_us = _time_resets(env, seconds / 4)
        _step(env, actions, seconds / 4)  # warm-up
        durations_us, ended, cpu_share, queued_share = _step(env, actions, seconds)
        before_bytes = _resident_bytes()
        with closing(native(make_env())) as second:
            second.reset(1)
            _step(second, actions, 0.0)
            after_bytes = _resident_bytes()
        return summarize(
            durations_us,
            ended,
            reset_us=reset_us,
            cpu_share=cpu_share,
            queued_share=queued_share,
            num_agents=env.num_agents,
            observation_bytes=env.observations.nbytes,
            memory_bytes=_growth(before_bytes, after_bytes),
        )


def summarize(
    durations_us: NDArray[np.float64],
    ended: NDArray[np.bool_],
    *,
    reset_us: float,
    cpu_share: float,
    queued_share: float,
    num_agents: int,
    observation_bytes: int,
    memory_bytes: int | None,
) -> EnvProfile:
    """Return the profile of measured steps.

    Args:
        durations_us: (steps,), microseconds.
        ended: (steps,), an episode ended, so that the step includes a reset.
        reset_us: see `EnvProfile`, as is what follows.
        cpu_share: see there.
        queued_share: see there.
        num_agents: see there.
        observation_bytes: see there.
        memory_bytes: see there.
    """
    plain = durations_us if ended.all() else durations_us[~ended]
    step_us, total_us = float(plain.mean()), float(durations_us.sum())
    resets_us = float((durations_us[ended] - step_us).sum())
    env_steps_per_us = len(durations_us) / total_us
    return EnvProfile(
        num_agents=num_agents,
        steps=len(durations_us),
        step_us=step_us,
        step_cv=float(plain.std()) / step_us,
        reset_us=reset_us,
        reset_share=max(0.0, resets_us / total_us),
        cpu_share=cpu_share,
        queued_share=queued_share,
        steps_per_second=env_steps_per_us * num_agents * 1e6,
        observation_bytes=observation_bytes,
        bandwidth_mb_s=env_steps_per_us * observation_bytes,  # a byte a microsecond is 1 MB/s
        memory_bytes=memory_bytes,
    )


def _draw_actions(env: PufferEnv) -> list[NDArray[Any]]:
    space = gymnasium.vector.utils.batch_space(env.single_action_space, env.num_agents)
    space.seed(0)
    return [np.asarray(space.sample()) for _ in range(_ACTIONS)]


def _time_resets(env: PufferEnv, seconds: float) -> float:
    """Return microseconds of a reset; the first, which may load something, is left out."""
    env.reset(0)
    count, began_s = 0, time.perf_counter()
    while count < 2 or (count < _RESETS and time.perf_counter() - began_s < seconds):
        env.reset(None)
        count += 1
    return (time.perf_counter() - began_s) / count * 1e6


def _step(
    env: PufferEnv, actions: list[NDArray[Any]], seconds: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_], float, float]:
    """Return the microseconds of each step, whether it ended an episode, and two shares."""
    durations_s: list[float] = []
    ended: list[bool] = []
    began_s = now_s = time.perf_counter()
    cpu_s, queued_s = -time.process_time(), -_queued_s()
    while not durations_s or now_s - began_s < seconds:
        before_s = time.perf_counter()
        env.step(actions[len(durations_s) % _ACTIONS])
        now_s = time.perf_counter()
        durations_s.append(now_s - before_s)
        ended.append(bool(env.terminals.any() or env.truncations.any()))
    cpu_s, queued_s = cpu_s + time.process_time(), queued_s + _queued_s()
    wall_s = time.perf_counter() - began_s
    queued_share = min(0.99, queued_s / wall_s)  # read at other moments: keep the quotient finite
    cpu_share = cpu_s / (wall_s * (1 - queued_share))
    return np.array(durations_s) * 1e6, np.array(ended), cpu_share, queued_share


def _queued_s() -> float:
    """Return how long this thread has been ready to run while others had the core (Linux)."""
    try:
        return int(_SCHEDSTAT.read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def _growth(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else max(0, after - before)


def _resident_bytes() -> int | None:
    """Return how much memory this process occupies (Linux)."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
