"""What was seen and done, `horizon` steps to a column."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pufferlib.models import State


@dataclass
class Minibatch:
    """A piece of a rollout to learn from.

    N samples, or for a recurrent policy N = B * T of B whole rows, those of a row together.

    Attributes:
        observations: (N, ...), or (B, T, ...) if recurrent.
        state: of the rows before their first step; None unless recurrent.
        starts: bool (B, T); None unless recurrent.
        actions: (N, ...).
        log_probabilities: float32 (N,), when the actions were taken.
        values: float32 (N,), likewise.
        advantages: float32 (N,).
        returns: float32 (N,).
        valid: bool (N,).
    """

    observations: Tensor
    state: State | None
    starts: Tensor | None
    actions: Tensor
    log_probabilities: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    valid: Tensor

    def to(self, device: torch.device) -> "Minibatch":
        """Return it on `device`: itself, if it is there."""
        if self.actions.device == device:
            return self
        moved = {
            field.name: _moved(getattr(self, field.name), device)
            for field in dataclasses.fields(self)
        }
        return Minibatch(**moved)


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, tuple):
        return tuple(_moved(part, device) for part in value)
    return None if value is None else value.to(device)


class Rollout:
    """Tensors (T, B, ...) that are filled anew each time, a segment of T steps in each column.

    Attributes:
        observations: seen before the action at t, as the environment's rows.
        actions: taken at t.
        log_probabilities: of those actions, when taken.
        values: (T + 1, B); row T is the value after the last step.
        rewards: received after the action at t.
        terminals: the episode ended after step t.
        truncations: the episode was cut off after step t.
        final_values: the value of the true last observation, where truncated.
        starts: the observation at t is the first of an episode.
        valid: an agent acted at t.
        initial_state: of a recurrent policy before step 0, two (layers, B, hidden), else None.
        columns: int64, those that are the rollout, in the order they were finished; others are
            still being written.
    """

    def __init__(self, horizon: int, observation: Tensor, action: Tensor, columns: int) -> None:
        """Make room for `columns` that look like the rows of `observation` and `action`."""
        device, rows = observation.device, columns

        def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        flag = torch.bool
        self.horizon, self.rows = horizon, rows
        self.observations = empty(horizon, rows, *observation.shape[1:], dtype=observation.dtype)
        self.actions = empty(horizon, rows, *action.shape[1:], dtype=action.dtype)
        self.log_probabilities = empty(horizon, rows)
        self.values = empty(horizon + 1, rows)
        self.rewards = empty(horizon, rows)
        self.terminals = empty(horizon, rows, dtype=flag)
        self.truncations = empty(horizon, rows, dtype=flag)
        self.final_values = empty(horizon, rows)
        self.starts = empty(horizon, rows, dtype=flag)
        self.valid = empty(horizon, rows, dtype=flag)
        self.initial_state: State | None = None
        self.columns = torch.arange(rows, device=device)

    def set_initial_state(self, columns: slice, state: State | None) -> None:
        """Keep the memory that segments begin with; None if there is none."""
        if state is None:
            return
        device = self.values.device
        if self.initial_state is None:
            shape = (state[0].shape[0], self.rows, state[0].shape[2])
            zeros = torch.zeros(shape, device=device)
            self.initial_state = zeros, zeros.clone()
        for kept, part in zip(self.initial_state, state, strict=True):
            kept[:, columns] = part.to(device)

    def part(self, tensor: Tensor) -> Tensor:
        """Return a tensor (T, B, ...) of this for `columns` alone."""
        return tensor if len(self.columns) == self.rows else tensor[:, self.columns]

    def minibatches(
        self,
        count: int,
        advantages: Tensor,
        generator: torch.Generator,
        keeps_absent: bool = False,
    ) -> Iterator[Minibatch]:
        """Yield `count` random pieces that together are the rollout.

        A policy with memory is given whole columns. Any other is spared the samples of agents that
        were absent, unless there would be too few to go round.

        Args:
            count: pieces; at most the columns if recurrent, else the samples.
            advantages: float32 (T, columns).
            generator: draws the order, on the CPU.
            keeps_absent: spare it none: the pieces of all rollouts then are of the same sizes.
        """
        returns = advantages + self.part(self.values)[:-1]
        is_recurrent = self.initial_state is not None
        device = self.observations.device
        pieces = torch.arange(len(self.columns) * (1 if is_recurrent else self.horizon)).to(device)
        if not is_recurrent and not keeps_absent:
            valid = pieces[self.part(self.valid).flatten()]
            pieces = valid if len(valid) >= count else pieces
        order = torch.randperm(len(pieces), generator=generator).to(device)
        for chosen in pieces[order].tensor_split(count):
            if is_recurrent:
                yield self._rows(chosen, advantages, returns)
            else:
                yield self._samples(chosen, advantages, returns)

    def _rows(self, chosen: Tensor, advantages: Tensor, returns: Tensor) -> Minibatch:
        rows = self.columns[chosen]

        def sequence(tensor: Tensor, rows: Tensor = rows) -> Tensor:
            return tensor[:, rows].transpose(0, 1)  # (B, T, ...)

        assert self.initial_state is not None
        hidden, cell = self.initial_state
        return Minibatch(
            observations=sequence(self.observations),
            state=(hidden[:, rows], cell[:, rows]),
            starts=sequence(self.starts),
            actions=sequence(self.actions).flatten(0, 1),
            log_probabilities=sequence(self.log_probabilities).flatten(),
            values=sequence(self.values[:-1]).flatten(),
            advantages=sequence(advantages, chosen).flatten(),
            returns=sequence(returns, chosen).flatten(),
            valid=sequence(self.valid).flatten(),
        )

    def _samples(self, chosen: Tensor, advantages: Tensor, returns: Tensor) -> Minibatch:
        width = len(self.columns)
        samples = chosen // width * self.rows + self.columns[chosen % width]
        return Minibatch(
            observations=self.observations.flatten(0, 1)[samples],
            state=None,
            starts=None,
            actions=self.actions.flatten(0, 1)[samples],
            log_probabilities=self.log_probabilities.flatten()[samples],
            values=self.values[:-1].flatten()[samples],
            advantages=advantages.flatten()[chosen],
            returns=returns.flatten()[chosen],
            valid=self.valid.flatten()[samples],
        )
