"""An action space compiled once: flat columns, and a function that rebuilds the action from them.

A flat action is one number where the space is Discrete, else a vector with a column an element:

| leaves                        | flat space                                                     |
|---|---|
| one Discrete                  | Discrete, counted from 0                                       |
| discrete ones, in any nesting | MultiDiscrete, counted from 0                                  |
| Boxes                         | Box, of the widest dtype                                       |
| both                          | Box; a discrete column holds whole numbers, counted from 0     |

Integers beside floats lie in a float that holds them exactly, up to 2 ** 53.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.emulation.layout import Field
from pufferlib.exceptions import SpaceError
from pufferlib.spaces import Leaf, children, is_space, leaves, value_at


@dataclass(frozen=True)
class ActionLayout:
    """How the actions of one space lie in a flat row.

    Attributes:
        structure: the original space.
        space: the flat one.
        fields: the leaves in order; `start` and `stop` count columns.
    """

    structure: gymnasium.Space[Any]
    space: gymnasium.Space[Any]
    fields: tuple[Field, ...]

    @classmethod
    def of(cls, space: gymnasium.Space[Any]) -> "ActionLayout":
        """Compile `space`.

        Raises:
            SpaceError: where a leaf has no fixed size; names the path to it.
        """
        fields, position = [], 0
        for leaf in leaves(space):
            fields.append(Field(leaf, position, position + leaf.size))
            position += leaf.size
        if not fields:
            raise SpaceError(f"{space} has no leaves: there is nothing to act with.")
        return cls(space, _flat_space(space, [field.leaf for field in fields]), tuple(fields))

    def rebuilder(self) -> Callable[[NDArray[Any]], Any]:
        """Return a function from a flat action to one of the original space.

        The function is generated: it takes a row of `space` (a scalar where that is Discrete) and
        returns ints for Discrete leaves, new arrays of the leaf's dtype and shape for all others.
        """
        namespace: dict[str, Any] = {"asarray": np.asarray, "add": np.add}
        if is_space(self.space, "Discrete"):
            lines, parts = [], [f"int(row) + {int(self.fields[0].leaf.low)}"]
        else:
            lines = ["row = asarray(row)"]
            parts = [self._expression(field, namespace) for field in self.fields]
        body = _nested_expression(self.structure, iter(parts), namespace)
        if "column[" in body:
            lines.append("column = row.tolist()")
        source = "def rebuild(row):\n    " + "\n    ".join([*lines, f"return {body}\n"])
        exec(compile(source, "<pufferlib actions>", "exec"), namespace)  # our own text only
        rebuild: Callable[[NDArray[Any]], Any] = namespace["rebuild"]
        return rebuild

    def flatten(self, action: Any) -> NDArray[Any]:
        """Return an action of the original space as a flat one, a new array."""
        dtype = self.space.dtype
        columns = []
        for field in self.fields:
            value = np.asarray(value_at(action, field.leaf.path))
            if not field.leaf.is_continuous:
                value = value - field.leaf.low
            columns.append(np.ravel(value).astype(dtype))
        flat = np.concatenate(columns)
        return flat[0] if is_space(self.space, "Discrete") else flat

    def _expression(self, field: Field, namespace: dict[str, Any]) -> str:
        """Return the source of one leaf's value."""
        leaf, number = field.leaf, field.start
        if leaf.kind == "Discrete":
            whole = (
                f"column[{number}]" if self.space.dtype == np.int64 else f"int(column[{number}])"
            )
            return f"{whole} + {int(leaf.low)}" if leaf.low else whole
        namespace[f"dtype{number}"], namespace[f"shape{number}"] = leaf.dtype, leaf.shape
        piece = f"row[{field.start}:{field.stop}].astype(dtype{number}).reshape(shape{number})"
        if not leaf.is_continuous and np.any(leaf.low):
            namespace[f"low{number}"] = leaf.low
            return f"add({piece}, low{number})"
        return piece


def _flat_space(space: Any, found: list[Leaf]) -> gymnasium.Space[Any]:
    discrete = [leaf for leaf in found if not leaf.is_continuous]
    counts = [np.ravel(leaf.high.astype(np.int64) - leaf.low + 1) for leaf in discrete]
    if len(found) == 1 and found[0].kind == "Discrete":
        return gymnasium.spaces.Discrete(int(counts[0][0]))
    if len(discrete) == len(found):
        return gymnasium.spaces.MultiDiscrete(np.concatenate(counts))
    dtype = np.result_type(*(leaf.dtype for leaf in found if leaf.is_continuous))
    if discrete:  # a float holds every whole number up to 2 ** (bits of its mantissa)
        dtype = np.result_type(dtype, np.float32)
        if np.max(np.concatenate(counts)) > 2 ** np.finfo(dtype).nmant:
            dtype = np.dtype(np.float64)
    low, high = [], []
    for leaf in found:
        zero = 0 if leaf.is_continuous else leaf.low
        low.append(np.ravel(leaf.low - zero).astype(dtype))
        high.append(np.ravel(leaf.high - zero).astype(dtype))
    flat_low, flat_high = np.concatenate(low), np.concatenate(high)
    return gymnasium.spaces.Box(flat_low, flat_high, flat_low.shape, dtype.type)


def _nested_expression(space: Any, parts: Any, namespace: dict[str, Any]) -> str:
    found = children(space)
    if found is None:
        return str(next(parts))
    if is_space(space, "Tuple"):
        inner = [_nested_expression(part, parts, namespace) for _, part in found]
        return "(" + "".join(f"{item}, " for item in inner) + ")"
    items = []
    for key, part in found:
        name = f"key{len(namespace)}"
        namespace[name] = key
        items.append(f"{name}: {_nested_expression(part, parts, namespace)}")
    return "{" + ", ".join(items) + "}"
