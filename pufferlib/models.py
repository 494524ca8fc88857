"""Baseline policies, and recurrent layers for any policy.

`pufferlib.policy` defines the contract of policies; they need no base class. A policy that splits
forward into `encode_observations`, up to the hidden state, and `decode_actions`, from there, can be
wrapped by `LSTMWrapper` and `GRUWrapper`, which insert a recurrent layer in between.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from pufferlib.annotations import Space, Structure
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.emulation.layout import Field, Layout
from pufferlib.exceptions import ArgumentError
from pufferlib.policy import State, map_state
from pufferlib.pytorch import Heads, layer_init, unflatten


class ActionHeads(nn.Module):
    """The last layer of a policy for any flat action space.

    Args:
        env: the environment whose actions they choose.
        hidden_size: width of the input.
    """

    def __init__(self, env: HasSpaces, hidden_size: int) -> None:
        super().__init__()
        description = describe(env)
        space, layout = description.single_action_space, description.action_layout
        self._is_single = False
        if isinstance(space, gymnasium.spaces.Discrete):
            self._is_single = True
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


def _mixed_widths(space: Space, layout: ActionLayout | None) -> tuple[list[int], list[bool]]:
    """Return the outputs of each head over a Box of columns, and which heads are continuous."""
    if layout is None:
        return [math.prod(space.shape or ())], [True]
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
    """A policy with an encoder, and action and value heads on its hidden state.

    This base class is optional. A subclass sets the attributes and implements
    `encode_observations`.

    Attributes:
        hidden_size: width of the hidden state.
        decoder: maps a hidden state to the heads of `sample_actions`.
        value_head: maps a hidden state to its value.
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
        """Return ((B, hidden_size), the `lookup` of `decode_actions`) for (B, ...)."""

    def decode_actions(self, hidden: Tensor, lookup: Any = None) -> tuple[Heads, Tensor]:
        """Return (actions, value (B, 1)) for hidden states (B, hidden_size)."""
        return self.decoder(hidden), self.value_head(hidden)


class FlatFeatures(nn.Module):
    """Any observation as one float vector: discrete parts one-hot, uint8 scaled to [0, 1].

    It has no weights.

    Args:
        env: the environment whose observations are its input.

    Attributes:
        size: length of the vector.
    """

    def __init__(self, env: HasSpaces) -> None:
        super().__init__()
        self._layout = describe(env).observation_layout
        self._choices = [choices_of(field) for field in self._layout.fields]
        self.size = sum(
            choices[1] if choices else field.leaf.size
            for field, choices in zip(self._layout.fields, self._choices, strict=True)
        )

    def forward(self, observations: Tensor) -> Tensor:
        """Return float32 (B, size) for flat observations (B, ...)."""
        batch = observations.shape[0]
        found = leaves_of(unflatten(observations, self._layout))
        features = [
            features_of(leaf.reshape(batch, -1), field, choices)
            for leaf, field, choices in zip(found, self._layout.fields, self._choices, strict=True)
        ]
        return torch.cat(features, 1)


class Default(HiddenState):
    """A two-layer encoder over the whole observation, and linear decoders. Supports any space.

    Args:
        env: an emulated or vectorized environment.
        hidden_size: width of the hidden state.
    """

    def __init__(self, env: HasSpaces, hidden_size: int = 128) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.features = FlatFeatures(env)
        self.encoder = nn.Sequential(
            layer_init(nn.Linear(self.features.size, hidden_size)),
            nn.Tanh(),
            layer_init(nn.Linear(hidden_size, hidden_size)),
            nn.Tanh(),
        )
        self.decoder = ActionHeads(env, hidden_size)
        self.value_head = layer_init(nn.Linear(hidden_size, 1), std=1.0)

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, Any]:
        """Return ((B, hidden_size), None) for flat observations (B, ...)."""
        return self.encoder(self.features(observations)), None


def spaces_of(
    layout: Layout, keys: Sequence[str], policy: str, advice: str = ""
) -> Mapping[str, Any]:
    """Return the spaces of a Dict observation by key.

    Args:
        layout: of the observation.
        keys: those that the policy needs.
        policy: its name, for the error: "The NetHack policy".
        advice: what to do about a missing key, for the error.

    Raises:
        ArgumentError: the observation lacks one of `keys`.
    """
    spaces: Mapping[str, Any] = getattr(layout.structure, "spaces", {})
    missing = [key for key in keys if key not in spaces]
    if missing:
        raise ArgumentError(
            f"{policy} needs the observation keys {', '.join(keys)}; this environment lacks "
            f"{', '.join(missing)}. {advice}".rstrip()
        )
    return spaces


def leaves_of(structure: Structure) -> list[Tensor]:
    """Return the tensors in nested dicts and tuples, in order."""
    if isinstance(structure, dict):
        structure = tuple(structure.values())
    if isinstance(structure, tuple):
        return [leaf for part in structure for leaf in leaves_of(part)]
    return [structure]


def choices_of(field: Field) -> tuple[int, int] | None:
    """Return the lowest value and the number of values of a Discrete leaf; None for other leaves.

    They are Python ints, which torch.compile treats as constants; it would trace NumPy's.
    """
    leaf = field.leaf
    return (int(leaf.low), int(leaf.high - leaf.low) + 1) if leaf.kind == "Discrete" else None


def features_of(values: Tensor, field: Field, choices: tuple[int, int] | None) -> Tensor:
    """Return float32 (B, features) for the values (B, size) of one leaf."""
    if choices is not None:
        low, count = choices
        classes = (values - low).long().squeeze(1)
        classes = classes.clamp(0, count - 1)  # rows of absent agents are zero, even below `low`
        return nn.functional.one_hot(classes, count).float()
    scaled = values.float()
    return scaled / 255 if field.leaf.kind == "Box" and values.dtype == torch.uint8 else scaled


class NormalizedObservations(nn.Module):
    """Normalize observations to mean 0 and standard deviation 1, clipped, and pass them on.

    Running mean and variance cover all observations passed to `observe` (Chan et al. 1979), as in
    Gymnasium's NormalizeObservation; they are buffers, so checkpoints include them. The trainer
    calls `observe` after each update, so they do not change within a rollout.

    Args:
        env: an emulated or vectorized environment whose observations are floats.
        policy: a `Policy`. To make it recurrent, wrap the result in `LSTMWrapper` or `GRUWrapper`.
        clip: normalized observations are clipped to [-clip, clip].

    Raises:
        ArgumentError: if observations have another dtype.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, env: HasSpaces, policy: Any, clip: float = 10.0) -> None:
        super().__init__()
        space = describe(env).single_observation_space
        if not np.issubdtype(space.dtype, np.floating):
            raise ArgumentError(
                f"Only float observations can be normalized; got {space.dtype}. Leave out "
                f"normalize_observations, or scale them in the policy."
            )
        self.policy, self.clip = policy, clip
        self.hidden_size = getattr(policy, "hidden_size", None)
        self.register_buffer("mean", torch.zeros(space.shape))
        self.register_buffer("variance", torch.ones(space.shape))
        self.register_buffer("count", torch.tensor(1e-4, dtype=torch.float64))

    def forward(self, observations: Tensor) -> tuple[Heads, Tensor]:
        """Return (actions, value) for observations (B, ...)."""
        heads, value = self.policy(self.normalize(observations))
        return heads, value

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, Any]:
        """Return the result of the policy's `encode_observations` for normalized observations."""
        return self.policy.encode_observations(self.normalize(observations))

    def decode_actions(self, hidden: Tensor, lookup: Any = None) -> tuple[Heads, Tensor]:
        """Return the result of the policy's `decode_actions`."""
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
        all_reduce_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    ) -> None:
        """Update mean and variance with the observations of a rollout.

        Args:
            observations: (T, B, *shape).
            valid: bool (T, B), True if an agent was present; other rows are ignored.
            all_reduce_sum: sums a tensor over all processes that learn together.
        """
        kept = observations[valid].to(self.mean.device, torch.float64)
        count = all_reduce_sum(self.count.new_tensor(len(kept)))
        if count == 0:
            return
        mean = all_reduce_sum(kept.sum(0)) / count
        squares = all_reduce_sum((kept - mean).square().sum(0))
        counted, apart = self.count + count, mean - self.mean
        squares += self.variance * self.count + apart**2 * self.count * count / counted
        self.variance.copy_(squares / counted)
        self.mean.add_(apart * count / counted)
        self.count.copy_(counted)


def check_halves(policy: object) -> None:
    """Refuse a policy, or a class of policies, that a recurrent layer cannot be put into.

    Raises:
        ArgumentError: it lacks `encode_observations` or `decode_actions`.
    """
    name = policy.__name__ if isinstance(policy, type) else type(policy).__name__
    for half in ("encode_observations", "decode_actions"):
        if not callable(getattr(policy, half, None)):
            raise ArgumentError(
                f"{name} has no method {half}. The recurrent layer goes between "
                f"encode_observations and decode_actions: split forward into these two, leave the "
                f"layer out (--policy.memory none), or write a policy with its own memory "
                f"(pufferlib.policy.RecurrentPolicy)."
            )


class _MemoryWrapper(nn.Module, ABC):
    """A recurrent layer between a policy's `encode_observations` and its `decode_actions`."""

    state_batch_dim = 1

    def __init__(
        self,
        env: HasSpaces,
        policy: Any,
        input_size: int | None = None,
        hidden_size: int | None = None,
    ) -> None:
        super().__init__()
        check_halves(policy)
        self.policy = policy
        self.input_size = input_size or int(getattr(policy, "hidden_size", None) or 128)
        self.hidden_size = hidden_size or self.input_size
        self._observation_dims = len(describe(env).single_observation_space.shape)
        layer = self._add_layer()
        for name, parameter in layer.named_parameters():
            if "bias" in name:
                nn.init.constant_(parameter, 0)
            else:
                nn.init.orthogonal_(parameter, 1.0)

    @abstractmethod
    def _add_layer(self) -> nn.Module:
        """Set the layer, from `input_size` to `hidden_size`, as an attribute, and return it."""

    @abstractmethod
    def initial_state(self, rows: int, device: torch.device | str | None = None) -> State:
        """Return the state of `rows` rows at the start of an episode: zeros."""

    @abstractmethod
    def _recur(self, hidden: Tensor, state: State) -> tuple[Tensor, State]:
        """Run the layer over (T, B, H); return its outputs and the state after them."""

    def forward(
        self, observations: Tensor, state: State | None = None, starts: Tensor | None = None
    ) -> tuple[Heads, Tensor, State]:
        """Return (actions, value, state); see `pufferlib.policy.RecurrentPolicy`."""
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
        all_reduce_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    ) -> None:
        """Pass a rollout, (T, B, ...), to the policy if it keeps statistics."""
        if hasattr(self.policy, "observe"):
            self.policy.observe(observations, valid, all_reduce_sum)

    def _run(self, hidden: Tensor, state: State, starts: Tensor | None) -> tuple[Tensor, State]:
        """Run the layer over (T, B, H), split only where an episode starts."""
        if starts is None:
            return self._recur(hidden, state)
        cuts = [0, *[t for t in starts.any(1).nonzero().ravel().tolist() if t], len(hidden)]
        outputs = []
        for begin, end in pairwise(cuts):
            keep = (~starts[begin]).float().reshape(1, -1, 1)
            state = map_state(lambda part, keep=keep: part * keep, state)
            output, state = self._recur(hidden[begin:end], state)
            outputs.append(output)
        return torch.cat(outputs), state


class LSTMWrapper(_MemoryWrapper):
    """Insert an LSTM between a policy's `encode_observations` and its `decode_actions`.

    This is a `pufferlib.policy.RecurrentPolicy`; its state is two tensors (1, B, hidden_size).

    Args:
        env: an emulated or vectorized environment.
        policy: has `encode_observations(observations) -> (hidden, lookup)`,
            `decode_actions(hidden, lookup) -> (actions, value)`, and `hidden_size`.
        input_size: width of the encoder's hidden state; the policy's `hidden_size` if None.
        hidden_size: width of the LSTM, the decoder's input; `input_size` if None.

    Raises:
        ArgumentError: if `policy` lacks one of the two methods.
    """

    def _add_layer(self) -> nn.Module:
        self.lstm = nn.LSTM(self.input_size, self.hidden_size)
        return self.lstm

    def initial_state(
        self, rows: int, device: torch.device | str | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the state at the start of an episode: two zeros (1, rows, hidden_size)."""
        zeros = torch.zeros(1, rows, self.hidden_size, device=device)
        return zeros, zeros.clone()

    def _recur(self, hidden: Tensor, state: State) -> tuple[Tensor, State]:
        output, state = self.lstm(hidden, state)
        return output, state


class GRUWrapper(_MemoryWrapper):
    """Insert a GRU (Cho et al. 2014, arXiv:1406.1078) like `LSTMWrapper` inserts an LSTM.

    This is a `pufferlib.policy.RecurrentPolicy`; its state is a tensor (1, B, hidden_size).
    Arguments and errors equal those of `LSTMWrapper`.
    """

    def _add_layer(self) -> nn.Module:
        self.gru = nn.GRU(self.input_size, self.hidden_size)
        return self.gru

    def initial_state(self, rows: int, device: torch.device | str | None = None) -> Tensor:
        """Return the state at the start of an episode: zeros (1, rows, hidden_size)."""
        return torch.zeros(1, rows, self.hidden_size, device=device)

    def _recur(self, hidden: Tensor, state: State) -> tuple[Tensor, State]:
        output, state = self.gru(hidden, state)
        return output, state


Recurrent = LSTMWrapper
