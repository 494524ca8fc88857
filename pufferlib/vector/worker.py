"""What runs in a worker process: make a block of environments, then do as told until told to stop.

First the two talk through a pipe: the worker says what its environments look like, the caller hands
over the shared memory. From then on each waits for the other at the `Gate`: the caller orders STEP,
or COMMAND and sends (command, *arguments) through the pipe; the worker answers DONE, or MESSAGE and
sends it through the pipe. Rows and actions lie in the shared memory.
"""

import contextlib
import os
import pickle
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process, reduction
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import threadpoolctl
from numpy.typing import NDArray

from pufferlib.cores import limit_threads, told_threads
from pufferlib.vector.batch import Infos
from pufferlib.vector.block import Block
from pufferlib.vector.failure import Failure
from pufferlib.vector.gate import Gate
from pufferlib.vector.memory import RowMemory

STEP, COMMAND = 1, 2  # orders
DONE, MESSAGE = 1, 2  # answers
# What the numeric libraries read when they are loaded.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)


@dataclass(frozen=True)
class Share:
    """What the caller hands a worker: the size of the memory, and which part is the worker's."""

    rows: int
    first_row: int
    workers: int


def run(connection: Connection, pickled: bytes, worker: int, first_env: int) -> None:
    """Serve until the caller says close, or is gone.

    Args:
        connection: to the caller.
        pickled: a tuple of `Creation`, how to make each environment.
        worker: index of this worker.
        first_env: index of its first environment.

    Sends, in this order: the descriptions and row counts of the environments once they are made,
    then one answer a command. An environment's failure is sent as a `Failure` and ends the worker.
    """
    _leave_signals_to_the_caller()
    caller = parent_process()
    assert caller is not None
    threading.Thread(target=_die_with, args=(exit_fd(caller),), daemon=True).start()
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
    limit_threads(told_threads() or 1)
    block = Block(first_env)
    with (
        contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError),
        threadpoolctl.threadpool_limits(told_threads() or 1),
        connection,
    ):
        shared = _make(connection, block, pickled, worker)
        if shared is not None:
            _serve(connection, block, *shared, worker)
        block.close()


def _make(
    connection: Connection, block: Block, pickled: bytes, worker: int
) -> tuple[Gate, NDArray[Any]] | None:
    """Make the environments and map their rows; return the gate and their actions.

    None where one could not be made, or the caller has no use for them any more.
    """
    try:
        descriptions = block.make(pickle.loads(pickled))
    except Exception as error:
        _send(connection, Failure.of(error, block, "__init__", worker))
        return None
    _send(connection, (descriptions, block.num_agents))
    command, *arguments = connection.recv()
    if command == "close":
        return None
    (share,) = arguments
    fd = reduction.recv_handle(connection)
    spaces = descriptions[0].single_observation_space, descriptions[0].single_action_space
    buffers, actions, words = RowMemory(*spaces, share.rows, share.workers).map(fd)
    os.close(fd)
    mine = slice(share.first_row, share.first_row + sum(block.num_agents))
    block.bind(buffers.rows(mine.start, mine.stop))
    return Gate(words), actions[mine]


def _serve(
    connection: Connection, block: Block, gate: Gate, actions: NDArray[Any], worker: int
) -> None:
    """Obey orders until told to close."""
    methods: dict[str, Callable[..., Any]] = {
        "reset": block.reset,
        "call": block.call,
        "get_attr": block.get_attr,
        "set_attr": block.set_attr,
    }
    while True:
        order = gate.next_order(worker)
        name, arguments = "step", []
        try:
            if order == STEP:
                result: Any = block.step(actions)
            else:
                name, *arguments = connection.recv()
                if name == "close":
                    return
                result = methods[name](*arguments)
            is_silent = result is None or (isinstance(result, Infos) and not result)
            message = None if is_silent else _pickled(result)
        except Exception as error:
            gate.answer(worker, MESSAGE)
            _send(connection, Failure.of(error, block, _method(name, arguments), worker))
            return
        if message is None:
            gate.answer(worker, DONE)
        else:  # answered first: the caller must read while a long message is sent
            gate.answer(worker, MESSAGE)
            connection.send_bytes(message)


def _method(name: str, arguments: list[Any]) -> str:
    """Return the name of the environment's method that a command calls."""
    return str(arguments[0]) if name == "call" else name


def _send(connection: Connection, message: Any) -> None:
    connection.send_bytes(_pickled(message))


def _pickled(message: Any) -> bytes:
    """Return `message` by value; as multiprocessing pickles it, a tensor would be shared memory."""
    return pickle.dumps(message, pickle.HIGHEST_PROTOCOL)


def _leave_signals_to_the_caller() -> None:
    """Ctrl+C reaches the whole group: the caller decides. SIGTERM ends this process at once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _die_with(caller_exit_fd: int) -> None:
    """End this process when the caller's is gone, even in the middle of a step."""
    wait([caller_exit_fd])
    os._exit(1)


def exit_fd(process: BaseProcess) -> int:
    """Return a new descriptor that can be read once `process` has ended.

    A pidfd where there is one: the pipe that multiprocessing offers stays open for as long as any
    process lives that was forked meanwhile, by an environment for example.
    """
    try:
        return os.pidfd_open(process.ident or 0)
    except (AttributeError, OSError):  # macOS has none; a container may forbid it
        return os.dup(process.sentinel)
