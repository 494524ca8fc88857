"""Compile an action space to flat columns, and to a function that rebuilds actions from them.

A flat action is a single number if the space is Discrete, else a vector with one column per
element:

| leaves                        | flat space                                                     |
|---|---|
| one Discrete                  | Discrete, counted from 0                                       |
| discrete ones, in any nesting | MultiDiscrete, counted from 0                                  |
| Boxes                         | Box, of the widest dtype                                       |
| both                          | Box; a discrete column holds whole numbers, counted from 0     |

Integers that share a Box with floats are stored in a float dtype that represents them exactly, up
to 2 ** 53.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from pufferlib.annotations import Action, AnySpace, Array, Space, Structure
from pufferlib.emulation.bounded import fixed
from pufferlib.emulation.layout import Field
from pufferlib.emulation.packing import packer, unpacker
from pufferlib.exceptions import ActionError, SpaceError
from pufferlib.spaces import Leaf, children, is_space, leaves, value_at


@dataclass(frozen=True)
class ActionLayout:
    """How the actions of one space lie in a flat row.

    If `original` is seeded, `space` begins with a copy of its random state.

    Attributes:
        original: the environment's action space.
        structure: the same, or `bounded.fixed(original)` if a leaf varies in size.
        space: the flat action space.
        fields: the leaves of `structure` in order; `start` and `stop` count columns.
    """

    original: Space
    structure: Space
    space: Space
    fields: tuple[Field, ...]

    @classmethod
    def of(cls, space: Space) -> "ActionLayout":
        """Compile `space`.

        Raises:
            SpaceError: if a leaf has no fixed size; names the path to it.
        """
        fields, position = [], 0
        structure = fixed(space)
        for leaf in leaves(structure):
            fields.append(Field(leaf, position, position + leaf.size))
            position += leaf.size
        if not fields:
            raise SpaceError(f"{space} has no leaves, so there is no action to choose.")
        flat = _flat_space([field.leaf for field in fields])
        random_state = getattr(space, "_np_random", None)
        if isinstance(random_state, np.random.Generator):  # the old gym has other kinds
            flat._np_random = copy.deepcopy(random_state)
        return cls(space, structure, flat, tuple(fields))

    def rebuilder(self) -> Callable[[Array], Action]:
        """Return a function that converts a flat action to one of the original space.

        The function is generated: it takes a row of `space` (a scalar if that is Discrete) and
        returns ints for Discrete leaves, new arrays of the leaf's dtype and shape for all others.
        """
        if is_space(self.space, "Discrete"):
            return self._generated("row", ["return {action}"], number="int(row)")
        lines = ["row = asarray(row)", "column = row.tolist()", "return {action}"]
        return self._generated("row", lines)

    def rows_rebuilder(self) -> Callable[[Array], list[Action]]:
        """Return a function that converts flat actions (rows, *space.shape) to original ones."""
        if is_space(self.space, "Discrete"):
            lines = ["return [{action} for number in rows.tolist()]"]
            return self._generated("rows", lines, number="number")
        lines = ["return [{action} for row, column in zip(rows, rows.tolist())]"]
        return self._generated("rows", lines)

    def _generated(
        self, argument: str, lines: list[str], number: str | None = None
    ) -> Callable[[Any], Any]:
        """Return a function of `argument` whose body is `lines`, with the rebuilt action filled in.

        Args:
            argument: the parameter's name.
            lines: source that assigns `row`, and `column`, the list of the row's elements.
            number: source of the value of a single Discrete action; None for all other spaces.
        """
        namespace: dict[str, Any] = {"asarray": np.asarray, "add": np.add}
        namespace["unpack"] = unpack = unpacker(self.original)
        parts = (self._expression(field, namespace, number) for field in self.fields)
        action = _nested_expression(self.structure, parts, namespace)
        if "column[" not in action:
            lines = [line for line in lines if not line.startswith("column =")]
        action = action if unpack is None else f"unpack({action})"
        body = "".join(f"    {line.replace('{action}', action)}\n" for line in lines)
        source = f"def rebuild({argument}):\n{body}"
        # The source holds generated names only; keys reach it through the namespace.
        exec(compile(source, "<pufferlib actions>", "exec"), namespace)
        rebuild: Callable[[Any], Any] = namespace["rebuild"]
        return rebuild

    def flatten(self, action: Action) -> Array:
        """Return an action of the original space flattened, as a new array."""
        pack, dtype = packer(self.original, ActionError), self.space.dtype
        action = action if pack is None else pack(action)
        columns = []
        for field in self.fields:
            value = np.asarray(value_at(action, field.leaf.path))
            if not field.leaf.is_continuous:
                value = value - field.leaf.low
            columns.append(np.ravel(value).astype(dtype))
        flat = np.concatenate(columns)
        return flat[0] if is_space(self.space, "Discrete") else flat

    def _expression(self, field: Field, namespace: dict[str, object], number: str | None) -> str:
        """Return the source of one leaf's value."""
        leaf, at = field.leaf, field.start
        if leaf.kind == "Discrete":
            column = f"column[{at}]" if self.space.dtype == np.int64 else f"int(column[{at}])"
            number = number or column
            return f"{number} + {int(leaf.low)}" if leaf.low else number
        namespace[f"dtype{at}"], namespace[f"shape{at}"] = leaf.dtype, leaf.shape
        piece = f"row[{at}:{field.stop}].astype(dtype{at}).reshape(shape{at})"
        if not leaf.is_continuous and np.any(leaf.low):
            namespace[f"low{at}"] = leaf.low
            return f"add({piece}, low{at})"
        return piece


def _flat_space(found: list[Leaf]) -> Space:
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


def _nested_expression(space: AnySpace, parts: Structure, namespace: dict[str, object]) -> str:
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
