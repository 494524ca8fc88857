"""Check rows: their number, shapes, dtypes and values."""

import numpy as np

from pufferlib.annotations import Array
from pufferlib.emulation import Layout
from pufferlib.environment import Buffers
from pufferlib.spaces import name_of, value_at
from pufferlib.testing.breach import breach, require


def check_rows(
    rows: Buffers,
    layout: Layout,
    count: int,
    where: str,
    allow_nan: bool = True,
    same_step: bool = True,
) -> None:
    """Check every row of every array, and the values of observations part by part.

    Args:
        rows: the buffers, with final observations of the agents whose episodes ended.
        layout: the layout of an observation.
        count: the expected number of rows.
        where: the name of the call that wrote them.
        allow_nan: observations may contain NaN.
        same_step: the next episode starts in the step that ends one. If not, the last observation
            is in `observations`, too.
    """
    space = layout.space
    shape = (count, *space.shape)
    require(
        rows.observations.shape == shape and rows.observations.dtype == space.dtype,
        f"observations of {where} are {rows.observations.shape} {rows.observations.dtype}",
        f"{shape} {space.dtype}",
    )
    for name, dtype in (
        ("rewards", np.float32),
        ("terminals", np.bool_),
        ("truncations", np.bool_),
        ("masks", np.bool_),
    ):
        array = getattr(rows, name)
        require(
            array.shape == (count,) and array.dtype == dtype,
            f"{name} of {where} are {array.shape} {array.dtype}",
            f"({count},) {np.dtype(dtype)}",
        )
    require(
        np.isfinite(rows.rewards).all(),
        f"rewards of {where} are {rows.rewards}",
        "a finite number in every row, on every step; 0 for agents that are absent",
    )
    ended = rows.terminals | rows.truncations
    absent = ~rows.masks
    is_empty = absent if same_step else absent & ~ended
    require(
        not (rows.observations[is_empty].any() or rows.rewards[absent & ~ended].any()),
        f"{where} has rows with masks False that are not zero",
        "zero rows for absent agents, except the reward and flags of the step that ends an "
        "agent's episode: clear them, or set masks True for agents that can act",
    )
    shown, final_rows = rows.observations[ended], rows.final_observations[ended]
    require(
        same_step or (shown.tobytes() == final_rows.tobytes() and not rows.masks[ended].any()),
        f"{where} has ended episodes with other observations than the final ones, or masks True",
        "the final observations and masks False: no episode starts in this step",
    )
    final = f"the final observations of {where}"
    _check_values(rows.observations[rows.masks], layout, where, allow_nan)
    _check_values(final_rows, layout, final, allow_nan)


def _check_values(rows: Array, layout: Layout, where: str, allow_nan: bool) -> None:
    """Check every leaf of the rows; in rows of bytes each leaf has separate bounds."""
    parts = layout.unflatten(rows)
    for field in layout.fields:
        leaf, values = field.leaf, value_at(parts, field.leaf.path)
        of_leaf = f" in {name_of(leaf.path)}" if leaf.path else ""
        require(
            values.shape == (len(rows), *leaf.shape) and values.dtype == leaf.dtype,
            f"{where} has values of {values.shape} {values.dtype}{of_leaf}",
            f"{(len(rows), *leaf.shape)} {leaf.dtype}: a layout made by Layout.of",
        )
        low, high = leaf.low, leaf.high
        if leaf.dtype == np.bool_:  # a byte other than 0 and 1 is not a valid bool
            values, low, high = values.view(np.uint8), low.astype(np.uint8), high.astype(np.uint8)
        outside = (values < low) | (values > high)
        if outside.any():
            at = tuple(np.argwhere(outside)[0])
            raise breach(
                f"{where} has values outside its observation space, such as {values[at]}{of_leaf}",
                f"{low[at[1:]]} to {high[at[1:]]} there: widen the space's bounds, or clip",
            )
        require(
            allow_nan or leaf.dtype.kind != "f" or not np.isnan(values).any(),
            f"{where} has NaN{of_leaf}",
            "numbers: find the source of NaN with pufferlib.wrappers.check_nan, or pass "
            "allow_nan=True if NaN is intended",
        )


def check_actions(actions: Array, given: Array, where: str) -> None:
    """Check that `actions` still equal `given`."""
    require(
        np.array_equal(actions, given),
        f"{where} changes the actions it is given",
        "unchanged actions: copy them before changing them",
    )
