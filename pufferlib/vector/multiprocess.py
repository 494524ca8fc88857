"""Environments in several processes that write into shared memory."""

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
from pufferlib.vector.restart import RestartPolicy
from pufferlib.vector.workers import Workers


class Multiprocessing(Parallel):
    """Step the environments in `num_workers` processes. See `VectorEnv` for the interface.

    With `batch_size` below `num_envs` this is a pool: `recv` returns as soon as enough workers are
    done, while the others go on, and `send` answers just those.

    An exception in an environment, the death of a worker, and a worker that takes longer than
    `timeout_s` each raise a `WorkerError` here, after which everything is closed.

    Args:
        env_creators: see `pufferlib.vector.make`. Closures and lambdas pass through cloudpickle.
        env_args: see there.
        env_kwargs: see there.
        num_envs: how many environments; a multiple of `num_workers`.
        num_workers: processes. None or "auto": as many as there are usable cores and as divide
            `num_envs`.
        batch_size: environments in a batch; a multiple of those of one worker. None: all. "auto":
            those of about half the workers.
        zero_copy: return views of rows that lie together, so that a batch of a pool is always the
            same neighbouring workers. If False, any workers that are ready, always copied.
        start_method: "fork", "forkserver" or "spawn". None: fork on Linux, else spawn.
        timeout_s: seconds that a worker process may take to make its environments, to reset or to
            step them. None: for ever.
        caller_steps: the last of the `num_workers` is the caller itself, which steps its share in
            `recv`: one process less, and faster where the caller has nothing else to do meanwhile.
            Its environments live in this process: a crash in one is a crash here, and `timeout_s`
            and `on_failure` do not reach them. Not for a pool.
        on_failure: "raise", or "restart": a worker whose environment raises, that dies or exceeds
            `timeout_s` is replaced by a new process with new environments. In the batch that
            reports it, `lost` is True in its rows: reward 0, `terminals` False, `truncations` True
            with the observation that was last handed out as the final one, and `masks` False. The
            batch after that has the first observations of new episodes. An info of its first
            environment says {"restarted": reason, "worker": its index}. A failure in `call` and its
            like is raised all the same.
        max_restarts: after so many the next failure is raised; None: no limit.

    Attributes:
        lost: bool (rows,) of the last batch, the outcome of the step was lost.
        num_restarts: how many workers have been replaced.

    Raises:
        ArgumentError: an argument that cannot be, before any process starts.
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
    ) -> None:
        num_envs = whole_number("num_envs", num_envs)
        made = creations(env_creators, env_args, env_kwargs, num_envs)
        num_workers = worker_count(num_envs, num_workers)
        batch_size = batch_envs(num_envs, num_workers, batch_size)
        check_zero_copy(zero_copy, num_envs, num_workers, batch_size)
        check_timeout(timeout_s)
        check_flag("caller_steps", caller_steps)
        if caller_steps and (num_workers < 2 or batch_size < num_envs):
            raise ArgumentError(
                f"caller_steps needs num_workers of at least 2, of which the caller is one, and no "
                f"pool; got num_workers={num_workers}, batch_size={batch_size} of "
                f"num_envs={num_envs}. Use the Serial backend for one worker, or batch_size=None."
            )
        policy = RestartPolicy(on_failure, max_restarts)
        context = start_context(start_method)
        workers = Workers(made, num_workers, timeout_s, context, bool(caller_steps), policy)
        super().__init__(workers, num_envs, num_workers, batch_size, zero_copy, policy)
