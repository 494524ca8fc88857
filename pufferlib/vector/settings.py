"""Which backend, how many environments and how many workers are worth a trial."""

from dataclasses import dataclass
from typing import Any

from pufferlib.exceptions import ArgumentError
from pufferlib.vector.env_profile import EnvProfile

_CHEAP_US = 10.0  # a step shorter than a round trip to a worker
_DEAR_US = 1000.0  # a step beside which a round trip is nothing
_WAITS = 0.5  # of the time of a step on a CPU, or less: the environment waits for something
_WORKERS_PER_CORE = 8  # at most, of environments that wait


@dataclass(frozen=True)
class Setting:
    """What to give `make`.

    Attributes:
        backend: "Serial" or "Multiprocessing".
        num_envs: environments.
        num_workers: processes; 1 for Serial.
        batch_size: environments in a batch of a pool; None: all, no pool.
        zero_copy: see `Multiprocessing`.
        caller_steps: see `Multiprocessing`.
    """

    backend: str
    num_envs: int
    num_workers: int = 1
    batch_size: int | None = None
    zero_copy: bool = True
    caller_steps: bool = False

    @property
    def is_pool(self) -> bool:
        return self.batch_size is not None

    def arguments(self) -> dict[str, Any]:
        """Return keyword arguments of `make`."""
        arguments: dict[str, Any] = {"backend": self.backend, "num_envs": self.num_envs}
        if self.backend == "Serial":
            return arguments
        arguments |= {"num_workers": self.num_workers, "caller_steps": self.caller_steps}
        return arguments | {"batch_size": self.batch_size, "zero_copy": self.zero_copy}

    @property
    def options(self) -> str:
        """What else is set, in words."""
        if self.is_pool:
            return f"pool of {self.batch_size}{'' if self.zero_copy else ', copied'}"
        return "caller steps" if self.caller_steps else ""

    def __str__(self) -> str:
        workers = "" if self.backend == "Serial" else f"num_workers={self.num_workers}"
        parts = (self.backend, f"num_envs={self.num_envs}", workers, self.options)
        return ", ".join(part for part in parts if part)


def settings(
    env: EnvProfile,
    cores: int,
    max_envs: int,
    batch_size: int | None = None,
    max_memory_bytes: int | None = None,
) -> list[Setting]:
    """Return the settings worth a trial, at most ten, the simplest first.

    Args:
        env: what one environment costs.
        cores: that may be kept busy.
        max_envs: see `autotune`, as is what follows.
        batch_size: see there.
        max_memory_bytes: see there; None: no limit.

    Raises:
        ArgumentError: `batch_size` environments need more than `max_memory_bytes`.
    """
    env_bytes = max(1, (env.memory_bytes or 0) + 2 * env.observation_bytes)  # two: the final ones
    if max_memory_bytes is not None:
        max_envs = max(1, min(max_envs, max_memory_bytes // env_bytes))
    if batch_size is not None and batch_size > max_envs:
        raise ArgumentError(
            f"A batch of {batch_size} environments needs about "
            f"{batch_size * env_bytes / 2**20:.0f} MiB, of which {max_memory_bytes} bytes are "
            f"allowed. Use a smaller batch_size, or a larger max_memory_bytes."
        )
    waits = env.cpu_share < _WAITS
    workers = _WORKERS_PER_CORE * cores if waits else cores
    if batch_size is None:
        full = max_envs - max_envs % min(cores, max_envs)
        sizes = sorted({min(cores, full), min(4 * cores, full), full})
    else:
        full, sizes = batch_size, [batch_size]

    # One that holds many agents may need no others beside it.
    fewest = 1 if batch_size is None and env.num_agents > 1 else sizes[0]
    found = [Setting("Serial", size) for size in (fewest, full)]
    if env.step_us > _DEAR_US and cores > 1:
        found.pop()
    for size in sizes:
        if size == cores and env.step_us < _CHEAP_US and len(sizes) > 1:
            continue
        found.append(_synchronous(size, cores))
    if waits:
        found += [_synchronous(full, more) for more in (4 * cores, workers)]
    else:
        found += [_synchronous(size, cores, caller_steps=True) for size in sizes[-2:]]
    found += [
        *_pools(max_envs, max(2, workers), batch_size, zero_copy=True),
        *_pools(max_envs, max(2, workers), batch_size, zero_copy=False),
        *_pools(max_envs, max(2, 2 * workers), batch_size, zero_copy=True),
    ]
    # No caller can step for a worker that is alone: Serial is that.
    possible = [each for each in found if not each.caller_steps or each.num_workers > 1]
    return list(dict.fromkeys(possible))


def _synchronous(num_envs: int, workers: int, caller_steps: bool = False) -> Setting:
    num_workers = _divisor(num_envs, workers)
    return Setting("Multiprocessing", num_envs, num_workers, caller_steps=caller_steps)


def _pools(max_envs: int, workers: int, batch_size: int | None, zero_copy: bool) -> list[Setting]:
    """Return a pool of two batches and at most so many workers, if there is room for one."""
    half = min(workers // 2, max_envs // 2)
    if batch_size is not None:
        half = _divisor(batch_size, half) if half else 0
    if half == 0:
        return []
    batch = batch_size or max_envs // (2 * half) * half
    if 2 * batch > max_envs:
        return []
    return [Setting("Multiprocessing", 2 * batch, 2 * half, batch, zero_copy)]


def _divisor(number: int, most: int) -> int:
    """Return the largest divisor of `number` up to `most`."""
    return max(n for n in range(1, min(number, most) + 1) if number % n == 0)
