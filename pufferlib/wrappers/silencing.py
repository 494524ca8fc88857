"""Silence environments: nothing reaches stdout or stderr, not even from C code."""

import contextlib
import ctypes
import functools
import os
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import gymnasium
import pettingzoo

from pufferlib.annotations import EnvCreator, GymnasiumEnv, GymnasiumWrapper, UserEnv
from pufferlib.locks import process_lock
from pufferlib.old_interfaces import adapted
from pufferlib.wrappers._arguments import check_callable, is_parallel_env


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Redirect stdout and stderr to `os.devnull` within the context, for C code too.

    File descriptors 1 and 2 are redirected, and those that `sys.stdout` and `sys.stderr` write to
    if they differ. The stream objects are unchanged, so that a logger created within the context
    works afterwards. Buffers are flushed on entry and on exit. A stream without a file descriptor
    (a notebook's, a `StringIO`) is not silenced.

    Descriptors belong to the process: output of other threads is lost as well, and a child process
    started within the context stays silent. A descriptor that several threads silence at once is
    restored when the last of them leaves its context.
    """
    numbers = _silence.begin()
    try:
        yield
    finally:
        _silence.end(numbers)


class _Silence:
    """The descriptors that are redirected to `os.devnull` while any thread requires it."""

    def __init__(self) -> None:
        self._lock = process_lock()
        self._silences = 0  # open contexts
        self._users: Counter[int] = Counter()  # open contexts per descriptor
        self._saved: dict[int, tuple[int, bool]] = {}  # a copy, and whether children inherit it
        self._null = -1

    def begin(self) -> list[int]:
        """Silence the descriptors that stdout and stderr write to; return them."""
        with self._lock:
            _flush()
            numbers = _descriptors()
            if not self._silences:  # if descriptor 1 or 2 is closed, this takes its number
                self._null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            self._silences += 1
            begun: list[int] = []
            try:
                for number in numbers:
                    if not self._users[number]:
                        self._redirect(number)
                    self._users[number] += 1
                    begun.append(number)
            except BaseException:
                self.end(begun)
                raise
        return numbers

    def end(self, numbers: list[int]) -> None:
        """Restore the descriptors that no other context silences."""
        with self._lock:
            _flush()  # while the descriptors still lead to os.devnull
            for number in numbers:
                self._users[number] -= 1
                if not self._users[number]:
                    saved, inherited = self._saved.pop(number)
                    os.dup2(saved, number, inherited)
                    os.close(saved)
            self._silences -= 1
            if not self._silences:
                os.close(self._null)

    def _redirect(self, number: int) -> None:
        inherited = os.get_inheritable(number)
        self._saved[number] = os.dup(number), inherited  # os.dup's copy is not inheritable
        os.dup2(self._null, number, inherited)


_silence = _Silence()


def _descriptors() -> list[int]:
    """Return the open descriptors that stdout and stderr write to, each once."""
    found = {1, 2, _descriptor(sys.stdout), _descriptor(sys.stderr)}
    return sorted(number for number in found if number is not None and _is_open(number))


def _descriptor(stream: Any) -> int | None:
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):  # no stream, no file behind it, closed
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
    _c_library().fflush(None)  # all C streams


@functools.cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def silence(env: UserEnv) -> UserEnv:
    """Return `env` with `reset`, `step`, `render` and `close` that write nothing to the terminal.

    C code is silenced too. So is everything else that the process writes to stdout and stderr
    during such a call, in other threads for example; a child process started during the call stays
    silent. If calls in several threads overlap, output returns when the last of them ends.
    Exceptions propagate. Each call takes about 20 us longer.

    Args:
        env: a Gymnasium or PettingZoo parallel environment.

    Raises:
        ArgumentError: if `env` is of another kind.
    """
    env = adapted(env)
    return SilentAgents(env) if is_parallel_env(env, "silence") else Silent(env)


def make_silent(env_creator: EnvCreator) -> EnvCreator:
    """Return a creator like `env_creator` that is silent, and whose environments are.

    It can be pickled if `env_creator` can.

    Raises:
        ArgumentError: if `env_creator` is not callable; from the returned creator, if `silence`
            refuses the environment.
    """
    check_callable(env_creator, "env_creator", "a function or class that makes an environment")
    return functools.partial(_create_silently, env_creator)


def _create_silently(env_creator: EnvCreator, *args: Any, **kwargs: Any) -> UserEnv:
    with silent():
        env = env_creator(*args, **kwargs)
    return silence(env)


class Silent(GymnasiumWrapper, gymnasium.utils.RecordConstructorArgs):
    """The result of `silence` for a Gymnasium environment."""

    def __init__(self, env: GymnasiumEnv) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)

    reset = silent()(gymnasium.Wrapper.reset)
    step = silent()(gymnasium.Wrapper.step)
    render = silent()(gymnasium.Wrapper.render)
    close = silent()(gymnasium.Wrapper.close)


class SilentAgents(pettingzoo.utils.BaseParallelWrapper):
    """The result of `silence` for a PettingZoo environment."""

    reset = silent()(pettingzoo.utils.BaseParallelWrapper.reset)
    step = silent()(pettingzoo.utils.BaseParallelWrapper.step)
    render = silent()(pettingzoo.utils.BaseParallelWrapper.render)
    close = silent()(pettingzoo.utils.BaseParallelWrapper.close)
