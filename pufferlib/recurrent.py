"""Recurrent layers for any policy: LSTM and GRU."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from pufferlib.arguments import whole_number
from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.exceptions import ArgumentError
from pufferlib.policy import State, map_state
from pufferlib.pytorch import Heads


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
        num_layers: int = 1,
    ) -> None:
        super().__init__()
        check_halves(policy)
        self.policy = policy
        self.input_size = input_size or int(getattr(policy, "hidden_size", None) or 128)
        self.hidden_size = hidden_size or self.input_size
        self.num_layers = whole_number("num_layers", num_layers)
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
        self,
        observations: Tensor,
        state: State | None = None,
        starts: Tensor | None = None,
        start_steps: Sequence[int] | None = None,
    ) -> tuple[Heads, Tensor, State]:
        """Return (actions, value, state); see `pufferlib.policy.RecurrentPolicy`."""
        is_sequence = observations.dim() == self._observation_dims + 2
        flat = observations.flatten(0, 1) if is_sequence else observations  # (B * T, ...)
        hidden, lookup = self.policy.encode_observations(flat)
        if is_sequence:
            rows, steps = observations.shape[:2]
            hidden = hidden.reshape(rows, steps, self.input_size).transpose(0, 1)  # (T, B, H)
            starts = None if starts is None else starts.transpose(0, 1)  # (T, B)
        else:
            hidden = hidden.unsqueeze(0)  # (1, B, H)
        if state is None:
            state = self.initial_state(hidden.shape[1], hidden.device)
        hidden, state = self._run(hidden, state, starts, start_steps)
        if is_sequence:
            hidden = hidden.transpose(0, 1).reshape(rows * steps, self.hidden_size)
        else:
            hidden = hidden.squeeze(0)
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

    def _run(
        self,
        hidden: Tensor,
        state: State,
        starts: Tensor | None,
        start_steps: Sequence[int] | None,
    ) -> tuple[Tensor, State]:
        """Run the layer over (T, B, H), split only where an episode starts."""
        if starts is None:
            return self._recur(hidden, state)
        starts = starts.unsqueeze(-1)  # (T, B, 1), or (B, 1)
        if len(hidden) == 1:  # where episodes start need not be known, so nothing waits for a GPU
            return self._recur(hidden, _without(state, starts))
        if start_steps is None:
            start_steps = starts.any(1).nonzero()[:, 0].tolist()
        begins = sorted({0, *start_steps})
        sizes = [end - begin for begin, end in pairwise([*begins, len(hidden)])]
        outputs = []
        for begin, piece in zip(begins, hidden.split(sizes), strict=True):
            if begin in start_steps:
                state = _without(state, starts[begin])
            output, state = self._recur(piece, state)
            outputs.append(output)
        return torch.cat(outputs), state


def _without(state: State, starts: Tensor) -> State:
    """Return the state with the rows that start an episode, (B, 1) or (1, B, 1), set to 0."""
    cleared: State = map_state(lambda part: part.masked_fill(starts, 0), state)
    return cleared


class LSTMWrapper(_MemoryWrapper):
    """Insert an LSTM between a policy's `encode_observations` and its `decode_actions`.

    This is a `pufferlib.policy.RecurrentPolicy`; its state is two tensors (num_layers, B,
    hidden_size).

    Args:
        env: an emulated or vectorized environment.
        policy: has `encode_observations(observations) -> (hidden, lookup)`,
            `decode_actions(hidden, lookup) -> (actions, value)`, and `hidden_size`.
        input_size: width of the encoder's hidden state; the policy's `hidden_size` if None.
        hidden_size: width of the LSTM, the decoder's input; `input_size` if None.
        num_layers: of the LSTM, each after the other.

    Raises:
        ArgumentError: if `policy` lacks one of the two methods.
    """

    def _add_layer(self) -> nn.Module:
        self.lstm = nn.LSTM(self.input_size, self.hidden_size, self.num_layers)
        return self.lstm

    def initial_state(
        self, rows: int, device: torch.device | str | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the state at the start of an episode: two zeros (layers, rows, hidden)."""
        zeros = torch.zeros(self.num_layers, rows, self.hidden_size, device=device)
        return zeros, zeros.clone()

    def _recur(self, hidden: Tensor, state: State) -> tuple[Tensor, State]:
        output, state = self.lstm(hidden, state)
        return output, state


class GRUWrapper(_MemoryWrapper):
    """Insert a GRU (Cho et al. 2014, arXiv:1406.1078) like `LSTMWrapper` inserts an LSTM.

    This is a `pufferlib.policy.RecurrentPolicy`; its state is a tensor (num_layers, B,
    hidden_size).
    Arguments and errors equal those of `LSTMWrapper`.
    """

    def _add_layer(self) -> nn.Module:
        self.gru = nn.GRU(self.input_size, self.hidden_size, self.num_layers)
        return self.gru

    def initial_state(self, rows: int, device: torch.device | str | None = None) -> Tensor:
        """Return the state at the start of an episode: zeros (layers, rows, hidden)."""
        return torch.zeros(self.num_layers, rows, self.hidden_size, device=device)

    def _recur(self, hidden: Tensor, state: State) -> tuple[Tensor, State]:
        output, state = self.gru(hidden, state)
        return output, state
