"""Preprocess the pixels that agents observe: gray, smaller, several frames stacked."""

import math
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
import pettingzoo
from gymnasium.spaces import Box
from numpy.typing import NDArray

from pufferlib.annotations import (
    Action,
    Agent,
    Array,
    Observation,
    Options,
    ParallelReset,
    ParallelStep,
    UserEnv,
)
from pufferlib.arguments import as_whole
from pufferlib.exceptions import ArgumentError

Image = NDArray[np.uint8]

# Brightness of red, green and blue in thousandths (ITU-R BT.601).
_BRIGHTNESS = np.array([299, 587, 114], np.float32)
_EXACT_IN_FLOAT32 = 2**24


def sees_pixels(env: UserEnv) -> bool:
    """Return whether the agents of `env` observe images, Boxes of bytes (H, W, 3)."""
    space = env.observation_space(env.possible_agents[0])
    return isinstance(space, Box) and space.dtype == np.uint8 and len(space.shape) == 3


class PixelAgents(pettingzoo.utils.BaseParallelWrapper):
    """A PettingZoo environment whose agents observe their last few images, made smaller.

    An observation is uint8 (frames * channels, height, width), the latest image last; an episode
    starts with its first image in all places.

    Args:
        env: its agents observe images (H, W, 3).
        size: height and width to reduce them to; None leaves them.
        grey: one channel, the brightness, in place of three.
        frames: how many images an observation holds.

    Raises:
        ArgumentError: `size` is not two whole numbers, or not between 1 and the images' size.
    """

    def __init__(self, env: UserEnv, size: tuple[int, int] | None, grey: bool, frames: int) -> None:
        super().__init__(env)
        height, width, channels = env.observation_space(env.possible_agents[0]).shape
        if size is None:
            size = (height, width)
        target = tuple(as_whole(side) or 0 for side in size) if isinstance(size, Iterable) else ()
        if len(target) != 2 or not (0 < target[0] <= height and 0 < target[1] <= width):
            raise ArgumentError(
                f"size must be a height from 1 to {height} and a width from 1 to {width}, or None; "
                f"got {size!r}."
            )
        self._grey, self._frames = grey, frames
        self._reduce = None if target == (height, width) else AreaMean((height, width), target)
        shape = (frames * (1 if grey else channels), *target)
        self._space = Box(0, 255, shape, np.uint8)
        self._seen: dict[Agent, deque[Image]] = {}

    def observation_space(self, agent: Agent) -> Box:
        """Return the observation space, the same object for every agent."""
        return self._space

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> ParallelReset[Agent]:
        """Start an episode; return (observations, infos)."""
        observations, infos = super().reset(seed=seed, options=options)
        self._seen = {}
        return self._stacked(observations), infos

    def step(self, actions: dict[Agent, Action]) -> ParallelStep[Agent]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        observations, *rest = super().step(actions)
        return self._stacked(observations), *rest

    def _stacked(self, observations: dict[Agent, Observation]) -> dict[Agent, Image]:
        stacked = {}
        for agent, image in observations.items():
            planes = self._planes(image)
            seen = self._seen.setdefault(agent, deque([planes] * self._frames, self._frames))
            seen.append(planes)
            stacked[agent] = np.concatenate(seen)
        return stacked

    def _planes(self, image: Image) -> Image:
        """Return uint8 (channels, height, width)."""
        planes = brightness(image)[None] if self._grey else np.moveaxis(image, -1, 0)
        return planes if self._reduce is None else self._reduce(planes)


def brightness(image: Image) -> Image:
    """Return uint8 (H, W) for an image (H, W, 3)."""
    thousandths = image.astype(np.float32) @ _BRIGHTNESS  # whole numbers, exact
    return ((thousandths + 500) / 1000).astype(np.uint8)


class AreaMean:
    """Reduces images to the mean over the area that each new pixel covers.

    All sums are of whole numbers small enough to be exact, so the result depends neither on the
    order of addition nor on the number of threads.

    Args:
        size: height and width of the images.
        target: height and width of the result, not larger than `size`.
    """

    def __init__(self, size: tuple[int, int], target: tuple[int, int]) -> None:
        rows, row_sum = _overlaps(size[0], target[0])
        columns, column_sum = _overlaps(size[1], target[1])
        self._area = row_sum * column_sum
        dtype: type[np.floating[Any]] = (
            np.float32 if self._area * 255 < _EXACT_IN_FLOAT32 else np.float64
        )
        self._rows: Array = rows.astype(dtype)
        self._columns: Array = columns.T.astype(dtype)

    def __call__(self, planes: Image) -> Image:
        """Return uint8 (planes, height, width) for uint8 (planes, H, W)."""
        sums = self._rows @ planes.astype(self._rows.dtype) @ self._columns
        return np.rint(sums / self._area).astype(np.uint8)


def _overlaps(size: int, target: int) -> tuple[NDArray[np.int64], int]:
    """Return how much of each of `size` pixels each of `target` covers, and the sum of a row.

    In units of which an old pixel has `target` and a new one `size`, divided by what both share.
    """
    shared = math.gcd(size, target)
    old, new = target // shared, size // shared
    starts, new_starts = np.arange(size) * old, np.arange(target)[:, None] * new
    covered = np.minimum(starts + old, new_starts + new) - np.maximum(starts, new_starts)
    return covered.clip(0), new
