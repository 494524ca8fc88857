"""What users of PufferLib 1.0 read from emulated environments: dtypes of rows as C structs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import gymnasium
import numpy as np

from pufferlib.annotations import AnySpace, Space, UserEnv
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.layout import Field, Layout
from pufferlib.environment import PufferEnv
from pufferlib.spaces import children, is_space

Dtype = np.dtype[Any]


@dataclass(frozen=True)
class EmulatedDtypes:
    """The dtypes of an environment's rows, from which `nativize_dtype` makes a policy's.

    Attributes:
        observation_dtype: of an element of the row.
        emulated_observation_dtype: of the row as one structured value, nested like the observation.
    """

    observation_dtype: Dtype
    emulated_observation_dtype: Dtype


class HasLayouts(Protocol):
    """What `EmulatedNames` reads."""

    single_observation_space: gymnasium.spaces.Box

    single_action_space: Space

    @property
    def observation_layout(self) -> Layout | None: ...
    @property
    def action_layout(self) -> ActionLayout | None: ...


class EmulatedNames:
    """Attributes of environments and vectorizers that 1.0 published; see docs/published-names.md.

    Attributes:
        emulated: the dtypes for `pufferlib.pytorch.nativize_dtype`; False for native environments.
            Today policies take the layout.
        flat_observation_space: for `pufferlib.emulation.unpack_batched_obs`; the single one today.
        flat_observation_structure: for the same function, in 0.4 to 0.6; the same space.
        unflatten_context: for the same function, in 0.7; the same space.
        is_obs_emulated: observations were not flat.
        is_atn_emulated: actions were not flat.
        obs_dtype: of a row of observations as one structured value.
        atn_dtype: the same for actions.
    """

    @property
    def emulated(self: HasLayouts) -> EmulatedDtypes | Literal[False]:
        layout = self.observation_layout
        if layout is None:
            return False
        return EmulatedDtypes(np.dtype(layout.space.dtype), structured_dtype(layout))

    @property
    def is_obs_emulated(self: HasLayouts) -> bool:
        layout = self.observation_layout
        return layout is not None and layout.space != layout.original

    @property
    def is_atn_emulated(self: HasLayouts) -> bool:
        layout = self.action_layout
        return layout is not None and layout.space != layout.original

    @property
    def obs_dtype(self: HasLayouts) -> Dtype:
        return structured_dtype(self.observation_layout or Layout.of(self.single_observation_space))

    @property
    def atn_dtype(self: HasLayouts) -> Dtype:
        return structured_dtype(self.action_layout or ActionLayout.of(self.single_action_space))

    @property
    def flat_observation_space(self: HasLayouts) -> gymnasium.spaces.Box:
        return self.single_observation_space

    flat_observation_structure = unflatten_context = flat_observation_space


class NativeNames:
    """Published attributes of what `to_gymnasium` and `to_pettingzoo` return.

    Attributes:
        env: the native environment.
        emulated: that of `env`, False.
        flat_observation_space: for `pufferlib.emulation.unpack_batched_obs`, as in `EmulatedNames`.
        flat_observation_structure: the same space.
        unflatten_context: the same space.
    """

    env: PufferEnv

    @property
    def emulated(self) -> Any:
        return self.env.emulated

    @property
    def driver_env(self) -> UserEnv:
        return self

    @property
    def flat_observation_space(self) -> gymnasium.spaces.Box:
        return self.env.single_observation_space

    flat_observation_structure = unflatten_context = flat_observation_space


def structured_dtype(layout: Layout | ActionLayout) -> Dtype:
    """Return the dtype by which a row of `layout` can be viewed as one structured value.

    The parts of a Dict have its keys as names, those of a Tuple f0, f1 and so on. All are where the
    layout has them.
    """
    row_dtype = np.dtype(layout.space.dtype)
    keeps_dtypes = isinstance(layout, Layout)
    unit = 1 if isinstance(layout, Layout) and layout.is_bytes else row_dtype.itemsize
    fields = iter(layout.fields)
    dtype, _, _ = _placed(layout.structure, fields, unit, None if keeps_dtypes else row_dtype, 0)
    if dtype.fields is None:
        return dtype
    assert layout.space.shape is not None
    names, parts = zip(*dtype.fields.items(), strict=True)
    size = int(np.prod(layout.space.shape)) * row_dtype.itemsize
    return _struct(names, [part[0] for part in parts], [part[1] for part in parts], size)


def _placed(
    space: AnySpace, fields: Iterator[Field], unit: int, row_dtype: Dtype | None, position: int
) -> tuple[Dtype, int, int]:
    """Return the dtype of a part, and where it begins and ends, in bytes.

    Args:
        space: of the part.
        fields: those of the row that are left.
        unit: bytes of what they count.
        row_dtype: of all leaves; None if they have their own.
        position: where the part before ends.
    """
    parts = children(space)
    if parts is None:
        field = next(fields)
        dtype = np.dtype((row_dtype or field.leaf.dtype, field.leaf.shape))
        return dtype, field.start * unit, field.stop * unit
    prefix = "" if is_space(space, "Dict") else "f"
    placed: dict[str, tuple[Dtype, int, int]] = {}
    for key, part in parts:
        placed[f"{prefix}{key}"] = found = _placed(part, fields, unit, row_dtype, position)
        position = found[2]
    if not placed:
        return np.dtype([]), position, position
    dtypes, starts, _ = zip(*placed.values(), strict=True)
    begin = starts[0]
    offsets = [start - begin for start in starts]
    return _struct(placed, dtypes, offsets, position - begin), begin, position


def _struct(
    names: Iterable[str], formats: Iterable[Dtype], offsets: Iterable[int], itemsize: int
) -> Dtype:
    return np.dtype(
        {
            "names": list(names),
            "formats": list(formats),
            "offsets": list(offsets),
            "itemsize": itemsize,
        }
    )
