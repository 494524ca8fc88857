"""The backend whose workers are processes that write into shared memory."""

from typing import Any

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError
from pufferlib.vector.arguments import EnvArgs, EnvCreators, EnvKwargs, creations
from pufferlib.vector.options import VectorOptions
from pufferlib.vector.parallel import Parallel
from pufferlib.vector.processes.workers import ProcessWorkers


class Multiprocessing(Parallel):
    """Step the environments in `num_workers` processes. See `VectorEnv` for the interface.

    With `batch_size` below `num_envs` this is a pool: `recv` returns as soon as enough workers are
    done, while the others continue, and `send` answers only the environments received.

    An exception in a reset or step of an environment, the death of a worker, and a worker that
    exceeds `timeout_s` each raise a `WorkerError` here, after which everything is closed; or, with
    `on_failure="restart"`, the worker is replaced.

    Args:
        env_creators: see `pufferlib.vector.make`. They may be closures and lambdas: forked workers
            inherit them, others get them pickled by cloudpickle.
        env_args: see there.
        env_kwargs: see there.
        num_envs: how many environments; a multiple of `num_workers`.
        **options: those of `VectorOptions`.

    Raises:
        ArgumentError: an argument that is not allowed, before any process starts.
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
        num_envs = whole_number("num_envs", num_envs)
        made = creations(env_creators, env_args, env_kwargs, num_envs)
        given = VectorOptions.from_keywords(type(self).__name__, options)
        num_workers, batch_size = given.split(num_envs)
        if given.caller_steps and (num_workers < 2 or batch_size < num_envs):
            raise ArgumentError(
                f"caller_steps needs num_workers of at least 2, of which the caller is one, and no "
                f"pool; got num_workers={num_workers}, batch_size={batch_size} of "
                f"num_envs={num_envs}. Use the Serial backend for one worker, or batch_size=None."
            )
        rule = given.restart_rule()
        workers = ProcessWorkers(
            made,
            num_workers,
            given.timeout_s,
            given.start_method,
            bool(given.caller_steps),
            rule,
            given.autoreset,
        )
        self._first = made[0]
        super().__init__(
            workers, num_envs, num_workers, batch_size, given.zero_copy, rule, given.autoreset
        )
