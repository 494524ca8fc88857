"""The backend whose workers are actors of a Ray cluster, on one machine or on many."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError
from pufferlib.vector.arguments import EnvArgs, EnvCreators, EnvKwargs, creations
from pufferlib.vector.options import VectorOptions
from pufferlib.vector.parallel import Parallel
from pufferlib.vector.ray.cluster import check_num_cpus, check_places, join, places, ray_module
from pufferlib.vector.ray.workers import RayWorkers, actor_class


@dataclass(frozen=True, kw_only=True)
class RayOptions(VectorOptions):
    """The options of `Ray`: those of every vectorizer, and two more."""

    num_cpus: float = 1
    """CPUs of the cluster that each worker takes: above 0, and whole if above 1. Ray gives the
    numeric libraries of a worker as many threads."""

    ray_options: Mapping[str, object] | None = None
    """More of Ray's `.options()` for each actor, such as `resources`, `scheduling_strategy` or
    `runtime_env`."""

    def check(self) -> None:
        """Refuse values that no number of environments would allow.

        Raises:
            ArgumentError: says which values are allowed.
        """
        super().check()
        check_num_cpus(self.num_cpus)
        if not isinstance(self.ray_options, Mapping | None):
            raise ArgumentError(f"ray_options must be a dict or None; got {self.ray_options!r}.")


class Ray(Parallel):
    """Step the environments in `num_workers` actors of a Ray cluster. See `VectorEnv`.

    Gives the same rows, seeds, pools and errors as `Multiprocessing`. The workers may be on other
    machines; their rows are sent to this process and copied. If your program has initialized Ray,
    that Ray is used. If not, it is initialized here, with the cluster at RAY_ADDRESS or else with
    this machine alone, and shut down when the last vectorizer that uses it is closed.

    The loss of an actor or of its node is a failure like any other: see `on_failure`. A new actor
    is placed wherever the cluster has a free place.

    Args:
        env_creators: see `pufferlib.vector.make`. Closures and lambdas are pickled by cloudpickle;
            the modules they import must be installed on every node.
        env_args: see there.
        env_kwargs: see there.
        num_envs: how many environments; a multiple of `num_workers`.
        **options: those of `RayOptions`.

    Raises:
        NotInstalledError: Ray is not installed.
        ArgumentError: an argument that is not allowed, before any actor starts.
        WorkerError: an environment could not be made.
    """

    def __init__(
        self,
        env_creators: EnvCreators,
        env_args: EnvArgs = None,
        env_kwargs: EnvKwargs = None,
        num_envs: int = 1,
        **options: Any,
    ) -> None:
        ray_module()
        num_envs = whole_number("num_envs", num_envs)
        made = creations(env_creators, env_args, env_kwargs, num_envs)
        given = RayOptions.from_keywords(type(self).__name__, options)
        # Before Ray starts, only sizes that no cluster would allow are refused.
        given.split(num_envs, most_workers=num_envs)
        rule = given.restart_rule()
        actors = actor_class(given.num_cpus, given.ray_options or {})
        lease = join()
        try:
            most_workers = max(1, places(given.num_cpus))
            num_workers, batch_size = given.split(num_envs, most_workers)
            check_places(num_workers, given.num_cpus)
        except BaseException:
            lease.leave()
            raise
        autoreset = given.autoreset
        workers = RayWorkers(made, num_workers, given.timeout_s, actors, rule, lease, autoreset)
        self._first = made[0]
        super().__init__(
            workers, num_envs, num_workers, batch_size, given.zero_copy, rule, autoreset
        )
