"""The workers as the caller sees them: send commands, wait, find failures, replace, stop.

A worker is a process or, for the last one, the calling process itself. `first_ready` waits at the
`Gate`, and regularly checks whether a process has ended or exceeds the timeout.
"""

import math
import os
import pickle
import time
from collections.abc import Mapping
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from typing import Any

from pufferlib.annotations import Array
from pufferlib.environment import Buffers
from pufferlib.exceptions import ArgumentError, WorkerError
from pufferlib.vector.arguments import Creation
from pufferlib.vector.autoreset import Autoreset
from pufferlib.vector.block import Description
from pufferlib.vector.calls import called_method, pickled_command
from pufferlib.vector.failure import (
    Failure,
    death_error,
    start_error,
    stuck_error,
    unreadable_error,
)
from pufferlib.vector.pickling import pickled
from pufferlib.vector.processes.caller_worker import CallerWorker
from pufferlib.vector.processes.gate import Gate
from pufferlib.vector.processes.shared_memory import RowMemory
from pufferlib.vector.processes.start_method import is_fork, start_context
from pufferlib.vector.processes.worker_main import COMMAND, DONE, STEP, RowSlice, WorkerCreations
from pufferlib.vector.processes.worker_process import WorkerProcess, stop_with
from pufferlib.vector.restart import RestartRule
from pufferlib.vector.worker_group import WorkerGroup

_LOOK_S = 0.05  # between two checks that every process still lives
_LOOK_AT_NEW_S = 0.005  # while a replacement is being started
_LOOK_AT_FIRST_S = 0.5  # while all are being started


class ProcessWorkers(WorkerGroup):
    """Workers that are processes, with `caller_steps` also the calling process.

    The processes end when this object is closed or collected, or when the interpreter exits.

    Args:
        made: how to make each environment.
        num_workers: among which they are divided evenly.
        timeout_s: seconds that a process may take for a command; None: no limit.
        start_method: of the processes; None: chosen whenever one is started.
        caller_steps: the last worker is the calling process.
        restart_rule: what to do when a process fails.
        autoreset: when environments whose episode is over are reset.
    """

    def __init__(
        self,
        made: tuple[Creation, ...],
        num_workers: int,
        timeout_s: float | None,
        start_method: str | None,
        caller_steps: bool,
        restart_rule: RestartRule,
        autoreset: Autoreset,
    ) -> None:
        super().__init__(len(made), num_workers, timeout_s, restart_rule)
        self._autoreset = autoreset
        self._start_method = start_method
        self._looked_s = 0.0  # when it was last checked that every process lives
        self._processes: list[WorkerProcess] = []
        self._gates: list[Gate] = []  # one, as soon as the memory is shared
        self._memory_fds: list[int] = []
        self._stop = stop_with(self, self._processes, self._gates, self._memory_fds)
        num_processes = num_workers - caller_steps
        self._made: list[WorkerCreations] = [
            made[envs.start : envs.stop] for envs in self._envs[:num_processes]
        ]
        self._caller: CallerWorker | None = None
        if caller_steps:
            first_own = self._envs[-1].start
            self._caller = CallerWorker(num_processes, first_own, made[first_own:], autoreset)
        try:
            context = start_context(start_method)
            for worker in range(num_processes):  # before the first is started
                self._pickle_creations(worker, context)
            for worker in range(num_processes):
                self._start(worker, context)
        except BaseException:
            self.close()
            raise

    def _pickle_creations(self, worker: int, context: BaseContext) -> None:
        """Pickle how a worker's environments are made, unless it is a fork, which has them.

        Raises:
            ArgumentError: they cannot be pickled.
        """
        made = self._made[worker]
        if not (is_fork(context) or isinstance(made, bytes)):
            self._made[worker] = pickled("env_creators, env_args and env_kwargs", made)

    def _start(self, worker: int, context: BaseContext) -> None:
        envs = self._envs[worker]
        try:
            process = WorkerProcess(
                context, self._made[worker], worker, envs.start, self._autoreset
            )
        except OSError as error:
            raise start_error(worker, envs, error) from error
        self._processes[worker : worker + 1] = [process]
        if self._timeout_s is not None:
            process.limit_waiting(self._timeout_s)
        self._starting.add(worker)
        self._tracker.began(worker, "__init__")

    def descriptions(self) -> tuple[Description, list[int]]:
        """See `WorkerGroup`."""
        if self._caller is not None:  # while the processes make their environments
            self._tracker.finished(len(self._processes), self._caller.make())
        return super().descriptions()

    def allocate_rows(self, rows: int, starts: list[int]) -> tuple[Buffers, Array]:
        """See `WorkerGroup`. Each worker maps the same memory."""
        self._starts, self._rows = starts, rows
        description = self._description
        memory = RowMemory(
            description.single_observation_space,
            description.single_action_space,
            rows,
            len(self._envs),
        )
        fd = memory.allocate()
        try:
            for worker in range(len(self._processes)):
                self._send_memory(worker, fd)
            buffers, actions, words = memory.map(fd)
            if self._restart_rule.restarts:  # replacements need it too
                self._memory_fd = os.dup(fd)
                self._memory_fds.append(self._memory_fd)
        finally:
            os.close(fd)
        self._gates.append(Gate(words))
        if self._caller is not None:
            first = self._starts[-1]
            self._caller.bind(buffers.rows(first, rows), actions[first:rows])
        return buffers, actions

    def _send_memory(self, worker: int, fd: int) -> None:
        """Send a worker the shared memory.

        Raises:
            WorkerError: it has died.
        """
        own = RowSlice(self._starts[worker], self._rows, len(self._envs))
        process = self._processes[worker]
        try:
            process.connection.send(("rows", own))
            process.send_handle(fd)
        except (BrokenPipeError, ConnectionResetError):
            raise self._death(worker) from None

    def order_step(self, worker: int) -> None:
        """See `WorkerGroup`."""
        if self._step_replacement(worker):
            return
        self._tracker.began(worker, "step")
        if worker < len(self._processes):
            self._gates[0].order(worker, STEP)
        elif self._caller is not None:
            self._caller.order_step()

    def _order(self, command: str, arguments: Mapping[int, tuple[Any, ...]]) -> None:
        """See `WorkerGroup`."""
        messages = {worker: pickled_command(command, own) for worker, own in arguments.items()}
        for worker, own in arguments.items():
            self._tracker.began(worker, called_method(command, own))
            if worker == len(self._processes) and self._caller is not None:
                self._caller.order(command, *own)
        for worker, message in messages.items():
            if worker < len(self._processes):
                self._command(worker, message)

    def _command(self, worker: int, message: bytes) -> None:
        # Ordered first: the worker must read while a long message is sent.
        self._gates[0].order(worker, COMMAND)
        try:
            self._processes[worker].connection.send_bytes(message)
        except BlockingIOError:
            self._fail(worker, self._stuck(worker))
        except (BrokenPipeError, ConnectionResetError):
            self._fail(worker, self._death(worker))

    def first_ready(self, count: int, group_size: int | None) -> list[int]:
        """See `WorkerGroup`. The caller steps its own environments before it waits."""
        doing = self._tracker.doing[-1]
        if self._caller is not None and doing is not None:
            self._tracker.finished(len(self._processes), self._caller.run(doing))
        return super().first_ready(count, group_size)

    def drain(self) -> None:
        """See `WorkerGroup`."""
        if self._caller is not None:
            self._tracker.doing[-1] = None  # a command that the caller has not begun is dropped
        super().drain()

    def close(self) -> None:
        """See `WorkerGroup`."""
        self._stop()
        if self._caller is not None:
            self._caller.close()

    def _wait(self, wanted: int) -> None:
        if not self._gates:
            self._receive_new(self._tracker.left_s(_LOOK_AT_FIRST_S))
        else:
            if self._starting:
                self._receive_new(0.0)
            look_s = _LOOK_AT_NEW_S if self._starting else _LOOK_S
            answered = self._gates[0].answers(wanted, self._tracker.left_s(look_s) or 0.0)
            if time.monotonic() - self._looked_s > _LOOK_S:
                self._looked_s = time.monotonic()
                ended = [worker for worker, p in enumerate(self._processes) if p.has_ended]
                answered += self._gates[0].answers(1, 0.0)  # a last answer before it ended
                has_answered = {worker for worker, _ in answered}
                for worker in ended:
                    is_making = worker in self._starting
                    is_busy = self._tracker.doing[worker] is not None and not is_making
                    if worker not in has_answered and is_busy:
                        self._fail(worker, self._death(worker))
            answered.sort(key=lambda each: self._tracker.since_s[each[0]])  # oldest command first
            for worker, answer in answered:
                self._receive(worker, answer)
        for worker in self._tracker.late():
            self._fail(worker, self._stuck(worker))

    def _receive_new(self, timeout_s: float | None) -> None:
        """Wait until new processes have described their environments, or for the timeout."""
        fds = [fd for worker in self._starting for fd in self._processes[worker].fds]
        readable = set(wait(fds, timeout_s))
        for worker in sorted(self._starting):
            if not readable.isdisjoint(self._processes[worker].fds):
                self._receive_description(worker)

    def _receive_description(self, worker: int) -> None:
        try:
            answer = self._read(worker)
        except WorkerError as error:
            self._fail(worker, error)
            return
        self._starting.discard(worker)
        if not self._gates:
            self._tracker.finished(worker, answer)
            return
        self._check_replacement(worker, *answer)
        try:
            self._send_memory(worker, self._memory_fd)
        except WorkerError as error:
            self._fail(worker, error)
            return
        self._tracker.made_replacement(worker)
        self._reset_if_due(worker)

    def _order_reset(self, worker: int) -> None:
        self._tracker.began(worker, "reset")
        self._command(worker, pickled_command("reset", self._replacement_reset(worker)))

    def _receive(self, worker: int, answer: int) -> None:
        try:
            message = None if answer == DONE else self._read(worker)
        except WorkerError as error:
            self._fail(worker, error)
        else:
            self._tracker.finished(worker, message)

    def _read(self, worker: int) -> Any:
        """Return the message that a worker is sending.

        Raises:
            WorkerError: the worker has failed, died or got stuck, or its message is unreadable.
        """
        process = self._processes[worker]
        limit_s = math.inf if self._timeout_s is None else self._timeout_s
        give_up_s = time.monotonic() + limit_s
        while not process.connection.poll(_LOOK_S):
            if process.has_ended and not process.connection.poll():
                raise self._death(worker)  # a process it started may keep its pipe open
            if time.monotonic() > give_up_s:
                raise self._stuck(worker)
        try:
            data = process.connection.recv_bytes()
        except BlockingIOError:  # in the middle of a message
            raise self._stuck(worker) from None
        except (EOFError, OSError):  # in the middle of a message, too
            raise self._death(worker) from None
        try:
            message = pickle.loads(data)
        except Exception as error:  # an info of an environment may raise anything here
            envs = self._envs[worker]
            raise unreadable_error(worker, envs, error, self._doing(worker)) from error
        if isinstance(message, Failure) and message.ends_worker:
            raise message.to_error()
        return message

    def _fail(self, worker: int, error: WorkerError) -> None:
        """Replace a worker, if the restart rule allows it and all environments were made once.

        Raises:
            WorkerError: `error`, if not.
            ArgumentError: it cannot be forked now, and its creations cannot be pickled.
        """
        if not self._gates:
            raise error
        info = self._restart_rule.record(error)
        self._processes[worker].kill()
        self._gates[0].forget(worker)
        self._starting.discard(worker)
        self._tracker.failed(worker, info)
        context = start_context(self._start_method)  # the caller may run more than at first
        try:
            self._pickle_creations(worker, context)
        except ArgumentError as refusal:
            raise refusal from error
        self._start(worker, context)

    def _stuck(self, worker: int) -> WorkerError:
        assert self._timeout_s is not None
        return stuck_error(worker, self._envs[worker], self._timeout_s, self._doing(worker))

    def _death(self, worker: int) -> WorkerError:
        exit_code = self._processes[worker].exit_code()
        return death_error(worker, self._envs[worker], exit_code, self._doing(worker))
