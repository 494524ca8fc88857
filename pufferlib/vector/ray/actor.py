"""What runs in a Ray actor: make environments, then run commands on them.

No method raises. Each returns an answer: a message and rows. The message is a pickled `Infos`,
result or `Failure`, or None if there is none; the rows are those of `PackedRows`, or None if they
have not changed.
"""

import pickle

import cloudpickle
import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib import proc
from pufferlib.annotations import Array
from pufferlib.environment import Buffers
from pufferlib.global_random import seed_globals_of_worker
from pufferlib.vector.autoreset import Autoreset
from pufferlib.vector.block import Block
from pufferlib.vector.calls import CALLS, pickled_answer_of
from pufferlib.vector.failure import Failure
from pufferlib.vector.threads import limit_this_worker

Answer = tuple[bytes | None, NDArray[np.uint8] | None]

_ALIGNMENT = 64


class PackedRows:
    """The rows of one worker in one piece of memory, the final observations at its end.

    Args:
        single_observation_space: of one row.
        rows: how many.
    """

    def __init__(self, single_observation_space: gymnasium.spaces.Box, rows: int) -> None:
        template = Buffers.allocate(single_observation_space, rows)
        self._parts: list[tuple[tuple[int, ...], np.dtype[np.generic], int]] = []
        stop = 0
        for array in template:
            self._stop_without_final = start = -(-stop // _ALIGNMENT) * _ALIGNMENT
            self._parts.append((array.shape, array.dtype, start))
            stop = start + array.nbytes
        self.nbytes = stop

    def views(self, memory: NDArray[np.uint8]) -> list[Array]:
        """Return the arrays of `Buffers` in `memory`, without the last one if it is cut off."""
        return [
            np.frombuffer(memory, dtype, int(np.prod(shape)), start).reshape(shape)
            for shape, dtype, start in self._parts
            if start < memory.nbytes or self.nbytes == start
        ]

    def of_step(self, memory: NDArray[np.uint8], rows: Buffers) -> NDArray[np.uint8]:
        """Return the part of `memory` to send: final observations only if an episode ended."""
        has_ended = rows.terminals.any() or rows.truncations.any()
        return memory if has_ended else memory[: self._stop_without_final]

    def unpack(self, memory: NDArray[np.uint8], rows: Buffers) -> None:
        """Copy the result of `of_step` into `rows`."""
        for row, view in zip(rows, self.views(memory), strict=False):
            row[...] = view


class WorkerActor:
    """The environments of one worker. Ray calls one method at a time, in order.

    Args:
        worker: index of this worker.
        first_env: index of its first environment.
        autoreset: when environments whose episode is over are reset.
    """

    def __init__(self, worker: int, first_env: int, autoreset: Autoreset) -> None:
        self._worker = worker
        self._block = Block(first_env, owns_process=True, autoreset=autoreset)
        proc.adopt_orphans()
        seed_globals_of_worker(worker)
        self._is_bound = False
        limit_this_worker()  # Ray has set OMP_NUM_THREADS to num_cpus

    def make(self, pickled: bytes) -> Answer:
        """Make the environments of a pickled tuple of `Creation`.

        The message is a pair: the description of each, the rows of each.
        """
        try:
            descriptions = self._block.make(pickle.loads(pickled))
            message = cloudpickle.dumps((descriptions, self._block.num_agents))
        except Exception as error:
            return self._failure(error, "__init__")
        self._description = descriptions[0]
        return message, None

    def step(self, actions: Array) -> Answer:
        """Step every environment with its rows of `actions`."""
        try:
            self._actions[...] = actions
            infos = self._block.step(self._actions)
            message = cloudpickle.dumps(infos) if infos else None
        except Exception as error:
            return self._failure(error, "step")
        return message, self._packed.of_step(self._memory, self._rows)

    def run(self, pickled: bytes) -> Answer:
        """Run another command, "reset" or one of `CALLS`, from `pickled_command`."""
        command, method, arguments = pickle.loads(pickled)
        try:
            self._bind()
            if command in CALLS:
                answer = pickled_answer_of(
                    self._block, command, method, arguments, self._worker, cloudpickle.dumps
                )
                return answer, None
            infos = self._block.reset(*pickle.loads(arguments))
            message = cloudpickle.dumps(infos) if infos else None
        except Exception as error:
            return self._failure(error, command)
        return message, self._packed.of_step(self._memory, self._rows)

    def close(self) -> None:
        """Close the environments, and kill processes that they have started and not ended."""
        try:
            self._block.close()
        finally:
            proc.kill(proc.descendants())

    def _bind(self) -> None:
        """Give the environments rows in this process, once the caller has compared their spaces."""
        if self._is_bound:
            return
        self._is_bound = True
        count, space = sum(self._block.num_agents), self._description.single_action_space
        self._packed = PackedRows(self._description.single_observation_space, count)
        self._memory = np.zeros(self._packed.nbytes, np.uint8)
        self._rows = Buffers(*self._packed.views(self._memory))
        self._actions = np.zeros((count, *(space.shape or ())), space.dtype)
        self._block.bind(self._rows)

    def _failure(self, error: Exception, method: str) -> Answer:
        return cloudpickle.dumps(Failure.of(error, self._block, method, self._worker)), None
