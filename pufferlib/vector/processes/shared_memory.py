"""Memory shared by the caller and its workers: all rows, their actions, and the words of the gate.

A memfd, mapped by each process. It has no name, so nothing is left behind if a process is killed,
and it does not depend on the size of /dev/shm.
"""

import ctypes
import os
import tempfile
import weakref
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array, Space
from pufferlib.environment import Buffers
from pufferlib.exceptions import ArgumentError
from pufferlib.vector.processes.gate import LINE

_ALIGNMENT = 64  # a cache line, so that workers with large rows never write to the same one
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_PROT_READ, _PROT_WRITE, _MAP_SHARED = 1, 2, 1


class RowMemory:
    """Where each array of the rows lies in the shared memory.

    Args:
        single_observation_space: of one row.
        single_action_space: of one row.
        rows: of all environments.
        workers: how many processes write them.
    """

    def __init__(
        self,
        single_observation_space: gymnasium.spaces.Box,
        single_action_space: Space,
        rows: int,
        workers: int = 1,
    ) -> None:
        observation = (single_observation_space.shape, single_observation_space.dtype)
        action = (single_action_space.shape, single_action_space.dtype)
        flag: Any = ((), np.bool_)
        parts = [observation, ((), np.float32), flag, flag, flag, observation, action]
        counts = [rows] * len(parts) + [workers + 1]
        parts.append(((LINE,), np.int32))
        self._arrays: list[tuple[tuple[int, ...], np.dtype[np.generic], int]] = []
        self.nbytes = 0
        for count, (shape, kind) in zip(counts, parts, strict=True):
            dtype, full = np.dtype(kind), (count, *shape)
            self._arrays.append((full, dtype, self.nbytes))
            length = int(np.prod(full)) * dtype.itemsize
            self.nbytes += -(-length // _ALIGNMENT) * _ALIGNMENT

    def allocate(self) -> int:
        """Return a file descriptor of zeroed memory with every page reserved.

        Raises:
            ArgumentError: not enough memory; nothing is left behind.
        """
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("pufferlib")
        else:  # macOS
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        try:
            os.ftruncate(fd, self.nbytes)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, self.nbytes)
        except OSError as error:
            os.close(fd)
            raise ArgumentError(
                f"The rows need {self.nbytes / 2**20:.0f} MiB of shared memory, and this machine "
                f"does not grant that much ({error.strerror}). Use fewer environments."
            ) from error
        return fd

    def map(self, fd: int) -> tuple[Buffers, Array, NDArray[np.int32]]:
        """Map the memory of `fd`; return (buffers, actions, words). The caller closes `fd`.

        `words`, int32 (workers + 1, gate.LINE), are for a `Gate`.
        """
        memory = _map(fd, self.nbytes)
        arrays = [
            np.frombuffer(memory, dtype, int(np.prod(shape)), offset).reshape(shape)
            for shape, dtype, offset in self._arrays
        ]
        return Buffers(*arrays[:6]), arrays[6], arrays[7]


def _map(fd: int, nbytes: int) -> Any:
    """Return a writable buffer over `fd`, unmapped when the last array over it is collected.

    Python's own mmap object would keep a copy of the descriptor open for as long.
    """
    address = _libc.mmap(None, nbytes, _PROT_READ | _PROT_WRITE, _MAP_SHARED, fd, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "mmap failed")
    memory = (ctypes.c_char * nbytes).from_address(address)
    weakref.finalize(memory, _libc.munmap, address, nbytes).atexit = False
    return memory
