"""What Stable-Baselines3 can use of a vectorizer, and the spaces that it sees."""

import copy
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Space
from pufferlib.emulation.description import describe
from pufferlib.emulation.layout import Layout
from pufferlib.exceptions import ArgumentError
from pufferlib.vector.autoreset import check_autoreset
from pufferlib.vector.interface import VectorEnv

_MASK = ("action_mask",)  # the path to a mask's leaf


def check_vecenv(vecenv: Any) -> None:
    """Refuse what `PufferVecEnv` cannot wrap.

    Raises:
        ArgumentError: see `PufferVecEnv`.
    """
    if isinstance(vecenv, type) or not hasattr(vecenv, "agents_per_env"):
        given = vecenv.__name__ if isinstance(vecenv, type) else type(vecenv).__name__
        raise ArgumentError(
            f"PufferVecEnv takes a vectorizer; got {given}. Pass the result of "
            f"pufferlib.vector.make."
        )
    if vecenv.batch_size < vecenv.num_envs:
        raise ArgumentError(
            f"Stable-Baselines3 steps all environments at once; got a pool with batch_size="
            f"{vecenv.batch_size} of num_envs={vecenv.num_envs}. Use batch_size=None."
        )
    check_autoreset(vecenv, "same_step", "Stable-Baselines3")
    space = vecenv.single_action_space
    if isinstance(space, gymnasium.spaces.Box) and not space.is_bounded():
        raise ArgumentError(
            f"Stable-Baselines3 clips continuous actions to their bounds, which must be finite; "
            f"got {space}. Give the environment's action space finite bounds."
        )


def spaces_of(vecenv: VectorEnv) -> tuple[Space, Space]:
    """Return the spaces of a row, with their layouts.

    A Box of integers becomes one of floats, as Stable-Baselines3 stores continuous actions in the
    dtype of their space.
    """
    description = describe(vecenv)
    observation_space: Space = copy.deepcopy(description.single_observation_space)
    action_space: Space = copy.deepcopy(description.single_action_space)
    if isinstance(action_space, gymnasium.spaces.Box) and action_space.dtype.kind != "f":
        low, high = action_space.low.astype(np.float32), action_space.high.astype(np.float32)
        action_space = gymnasium.spaces.Box(low, high, dtype=np.float32)
    observation_space.__dict__["layout"] = description.observation_layout
    if description.action_layout is not None:
        action_space.__dict__["layout"] = description.action_layout
    return observation_space, action_space


def whole_columns(vecenv: VectorEnv) -> NDArray[np.bool_] | None:
    """Return which elements of a Box of actions are integers; None if there are none."""
    space, layout = vecenv.single_action_space, vecenv.action_layout
    if not isinstance(space, gymnasium.spaces.Box):
        return None
    is_whole = np.full(space.shape, space.dtype.kind != "f")
    for field in () if layout is None else layout.fields:
        is_whole.reshape(-1)[field.start : field.stop] = field.leaf.dtype.kind != "f"
    return is_whole if is_whole.any() else None


def mask_layout(vecenv: VectorEnv) -> Layout | None:
    """Return the layout of observations if they have an action mask."""
    layout = vecenv.observation_layout
    paths = [] if layout is None else [tuple(field.leaf.path) for field in layout.fields]
    return layout if _MASK in paths else None
