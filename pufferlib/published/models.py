"""Published networks, made of today's."""

import math
from collections.abc import Callable
from typing import Any

import gymnasium
from torch import Tensor, nn

from pufferlib.emulation.description import EnvDescription, HasSpaces, describe
from pufferlib.emulation.layout import Layout
from pufferlib.exceptions import ArgumentError
from pufferlib.policies.pixels import Impala, NatureCNN, Stage
from pufferlib.pytorch import Heads
from pufferlib.recurrent import LSTMWrapper


class Policy(nn.Module):
    """The base class of 0.x: forward is `encode_observations`, then `decode_actions`."""

    def __init__(self, env: HasSpaces | None = None) -> None:
        super().__init__()
        self.env = None if env is None else describe(env)

    encode_observations: Callable[[Tensor], tuple[Tensor, Any]]
    decode_actions: Callable[[Tensor, Any], tuple[Heads, Tensor]]

    def forward(self, env_outputs: Tensor) -> tuple[Heads, Tensor]:
        """Return (actions, value)."""
        hidden, lookup = self.encode_observations(env_outputs)
        return self.decode_actions(hidden, lookup)


class Recurrent(LSTMWrapper):
    """An LSTM in a policy, as `LSTMWrapper`; the environment may be left out.

    It is then that of the policy's `ActionHeads`, or its attribute `env` or `envs`.

    Args:
        env: an environment, or the policy if it is the only argument.
        policy: see `LSTMWrapper`.
        input_size: see there.
        hidden_size: see there.
        num_layers: see there.

    Raises:
        ArgumentError: no policy, or the environment is left out and the policy does not know it.
    """

    def __init__(
        self,
        env: Any = None,
        policy: Any = None,
        input_size: int | None = None,
        hidden_size: int | None = None,
        num_layers: int = 1,
    ) -> None:
        if policy is None:
            env, policy = None, env
        if policy is None:
            raise ArgumentError("Recurrent takes a policy: Recurrent(policy), or (env, policy).")
        super().__init__(
            _env_of(policy) if env is None else env, policy, input_size, hidden_size, num_layers
        )


def _env_of(policy: Any) -> HasSpaces:
    for module in policy.modules() if isinstance(policy, nn.Module) else ():
        for name in ("env", "envs", "description"):
            found: Any = getattr(module, name, None)
            if hasattr(found, "single_observation_space"):
                return describe(found)
    raise ArgumentError(
        f"Recurrent must know the shape of an observation, and {type(policy).__name__} has no "
        f"attribute env or envs. Pass the environment: Recurrent(env, policy)."
    )


class Convolutional(NatureCNN):
    """A `NatureCNN`, with the arguments of 0.x and 1.0.

    Args:
        env: an emulated or vectorized environment whose observation is one image.
        framestack: channels of the image.
        flat_size: without effect: found from the image.
        input_size: without effect.
        hidden_size: width of the hidden state.
        output_size: must be `hidden_size`.
        channels_last: the image is (H, W, C), not (C, H, W).
        downsample: keep every so manieth row and column of the image.

    Raises:
        ArgumentError: no image, one with other channels, or `output_size` is not `hidden_size`.
    """

    def __init__(
        self,
        env: HasSpaces,
        *args: object,
        framestack: int,
        flat_size: int | None = None,
        input_size: int = 512,
        hidden_size: int = 512,
        output_size: int = 512,
        channels_last: bool = False,
        downsample: int = 1,
        **kwargs: object,
    ) -> None:
        description = describe(env)
        box = description.single_observation_space
        if len(box.shape) != 3:
            raise ArgumentError(
                f"Convolutional takes observations that are one image, (C, H, W) or (H, W, C); "
                f"those of this environment have the shape {box.shape}. Use models.Default."
            )
        channels = box.shape[-1 if channels_last else 0]
        if channels != framestack or output_size != hidden_size:
            raise ArgumentError(
                f"framestack must be the channels of the image, {channels} of {box.shape}, and "
                f"output_size must be hidden_size; got framestack={framestack}, hidden_size="
                f"{hidden_size}, output_size={output_size}. channels_last={channels_last} says "
                f"which axis has the channels."
            )
        every = slice(None, None, downsample)
        self._pixels = (every, every) if channels_last else (slice(None), every, every)
        low, high = box.low[self._pixels], box.high[self._pixels]
        seen = gymnasium.spaces.Box(low, high, low.shape, box.dtype.type)
        small = EnvDescription(
            seen, description.single_action_space, Layout.of(seen), description.action_layout
        )
        super().__init__(small, hidden_size, is_channels_first=not channels_last)

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, None]:
        """Return ((B, hidden_size), None) for flat observations (B, ...)."""
        return super().encode_observations(observations[(slice(None), *self._pixels)])


class ProcgenResnet(Impala):
    """An `Impala`, with the arguments of 1.0.

    Args:
        env: an emulated or vectorized environment whose observation is one image.
        cnn_width: channels of the first stage, half of those of the others.
        mlp_width: width of the hidden state.
    """

    def __init__(self, env: HasSpaces, cnn_width: int = 16, mlp_width: int = 256) -> None:
        super().__init__(env, mlp_width, (cnn_width, 2 * cnn_width, 2 * cnn_width))


class ConvSequence(Stage):
    """A stage of `ProcgenResnet`.

    Args:
        input_shape: of an image, (C, h, w).
        out_channels: of its result, half as high and wide, rounded up.
    """

    def __init__(self, input_shape: tuple[int, int, int], out_channels: int) -> None:
        super().__init__(input_shape[0], out_channels)
        _, height, width = input_shape
        self._output_shape = (out_channels, math.ceil(height / 2), math.ceil(width / 2))

    def get_output_shape(self) -> tuple[int, int, int]:
        """Return the shape of a result, (C, h, w)."""
        return self._output_shape
