"""Environments in the actors of a Ray cluster, on one machine or on many."""

from collections.abc import Mapping
from typing import Any

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError
from pufferlib.vector.arguments import (
    batch_envs,
    check_flag,
    check_timeout,
    check_zero_copy,
    creations,
    start_context,
    worker_count,
)
from pufferlib.vector.parallel import Parallel
from pufferlib.vector.ray_cluster import check_num_cpus, check_places, join, places, ray_module
from pufferlib.vector.ray_workers import RayWorkers, actor_class
from pufferlib.vector.restart import RestartPolicy


class Ray(Parallel):
    """Step the environments in `num_workers` actors of a Ray cluster. See `VectorEnv`.

    The same rows, seeds, pools and errors as `Multiprocessing`; the workers may be on other
    machines, and rows travel to this process and are copied into its own. Ray is used as it was
    initialised. If it was not, it is initialised here, with the cluster that RAY_ADDRESS names or
    else with this machine alone, and shut down when the last vectorizer that uses it is closed.

    The loss of an actor or of its node is a failure like any other: see `on_failure`.

    Args:
        env_creators: see `pufferlib.vector.make`. Closures and lambdas pass through cloudpickle;
            what they import must be installed on every node.
        env_args: see there.
        env_kwargs: see there.
        num_envs: how many environments; a multiple of `num_workers`.
        num_workers: actors. None or "auto": as many as the cluster has places for and as divide
            `num_envs`.
        batch_size: environments in a batch; a multiple of those of one worker. None: all. "auto":
            those of about half the workers.
        zero_copy: return views of rows that lie together, so that a batch of a pool is always the
            same neighbouring workers. If False, any workers that are ready, always copied. Either
            way rows are copied once as they arrive.
        start_method: this is what `Multiprocessing` takes; checked in the same way, to no effect.
        timeout_s: seconds that an actor may take to be placed and make its environments, to reset
            or to step them. None: for ever.
        caller_steps: no effect; it never does.
        on_failure: "raise", or "restart": a worker whose environment raises, whose actor or node is
            lost or that exceeds `timeout_s` is replaced by a new actor with new environments,
            wherever the cluster has a place. What the batches say of it is as `Multiprocessing`
            has it.
        max_restarts: after so many the next failure is raised; None: no limit.
        num_cpus: that each worker takes of the cluster, above 0; above 1, whole. Ray gives its
            numeric libraries as many threads.
        ray_options: more of Ray's `.options()` for each actor, such as `resources`,
            `scheduling_strategy` or `runtime_env`.

    Attributes:
        lost: bool (rows,) of the last batch, the outcome of the step was lost.
        num_restarts: how many workers have been replaced.

    Raises:
        NotInstalledError: there is no Ray, said before anything starts.
        ArgumentError: an argument that cannot be, before any actor starts.
        WorkerError: an environment could not be made.
    """

    def __init__(
        self,
        env_creators: Any,
        env_args: Any = None,
        env_kwargs: Any = None,
        num_envs: int = 1,
        num_workers: int | str | None = None,
        batch_size: int | str | None = None,
        zero_copy: bool = True,
        start_method: str | None = None,
        timeout_s: float | None = None,
        caller_steps: bool = False,
        on_failure: str = "raise",
        max_restarts: int | None = 10,
        num_cpus: float = 1,
        ray_options: Mapping[str, Any] | None = None,
    ) -> None:
        ray_module()
        num_envs = whole_number("num_envs", num_envs)
        made = creations(env_creators, env_args, env_kwargs, num_envs)
        # With the most workers there can be: then no size is refused for splitting one's.
        _split(num_envs, num_workers, batch_size, zero_copy, most=num_envs)
        start_context(start_method)
        check_timeout(timeout_s)
        check_flag("caller_steps", caller_steps)
        policy = RestartPolicy(on_failure, max_restarts)
        check_num_cpus(num_cpus)
        if not isinstance(ray_options, Mapping | None):
            raise ArgumentError(f"ray_options must be a dict or None; got {ray_options!r}.")
        actors = actor_class(num_cpus, ray_options or {})
        lease = join()
        try:
            most = max(1, places(num_cpus))
            num_workers, batch_size = _split(num_envs, num_workers, batch_size, zero_copy, most)
            check_places(num_workers, num_cpus)
        except BaseException:
            lease.leave()
            raise
        workers = RayWorkers(made, num_workers, timeout_s, actors, policy, lease)
        super().__init__(workers, num_envs, num_workers, batch_size, zero_copy, policy)


def _split(
    num_envs: int,
    num_workers: int | str | None,
    batch_size: int | str | None,
    zero_copy: bool,
    most: int,
) -> tuple[int, int]:
    """Return how many workers there are, `most` at most unless given, and the size of a batch."""
    num_workers = worker_count(num_envs, num_workers, most)
    batch_size = batch_envs(num_envs, num_workers, batch_size)
    check_zero_copy(zero_copy, num_envs, num_workers, batch_size)
    return num_workers, batch_size
