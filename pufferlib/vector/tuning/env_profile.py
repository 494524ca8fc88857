"""Measure what one environment costs, in this process, before any vectorizer is made."""

import os
import time
from contextlib import closing
from dataclasses import dataclass

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib import proc
from pufferlib.annotations import Array, EnvCreator
from pufferlib.emulation import native
from pufferlib.environment import PufferEnv

_ACTIONS = 64  # drawn in advance, and repeated
_RESETS = 100  # at most, and at least 2


@dataclass(frozen=True)
class EnvProfile:
    """What one environment costs under random actions, with emulation and without a vectorizer.

    Attributes:
        num_agents: its rows.
        steps: how many steps were measured; a step is one of all agents.
        step_us: mean duration in microseconds of the steps that end no episode; if every step ends
            one, of all steps.
        step_cv: standard deviation of these durations divided by their mean: a synchronous batch
            waits for the slowest.
        reset_us: mean duration of a reset in microseconds.
        reset_fraction: of the stepping time, in [0, 1], how much was spent on the resets in steps
            that end an episode. 0 if no episode ended, or every step ended one.
        cpu_fraction: CPU time divided by the stepping time in which no other program had the core.
            Well below 1: the environment waits for something. Above 1: it has threads.
        queued_fraction: of the stepping time, in [0, 1), how much other programs had the core; 0 if
            that cannot be read.
        steps_per_second: of agents, resets included.
        observation_bytes: of a step, all agents together.
        bandwidth_mb_s: observations written, 10^6 bytes a second.
        memory_bytes: growth of the process for one more environment, as far as it needed new pages;
            None if that cannot be read.
    """

    num_agents: int
    steps: int
    step_us: float
    step_cv: float
    reset_us: float
    reset_fraction: float
    cpu_fraction: float
    queued_fraction: float
    steps_per_second: float
    observation_bytes: int
    bandwidth_mb_s: float
    memory_bytes: int | None


def profile(make_env: EnvCreator, seconds: float = 1.0) -> EnvProfile:
    """Return what an environment costs.

    Args:
        make_env: returns a PufferEnv or a Gymnasium or PettingZoo environment. Two are made, one
            after the other, and closed.
        seconds: to step for; resets are measured for a quarter of that.

    Raises:
        Exception: an exception of the environment, unchanged.
    """
    with closing(native(make_env())) as env:
        actions = _draw_actions(env)
        reset_us = _time_resets(env, seconds / 4)
        _step(env, actions, seconds / 4)  # warm-up
        durations_us, ended, cpu_fraction, queued_fraction = _step(env, actions, seconds)
        before = proc.memory_bytes(os.getpid())
        with closing(native(make_env())) as second:
            second.reset(1)
            _step(second, actions, 0.0)
            after = proc.memory_bytes(os.getpid())
        return summarize(
            durations_us,
            ended,
            reset_us=reset_us,
            cpu_fraction=cpu_fraction,
            queued_fraction=queued_fraction,
            num_agents=env.num_agents,
            observation_bytes=env.observations.nbytes,
            memory_bytes=_growth(before, after),
        )


def summarize(
    durations_us: NDArray[np.float64],
    ended: NDArray[np.bool_],
    *,
    reset_us: float,
    cpu_fraction: float,
    queued_fraction: float,
    num_agents: int,
    observation_bytes: int,
    memory_bytes: int | None,
) -> EnvProfile:
    """Return the profile of measured steps.

    Args:
        durations_us: (steps,), microseconds.
        ended: (steps,), an episode ended, so the step includes a reset.
        reset_us: see `EnvProfile`; so for the rest.
        cpu_fraction: see there.
        queued_fraction: see there.
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
        reset_fraction=max(0.0, resets_us / total_us),
        cpu_fraction=cpu_fraction,
        queued_fraction=queued_fraction,
        steps_per_second=env_steps_per_us * num_agents * 1e6,
        observation_bytes=observation_bytes,
        bandwidth_mb_s=env_steps_per_us * observation_bytes,  # a byte a microsecond is 1 MB/s
        memory_bytes=memory_bytes,
    )


def _draw_actions(env: PufferEnv) -> list[Array]:
    space = gymnasium.vector.utils.batch_space(env.single_action_space, env.num_agents)
    space.seed(0)
    return [np.asarray(space.sample()) for _ in range(_ACTIONS)]


def _time_resets(env: PufferEnv, seconds: float) -> float:
    """Return the mean microseconds of a reset, without the first, which may load files."""
    env.reset(0)
    count, began_s = 0, time.perf_counter()
    while count < 2 or (count < _RESETS and time.perf_counter() - began_s < seconds):
        env.reset(None)
        count += 1
    return (time.perf_counter() - began_s) / count * 1e6


def _step(
    env: PufferEnv, actions: list[Array], seconds: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_], float, float]:
    """Return (microseconds of each step, whether it ended an episode, CPU and queued fraction)."""
    durations_s: list[float] = []
    ended: list[bool] = []
    began_s = now_s = time.perf_counter()
    cpu_s, queued_s = -time.process_time(), -proc.queued_s()
    while not durations_s or now_s - began_s < seconds:
        before_s = time.perf_counter()
        env.step(actions[len(durations_s) % _ACTIONS])
        now_s = time.perf_counter()
        durations_s.append(now_s - before_s)
        ended.append(bool(env.terminals.any() or env.truncations.any()))
    cpu_s, queued_s = cpu_s + time.process_time(), queued_s + proc.queued_s()
    wall_s = time.perf_counter() - began_s
    # The clocks are read at different moments: keep the quotient finite.
    queued_fraction = min(0.99, queued_s / wall_s)
    cpu_fraction = cpu_s / (wall_s * (1 - queued_fraction))
    return np.array(durations_s) * 1e6, np.array(ended), cpu_fraction, queued_fraction


def _growth(before: tuple[int, int] | None, after: tuple[int, int] | None) -> int | None:
    """Return how much resident memory grew; None if it is unknown."""
    return None if before is None or after is None else max(0, after[0] - before[0])
