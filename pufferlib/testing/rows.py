"""Rows: one of each array for every agent, of the shapes, dtypes and values promised."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pufferlib.emulation import Layout
from pufferlib.environment import Buffers
from pufferlib.spaces import name_of, value_at
from pufferlib.testing.breach import breach, require


def check_rows(
    rows: Buffers, layout: Layout, count: int, where: str, allow_nan: bool = True
) -> None:
    """Check every row of every array, and the values of observations part by part.

    Args:
        rows: with the final observations of agents whose episodes ended.
        layout: of an observation.
        count: how many rows are due.
        where: the name of the call that gave them.
        allow_nan: observations may hold NaN.
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
    require(
        not (rows.observations[absent].any() or rows.rewards[absent & ~ended].any()),
        f"{where} has rows with masks False that are not zero",
        "zero rows for absent agents, but for the reward and flags of the step that ends an "
        "agent's episode: clear them, or set masks True where an agent is there to act",
    )
    final = f"the final observations of {where}"
    _check_values(rows.observations[rows.masks], layout, where, allow_nan)
    _check_values(rows.final_observations[ended], layout, final, allow_nan)


def _check_values(rows: NDArray[Any], layout: Layout, where: str, allow_nan: bool) -> None:
    """Check every leaf of the rows: those of bytes have bounds of their own."""
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
        if leaf.dtype == np.bool_:  # which a byte may make neither False nor True
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
            "numbers: find where NaN comes from (pufferlib.wrappers.check_nan), or pass "
            "allow_nan=True if it is meant",
        )


def check_actions(actions: NDArray[Any], given: NDArray[Any], where: str) -> None:
    """Check that actions are as they were `given`."""
    require(
        np.array_equal(actions, given),
        f"{where} changes the actions it is given",
        "actions left as they are: copy them before changing them",
    )
