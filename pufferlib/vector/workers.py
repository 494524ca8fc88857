"""The workers as the caller sees them: order, wait, find out how one died, replace it, stop.

A worker is a process, or, last of all, the caller itself. `first_ready` waits at the `Gate`, and
now and then looks whether a process has ended or takes too long.
"""

import math
import multiprocessing
import os
import pickle
import time
import weakref
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import Any

from numpy.typing import NDArray

from pufferlib.environment import Buffers
from pufferlib.exceptions import WorkerError
from pufferlib.vector.arguments import Creation
from pufferlib.vector.block import Block, Description
from pufferlib.vector.failure import Failure, death_error, start_error, stuck_error
from pufferlib.vector.gate import Gate
from pufferlib.vector.ledger import pickled
from pufferlib.vector.memory import RowMemory
from pufferlib.vector.process import WorkerProcess, stop
from pufferlib.vector.restart import RestartPolicy
from pufferlib.vector.worker import COMMAND, DONE, STEP, Share
from pufferlib.vector.worker_group import WorkerGroup

_LOOK_S = 0.05  # between two looks at whether every process still lives
_LOOK_AT_NEW_S = 0.005  # while one is being started
_LOOK_AT_FIRST_S = 0.5  # while all are


class Workers(WorkerGroup):
    """Processes, and maybe the caller.

    Nothing is left of the processes once this object is closed, collected, or the interpreter
    exits.

    Args:
        made: how to make each environment.
        num_workers: among which they are divided evenly.
        timeout_s: that a process may take for an order; None: for ever.
        context: how processes are started.
        caller_steps: the last worker is the caller.
        policy: what to do when a process fails.
    """

    def __init__(
        self,
        made: tuple[Creation, ...],
        num_workers: int,
        timeout_s: float | None,
        context: multiprocessing.context.BaseContext,
        caller_steps: bool,
        policy: RestartPolicy,
    ) -> None:
        super().__init__(len(made), num_workers, timeout_s)
        self._context, self._policy = context, policy
        self._looked_s = 0.0  # when it was last seen that every process lives
        self._processes: list[WorkerProcess] = []
        self._gates: list[Gate] = []  # the one there is, once the memory is shared
        self._memory_fds: list[int] = []
        self._stop = weakref.finalize(
            self, stop, os.getpid(), self._processes, self._gates, self._memory_fds
        )
        self._block = Block(self._envs[-1].start) if caller_steps else None
        what = "env_creators, env_args and env_kwargs"
        num_processes = num_workers - caller_steps
        self._pickled = [
            pickled(what, made[envs.start : envs.stop]) for envs in self._envs[:num_processes]
        ]
        self._own = made[self._envs[-1].start :] if caller_steps else ()
        try:
            for worker in range(num_processes):
                self._start(worker)
        except BaseException:
            self.close()
            raise

    def _start(self, worker: int) -> None:
        envs = self._envs[worker]
        try:
            process = WorkerProcess(self._context, self._pickled[worker], worker, envs.start)
        except OSError as error:
            raise start_error(worker, envs, error) from error
        self._processes[worker : worker + 1] = [process]
        if self._timeout_s is not None:
            process.limit_waiting(self._timeout_s)
        self._new.add(worker)
        self._ledger.began(worker, "__init__")

    def descriptions(self) -> tuple[Description, list[int]]:
        """See `WorkerGroup`."""
        if self._block is not None:  # while the processes make theirs
            self._run_own("__init__", lambda block: (block.make(self._own), block.num_agents))
        return super().descriptions()

    def share(self, rows: int, starts: list[int]) -> tuple[Buffers, NDArray[Any]]:
        """See `WorkerGroup`. Each worker maps the same memory."""
        self._starts, self._rows = starts, rows
        look = self._description
        memory = RowMemory(
            look.single_observation_space, look.single_action_space, rows, len(self._envs)
        )
        fd = memory.allocate()
        try:
            for worker in range(len(self._processes)):
                self._hand_over(worker, fd)
            buffers, actions, words = memory.map(fd)
            if self._policy.restarts:  # a process that takes another's place needs it as well
                self._memory_fd = os.dup(fd)
                self._memory_fds.append(self._memory_fd)
        finally:
            os.close(fd)
        self._gates.append(Gate(words))
        if self._block is not None:
            first = self._starts[-1]
            self._block.bind(buffers.rows(first, rows))
            self._own_actions = actions[first:rows]
        return buffers, actions

    def _hand_over(self, worker: int, fd: int) -> None:
        """Give a worker the memory.

        Raises:
            WorkerError: it has died.
        """
        share = Share(self._rows, self._starts[worker], len(self._envs))
        process = self._processes[worker]
        try:
            process.connection.send(("share", share))
            process.send_handle(fd)
        except (BrokenPipeError, ConnectionResetError):
            raise self._death(worker) from None

    def order_step(self, worker: int) -> None:
        """See `WorkerGroup`."""
        if self._ledger.ask_replacement(worker):
            self._reset_if_due(worker)
            return
        self._ledger.began(worker, "step")
        if worker < len(self._processes):
            self._gates[0].order(worker, STEP)
        else:
            self._own_command = ("step", self._own_actions)

    def order_all(self, command: str, arguments: Sequence[tuple[Any, ...]]) -> None:
        """See `WorkerGroup`."""
        messages = [pickled(f"The arguments of {command}", (command, *own)) for own in arguments]
        if command == "reset":
            self._seed = arguments[0][0]
        for worker, own in enumerate(arguments):
            self._ledger.began(worker, own[0] if command == "call" else command)
        self._own_command = (command, *arguments[-1])
        for worker in range(len(self._processes)):
            self._command(worker, messages[worker])

    def _command(self, worker: int, message: bytes) -> None:
        self._gates[0].order(worker, COMMAND)  # first: the worker must read while much is sent
        try:
            self._processes[worker].connection.send_bytes(message)
        except BlockingIOError:
            self._fail(worker, self._stuck(worker))
        except (BrokenPipeError, ConnectionResetError):
            self._fail(worker, self._death(worker))

    def first_ready(self, count: int, group_size: int | None) -> list[int]:
        """See `WorkerGroup`. The caller's own environments come first."""
        if self._block is not None and self._ledger.doing[-1] is not None:
            self._obey_own()
        return super().first_ready(count, group_size)

    def drain(self) -> None:
        """See `WorkerGroup`."""
        if self._block is not None:
            self._ledger.doing[-1] = None  # what the caller has not begun it need not do
        super().drain()

    def close(self) -> None:
        """See `WorkerGroup`."""
        self._stop()
        if self._block is not None:
            self._block.close()

    def _wait(self, wanted: int) -> None:
        if not self._gates:
            self._hear_new(self._ledger.left_s(_LOOK_AT_FIRST_S))
        else:
            if self._new:
                self._hear_new(0.0)
            look_s = _LOOK_AT_NEW_S if self._new else _LOOK_S
            answered = self._gates[0].answers(wanted, self._ledger.left_s(look_s) or 0.0)
            if time.monotonic() - self._looked_s > _LOOK_S:
                self._looked_s = time.monotonic()
                ended = [worker for worker, p in enumerate(self._processes) if p.has_ended]
                answered += self._gates[0].answers(1, 0.0)  # the last words of one that ended
                said = {worker for worker, _ in answered}
                for worker in ended:
                    is_busy = self._ledger.doing[worker] is not None and worker not in self._new
                    if worker not in said and is_busy:
                        self._fail(worker, self._death(worker))
            answered.sort(key=lambda each: self._ledger.since_s[each[0]])  # told first, heard first
            for worker, answer in answered:
                self._hear(worker, answer)
        for worker in self._ledger.late():
            self._fail(worker, self._stuck(worker))

    def _hear_new(self, timeout_s: float | None) -> None:
        """Wait for processes that have made their environments, and note what they are."""
        fds = [fd for worker in self._new for fd in self._processes[worker].fds]
        readable = set(wait(fds, timeout_s))
        for worker in sorted(self._new):
            if not readable.isdisjoint(self._processes[worker].fds):
                self._hear_description(worker)

    def _hear_description(self, worker: int) -> None:
        try:
            answer = self._read(worker)
        except WorkerError as error:
            self._fail(worker, error)
            return
        self._new.discard(worker)
        if not self._gates:
            self._ledger.finished(worker, answer)
            return
        self._check_replacement(worker, *answer)
        try:
            self._hand_over(worker, self._memory_fd)
        except WorkerError as error:
            self._fail(worker, error)
            return
        self._ledger.made_replacement(worker)
        self._reset_if_due(worker)

    def _order_reset(self, worker: int) -> None:
        self._ledger.began(worker, "reset")
        seed = self._policy.new_seed(self._seed, worker)
        self._command(worker, pickled("seed", ("reset", seed)))

    def _hear(self, worker: int, answer: int) -> None:
        try:
            message = None if answer == DONE else self._read(worker)
        except WorkerError as error:
            self._fail(worker, error)
        else:
            self._ledger.finished(worker, message)

    def _read(self, worker: int) -> Any:
        """Return the message that a worker is sending.

        Raises:
            WorkerError: it says that an environment failed, has died, or stops in the middle.
        """
        process = self._processes[worker]
        patience_s = math.inf if self._timeout_s is None else self._timeout_s
        give_up_s = time.monotonic() + patience_s
        while not process.connection.poll(_LOOK_S):
            if process.has_ended and not process.connection.poll():
                raise self._death(worker)  # something it started may hold its pipe open
            if time.monotonic() > give_up_s:
                raise self._stuck(worker)
        try:
            message = pickle.loads(process.connection.recv_bytes())
        except BlockingIOError:  # in the middle of a message
            raise self._stuck(worker) from None
        except (EOFError, OSError):  # in the middle of a message, too
            raise self._death(worker) from None
        if isinstance(message, Failure):
            raise message.to_error()
        return message

    def _obey_own(self) -> None:
        """Do in the caller what its own share of the environments was told."""
        doing = self._ledger.doing[-1]
        assert doing is not None
        command, *arguments = self._own_command
        self._run_own(doing, lambda block: getattr(block, command)(*arguments))

    def _run_own(self, method: str, run: Callable[[Block], Any]) -> None:
        """Note what the caller's own environments answer; raise what they raise as WorkerError."""
        assert self._block is not None
        try:
            answer = run(self._block)
        except Exception as error:
            failure = Failure.of(error, self._block, method, len(self._processes))
            raise failure.to_error(cause=error) from error
        self._ledger.finished(len(self._processes), answer)

    def _fail(self, worker: int, error: WorkerError) -> None:
        """Replace a worker where that is the policy and its environments were made once.

        Raises:
            WorkerError: else.
        """
        if not self._gates:
            raise error
        info = self._policy.record(error)
        self._processes[worker].kill()
        self._gates[0].forget(worker)
        self._new.discard(worker)
        self._ledger.lost(worker, info)
        self._start(worker)

    def _stuck(self, worker: int) -> WorkerError:
        assert self._timeout_s is not None
        return stuck_error(worker, self._envs[worker], self._timeout_s, self._doing(worker))

    def _death(self, worker: int) -> WorkerError:
        exit_code = self._processes[worker].exit_code()
        return death_error(worker, self._envs[worker], exit_code, self._doing(worker))
