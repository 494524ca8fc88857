"""The failure of a worker or an environment, as the caller receives it."""

import contextlib
import pickle
import signal
import traceback
from dataclasses import dataclass, fields
from typing import Any

import cloudpickle

from pufferlib.exceptions import MissingAttributeError, WorkerError
from pufferlib.vector.block import Block


@dataclass(frozen=True)
class Failure:
    """An exception of an environment, in a form that any process can unpickle.

    Attributes:
        worker: index of the worker, or None for Serial.
        env_index: index of the environment.
        seed: its last seed, or None.
        step: steps since its last reset; None if it was not made yet.
        method: the method that failed.
        original_type: name of the exception's class.
        original_message: its message.
        original_traceback: its traceback, as text.
        pickled_error: the exception, pickled; None if it cannot be.
        ends_worker: the worker ends with it; False for a call into the environments, after which
            all of them can be used as before.
        is_missing: a call asked for an attribute that the environment does not have.
        error: the exception; None in any other process.
    """

    worker: int | None
    env_index: int
    seed: int | None
    step: int | None
    method: str
    original_type: str
    original_message: str
    original_traceback: str
    pickled_error: bytes | None
    ends_worker: bool = True
    is_missing: bool = False
    error: BaseException | None = None

    @classmethod
    def of(
        cls,
        error: BaseException,
        block: Block,
        method: str,
        worker: int | None,
        ends_worker: bool = True,
        is_missing: bool = False,
    ) -> "Failure":
        """Describe what `block.<method>` raised."""
        known = block.current < len(block.seeds)
        return cls(
            worker=worker,
            env_index=block.first_env + block.current,
            seed=block.seeds[block.current] if known else None,
            step=block.steps if known else None,
            method=method,
            original_type=type(error).__name__,
            original_message=_text(error),
            original_traceback="".join(traceback.format_exception(error)),
            pickled_error=_pickled(error),
            ends_worker=ends_worker,
            is_missing=is_missing,
            error=error,
        )

    @classmethod
    def of_unpickling(
        cls, error: Exception, what: str, where: str, worker: int, env_index: int, method: str
    ) -> "Failure":
        """Describe that `what` cannot be unpickled in the process `where`. It ends no worker."""
        return cls(
            worker=worker,
            env_index=env_index,
            seed=None,
            step=None,
            method=method,
            original_type="TypeError",
            original_message=f"{what} cannot be unpickled in {where}: {_described(error)}",
            original_traceback="".join(traceback.format_exception(error)),
            pickled_error=_pickled(error),
            ends_worker=False,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave out the exception: `pickled_error` has it, if it can be pickled."""
        values = [getattr(self, each.name) for each in fields(self) if each.name != "error"]
        return type(self), tuple(values)

    def to_error(self) -> WorkerError:
        """Return the WorkerError to raise; its cause is the exception, if it could be pickled."""
        worker = "" if self.worker is None else f"Worker {self.worker}, "
        place = f"{worker}environment {self.env_index}"
        when = [f"seed {self.seed}"] if self.seed is not None else []
        when += [f"step {self.step}"] if self.step else []
        message = (
            f"{place[0].upper()}{place[1:]} failed in {self.method}()"
            f"{' (' + ', '.join(when) + ')' if when else ''}: "
            f"{self.original_type}: {self.original_message}"
        )
        if self.error is None:
            message += f"\nIts traceback follows.\n\n{self.original_traceback.rstrip()}"
        error = (MissingAttributeError if self.is_missing else WorkerError)(
            message,
            worker=self.worker,
            env_index=self.env_index,
            seed=self.seed,
            step=self.step,
            original_type=self.original_type,
            original_traceback=self.original_traceback,
        )
        error.__cause__ = self.error or self._unpickled_error()
        return error

    def _unpickled_error(self) -> BaseException | None:
        if self.pickled_error is None:
            return None
        with contextlib.suppress(Exception):  # its class may exist in the worker only
            error: BaseException = pickle.loads(self.pickled_error)
            return error
        return None


def start_error(worker: int, envs: range, error: OSError) -> WorkerError:
    """Return the WorkerError for a process that the system refuses to start."""
    return WorkerError(
        f"Worker {worker} ({_envs(envs)}) could not be started: {error.strerror}. This machine or "
        f"container limits processes, open files or memory (ulimit -a). Use fewer workers.",
        worker=worker,
    )


def death_error(worker: int, envs: range, exit_code: int | None, doing: str) -> WorkerError:
    """Return the WorkerError for a process that ended without a message."""
    if exit_code is not None and exit_code < 0:
        name = _signal_name(-exit_code)
        how = f"was killed by {name}"
        if name == "SIGKILL":
            how += ", most often by the kernel, out of memory. Use fewer or smaller environments"
        elif name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE"):
            how += ", a crash in compiled code of an environment"
    else:
        how = f"exited with code {exit_code}; an environment may have called os._exit or sys.exit"
        if doing == "__init__":
            how += (
                ", or your script lacks `if __name__ == '__main__':` around the code that starts "
                "workers, which the start methods spawn and forkserver need"
            )
    return WorkerError(
        f"Worker {worker} ({_envs(envs)}) {how}. It was in {doing}().", worker=worker
    )


def stuck_error(worker: int, envs: range, timeout_s: float, doing: str) -> WorkerError:
    """Return the WorkerError for a worker that exceeded the timeout."""
    return WorkerError(
        f"Worker {worker} ({_envs(envs)}) has not finished {doing}() within timeout_s={timeout_s}. "
        f"It was killed. Use the Serial backend to find out why it hangs, or raise timeout_s.",
        worker=worker,
    )


def unreadable_error(worker: int, envs: range, error: Exception, doing: str) -> WorkerError:
    """Return the WorkerError for an answer that cannot be unpickled in this process."""
    return WorkerError(
        f"Worker {worker} ({_envs(envs)}) returned from {doing}() what cannot be unpickled in the "
        f"calling process: {_described(error)}. Put plain values and arrays into infos.",
        worker=worker,
        original_type=type(error).__name__,
        original_traceback="".join(traceback.format_exception(error)),
    )


def lost_error(worker: int, envs: range, ray_error: Exception, doing: str) -> WorkerError:
    """Return the WorkerError for a Ray actor that died, alone or with its node."""
    return WorkerError(
        f"Worker {worker} ({_envs(envs)}) was lost: its process or its node died "
        f"({type(ray_error).__name__}). It was in {doing}(). Ray's message follows.\n\n"
        f"{str(ray_error).rstrip()}",
        worker=worker,
    )


def _envs(envs: range) -> str:
    return f"environment {envs[0]}" if len(envs) == 1 else f"environments {envs[0]}-{envs[-1]}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {_text(error)}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # a user's exception may raise anything here; its type is still reported
        return "(its message could not be read)"


def _pickled(error: BaseException) -> bytes | None:
    """Return `error` pickled, None if it cannot be pickled and unpickled."""
    try:
        data: bytes = cloudpickle.dumps(error)
        pickle.loads(data)
    except Exception:  # a user's exception may raise anything here; its text is still reported
        return None
    return data
