"""What runs in a worker process: make environments, then run commands until it is closed.

First the two processes talk through a pipe: the worker describes its environments, and the caller
sends the shared memory. After that each waits for the other at the `Gate`: the caller orders STEP,
or orders COMMAND and sends a `pickled_command` through the pipe; the worker answers DONE, or
answers MESSAGE and sends the message through the pipe. Rows and actions are in shared memory.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from dataclasses import dataclass
from multiprocessing import parent_process, reduction
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from pufferlib import proc
from pufferlib.annotations import Array
from pufferlib.global_random import seed_globals_of_worker
from pufferlib.vector.arguments import Creation
from pufferlib.vector.autoreset import Autoreset
from pufferlib.vector.batch import Infos
from pufferlib.vector.block import Block
from pufferlib.vector.calls import CALLS, pickled_answer_of
from pufferlib.vector.failure import Failure
from pufferlib.vector.processes.gate import Gate
from pufferlib.vector.processes.shared_memory import RowMemory
from pufferlib.vector.threads import limit_this_worker

STEP, COMMAND = 1, 2  # orders
DONE, MESSAGE = 1, 2  # answers


WorkerCreations = tuple[Creation, ...] | bytes
"""How to make each environment of a worker; pickled, unless the worker is a fork."""


@dataclass(frozen=True)
class RowSlice:
    """Which rows of the shared memory are a worker's.

    Attributes:
        first_row: the first of them; there are as many as its environments have agents.
        rows: in the whole memory.
        workers: that share it.
    """

    first_row: int
    rows: int
    workers: int


def run(
    connection: Connection,
    made: WorkerCreations,
    worker: int,
    first_env: int,
    is_forked: bool,
    autoreset: Autoreset,
) -> None:
    """Serve until the caller sends "close" or ends.

    Args:
        connection: to the caller.
        made: how to make each environment.
        worker: index of this worker.
        first_env: index of its first environment.
        is_forked: this process is a fork of the caller.
        autoreset: when environments whose episode is over are reset.

    Sends the descriptions and row counts of the environments once they are made, then one answer to
    each command. A failure of an environment is sent as a `Failure`, and ends the worker except in
    one of `CALLS`. Processes that the environments have started and not ended are killed at the
    end.
    """
    _leave_signals_to_the_caller()
    proc.adopt_orphans()
    multiprocessing.current_process().daemon = False  # a daemonic process may not start others
    caller = parent_process()
    assert caller is not None
    threading.Thread(target=_exit_with, args=(exit_fd(caller),), daemon=True).start()
    limit_this_worker(is_forked)
    seed_globals_of_worker(worker)
    block = Block(first_env, owns_process=True, autoreset=autoreset)
    try:
        with (
            contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError),
            connection,
        ):
            shared = _make(connection, block, made, worker)
            if shared is not None:
                _serve(connection, block, *shared, worker)
            block.close()
    finally:
        proc.kill(proc.descendants())


def _make(
    connection: Connection, block: Block, made: WorkerCreations, worker: int
) -> tuple[Gate, Array] | None:
    """Make the environments and map their rows; return the gate and their actions.

    None if one could not be made, or if the caller closes before it shares its memory.
    """
    try:
        descriptions = block.make(pickle.loads(made) if isinstance(made, bytes) else made)
    except Exception as error:
        _send(connection, Failure.of(error, block, "__init__", worker))
        return None
    _send(connection, (descriptions, block.num_agents))
    command, *arguments = connection.recv()
    if command == "close":
        return None
    (own,) = arguments
    fd = reduction.recv_handle(connection)
    spaces = descriptions[0].single_observation_space, descriptions[0].single_action_space
    buffers, actions, words = RowMemory(*spaces, own.rows, own.workers).map(fd)
    os.close(fd)
    rows = slice(own.first_row, own.first_row + sum(block.num_agents))
    block.bind(buffers.rows(rows.start, rows.stop))
    return Gate(words), actions[rows]


def _serve(connection: Connection, block: Block, gate: Gate, actions: Array, worker: int) -> None:
    """Obey orders until the caller closes."""
    while True:
        order = gate.next_order(worker)
        command: tuple[Any, ...] = ("step",) if order == STEP else connection.recv()
        name, *rest = command
        if name == "close":
            return
        try:
            if order == STEP:
                message = _pickled_infos(block.step(actions))
            else:
                method, arguments = rest
                if name in CALLS:
                    message = pickled_answer_of(block, name, method, arguments, worker, _pickled)
                else:
                    message = _pickled_infos(block.reset(*pickle.loads(arguments)))
        except Exception as error:
            gate.answer(worker, MESSAGE)
            _send(connection, Failure.of(error, block, name, worker))
            return
        if message is None:
            gate.answer(worker, DONE)
        else:  # answered first: the caller must read while a long message is sent
            gate.answer(worker, MESSAGE)
            connection.send_bytes(message)


def _pickled_infos(infos: Infos) -> bytes | None:
    return _pickled(infos) if infos else None


def _send(connection: Connection, message: object) -> None:
    connection.send_bytes(_pickled(message))


def _pickled(message: object) -> bytes:
    """Return `message` by value; multiprocessing's pickler would put a tensor in shared memory."""
    return pickle.dumps(message, pickle.HIGHEST_PROTOCOL)


def _leave_signals_to_the_caller() -> None:
    """Ignore Ctrl+C, which reaches the whole process group; let SIGTERM end this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit_with(caller_exit_fd: int) -> None:
    """End this process when the caller's has ended, even in the middle of a step."""
    wait([caller_exit_fd])
    proc.kill(proc.descendants())
    os._exit(1)


def exit_fd(process: BaseProcess) -> int:
    """Return a new descriptor that becomes readable when `process` has ended.

    A pidfd if the system has them: the pipe that multiprocessing offers stays open as long as any
    process lives that was forked in the meantime, by an environment for example.
    """
    try:
        return os.pidfd_open(process.ident or 0)
    except (AttributeError, OSError):  # macOS has none; a container may forbid it
        return os.dup(process.sentinel)
