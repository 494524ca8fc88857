"""Baseline policies. None needs a base class of ours.

A policy is any `nn.Module` whose `forward(observations)` returns `(actions, value)`: what
`pufferlib.pytorch.sample_actions` takes, and (B, 1). Splitting forward into `encode_observations`,
up to the hidden state, and `decode_actions`, from there, lets `LSTMWrapper` put memory in between.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from pufferlib.emulation.layout import Field, Layout
from pufferlib.exceptions import ArgumentError
from pufferlib.pytorch import Heads, layer_init, unflatten

State = tuple[Tensor, Tensor]


class ActionHeads(nn.Module):
    """The last layer of a policy for any flat action space.

    Args:
        env: has `single_action_space`, and `action_layout` where that mixes kinds.
        hidden_size: width of the input.
    """

    def __init__(self, env: Any, hidden_size: int) -> None:
        super().__init__()
        space = env.single_action_space
        layout = getattr(env, "action_layout", None)
        self._is_single = isinstance(space, gymnasium.spaces.Discrete)
        if self._is_single:
            self._widths = [int(space.n)]
            self._is_continuous = [False]
        elif isinstance(space, gymnasium.spaces.MultiDiscrete):
            self._widths = [int(n) for n in space.nvec.ravel()]
            self._is_continuous = [False] * len(self._widths)
        else:
            self._widths, self._is_continuous = _mixed_widths(space, layout)
        self.layer = layer_init(nn.Linear(hidden_size, sum(self._widths)), std=0.01)
        continuous = sum(w for w, c in zip(self._widths, self._is_continuous, strict=True) if c)
        if continuous:
            self.log_std = nn.Parameter(torch.zeros(continuous))

    def forward(self, hidden: Tensor) -> Heads:
        """Return logits, Normals, or a list of them, for `hidden` (B, hidden_size)."""
        output = self.layer(hidden)
        if self._is_single:
            return output
        heads: list[Tensor | Normal] = []
        start = 0
        for piece, is_continuous in zip(
            output.split(self._widths, dim=-1), self._is_continuous, strict=True
        ):
            if is_continuous:
                log_std = self.log_std[start : start + piece.shape[-1]]
                start += piece.shape[-1]
                std = log_std.exp().expand_as(piece)
                heads.append(Normal(piece, std, validate_args=False))
            else:
                heads.append(piece)
        return heads


def _mixed_widths(space: Any, layout: Any) -> tuple[list[int], list[bool]]:
    """Return the outputs of each head over a Box of columns, and which heads are continuous."""
    if layout is None:
        return [math.prod(space.shape)], [True]
    widths: list[int] = []
    is_continuous: list[bool] = []
    for field in layout.fields:
        if field.leaf.is_continuous:
            widths.append(field.leaf.size)
            is_continuous.append(True)
        else:
            counts = (field.leaf.high - field.leaf.low + 1).ravel()
            widths += [int(n) for n in counts]
            is_continuous += [False] * len(counts)
    return widths, is_continuous


class HiddenState(nn.Module, ABC):
    """What policies share that are an encoder and heads on its hidden state.

    A convenience: nothing asks for it. A subclass sets the attributes and `encode_observations`.

    Attributes:
        hidden_size: width of the hidden state.
        decoder: from a hidden state to what `sample_actions` takes.
        value_head: from a hidden state to its value.
    """

    hidden_size: int
    decoder: nn.Module
    value_head: nn.Module

    def forward(self, observations: Tensor) -> tuple[Heads, Tensor]:
        """Return (actions, value (B, 1)) for flat observations (B, ...)."""
        hidden, lookup = self.encode_observations(observations)
        return self.decode_actions(hidden, lookup)

    @abstractmethod
    def encode_observations(self, observations: Tensor) -> tuple[Tensor, Any]:
        """Return ((B, hidden_size), what `decode_actions` needs besides) for (B, ...)."""

    def decode_actions(self, hidden: Tensor, lookup: Any = None) -> tuple[Heads, Tensor]:
        """Return (actions, value (B, 1)) for hidden states (B, hidden_size)."""
        return self.decoder(hidden), self.value_head(hidden)


class Default(HiddenState):
    """A linear encoder over all of the observation, and linear decoders. Works for any space.

    Discrete parts of the observation are one-hot, images of bytes scaled to [0, 1].

    Args:
        env: an emulated or vectorized environment.
        hidden_size: width of the hidden state.
    """

    def __init__(self, env: Any, hidden_size: int = 128) -> None:
        super().__init__()
        layout: Layout = getattr(env, "observation_layout", None) or Layout.of(
            env.single_observation_space
        )
        self._layout = layout
        self._choices = [choices_of(field) for field in layout.fields]
        features = sum(
            choices[1] if choices else field.leaf.size
            for field, choices in zip(layout.fields, self._choices, strict=True)
        )
        self.hidden_size = hidden_size
        self.encoder = nn.Sequential(
            layer_init(nn.Linear(features, hidden_size)),
            nn.Tanh(),
            layer_init(nn.Linear(hidden_size, hidden_size)),
            nn.Tanh(),
        )
        self.decoder = ActionHeads(env, hidden_size)
        self.value_head = layer_init(nn.Linear(hidden_size, 1), std=1.0)

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, None]:
        """Return ((B, hidden_size), None) for flat observations (B, ...)."""
        batch = observations.shape[0]
        found = leaves_of(unflatten(observations, self._layout))
        features = [
            features_of(leaf.reshape(batch, -1), field, choices)
            for leaf, field, choices in zip(found, self._layout.fields, self._choices, strict=True)
        ]
        return self.encoder(torch.cat(features, 1)), None


def leaves_of(structure: Any) -> list[Tensor]:
    """Return the tensors in nested dicts and tuples, in order."""
    if isinstance(structure, dict):
        structure = tuple(structure.values())
    if isinstance(structure, tuple):
        return [leaf for part in structure for leaf in leaves_of(part)]
    return [structure]


def choices_of(field: Field) -> tuple[int, int] | None:
    """Return the lowest value of a Discrete leaf and how many it has; None for other leaves.

    As plain numbers, which torch.compile takes as constants; it would trace NumPy's.
    """
    leaf = field.leaf
    return (int(leaf.low), int(leaf.high - leaf.low) + 1) if leaf.kind == "Discrete" else None


def features_of(values: Tensor, field: Field, choices: tuple[int, int] | None) -> Tensor:
    """Return float32 (B, features) for the values (B, size) of one leaf."""
    if choices is not None:
        low, count = choices
        classes = (values - low).long().squeeze(1)
        classes = classes.clamp(0, count - 1)  # rows of absent agents are zero, whatever `low`
        return nn.functional.one_hot(classes, count).float()
    scaled = values.float()
    return scaled / 255 if field.leaf.kind == "Box" and values.dtype == torch.uint8 else scaled


class NormalizedObservations(nn.Module):
    """Show a policy observations shifted and scaled to mean 0 and deviation 1, clipped.

    Mean and variance are running ones over all that `observe` was given (Chan et al. 1979), as in
    Gymnasium's NormalizeObservation; they are buffers, and so part of a checkpoint. The trainer
    calls `observe` after it has learned from a rollout: within one nothing changes.

    Args:
        env: an emulated or vectorized environment whose observations are floats.
        policy: as `LSTMWrapper` takes it.
        clip: normalized observations stay within [-clip, clip].

    Raises:
        ArgumentError: observations of another dtype.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, env: Any, policy: Any, clip: float = 10.0) -> None:
        super().__init__()
        space = env.single_observation_space
        if not np.issubdtype(space.dtype, np.floating):
            raise ArgumentError(
                f"Observations can be normalized where they are floats; got {space.dtype}. Leave "
                f"out normalize_observations, or scale them in the policy."
            )
        self.policy, self.clip = policy, clip
        self.hidden_size = policy.hidden_size
        self.register_buffer("mean", torch.zeros(space.shape))
        self.register_buffer("variance", torch.ones(space.shape))
        self.register_buffer("count", torch.tensor(1e-4, dtype=torch.float64))

    def forward(self, observations: Tensor) -> tuple[Heads, Tensor]:
        """Return (actions, value) for observations (B, ...)."""
        heads, value = self.policy(self.normalize(observations))
        return heads, value

    def encode_observations(self, observations: Tensor) -> Any:
        """Return what the policy's `encode_observations` does."""
        return self.policy.encode_observations(self.normalize(observations))

    def decode_actions(self, hidden: Tensor, lookup: Any = None) -> Any:
        """Return what the policy's `decode_actions` does."""
        return self.policy.decode_actions(hidden, lookup)

    def normalize(self, observations: Tensor) -> Tensor:
        """Return observations (..., *shape) normalized, float32."""
        apart = (observations - self.mean) / (self.variance + 1e-8).sqrt()
        return apart.clamp(-self.clip, self.clip).float()

    @torch.no_grad()
    def observe(
        self,
        observations: Tensor,
        valid: Tensor,
        total: Callable[[Tensor], Tensor] = lambda part: part,
    ) -> None:
        """Take observations (T, B, *shape) into mean and variance, where `valid` (T, B).

        Args:
            observations: of a rollout.
            valid: bool, an agent was there.
            total: sums a tensor over all processes that learn together.
        """
        kept = observations[valid].to(self.mean.device, torch.float64)
        count = total(self.count.new_tensor(len(kept)))
        if count == 0:
            return
        mean = total(kept.sum(0)) / count
        squares = total((kept - mean).square().sum(0))
        counted, apart = self.count + count, mean - self.mean
        squares += self.variance * self.count + apart**2 * self.count * count / counted
        self.variance.copy_(squares / counted)
        self.mean.add_(apart * count / counted)
        self.count.copy_(counted)


class LSTMWrapper(nn.Module):
    """Put an LSTM between a policy's `encode_observations` and its `decode_actions`.

    Args:
        env: an emulated or vectorized environment.
        policy: has `encode_observations(observations) -> (hidden, lookup)`,
            `decode_actions(hidden, lookup) -> (actions, value)`, and `hidden_size`.
        input_size: width of the encoder's hidden state; the policy's `hidden_size` if None.
        hidden_size: width of the LSTM, which the decoder takes; `input_size` if None.
    """

    def __init__(
        self,
        env: Any,
        policy: Any,
        input_size: int | None = None,
        hidden_size: int | None = None,
    ) -> None:
        super().__init__()
        self.policy = policy
        self.input_size = input_size or int(getattr(policy, "hidden_size", 128))
        self.hidden_size = hidden_size or self.input_size
        self._observation_dims = len(env.single_observation_space.shape)
        self.lstm = nn.LSTM(self.input_size, self.hidden_size)
        for name, parameter in self.lstm.named_parameters():
            if "bias" in name:
                nn.init.constant_(parameter, 0)
            else:
                nn.init.orthogonal_(parameter, 1.0)

    def initial_state(self, rows: int, device: torch.device | str | None = None) -> State:
        """Return the state at the start of an episode: two zeros (1, rows, hidden_size)."""
        zeros = torch.zeros(1, rows, self.hidden_size, device=device)
        return zeros, zeros.clone()

    def forward(
        self, observations: Tensor, state: State | None = None, starts: Tensor | None = None
    ) -> tuple[Heads, Tensor, State]:
        """Return (actions, value, state) for one step or for a sequence.

        Args:
            observations: (B, *observation) or (B, T, *observation).
            state: what the last call returned, two (1, B, hidden_size); None for a fresh start.
            starts: bool (B,) or (B, T), this observation is the first of an episode: the state is
                cleared before it.

        Returns:
            actions: for B rows, or B * T of them, those of one sequence together.
            value: (B, 1), or (B * T, 1).
            state: after the last observation.
        """
        is_sequence = observations.dim() == self._observation_dims + 2
        rows, steps = observations.shape[0], observations.shape[1] if is_sequence else 1
        flat = observations.flatten(0, 1) if is_sequence else observations  # (B * T, ...)
        hidden, lookup = self.policy.encode_observations(flat)
        hidden = hidden.reshape(rows, steps, self.input_size).transpose(0, 1)  # (T, B, H)
        if state is None:
            state = self.initial_state(rows, hidden.device)
        if starts is not None:
            starts = starts.reshape(rows, steps).transpose(0, 1)  # (T, B)
        hidden, state = self._run(hidden, state, starts)
        hidden = hidden.transpose(0, 1).reshape(rows * steps, self.hidden_size)
        actions, value = self.policy.decode_actions(hidden, lookup)
        return actions, value, state

    def observe(
        self,
        observations: Tensor,
        valid: Tensor,
        total: Callable[[Tensor], Tensor] = lambda part: part,
    ) -> None:
        """Show the policy a rollout it was trained on, (T, B, ...), if it keeps statistics."""
        if hasattr(self.policy, "observe"):
            self.policy.observe(observations, valid, total)

    def _run(self, hidden: Tensor, state: State, starts: Tensor | None) -> tuple[Tensor, State]:
        """Run the LSTM over (T, B, H), in as few pieces as the starts of episodes allow."""
        if starts is None:
            return self.lstm(hidden, state)
        cuts = [0, *[t for t in starts.any(1).nonzero().ravel().tolist() if t], len(hidden)]
        outputs = []
        for begin, end in pairwise(cuts):
            keep = (~starts[begin]).float().reshape(1, -1, 1)
            state = (state[0] * keep, state[1] * keep)
            output, state = self.lstm(hidden[begin:end], state)
            outputs.append(output)
        return torch.cat(outputs), state


Recurrent = LSTMWrapper
