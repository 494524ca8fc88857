"""Find out which backend, how many environments and how many workers suit this machine.

`profile` says what one environment costs, `settings` which few are worth a trial, `_try_all` lets
them take turns, `choose` picks one.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pufferlib.arguments import whole_number
from pufferlib.cores import CGROUP_ROOT, usable_cores
from pufferlib.exceptions import ArgumentError
from pufferlib.vector.arguments import Creation, creations
from pufferlib.vector.env_profile import EnvProfile, profile
from pufferlib.vector.interface import VectorEnv
from pufferlib.vector.multiprocess import Multiprocessing
from pufferlib.vector.serial import Serial
from pufferlib.vector.settings import Setting, settings

ENVS_PER_CORE = 16
"""How many environments are tried on each core where nothing else is said."""

_BACKENDS: dict[str, type[VectorEnv]] = {"Serial": Serial, "Multiprocessing": Multiprocessing}
_ACTIONS = 16  # drawn beforehand, and played again and again
_TIMEOUT_S = 300.0  # for a worker, to make, to reset or to step its environments
_NEARLY = 0.97  # of the fastest: what noise may hide
_PROC = Path("/proc")


@dataclass(frozen=True)
class Trial:
    """How fast a setting was.

    Attributes:
        setting: what was tried.
        steps_per_second: of agents, median over the rounds; 0 if it failed.
        ratio: to the fastest setting, median over the rounds; 0 if it failed.
        busy_cores: CPU seconds of this process and its workers by wall seconds; None where that
            cannot be read, or if it failed.
        error: why it failed, in one line; None if it did not.
    """

    setting: Setting
    steps_per_second: float
    ratio: float
    busy_cores: float | None
    error: str | None = None


@dataclass(frozen=True)
class Tuning:
    """What `autotune` found.

    Attributes:
        profile: of one environment.
        trials: of every setting, fastest first.
        best: the setting to take: `make(creator, **tuning.best.arguments())`.
    """

    profile: EnvProfile
    trials: tuple[Trial, ...]
    best: Setting


def autotune(
    env_creator: Callable[..., Any],
    env_args: Sequence[Any] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    *,
    max_envs: int | None = None,
    batch_size: int | None = None,
    max_memory_bytes: int | None = None,
    seconds: float = 1.0,
    rounds: int = 3,
    announce: Callable[[EnvProfile, Sequence[Setting]], None] | None = None,
) -> Tuning:
    """Return which arguments of `make` step an environment fastest on this machine.

    At most ten settings, chosen by what one environment costs and by the usable cores, take turns,
    round after round. Only one is alive at a time. Random actions are played, and nothing else is
    done between batches: a setting that lets environments step while a policy thinks gains more in
    training than here.

    Args:
        env_creator: see `make`; one for all environments.
        env_args: see there.
        env_kwargs: see there.
        max_envs: at most so many environments; None: 16 for each usable core, and twice
            `batch_size` at least.
        batch_size: how many environments a batch must hold; None: any number.
        max_memory_bytes: fewer environments where `max_envs` would take more, as far as that was
            seen; None: half of what is free.
        seconds: of the profile, and of a turn.
        rounds: how often each setting takes its turn.
        announce: called before the trials, with the profile and the settings to be tried.

    Raises:
        ArgumentError: an argument that cannot be, before anything starts.
        Exception: what the first environment raises, as it is; or, where every setting failed, what
            the first of them raised.
    """
    cores = usable_cores()
    if batch_size is not None:
        batch_size = whole_number("batch_size", batch_size)
    if max_envs is None:
        max_envs = max(ENVS_PER_CORE * cores, 2 * (batch_size or 0))
    max_envs, rounds = whole_number("max_envs", max_envs), whole_number("rounds", rounds)
    if batch_size is not None and batch_size > max_envs:
        raise ArgumentError(
            f"batch_size must be at most max_envs; got batch_size={batch_size}, "
            f"max_envs={max_envs}. Use max_envs={batch_size}, or twice that to try pools."
        )
    if not isinstance(seconds, (int, float, np.number)) or not 0 < seconds < float("inf"):
        raise ArgumentError(f"seconds must be above 0; got {seconds!r}.")
    if max_memory_bytes is not None:
        max_memory_bytes = whole_number("max_memory_bytes", max_memory_bytes)
    (creation,) = creations(env_creator, env_args, env_kwargs, 1)

    measured = profile(creation.make, seconds)
    if max_memory_bytes is None:
        free_bytes = _free_bytes()
        max_memory_bytes = None if free_bytes is None else free_bytes // 2
    tried = settings(measured, cores, max_envs, batch_size, max_memory_bytes)
    if announce is not None:
        announce(measured, tried)
    trials = _try_all(creation, tried, rounds, seconds)
    return Tuning(measured, trials, choose(trials))


def choose(trials: Sequence[Trial]) -> Setting:
    """Return the setting to take: among those nearly as fast as the fastest the simplest.

    Within 3% of it: one process before several, all environments together before a pool, then the
    fewest environments, the fewest workers, and the fewest options.

    Args:
        trials: of which at least one did not fail.
    """
    near = [each.setting for each in trials if each.error is None and each.ratio >= _NEARLY]
    return min(
        near,
        key=lambda each: (
            each.is_pool,
            each.backend != "Serial",
            each.num_envs,
            each.num_workers,
            each.caller_steps,
            not each.zero_copy,
        ),
    )


def _try_all(
    creation: Creation, tried: Sequence[Setting], rounds: int, seconds: float
) -> tuple[Trial, ...]:
    """Let the settings take turns, round after round; one that fails gets no further turn."""
    turns: dict[Setting, list[tuple[float, float | None]]] = {setting: [] for setting in tried}
    errors: dict[Setting, Exception] = {}
    for _ in range(rounds):
        for setting in tried:
            if setting not in errors:
                try:
                    turns[setting].append(_take_turn(creation, setting, seconds))
                except Exception as error:  # whatever an environment raises, the others go on
                    errors[setting] = error
    if len(errors) == len(tried):
        raise errors[tried[0]]
    return rank({setting: turns[setting] for setting in tried if setting not in errors}, errors)


def rank(
    turns: Mapping[Setting, Sequence[tuple[float, float | None]]],
    errors: Mapping[Setting, Exception],
) -> tuple[Trial, ...]:
    """Return a trial for each setting, the fastest first and those that failed last.

    Args:
        turns: (steps a second, busy cores) of each round, equally many for each setting.
        errors: why the others failed.
    """
    rates = {setting: [rate for rate, _ in each] for setting, each in turns.items()}
    medians = {setting: statistics.median(each) for setting, each in rates.items()}
    order = sorted(medians, key=medians.__getitem__, reverse=True)
    trials = []
    for setting in order:
        shares = [rate / top for rate, top in zip(rates[setting], rates[order[0]], strict=True)]
        cores = [busy for _, busy in turns[setting] if busy is not None]
        trials.append(
            Trial(
                setting,
                medians[setting],
                statistics.median(shares),
                statistics.median(cores) if cores else None,
            )
        )
    return (
        *trials,
        *(Trial(setting, 0.0, 0.0, None, _line(error)) for setting, error in errors.items()),
    )


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _take_turn(creation: Creation, setting: Setting, seconds: float) -> tuple[float, float | None]:
    """Return agents' steps a second, and how many cores that kept busy."""
    others = set(multiprocessing.active_children())
    arguments = setting.arguments()
    backend = _BACKENDS[arguments.pop("backend")]
    if backend is Multiprocessing:
        arguments["timeout_s"] = _TIMEOUT_S
    with closing(
        backend(creation.creator, list(creation.args), creation.kwargs, **arguments)
    ) as vecenv:
        workers = [each.pid for each in multiprocessing.active_children() if each not in others]
        actions = _draw_actions(vecenv)
        vecenv.async_reset()
        vecenv.recv()
        _play(vecenv, actions, seconds / 4)  # warm-up
        cpu_before_s = _cpu_s(workers)
        steps, wall_s = _play(vecenv, actions, seconds)
        cpu_after_s = _cpu_s(workers)
    if cpu_before_s is None or cpu_after_s is None:
        return steps / wall_s, None
    return steps / wall_s, (cpu_after_s - cpu_before_s) / wall_s


def _draw_actions(vecenv: VectorEnv) -> list[Any]:
    vecenv.action_space.seed(0)
    return [np.asarray(vecenv.action_space.sample()) for _ in range(_ACTIONS)]


def _play(vecenv: VectorEnv, actions: Sequence[Any], seconds: float) -> tuple[int, float]:
    """Return how many steps of agents were taken, and in how many seconds."""
    batches, began_s = 0, time.perf_counter()
    while True:
        for action in actions:
            vecenv.send(action)
            vecenv.recv()
            batches += 1
            elapsed_s = time.perf_counter() - began_s
            if elapsed_s >= seconds:
                return batches * vecenv.agents_per_batch, elapsed_s


def _cpu_s(workers: Sequence[int | None]) -> float | None:
    """Return the CPU seconds of this process and of `workers` so far (Linux)."""
    total_s = time.process_time()
    for pid in workers:
        try:
            # After the name, which may hold anything: see proc(5), fields 14 and 15.
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        total_s += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total_s


def _free_bytes() -> int | None:
    """Return how much memory can still be taken, within the cgroup's limit (Linux)."""
    try:
        lines = (_PROC / "meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration):
        return None
    try:
        limit, used = ((CGROUP_ROOT / f"memory.{name}").read_text() for name in ("max", "current"))
        return free if limit.strip() == "max" else max(0, min(free, int(limit) - int(used)))
    except OSError:
        return free
