"""A pool without workers: batches of some of the environments, in turn."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array, Options
from pufferlib.environment import Buffers
from pufferlib.exceptions import ArgumentError
from pufferlib.vector.batch import Infos
from pufferlib.vector.block import Block


class SerialPool:
    """Steps the environments of a batch when it is sent, and chooses the batch to receive next.

    That is always the one that has waited longest, so the order is the same in every run. The
    environments are divided into parts that always come together, as those of a worker do.

    Args:
        block: the environments, made and not bound.
        buffers: the rows of all environments.
        batch_size: environments in a batch, fewer than there are.
        zero_copy: batches are views of neighboring rows; else copies.

    Attributes:
        rows: of the batch to receive next.
        env_ids: of its rows.

    Raises:
        ArgumentError: batches would have different numbers of rows.
    """

    def __init__(self, block: Block, buffers: Buffers, batch_size: int, zero_copy: bool) -> None:
        self._block, self._buffers, self._zero_copy = block, buffers, zero_copy
        size = math.gcd(len(block.envs), batch_size)
        self._parts = [block.part(i, i + size) for i in range(0, len(block.envs), size)]
        self._parts_per_batch = batch_size // size
        counts = [sum(part.num_agents) for part in self._parts]
        if len(set(counts)) > 1:
            raise ArgumentError(
                f"The batches of a pool need equally many agents; got {counts} in each {size} "
                f"environments. Use batch_size=None, or environments with the same number of "
                f"agents."
            )
        self._env_ids = np.arange(len(buffers.rewards)).reshape(len(self._parts), -1)
        for part, env_ids in zip(self._parts, self._env_ids, strict=True):
            part.bind(buffers.rows(int(env_ids[0]), int(env_ids[-1]) + 1))

    @property
    def env_indices(self) -> list[int]:
        """The environments of the batch to receive next, or last received."""
        size = len(self._parts[0].envs)
        return [index * size + each for index in self._taken for each in range(size)]

    def reset(
        self,
        seeds: Sequence[int | None],
        options: Options | None = None,
        reset_mask: NDArray[np.bool_] | None = None,
    ) -> Infos:
        """Reset all environments, or those of the last batch that a mask selects.

        Returns:
            The infos of the batch to receive next.
        """
        if reset_mask is not None:
            return self._reset_some(seeds, options, reset_mask)
        infos = self._block.reset(seeds, options)
        self._infos = [Infos() for _ in self._parts]
        for env_index, info in zip(infos.env_indices, infos, strict=True):
            part = env_index // len(self._parts[0].envs)
            self._infos[part].extend_from(env_index, [info])
        for each in self._parts:
            each.steps = 0
        self._waiting = list(range(len(self._parts)))
        return self._next()

    def step(self, actions: Array) -> Infos:
        """Step the batch last received; return the infos of the batch to receive next."""
        batch = sorted(self._taken)
        for index, own in zip(batch, np.split(actions, len(batch)), strict=True):
            part = self._parts[index]
            try:
                self._infos[index] = part.step(own)
            finally:  # a failure is one of the whole block
                self._block.current = part.first_env - self._block.first_env + part.current
                self._block.steps = part.steps
        self._waiting += self._taken
        return self._next()

    def _reset_some(
        self, seeds: Sequence[int | None], options: Options | None, mask: NDArray[np.bool_]
    ) -> Infos:
        size = len(self._parts[0].envs)
        for index in self._taken:
            part, own = self._parts[index], slice(index * size, (index + 1) * size)
            for env in (np.flatnonzero(mask[own]) + own.start).tolist():
                self._block.seeds[env] = seeds[env]  # a failure names it
            try:
                self._infos[index] = part.reset(seeds[own], options, mask[own])
            finally:  # a failure is one of the whole block
                self._block.current = part.first_env - self._block.first_env + part.current
        self._waiting += self._taken
        return self._next()

    def _next(self) -> Infos:
        self._taken = self._waiting[: self._parts_per_batch]
        del self._waiting[: self._parts_per_batch]
        batch = sorted(self._taken)
        self.env_ids = self._env_ids[batch].ravel()
        if self._zero_copy:  # the parts of a batch are one
            self.rows = self._buffers.rows(int(self.env_ids[0]), int(self.env_ids[-1]) + 1)
        else:
            self.rows = Buffers._make(array[self.env_ids] for array in self._buffers)
        infos = Infos()
        for index in batch:
            infos.extend(self._infos[index])
            infos.env_indices.extend(self._infos[index].env_indices)
        return infos
