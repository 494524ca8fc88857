"""A space compiled once into a plan: which bytes of a row belong to which leaf.

Observations of one dtype keep it: their row is a vector of that dtype (or, for a lone Box, the Box
itself). Mixed dtypes share a row of bytes, each leaf aligned to its own dtype and the row padded to
the widest, so that every leaf can be viewed in place, in one row or in a batch, by NumPy and torch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.exceptions import SpaceError
from pufferlib.spaces import Leaf, children, is_space, leaves


@dataclass(frozen=True)
class Field:
    """A leaf and its place in the row: `start` and `stop` count the row's own elements."""

    leaf: Leaf
    start: int
    stop: int


@dataclass(frozen=True)
class Layout:
    """How the observations of one space lie in a flat row.

    Attributes:
        structure: the original space.
        space: the flat one, a Box whose value is one row.
        fields: the leaves in order, with their places.
    """

    structure: gymnasium.Space[Any]
    space: gymnasium.spaces.Box
    fields: tuple[Field, ...]

    @classmethod
    def of(cls, space: gymnasium.Space[Any]) -> "Layout":
        """Compile `space`.

        Raises:
            SpaceError: where a leaf has no fixed size; names the path to it.
        """
        found = list(leaves(space))
        if not found:
            raise SpaceError(f"{space} has no leaves: there is nothing to observe.")
        dtypes = {leaf.dtype for leaf in found}
        if len(found) == 1 and found[0].path == () and found[0].kind == "Box":
            leaf = found[0]
            flat = gymnasium.spaces.Box(leaf.low, leaf.high, leaf.shape, leaf.dtype.type)
            return cls(space, flat, (Field(leaf, 0, leaf.size),))
        if len(dtypes) == 1:
            return cls(space, *_of_one_dtype(found, dtypes.pop()))
        return cls(space, *_of_bytes(found))

    @property
    def is_bytes(self) -> bool:
        """The leaves differ in dtype and the row is their bytes."""
        return len({field.leaf.dtype for field in self.fields}) > 1

    @cached_property
    def is_identity(self) -> bool:
        """The row is the observation itself."""
        return len(self.fields) == 1 and self.fields[0].leaf.path == ()

    def writer(self, row: NDArray[Any]) -> Callable[[Any], None]:
        """Return a function that flattens an observation into `row`.

        Args:
            row: C-contiguous, of `space.shape` and `space.dtype`; written in place on every call.

        The function is generated: one assignment a leaf into a view made here, nothing allocated.
        """
        namespace: dict[str, Any] = {
            f"view{i}": self._view(row, field) for i, field in enumerate(self.fields)
        }
        lines: list[str] = []
        if self.is_identity:
            lines.append("view0[...] = value")
        _assign(self.structure, "value", lines, namespace, count())
        source = "def write(value):\n" + "".join(f"    {line}\n" for line in lines)
        exec(compile(source, "<pufferlib layout>", "exec"), namespace)  # our own text only
        write: Callable[[Any], None] = namespace["write"]
        return write

    def unflatten(self, rows: Any) -> Any:
        """Return rows in the structure of the original space, as views.

        Args:
            rows: (*batch, *space.shape), a NumPy array of `space.dtype`.

        Returns:
            What the space describes, each leaf (*batch, *leaf.shape) in its own dtype; a Dict gives
            a dict and a Tuple a tuple. For torch see `pufferlib.pytorch.unflatten`.
        """
        if self.is_identity and self.fields[0].leaf.kind == "Box":
            return rows
        values = [self._cut(rows, field) for field in self.fields]
        return nest(self.structure, iter(values))

    def flatten(self, value: Any) -> NDArray[Any]:
        """Return `value` as a new row."""
        row = np.zeros(self.space.shape, self.space.dtype)
        self.writer(row)(value)
        return row

    def _view(self, row: NDArray[Any], field: Field) -> NDArray[Any]:
        if self.is_identity and field.leaf.kind == "Box":
            return row
        piece = row[field.start : field.stop]
        if self.is_bytes:
            piece = piece.view(field.leaf.dtype)
        return piece.reshape(field.leaf.shape)

    def _cut(self, rows: Any, field: Field) -> Any:
        piece = rows[..., field.start : field.stop]
        if self.is_bytes:
            piece = piece.view(field.leaf.dtype)
        return piece.reshape((*rows.shape[:-1], *field.leaf.shape))


def nest(space: Any, values: Iterator[Any]) -> Any:
    """Return the next of `values` for each leaf of `space`, in its dicts and tuples."""
    parts = children(space)
    if parts is None:
        return next(values)
    built = {key: nest(part, values) for key, part in parts}
    return built if is_space(space, "Dict") else tuple(built.values())


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


def _assign(
    space: Any, source: str, lines: list[str], namespace: dict[str, Any], views: Iterator[int]
) -> None:
    """Append lines that copy each leaf of `source` into its view; look inner dicts up once."""
    for key, part in children(space) or ():
        name = f"key{len(namespace)}"
        namespace[name] = key
        if children(part) is None:
            lines.append(f"view{next(views)}[...] = {source}[{name}]")
        else:
            lines.append(f"part_{name} = {source}[{name}]")
            _assign(part, f"part_{name}", lines, namespace, views)
