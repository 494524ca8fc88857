"""Compile a space to a layout: which elements of a flat row belong to which leaf.

Observations of one dtype keep it: their row is a vector of that dtype (or, for a single Box, has
the Box's shape). Mixed dtypes share a row of bytes, in which each leaf is aligned to its dtype and
the row is padded to the widest, so that NumPy and torch can view every leaf in place, in one row or
in a batch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

import gymnasium
import numpy as np

from pufferlib.annotations import AnySpace, Array, Space, Structure
from pufferlib.emulation._plain_writer import Tree
from pufferlib.emulation.bounded import fixed
from pufferlib.emulation.packing import packer, unpacker
from pufferlib.emulation.twin import Plan
from pufferlib.exceptions import ObservationError, SpaceError
from pufferlib.spaces import Leaf, children, difference, is_space, leaves


@dataclass(frozen=True)
class Field:
    """A leaf and its place in the row: `start` and `stop` count elements of the row."""

    leaf: Leaf
    start: int
    stop: int


@dataclass(frozen=True)
class Layout:
    """How the observations of one space lie in a flat row.

    Attributes:
        original: the environment's observation space.
        structure: the same if no leaf varies in size; else `bounded.fixed(original)`, in which
            Text, Sequence and Graph are arrays of fixed size. `unflatten` returns its values.
        space: the flat space, a Box whose value is one row.
        fields: the leaves of `structure` in order, with their places.
    """

    original: Space
    structure: Space
    space: gymnasium.spaces.Box
    fields: tuple[Field, ...]

    @classmethod
    def of(cls, space: Space) -> "Layout":
        """Compile `space`.

        Raises:
            SpaceError: if a leaf has no fixed size; names the path to it.
        """
        structure = fixed(space)
        found = list(leaves(structure))
        if not found:
            raise SpaceError(f"{space} has no leaves, so there is nothing to observe.")
        dtypes = {leaf.dtype for leaf in found}
        if len(found) == 1 and found[0].path == () and found[0].kind == "Box":
            leaf = found[0]
            flat = gymnasium.spaces.Box(leaf.low, leaf.high, leaf.shape, leaf.dtype.type)
            return cls(space, structure, flat, (Field(leaf, 0, leaf.size),))
        if len(dtypes) == 1:
            return cls(space, structure, *_of_one_dtype(found, dtypes.pop()))
        return cls(space, structure, *_of_bytes(found))

    @property
    def is_bytes(self) -> bool:
        """True if the leaves differ in dtype, so that the row holds their bytes."""
        return len({field.leaf.dtype for field in self.fields}) > 1

    @cached_property
    def is_identity(self) -> bool:
        """True if the row is the observation itself."""
        return len(self.fields) == 1 and self.fields[0].leaf.path == ()

    def plan(self) -> Plan:
        """Return a new plan that finds the leaves of an observation, for use in this process."""
        return Plan(self.tree(), self.difference, packer(self.original))

    def difference(self, observation: Structure) -> str | None:
        """Return a sentence on why `observation` is not in `original`; None if it is."""
        return difference(observation, self.original)

    def tree(self) -> Tree:
        """Return the keys that lead to each leaf, and the leaves' numbers in `fields`."""
        return _tree(self.structure, count())

    def views(self, row: Array) -> Sequence[Array]:
        """Return the leaves of one row in place, in the order of `fields`.

        Args:
            row: C-contiguous, of `space.shape` and `space.dtype`.
        """
        if self.is_identity and self.fields[0].leaf.kind == "Box":
            return [row]
        return [self._cut(row, field) for field in self.fields]

    def writer(self, row: Array) -> Callable[[Structure], None]:
        """Return a function that flattens an observation into `row`, in place, on every call.

        Args:
            row: C-contiguous, of `space.shape` and `space.dtype`.

        Raises:
            ObservationError: from the function, see `_plain_writer.Plan.writer`.
        """
        return self.plan().writer(self.views(row))

    def unflatten(self, rows: Structure) -> Structure:
        """Return rows in the structure of the original space, as views.

        Args:
            rows: (*batch, *space.shape), a NumPy array of `space.dtype`. Rows of bytes or other
                integers may be of another dtype that represents them exactly; they are cast back.

        Returns:
            A value of `structure`, with each leaf (*batch, *leaf.shape) in its dtype; a Dict
            becomes a dict and a Tuple a tuple. For torch see `pufferlib.pytorch.unflatten`.

        Raises:
            ObservationError: rows of another dtype, with values that `space.dtype` cannot
                represent.
        """
        if rows.dtype != self.space.dtype and np.dtype(self.space.dtype).kind != "f":
            rows = _cast_back(rows, np.dtype(self.space.dtype))
        if self.is_identity and self.fields[0].leaf.kind == "Box":
            return rows
        values = [self._cut(rows, field) for field in self.fields]
        return nest(self.structure, iter(values))

    def flatten(self, value: Structure) -> Array:
        """Return `value` as a new row."""
        row = np.zeros(self.space.shape, self.space.dtype)
        self.writer(row)(value)
        return row

    def restore(self, row: Array) -> Structure:
        """Return the observation in one row, as a value of `original`.

        Unlike `unflatten`, this restores leaves that vary in size: a Text is a str again.
        """
        value = self.unflatten(row)
        unpack = unpacker(self.original)
        return value if unpack is None else unpack(value)

    def _cut(self, rows: Structure, field: Field) -> Structure:
        piece = rows[..., field.start : field.stop]
        if self.is_bytes:
            piece = piece.view(field.leaf.dtype)
        return piece.reshape((*rows.shape[:-1], *field.leaf.shape))


def nest(space: AnySpace, values: Iterator[Structure]) -> Structure:
    """Return `values`, one for each leaf, arranged in the dicts and tuples of `space`."""
    parts = children(space)
    if parts is None:
        return next(values)
    built = {key: nest(part, values) for key, part in parts}
    return built if is_space(space, "Dict") else tuple(built.values())


def _cast_back(rows: Array, dtype: np.dtype[Any]) -> Array:
    """Return integer rows that were cast to another dtype in their own."""
    with np.errstate(invalid="ignore"):
        cast = rows.astype(dtype)
    is_exact = np.array_equal(cast, rows)
    if is_exact and rows.dtype.kind == "f":  # from here on it skips integers
        is_exact = not (np.abs(rows) >= 2 / np.finfo(rows.dtype).eps).any()
    if is_exact:
        return cast
    raise ObservationError(
        f"Observations of this environment are rows of {dtype}; got {rows.dtype} with values that "
        f"are no {dtype}. Rows must not be scaled or normalized: do that after unflatten."
    )


def _of_one_dtype(
    found: list[Leaf], dtype: np.dtype[Any]
) -> tuple[gymnasium.spaces.Box, tuple[Field, ...]]:
    fields, position = [], 0
    for leaf in found:
        fields.append(Field(leaf, position, position + leaf.size))
        position += leaf.size
    low = np.concatenate([np.ravel(leaf.low) for leaf in found])
    high = np.concatenate([np.ravel(leaf.high) for leaf in found])
    return gymnasium.spaces.Box(low, high, (position,), dtype.type), tuple(fields)


def _of_bytes(found: list[Leaf]) -> tuple[gymnasium.spaces.Box, tuple[Field, ...]]:
    fields, position, widest = [], 0, 1
    for leaf in found:
        position = _round_up(position, leaf.dtype.itemsize)
        fields.append(Field(leaf, position, position + leaf.nbytes))
        position += leaf.nbytes
        widest = max(widest, leaf.dtype.itemsize)
    size = _round_up(position, widest)
    return gymnasium.spaces.Box(0, 255, (size,), np.uint8), tuple(fields)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _tree(space: AnySpace, numbers: Iterator[int]) -> Tree:
    parts = children(space)
    if parts is None:
        return next(numbers)
    return [(key, _tree(part, numbers)) for key, part in parts]
