"""The actors as the caller sees them: send commands, wait, find failures, replace, stop."""

import os
import pickle
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from pufferlib.annotations import Array
from pufferlib.environment import Buffers
from pufferlib.exceptions import ArgumentError, WorkerError
from pufferlib.vector.arguments import Creation
from pufferlib.vector.autoreset import Autoreset
from pufferlib.vector.calls import called_method, pickled_command
from pufferlib.vector.failure import Failure, lost_error, stuck_error, unreadable_error
from pufferlib.vector.pickling import pickled
from pufferlib.vector.ray.actor import Answer, PackedRows, WorkerActor
from pufferlib.vector.ray.cluster import Lease, ray_module
from pufferlib.vector.restart import RestartRule
from pufferlib.vector.worker_group import WorkerGroup

_GRACE_S = 1.0  # for workers to close their environments before they are stopped
_LOOK_S = 0.5  # at most between a failure and its discovery


def actor_class(num_cpus: float, ray_options: Mapping[str, object]) -> Any:
    """Return Ray's class of an actor that Ray neither restarts nor sends a task twice.

    Raises:
        ArgumentError: an option that Ray does not know, or that may not be changed.
    """
    own: dict[str, Any] = {"num_cpus": num_cpus, "max_restarts": 0, "max_task_retries": 0}
    for name in (*own, "max_concurrency", "name", "get_if_exists", "lifetime"):
        if name in ray_options:
            advice = "Use the argument num_cpus." if name == "num_cpus" else "Leave it out."
            raise ArgumentError(f"ray_options must not have {name!r}. {advice}")
    try:
        return ray_module().remote(WorkerActor).options(**own, **ray_options)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"Ray's `.options()` of an actor refuses ray_options={dict(ray_options)!r}: {error}"
        ) from error


class RayWorkers(WorkerGroup):
    """Workers that are actors of a Ray cluster.

    The actors end when this object is closed or collected, or when the interpreter exits.

    Args:
        made: how to make each environment.
        num_workers: among which they are divided evenly.
        timeout_s: seconds that an actor may take for a command, and to be placed; None: no limit.
        actors: Ray's class of the actors.
        restart_rule: what to do when one fails.
        lease: of Ray; ended when this is closed.
        autoreset: when environments whose episode is over are reset.
    """

    def __init__(
        self,
        made: tuple[Creation, ...],
        num_workers: int,
        timeout_s: float | None,
        actors: Any,
        restart_rule: RestartRule,
        lease: Lease,
        autoreset: Autoreset,
    ) -> None:
        super().__init__(len(made), num_workers, timeout_s, restart_rule)
        self._autoreset = autoreset
        self._ray = ray_module()
        self._tasks: dict[int, Any] = {}  # by worker, Ray's reference to its next answer
        self._buffers: Buffers | None = None
        self._actor_class = actors
        self._actors: list[Any] = []
        self._stop = weakref.finalize(self, _stop, os.getpid(), self._actors, lease)
        what = "env_creators, env_args and env_kwargs"
        try:
            self._pickled = [pickled(what, made[envs.start : envs.stop]) for envs in self._envs]
            for worker in range(num_workers):
                self._start(worker)
        except BaseException:
            self.close()
            raise

    def _start(self, worker: int) -> None:
        actor = self._actor_class.remote(worker, self._envs[worker].start, self._autoreset)
        self._actors[worker : worker + 1] = [actor]
        self._starting.add(worker)
        self._began(worker, "__init__", actor.make.remote(self._pickled[worker]))

    def allocate_rows(self, rows: int, starts: list[int]) -> tuple[Buffers, Array]:
        """See `WorkerGroup`. The rows of each actor are copied into these as they arrive."""
        space = self._description.single_observation_space
        action_space = self._description.single_action_space
        self._buffers = buffers = Buffers.allocate(space, rows)
        self._actions = np.zeros((rows, *(action_space.shape or ())), action_space.dtype)
        spans = list(zip(starts, [*starts[1:], rows], strict=True))
        self._own_rows = [buffers.rows(*span) for span in spans]
        self._own_actions = [self._actions[start:stop] for start, stop in spans]
        self._packed = [PackedRows(space, stop - start) for start, stop in spans]
        return buffers, self._actions

    def order_step(self, worker: int) -> None:
        """See `WorkerGroup`."""
        if self._step_replacement(worker):
            return
        task = self._actors[worker].step.remote(self._own_actions[worker])
        self._began(worker, "step", task)

    def _order(self, command: str, arguments: Mapping[int, tuple[Any, ...]]) -> None:
        """See `WorkerGroup`."""
        messages = {worker: pickled_command(command, own) for worker, own in arguments.items()}
        for worker, own in arguments.items():
            doing = called_method(command, own)
            self._began(worker, doing, self._actors[worker].run.remote(messages[worker]))

    def close(self) -> None:
        """See `WorkerGroup`."""
        self._tasks.clear()
        self._stop()

    def _wait(self, wanted: int) -> None:
        workers = sorted(self._tasks, key=lambda worker: self._tracker.since_s[worker])
        tasks = [self._tasks[worker] for worker in workers]  # oldest command first
        wanted = min(wanted, len(tasks))
        done, others = self._ray.wait(
            tasks, num_returns=wanted, timeout=self._tracker.left_s(_LOOK_S)
        )
        if others:  # Ray returns no more than num_returns
            done, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=0)
        has_answered = set(done)
        answered = [w for w, task in zip(workers, tasks, strict=True) if task in has_answered]
        for worker, answer in zip(answered, self._answers(answered), strict=True):
            self._receive(worker, answer)
        for worker in self._tracker.late():
            self._fail(worker, self._stuck(worker))

    def _answers(self, workers: list[int]) -> "list[Answer | Exception]":
        """Return the answers of workers, or Ray's error for those whose answer is lost."""
        tasks = [self._tasks.pop(worker) for worker in workers]
        try:
            return list(self._ray.get(tasks, timeout=self._timeout_s))
        except self._ray.exceptions.RayError:
            return [self._answer(task) for task in tasks]  # at least one is lost: find out which

    def _answer(self, task: Any) -> "Answer | Exception":
        try:
            answer: Answer = self._ray.get(task, timeout=self._timeout_s)
        except self._ray.exceptions.RayError as error:
            lost: Exception = error
            return lost
        return answer

    def _receive(self, worker: int, answer: Answer | Exception) -> None:
        if isinstance(answer, Exception):
            error = lost_error(worker, self._envs[worker], answer, self._doing(worker))
            self._fail(worker, error)
            return
        try:
            message: Any = None if answer[0] is None else pickle.loads(answer[0])
        except Exception as error:  # an info of an environment may raise anything here
            envs, doing = self._envs[worker], self._doing(worker)
            self._fail(worker, unreadable_error(worker, envs, error, doing))
            return
        if isinstance(message, Failure) and message.ends_worker:
            self._fail(worker, message.to_error())
            return
        if answer[1] is not None:
            self._packed[worker].unpack(answer[1], self._own_rows[worker])
        if worker in self._starting:
            self._starting.discard(worker)
            if self._buffers is not None:
                self._check_replacement(worker, *message)
                self._tracker.made_replacement(worker)
                self._reset_if_due(worker)
                return
        self._tracker.finished(worker, message)

    def _order_reset(self, worker: int) -> None:
        task = self._actors[worker].run.remote(
            pickled_command("reset", self._replacement_reset(worker))
        )
        self._began(worker, "reset", task)

    def _fail(self, worker: int, error: WorkerError) -> None:
        """Replace a worker, if the restart rule allows it and all environments were made once.

        Raises:
            WorkerError: `error`, if not.
        """
        if self._buffers is None:
            raise error
        info = self._restart_rule.record(error)
        self._ray.kill(self._actors[worker])
        self._tracker.failed(worker, info)
        self._start(worker)

    def _stuck(self, worker: int) -> WorkerError:
        assert self._timeout_s is not None
        doing = self._doing(worker)
        error = stuck_error(worker, self._envs[worker], self._timeout_s, doing)
        if doing == "__init__":
            free = self._ray.available_resources().get("CPU", 0)
            error.add_note(
                f"Ray may have found no place for it: {free:g} of the cluster's CPUs are free now."
            )
        return error

    def _began(self, worker: int, what: str, task: Any) -> None:
        self._tasks[worker] = task
        self._tracker.began(worker, what)


def _stop(owner: int, actors: list[Any], lease: Lease) -> None:
    """Ask the actors to close their environments, then kill them, and end the lease.

    Args:
        owner: id of the process that started them; no other does anything here.
        actors: emptied.
        lease: of Ray.
    """
    if os.getpid() != owner:  # a fork of the caller has a copy of this, but not the actors
        return
    ray = ray_module()
    if ray.is_initialized() and actors:  # if Ray was shut down, they ended with it
        closing = [actor.close.remote() for actor in actors]
        ray.wait(closing, num_returns=len(closing), timeout=_GRACE_S)
        while actors:
            ray.kill(actors.pop())
    lease.leave()
