"""Environments that write nothing to stdout or stderr, whatever they are made of."""

import contextlib
import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import pettingzoo

from pufferlib.wrappers._arguments import check_callable, is_parallel_env


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Send to `os.devnull` what is written to stdout and stderr meanwhile, by C code too.

    File descriptors 1 and 2 are redirected, and those that `sys.stdout` and `sys.stderr` write to
    if they are others; the stream objects stay as they are, so that a logger made meanwhile speaks
    again afterwards. Buffers are emptied on both sides of the border. A stream without a file
    descriptor (a notebook's, a `StringIO`) is left alone.

    Descriptors belong to the process: what its other threads write meanwhile is lost as well, and
    a child process started meanwhile stays silent. Threads that are silent at once share one
    silence, which the first of them begins and the last one ends.
    """
    _silence.begin()
    try:
        yield
    finally:
        _silence.end()


class _Silence:
    """Descriptors that lead nowhere for as long as anything in the process is to be silent."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._wanted = 0  # begun and not ended, in whatever thread
        self._redirected: set[int] = set()
        self._restored = contextlib.ExitStack()

    def begin(self) -> None:
        """Redirect the descriptors that are not yet; undo it where that fails."""
        with self.lock:
            self._wanted += 1
            try:
                _flush()
                heard = [number for number in _descriptors() if number not in self._redirected]
                if heard or self._wanted == 1:
                    self._redirect(heard)
            except BaseException:
                self.end()
                raise

    def end(self) -> None:
        """Restore every descriptor, if this was the last silence."""
        with self.lock:
            self._wanted -= 1
            if self._wanted == 0:
                self._redirected.clear()
                with self._restored:
                    _flush()  # while what is left in buffers goes nowhere

    def _redirect(self, descriptors: list[int]) -> None:
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        self._restored.callback(os.close, null)
        for descriptor in descriptors:
            saved = os.dup(descriptor)  # O_CLOEXEC is set
            self._restored.callback(os.close, saved)
            inherited = os.get_inheritable(descriptor)
            self._restored.callback(os.dup2, saved, descriptor, inherited)
            self._redirected.add(descriptor)
            os.dup2(null, descriptor, inherited)


_silence = _Silence()
# A process must not be forked while another thread holds the lock: nobody would release it there.
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(
        before=_silence.lock.acquire,
        after_in_parent=_silence.lock.release,
        after_in_child=_silence.lock.release,
    )


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
