"""Choose which backends, numbers of environments and numbers of workers are worth a trial."""

from dataclasses import KW_ONLY, dataclass

from pufferlib.annotations import Kwargs
from pufferlib.exceptions import ArgumentError
from pufferlib.vector.options import WorkerOptions
from pufferlib.vector.tuning.env_profile import EnvProfile

_CHEAP_STEP_US = 10.0  # shorter than a round trip to a worker
_EXPENSIVE_STEP_US = 1000.0  # so long that the time of a round trip does not matter
_WAITING_FRACTION = 0.5  # with less CPU time than this, an environment waits for something
_WORKERS_PER_CORE = 8  # at most, for environments that wait


@dataclass(frozen=True)
class Candidate(WorkerOptions):
    """A backend, a number of environments and options for `make`.

    >>> Candidate("Multiprocessing", 8, num_workers=2).arguments()
    {'backend': 'Multiprocessing', 'num_envs': 8, 'num_workers': 2}
    """

    backend: str = "Serial"
    """"Serial" or "Multiprocessing"."""

    num_envs: int = 1
    """Environments."""

    _: KW_ONLY
    num_workers: int = 1
    """Processes; 1 for Serial."""

    batch_size: int | None = None
    """Environments in a batch of a pool; None: all, no pool."""

    @property
    def is_pool(self) -> bool:
        """Whether a batch has fewer than all environments."""
        return self.batch_size is not None

    def arguments(self) -> Kwargs:
        """Return keyword arguments of `make`: the backend, and the options that are not default."""
        arguments: Kwargs = {"backend": self.backend, "num_envs": self.num_envs}
        return arguments if self.backend == "Serial" else arguments | self.keywords()

    @property
    def description(self) -> str:
        """The options other than `num_workers`, in words."""
        if self.is_pool:
            return f"pool of {self.batch_size}{'' if self.zero_copy else ', copied'}"
        return "caller steps" if self.caller_steps else ""

    def __str__(self) -> str:
        workers = "" if self.backend == "Serial" else f"num_workers={self.num_workers}"
        parts = (self.backend, f"num_envs={self.num_envs}", workers, self.description)
        return ", ".join(part for part in parts if part)


def candidates(
    env: EnvProfile,
    cores: int,
    max_envs: int,
    batch_size: int | None = None,
    max_memory_bytes: int | None = None,
) -> list[Candidate]:
    """Return at most ten candidates worth a trial, the simplest first.

    Args:
        env: what one environment costs.
        cores: usable cores.
        max_envs: see `autotune`.
        batch_size: see there.
        max_memory_bytes: see there; None: no limit.

    Raises:
        ArgumentError: `batch_size` environments need more than `max_memory_bytes`.
    """
    env_bytes = max(1, (env.memory_bytes or 0) + 2 * env.observation_bytes)  # and the final ones
    if max_memory_bytes is not None:
        max_envs = max(1, min(max_envs, max_memory_bytes // env_bytes))
    if batch_size is not None and batch_size > max_envs:
        raise ArgumentError(
            f"A batch of {batch_size} environments needs about "
            f"{batch_size * env_bytes / 2**20:.0f} MiB, more than the {max_memory_bytes} bytes "
            f"allowed. Use a smaller batch_size, or a larger max_memory_bytes."
        )
    waits = env.cpu_fraction < _WAITING_FRACTION
    most_workers = _WORKERS_PER_CORE * cores if waits else cores
    if batch_size is None:
        full = max_envs - max_envs % min(cores, max_envs)
        sizes = sorted({min(cores, full), min(4 * cores, full), full})
    else:
        full, sizes = batch_size, [batch_size]

    # A single environment with many agents may be enough.
    fewest = 1 if batch_size is None and env.num_agents > 1 else sizes[0]
    found = [Candidate("Serial", size) for size in (fewest, full)]
    if env.step_us > _EXPENSIVE_STEP_US and cores > 1:
        found.pop()
    for size in sizes:
        if size == cores and env.step_us < _CHEAP_STEP_US and len(sizes) > 1:
            continue
        found.append(_synchronous(size, cores))
    if waits:
        found += [_synchronous(full, workers) for workers in (4 * cores, most_workers)]
    else:
        found += [_synchronous(size, cores, caller_steps=True) for size in sizes[-2:]]
    found += [
        *_pools(max_envs, max(2, most_workers), batch_size, zero_copy=True),
        *_pools(max_envs, max(2, most_workers), batch_size, zero_copy=False),
        *_pools(max_envs, max(2, 2 * most_workers), batch_size, zero_copy=True),
    ]
    # With one worker, `caller_steps` would be Serial.
    possible = [each for each in found if not each.caller_steps or each.num_workers > 1]
    return list(dict.fromkeys(possible))


def _synchronous(num_envs: int, most_workers: int, caller_steps: bool = False) -> Candidate:
    num_workers = _divisor(num_envs, most_workers)
    return Candidate(
        "Multiprocessing", num_envs, num_workers=num_workers, caller_steps=caller_steps
    )


def _pools(
    max_envs: int, most_workers: int, batch_size: int | None, zero_copy: bool
) -> list[Candidate]:
    """Return a pool of two batches and at most so many workers, or none if it does not fit."""
    half = min(most_workers // 2, max_envs // 2)
    if batch_size is not None:
        half = _divisor(batch_size, half) if half else 0
    if half == 0:
        return []
    batch = batch_size or max_envs // (2 * half) * half
    if 2 * batch > max_envs:
        return []
    return [
        Candidate(
            "Multiprocessing",
            2 * batch,
            num_workers=2 * half,
            batch_size=batch,
            zero_copy=zero_copy,
        )
    ]


def _divisor(number: int, most: int) -> int:
    """Return the largest divisor of `number` up to `most`."""
    return max(n for n in range(1, min(number, most) + 1) if number % n == 0)
