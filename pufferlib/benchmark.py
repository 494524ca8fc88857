"""Throughput of one environment: bare, emulated, on each backend, and beside the alternatives.

All contenders are alive together and take turns, a short while each, round after round: what else
happens on the machine then hits all of them alike, and the ratios are worth more than the rates.
"""

import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from pufferlib.emulation import GymnasiumPufferEnv, native
from pufferlib.vector import VectorEnv, make

_ACTIONS = 64  # drawn beforehand, and played again and again
_Stepper = Callable[[], int]


@dataclass(frozen=True)
class Row:
    """One contender.

    Attributes:
        name: what was measured.
        steps_per_second: median over the rounds, of agents' steps.
        ratio: median over the rounds of its rate to that of the first contender.
    """

    name: str
    steps_per_second: float
    ratio: float


def compare(
    creator: Callable[..., Any],
    num_envs: int = 8,
    num_workers: int | None = None,
    rounds: int = 5,
    seconds: float = 1.0,
) -> list[Row]:
    """Return the throughput of an environment's contenders, from one interleaved run.

    The first is one environment in a loop: without a wrapper, or native where it is a `PufferEnv`.
    Gymnasium's and Stable-Baselines3's vectorizers step what emulation wraps, so the same
    environment with the same statistics as ours do.

    Args:
        creator: returns a PufferEnv, GymnasiumPufferEnv or PettingZooPufferEnv.
        num_envs: environments of each vectorizer.
        num_workers: processes of ours, None for usable cores; theirs run one an environment.
        rounds: how often each takes its turn.
        seconds: of a turn.
    """
    with ExitStack() as stack:
        steppers = dict(_contenders(creator, num_envs, num_workers, stack))
        rates: dict[str, list[float]] = {name: [] for name in steppers}
        for stepper in steppers.values():
            _rate(stepper, seconds / 4)  # warm-up
        for _ in range(rounds):
            for name, stepper in steppers.items():
                rates[name].append(_rate(stepper, seconds))
    first = next(iter(rates.values()))
    return [
        Row(
            name,
            statistics.median(values),
            statistics.median(value / base for value, base in zip(values, first, strict=True)),
        )
        for name, values in rates.items()
    ]


def _rate(stepper: _Stepper, seconds: float) -> float:
    steps, began_s = 0, time.perf_counter()
    while True:
        steps += stepper()
        elapsed_s = time.perf_counter() - began_s
        if elapsed_s >= seconds:
            return steps / elapsed_s


def _contenders(
    creator: Callable[..., Any], num_envs: int, num_workers: int | None, stack: ExitStack
) -> Iterator[tuple[str, _Stepper]]:
    probe = creator()
    stack.callback(probe.close)
    if isinstance(probe, GymnasiumPufferEnv):
        yield "bare", _bare(probe.unwrapped)
        emulated = creator()
        stack.callback(emulated.close)
        yield "emulated", _bare(emulated)
    else:
        yield "one environment", _native(probe)
    serial = make(creator, num_envs=num_envs, backend="Serial")
    stack.callback(serial.close)
    yield "Serial", _ours(serial)
    parallel = make(creator, num_envs=num_envs, num_workers=num_workers, backend="Multiprocessing")
    stack.callback(parallel.close)
    yield f"Multiprocessing, {parallel.num_workers} workers", _ours(parallel)
    if isinstance(probe, GymnasiumPufferEnv):
        yield from _alternatives(lambda: creator().env, num_envs, stack)


def _alternatives(
    bare: Callable[[], gymnasium.Env[Any, Any]], num_envs: int, stack: ExitStack
) -> Iterator[tuple[str, _Stepper]]:
    """Yield Gymnasium's vectorizers, and Stable-Baselines3's where that is installed."""
    for kind in (gymnasium.vector.SyncVectorEnv, gymnasium.vector.AsyncVectorEnv):
        envs = kind([bare] * num_envs, autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP)
        stack.callback(envs.close)
        envs.reset(seed=0)
        yield f"gymnasium {kind.__name__}", _stepping(envs.step, envs.action_space, num_envs)
    if importlib.util.find_spec("stable_baselines3") is None:
        return
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

    for sb3_kind in (DummyVecEnv, SubprocVecEnv):
        sb3_envs = sb3_kind([bare] * num_envs)
        stack.callback(sb3_envs.close)
        sb3_envs.reset()
        space = gymnasium.vector.utils.batch_space(sb3_envs.action_space, num_envs)
        yield f"SB3 {sb3_kind.__name__}", _stepping(sb3_envs.step, space, num_envs)


def _bare(env: gymnasium.Env[Any, Any]) -> _Stepper:
    """Step one environment, starting it again where its episode ends."""
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(_ACTIONS)]

    def step() -> int:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return _ACTIONS

    return step


def _native(env: Any) -> _Stepper:
    rows = native(env)
    rows.reset(0)
    space = gymnasium.vector.utils.batch_space(rows.single_action_space, rows.num_agents)
    return _stepping(rows.step, space, rows.num_agents)


def _ours(vecenv: VectorEnv) -> _Stepper:
    vecenv.reset(0)
    return _stepping(vecenv.step, vecenv.action_space, vecenv.num_agents)


def _stepping(take: Callable[[Any], Any], space: gymnasium.Space[Any], rows: int) -> _Stepper:
    """Step a batch with actions drawn beforehand."""
    space.seed(0)
    actions = [np.asarray(space.sample()) for _ in range(_ACTIONS)]

    def step() -> int:
        for action in actions:
            take(action)
        return _ACTIONS * rows

    return step
