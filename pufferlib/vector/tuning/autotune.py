"""Measure which backend, how many environments and how many workers are fastest here.

`profile` measures one environment, `candidates` picks the few setups worth a trial, `_try_all`
measures them in turn, and `choose` picks one.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from pufferlib import proc
from pufferlib.annotations import Array, EnvCreator
from pufferlib.arguments import whole_number
from pufferlib.cores import CGROUP_ROOT, usable_cores
from pufferlib.exceptions import ArgumentError
from pufferlib.vector.arguments import Creation, creations
from pufferlib.vector.interface import VectorEnv
from pufferlib.vector.processes.backend import Multiprocessing
from pufferlib.vector.serial import Serial
from pufferlib.vector.tuning.candidates import Candidate, candidates
from pufferlib.vector.tuning.env_profile import EnvProfile, profile

Measurement = tuple[float, float | None]
"""Steps of agents per second, and the busy cores; see `Trial`."""

ENVS_PER_CORE = 16
"""Environments for each usable core, unless `max_envs` is given."""

_BACKENDS: dict[str, type[VectorEnv]] = {"Serial": Serial, "Multiprocessing": Multiprocessing}
_ACTIONS = 16  # drawn in advance, and repeated
_TIMEOUT_S = 300.0  # for a worker to make, reset or step its environments
_NEARLY = 0.97  # of the fastest: closer than this, a difference may be noise


@dataclass(frozen=True)
class Trial:
    """How fast a candidate was.

    Attributes:
        candidate: what was tried.
        steps_per_second: of agents, median over the rounds; 0 if it failed.
        ratio: to the fastest candidate, median over the rounds; 0 if it failed.
        busy_cores: CPU seconds of this process and its workers per second; None if that cannot be
            read, or if the candidate failed.
        error: why it failed, in one line; None if it did not.
    """

    candidate: Candidate
    steps_per_second: float
    ratio: float
    busy_cores: float | None
    error: str | None = None

    @property
    def setting(self) -> Candidate:
        """The former name of `candidate`."""
        return self.candidate


@dataclass(frozen=True)
class Tuning:
    """The result of `autotune`.

    Attributes:
        profile: of one environment.
        trials: of every candidate, fastest first.
        best: the candidate to use: `make(creator, **tuning.best.arguments())`.
    """

    profile: EnvProfile
    trials: tuple[Trial, ...]
    best: Candidate


def autotune(
    env_creator: EnvCreator,
    env_args: Sequence[object] | None = None,
    env_kwargs: Mapping[str, object] | None = None,
    *,
    max_envs: int | None = None,
    batch_size: int | None = None,
    max_memory_bytes: int | None = None,
    seconds: float = 1.0,
    rounds: int = 3,
    announce: Callable[[EnvProfile, Sequence[Candidate]], None] | None = None,
) -> Tuning:
    """Return which arguments of `make` step an environment fastest on this machine.

    At most ten candidates, chosen by the cost of one environment and by the usable cores, are
    measured in turn, in several rounds. Only one exists at a time. Actions are random, and nothing
    is computed between batches: a pool, which steps environments while the policy computes, gains
    more in training than here.

    Args:
        env_creator: see `make`; one for all environments.
        env_args: see there.
        env_kwargs: see there.
        max_envs: the most environments to try; None: 16 for each usable core, and at least twice
            `batch_size`.
        batch_size: environments in a batch; None: any number.
        max_memory_bytes: try fewer environments if they would take more memory than this, by the
            measured memory of one; None: half of what is available.
        seconds: of the profile, and of each measurement.
        rounds: how often each candidate is measured.
        announce: called before the trials, with the profile and the candidates.

    Raises:
        ArgumentError: an argument that is not allowed, before anything starts.
        Exception: an exception of the first environment, unchanged; or, if every candidate failed,
            the exception of the first one.
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
        available_bytes = _available_bytes()
        max_memory_bytes = None if available_bytes is None else available_bytes // 2
    tried = candidates(measured, cores, max_envs, batch_size, max_memory_bytes)
    if announce is not None:
        announce(measured, tried)
    trials = _try_all(creation, tried, rounds, seconds)
    return Tuning(measured, trials, choose(trials))


def choose(trials: Sequence[Trial]) -> Candidate:
    """Return the simplest candidate among those within 3% of the fastest.

    Simplest is: no pool, then one process, the fewest environments, the fewest workers, and the
    fewest options.

    Args:
        trials: at least one of them did not fail.
    """
    near = [each.candidate for each in trials if each.error is None and each.ratio >= _NEARLY]
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
    creation: Creation, tried: Sequence[Candidate], rounds: int, seconds: float
) -> tuple[Trial, ...]:
    """Measure the candidates in turn, in several rounds; one that fails is not measured again."""
    measured: dict[Candidate, list[Measurement]] = {candidate: [] for candidate in tried}
    errors: dict[Candidate, Exception] = {}
    for _ in range(rounds):
        for candidate in tried:
            if candidate not in errors:
                try:
                    measured[candidate].append(_measure(creation, candidate, seconds))
                except Exception as error:  # an environment may raise anything; the others continue
                    errors[candidate] = error
    if len(errors) == len(tried):
        raise errors[tried[0]]
    return rank({each: measured[each] for each in tried if each not in errors}, errors)


def rank(
    measured: Mapping[Candidate, Sequence[Measurement]], errors: Mapping[Candidate, Exception]
) -> tuple[Trial, ...]:
    """Return a trial for each candidate, the fastest first and failed ones last.

    Args:
        measured: by candidate, the measurements of all rounds.
        errors: by candidate, why it failed.
    """
    rates = {candidate: [rate for rate, _ in each] for candidate, each in measured.items()}
    medians = {candidate: statistics.median(each) for candidate, each in rates.items()}
    order = sorted(medians, key=medians.__getitem__, reverse=True)
    trials = []
    for candidate in order:
        ratios = [rate / top for rate, top in zip(rates[candidate], rates[order[0]], strict=True)]
        cores = [busy for _, busy in measured[candidate] if busy is not None]
        trials.append(
            Trial(
                candidate,
                medians[candidate],
                statistics.median(ratios),
                statistics.median(cores) if cores else None,
            )
        )
    return (
        *trials,
        *(Trial(candidate, 0.0, 0.0, None, _line(error)) for candidate, error in errors.items()),
    )


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _measure(creation: Creation, candidate: Candidate, seconds: float) -> Measurement:
    """Make a candidate, step it for so many seconds, and close it."""
    others = set(multiprocessing.active_children())
    arguments = candidate.arguments()
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


def _draw_actions(vecenv: VectorEnv) -> list[Array]:
    vecenv.action_space.seed(0)
    return [np.asarray(vecenv.action_space.sample()) for _ in range(_ACTIONS)]


def _play(vecenv: VectorEnv, actions: Sequence[Array], seconds: float) -> tuple[int, float]:
    """Step for so many seconds; return (steps of agents, seconds)."""
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
        process = None if pid is None else proc.read(pid)
        if process is None:
            return None
        total_s += process.cpu_s
    return total_s


def _available_bytes() -> int | None:
    """Return how much memory is available, within the cgroup's limit (Linux)."""
    available = proc.available_bytes()
    if available is None:
        return None
    try:
        limit, used = ((CGROUP_ROOT / f"memory.{name}").read_text() for name in ("max", "current"))
        if limit.strip() == "max":
            return available
        return max(0, min(available, int(limit) - int(used)))
    except OSError:
        return available
