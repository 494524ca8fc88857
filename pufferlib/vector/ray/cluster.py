"""Ray itself: import it, start it or join a cluster, shut it down, and count its CPUs."""

import math
import os
from typing import Any

from pufferlib.cores import usable_cores
from pufferlib.exceptions import ArgumentError, NotInstalledError

_leases: set["Lease"] = set()  # the users of a Ray that `join` started


class Lease:
    """A use of Ray. When the last one ends, a Ray that `join` started is shut down."""

    def leave(self) -> None:
        """End this use. May be called again."""
        if self in _leases:
            _leases.discard(self)
            if not _leases:
                ray_module().shutdown()


def ray_module() -> Any:
    """Return the package `ray`, imported here only.

    Raises:
        NotInstalledError: says how to install it.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise NotInstalledError(
            'ray is not installed. Run: make install ENV=ray   (or: pip install "pufferlib[ray]")'
        ) from None
    return ray


def join() -> Lease:
    """Join Ray as initialized, or the cluster at RAY_ADDRESS, or start one on this machine."""
    ray, lease = ray_module(), Lease()
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS") or "local"
        here = {"num_cpus": usable_cores(), "include_dashboard": False}
        ray.init(address, logging_level="WARNING", **(here if address == "local" else {}))
        _leases.clear()  # of a Ray that was shut down elsewhere
        _leases.add(lease)
    elif _leases:
        _leases.add(lease)
    return lease


def places(num_cpus: float, num_gpus: float = 0) -> int:
    """Return how many workers of so many CPUs and GPUs fit on the cluster if it were idle."""
    needs = {"CPU": num_cpus, "GPU": num_gpus}
    return sum(
        min(
            math.floor(node["Resources"].get(name, 0) / need + 1e-6)
            for name, need in needs.items()
            if need
        )
        for node in ray_module().nodes()
        if node["Alive"]
    )


def check_places(num_workers: int, num_cpus: float) -> None:
    """Refuse more workers than fit on the cluster if no CPU were busy."""
    most = places(num_cpus)
    if num_workers > most:
        cpus = ray_module().cluster_resources().get("CPU", 0)
        raise ArgumentError(
            f"num_workers={num_workers} of num_cpus={num_cpus} each do not fit on this Ray cluster "
            f"of {cpus:g} CPUs, which has places for {most}. Use fewer workers, a smaller "
            f"num_cpus (workers may share a CPU: 0.5), or add nodes with `ray start`."
        )


def check_num_cpus(num_cpus: float) -> None:
    """Refuse numbers that Ray cannot assign: it divides one CPU, but not several."""
    is_number = isinstance(num_cpus, (int, float)) and not isinstance(num_cpus, bool)
    if not is_number or not 0 < num_cpus < math.inf or (num_cpus > 1 and num_cpus % 1):
        raise ArgumentError(
            f"num_cpus must be above 0, and whole if above 1; got {num_cpus!r}. It is the number "
            f"of CPUs of each worker."
        )
