"""Write an observation into the leaves of a row, in plain Python.

The code that looks up an observation's leaves and assigns them is generated once per layout, which
is the fastest way without a compiler and allocates nothing.

Checking an observation takes half as long as writing it here, so this twin checks the first
`FULLY_CHECKED` observations of each row, and then one of every `CHECK_INTERVAL`; the compiled twin
checks all. In between, NumPy's assignment casts and broadcasts.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pufferlib.annotations import Array, Structure
from pufferlib.emulation.results import MISFITS, Explain, exact_types, fitting, refuse

Tree = int | list[tuple[str | int, "Tree"]]
"""The positions of leaves: (key, subtree) pairs, where a leaf is its number; a single leaf is 0."""

Write = Callable[[Structure], None]

FULLY_CHECKED = 100
CHECK_INTERVAL = 16


class Plan:
    """How to find the leaves of an observation.

    Args:
        tree: keys and numbers of the leaves.
        explain: compares an observation that cannot be written with its space, for the error.
        pack: applied to each observation first; None leaves it unchanged.
    """

    def __init__(
        self,
        tree: Tree,
        explain: Explain,
        pack: Callable[[Structure], Structure] | None = None,
    ) -> None:
        namespace: dict[str, Any] = {
            "pack": pack,
            "explain": explain,
            "refuse": refuse,
            "MISFITS": MISFITS,
            "ndarray": np.ndarray,
            "fitting": fitting,
            "exact_types": exact_types,
            "FULLY_CHECKED": FULLY_CHECKED,
            "CHECK_INTERVAL": CHECK_INTERVAL,
        }
        leaves: list[int] = []
        checked = _assignments(tree, "packed", namespace, leaves, is_checked=True)
        quick = _assignments(tree, "packed", namespace, [], is_checked=False)
        source = _WRITER.format(
            views=", ".join(f"view{leaf}" for leaf in leaves),
            known="\n    ".join(_known(leaf) for leaf in leaves),
            value="value" if pack is None else "pack(value)",
            checked="\n            ".join(checked),
            quick="\n                ".join(quick),
        )
        # The source holds generated names only; keys reach it through the namespace.
        exec(compile(source, "<pufferlib layout>", "exec"), namespace)
        self._bind: Callable[..., Write] = namespace["bind"]

    def writer(self, views: Sequence[Array]) -> Write:
        """Return a function that writes an observation into `views`, the leaves of one row.

        Raises:
            ObservationError: from the function, for another structure, another shape, or a dtype
                whose values the leaf cannot represent; see `results.fitting`.
        """
        return self._bind(*views)


_WRITER = """\
def bind({views}):
    {known}
    first, skipped = FULLY_CHECKED, 0
    def write(value):
        nonlocal first, skipped
        try:
            packed = {value}
            if skipped:
                skipped -= 1
                {quick}
                return
            if first:
                first -= 1
            else:
                skipped = CHECK_INTERVAL - 1
            {checked}
        except MISFITS as problem:
            refuse(value, explain, problem)
    return write
"""


def _known(leaf: int) -> str:
    """Return a line that looks up once what is compared in every check of a leaf."""
    return (
        f"dtype{leaf}, shape{leaf} = view{leaf}.dtype, view{leaf}.shape; "
        f"exact{leaf} = exact_types(dtype{leaf}) if shape{leaf} == () else ()"
    )


def _assignments(
    tree: Tree, source: str, namespace: dict[str, object], leaves: list[int], is_checked: bool
) -> list[str]:
    """Return lines that copy each leaf of `source` into its view; look up each inner dict once.

    With `is_checked`, an array of the view's dtype and shape, or a number of an exact type, is
    assigned at once, and all other values if they fit.
    """
    if isinstance(tree, int):
        leaves.append(tree)
        if not is_checked:
            return [f"view{tree}[...] = {source}"]
        return [
            f"leaf = {source}",
            f"if leaf.__class__ in exact{tree} or (leaf.__class__ is ndarray"
            f" and leaf.dtype is dtype{tree} and leaf.shape == shape{tree}):",
            f"    view{tree}[...] = leaf",
            "else:",
            f"    view{tree}[...] = fitting(leaf, dtype{tree}, shape{tree})",
        ]
    lines = []
    for key, part in tree:
        name = f"key{len(namespace)}"
        namespace[name] = key
        inner = f"{source}[{name}]"
        if not isinstance(part, int):
            lines.append(f"part_{name} = {inner}")
            inner = f"part_{name}"
        lines += _assignments(part, inner, namespace, leaves, is_checked)
    return lines
