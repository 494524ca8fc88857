"""What runs in a worker process: make a block of environments, then do as told until told to stop.

Caller to worker: one byte that says STEP, or a pickled (command, *arguments). Worker to caller, one
message each: one byte that says DONE, or a pickled result. The rows and actions themselves lie in
shared memory.
"""

import contextlib
import os
import pickle
import signal
import threading
from collections.abc import Callable
from multiprocessing import parent_process, reduction
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from numpy.typing import NDArray

from pufferlib.vector.batch import Infos
from pufferlib.vector.block import Block
from pufferlib.vector.failure import Failure
from pufferlib.vector.memory import RowMemory

STEP = b"s"
DONE = b"d"


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
    block = Block(first_env)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError), connection:
        actions = _make(connection, block, pickled, worker)
        if actions is not None:
            _serve(connection, block, actions, worker)
        block.close()


def _make(connection: Connection, block: Block, pickled: bytes, worker: int) -> NDArray[Any] | None:
    """Make the environments and map their rows; return their actions, None on failure or close."""
    try:
        descriptions = block.make(pickle.loads(pickled))
    except Exception as error:
        _send(connection, Failure.of(error, block, "__init__", worker))
        return None
    _send(connection, (descriptions, block.num_agents))
    command, *arguments = connection.recv()
    if command == "close":
        return None
    rows, first_row = arguments
    fd = reduction.recv_handle(connection)
    memory = RowMemory(
        descriptions[0].single_observation_space, descriptions[0].single_action_space, rows
    )
    buffers, actions = memory.map(fd)
    os.close(fd)
    mine = slice(first_row, first_row + sum(block.num_agents))
    block.bind(buffers.rows(mine.start, mine.stop))
    return actions[mine]


def _serve(connection: Connection, block: Block, actions: NDArray[Any], worker: int) -> None:
    """Answer commands until told to close."""
    methods: dict[str, Callable[..., Any]] = {
        "reset": block.reset,
        "call": block.call,
        "get_attr": block.get_attr,
        "set_attr": block.set_attr,
    }
    while True:
        message = connection.recv_bytes()
        name, arguments = "step", []
        try:
            if message == STEP:
                result = block.step(actions)
            else:
                name, *arguments = pickle.loads(message)
                if name == "close":
                    return
                result = methods[name](*arguments)
            is_silent = result is None or (isinstance(result, Infos) and not result)
            answer = DONE if is_silent else reduction.ForkingPickler.dumps(result)
        except Exception as error:
            _send(connection, Failure.of(error, block, _method(name, arguments), worker))
            return
        connection.send_bytes(answer)


def _method(name: str, arguments: list[Any]) -> str:
    """Return the name of the environment's method that a command calls."""
    return str(arguments[0]) if name == "call" else name


def _send(connection: Connection, message: Any) -> None:
    connection.send_bytes(reduction.ForkingPickler.dumps(message))


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
