"""Environments that write nothing to stdout or stderr, whatever they are made of."""

import contextlib
import ctypes
import functools
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import pettingzoo

from pufferlib.locks import process_lock
from pufferlib.wrappers._arguments import check_callable, is_parallel_env


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Send to `os.devnull` what is written to stdout and stderr meanwhile, by C code too.

    File descriptors 1 and 2 are redirected, and those that `sys.stdout` and `sys.stderr` write to
    if they are others; the stream objects stay as they are, so that a logger made meanwhile speaks
    again afterwards. Buffers are emptied on both sides of the border. A stream without a file
    descriptor (a notebook's, a `StringIO`) is left alone.

    Descriptors belong to the process: what its other threads write meanwhile is lost as well, and
    a child process started meanwhile stays silent. A descriptor that several threads silence at
    once speaks again when the last of them is done.
    """
    numbers = _silence.begin()
    try:
        yield
    finally:
        _silence.end(numbers)


class _Silence:
    """Descriptors that lead nowhere for as long as any thread wants it so."""

    def __init__(self) -> None:
        self._lock = process_lock()
        self._silences = 0  # that last now
        self._wanted: Counter[int] = Counter()  # by how many, each descriptor
        self._saved: dict[int, tuple[int, bool]] = {}  # a copy, and whether children inherit it
        self._null = -1

    def begin(self) -> list[int]:
        """Silence the descriptors that output goes to; return them."""
        with self._lock:
            _flush()
            numbers = _descriptors()
            if not self._silences:  # where 1 or 2 is closed this takes its place
                self._null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            self._silences += 1
            begun: list[int] = []
            try:
                for number in numbers:
                    if not self._wanted[number]:
                        self._redirect(number)
                    self._wanted[number] += 1
                    begun.append(number)
            except BaseException:
                self.end(begun)
                raise
        return numbers

    def end(self, numbers: list[int]) -> None:
        """Restore those of the descriptors that nobody else wants silent."""
        with self._lock:
            _flush()  # while what is left in buffers goes nowhere
            for number in numbers:
                self._wanted[number] -= 1
                if not self._wanted[number]:
                    saved, inherited = self._saved.pop(number)
                    os.dup2(saved, number, inherited)
                    os.close(saved)
            self._silences -= 1
            if not self._silences:
                os.close(self._null)

    def _redirect(self, number: int) -> None:
        inherited = os.get_inheritable(number)
        self._saved[number] = os.dup(number), inherited  # the copy is not
        os.dup2(self._null, number, inherited)


_silence = _Silence()


def _descriptors() -> list[int]:
    """Return the open descriptors that output goes to, each once."""
    found = {1, 2, _descriptor(sys.stdout), _descriptor(sys.stderr)}
    return sorted(number for number in found if number is not None and _is_open(number))


def _descriptor(stream: Any) -> int | None:
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):  # None, no file below it, closed
        return None


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None and not getattr(stream, "closed", False):
            stream.flush()
    _c_library().fflush(None)  # all streams of C


@functools.cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def silence(env: Any) -> Any:
    """Return `env`, whose `reset`, `step`, `render` and `close` write nothing to stdout or stderr.

    C code is silenced too. So is all else that the process writes during such a call, in other
    threads for example; a child process that is started then stays silent. Where such calls in
    several threads overlap, the silence ends with the last of them. Exceptions pass. Each call
    takes about 20 us longer.

    Args:
        env: a Gymnasium or PettingZoo parallel environment.

    Raises:
        ArgumentError: `env` is no such environment.
    """
    return SilentAgents(env) if is_parallel_env(env, "silence") else Silent(env)


def make_silent(env_creator: Callable[..., Any]) -> Callable[..., Any]:
    """Return a creator like `env_creator` that writes nothing, and whose environments do not.

    It can be pickled if `env_creator` can.

    Raises:
        ArgumentError: `env_creator` cannot be called; or, when the creator returned is called, what
            `silence` raises.
    """
    check_callable(env_creator, "env_creator", "a function or class that makes an environment")
    return functools.partial(_create_silently, env_creator)


def _create_silently(env_creator: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with silent():
        env = env_creator(*args, **kwargs)
    return silence(env)


class Silent(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """What `silence` makes of a Gymnasium environment."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)

    reset = silent()(gymnasium.Wrapper.reset)
    step = silent()(gymnasium.Wrapper.step)
    render = silent()(gymnasium.Wrapper.render)
    close = silent()(gymnasium.Wrapper.close)


class SilentAgents(pettingzoo.utils.BaseParallelWrapper):
    """What `silence` makes of a PettingZoo environment."""

    reset = silent()(pettingzoo.utils.BaseParallelWrapper.reset)
    step = silent()(pettingzoo.utils.BaseParallelWrapper.step)
    render = silent()(pettingzoo.utils.BaseParallelWrapper.render)
    close = silent()(pettingzoo.utils.BaseParallelWrapper.close)
