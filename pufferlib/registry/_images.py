"""The usual image preprocessing, without a dependency: shrink, gray, frame stack."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray

from pufferlib.annotations import (
    Action,
    AnySpace,
    GymnasiumEnv,
    GymnasiumReset,
    GymnasiumStep,
    GymnasiumWrapper,
    Observation,
    Options,
)
from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError

_BRIGHTNESS = np.array([77, 150, 29], np.uint32)  # of 256: red, green, blue in ITU-R BT.601


def preprocessed(env: GymnasiumEnv, **how: Any) -> GymnasiumEnv:
    """Return `env` wrapped in `Preprocessed`, or `env` itself if there is nothing to do."""
    asked = {"shrink": 1, "gray": False, "frame_stack": 1} | how
    for name in ("shrink", "frame_stack"):
        asked[name] = whole_number(name, asked[name])
    if (asked["shrink"], asked["gray"], asked["frame_stack"]) == (1, False, 1):
        return env
    return Preprocessed(env, **asked)


class Preprocessed(GymnasiumWrapper, gymnasium.utils.RecordConstructorArgs):
    """Shrink the image of an observation, make it gray, stack the last frames in its channels.

    Other parts of a Dict stay as they are. At a reset every frame of the stack is the first.

    Args:
        env: observes an image, Box uint8 (height, width, 1 or 3), or a Dict with one at `key`.
        shrink: replace each square of this many pixels a side by its mean.
        gray: one channel of brightness in place of three.
        frame_stack: frames in an observation, the newest last.
        key: of the image in a Dict.

    Raises:
        ArgumentError: there is no such image, it is not a multiple of `shrink`, or a number is not
            whole and above 0.
    """

    def __init__(
        self,
        env: GymnasiumEnv,
        shrink: int = 1,
        gray: bool = False,
        frame_stack: int = 1,
        key: str = "screen",
    ) -> None:
        shrink = whole_number("shrink", shrink)
        frame_stack = whole_number("frame_stack", frame_stack)
        gymnasium.utils.RecordConstructorArgs.__init__(
            self, shrink=shrink, gray=gray, frame_stack=frame_stack, key=key
        )
        gymnasium.Wrapper.__init__(self, env)
        space: AnySpace = env.observation_space
        self._key = key if isinstance(space, Dict) else None
        image: AnySpace = space.spaces.get(key) if isinstance(space, Dict) else space
        _check_image(env, image, shrink)
        self._shrink, self._gray = shrink, gray and image.shape[2] == 3
        height, width, channels = image.shape
        channels = 1 if self._gray else channels
        shape = (height // shrink, width // shrink, channels * frame_stack)
        made = Box(0, 255, shape, np.uint8)
        self.observation_space = (
            made if self._key is None else Dict({**space.spaces, self._key: made})
        )
        self._channels = channels
        self._stack = np.zeros(shape, np.uint8)

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> GymnasiumReset:
        """Start an episode; return (observation, info)."""
        observation, info = self.env.reset(seed=seed, options=options)
        frame = self._frame(observation)
        self._stack = np.tile(frame, self._stack.shape[2] // self._channels)
        return self._with_stack(observation), info

    def step(self, action: Action) -> GymnasiumStep:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        kept = self._stack[:, :, self._channels :]
        self._stack = np.concatenate([kept, self._frame(observation)], 2)
        return self._with_stack(observation), reward, terminated, truncated, info

    def _frame(self, observation: Observation) -> NDArray[np.uint8]:
        """Return the image of an observation, shrunk and gray; uint8 (height, width, channels)."""
        image: NDArray[np.uint8] = observation if self._key is None else observation[self._key]
        if self._gray:
            image = ((image @ _BRIGHTNESS) >> 8).astype(np.uint8)[:, :, None]
        if self._shrink > 1:
            wide = np.uint16 if self._shrink <= 16 else np.uint32  # holds 255 * shrink**2
            rows = np.add.reduceat(image, np.arange(0, image.shape[0], self._shrink), 0, wide)
            cells = np.add.reduceat(rows, np.arange(0, image.shape[1], self._shrink), 1, wide)
            image = (cells // self._shrink**2).astype(np.uint8)
        return image

    def _with_stack(self, observation: Observation) -> Observation:
        return self._stack if self._key is None else {**observation, self._key: self._stack}


def _check_image(env: GymnasiumEnv, image: AnySpace, shrink: int) -> None:
    is_image = isinstance(image, Box) and image.dtype == np.uint8 and len(image.shape) == 3
    if not is_image:
        raise ArgumentError(
            f"shrink, gray and frame_stack are for tasks that observe an image; {env} observes "
            f"{env.observation_space}. Leave them out."
        )
    if image.shape[0] % shrink or image.shape[1] % shrink:
        raise ArgumentError(
            f"shrink must divide the image's {image.shape[0]} rows and {image.shape[1]} columns; "
            f"got {shrink}."
        )
