"""Rollout storage: observations, actions and rewards, `horizon` steps to a column."""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from pufferlib.policy import Rows, State, map_state, state_rows, write_state_rows
from pufferlib.training.config import LoopConfig
from pufferlib.vector import VectorEnv

_Samples = TypeVar("_Samples", "Minibatch", "Sequences")


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
        joint: observations (N, agents, ...) or (B, T, agents, ...) of all agents of the game, the
            row's own first; None unless a central critic sees them.
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
    joint: Tensor | None = None

    def to(self, device: torch.device) -> "Minibatch":
        """Return it on `device`: itself, if it is there."""
        return _on_device(self, device)


@dataclass
class Sequences:
    """Whole columns of a rollout: B sequences of T steps.

    Attributes:
        observations: (B, T, ...), seen before the action at t.
        state: before the first step, of B rows; None unless recurrent.
        starts: bool (B, T), the observation at t is the first of an episode.
        actions: (B, T, ...), taken at t.
        log_probabilities: float32 (B, T), of those actions, when taken.
        values: float32 (B, T + 1), when collected; column T is the value after the last step.
        rewards: float32 (B, T), received after the action at t.
        terminals: bool (B, T), the episode ended after step t.
        truncations: bool (B, T), the episode was cut off after step t.
        final_values: float32 (B, T), the value of the true last observation, where truncated.
        valid: bool (B, T), an agent acted at t.
        joint: observations (B, T, agents, ...) of all agents of the game, the row's own first; None
            unless a central critic sees them.
    """

    observations: Tensor
    state: State | None
    starts: Tensor
    actions: Tensor
    log_probabilities: Tensor
    values: Tensor
    rewards: Tensor
    terminals: Tensor
    truncations: Tensor
    final_values: Tensor
    valid: Tensor
    joint: Tensor | None = None

    def to(self, device: torch.device) -> "Sequences":
        """Return it on `device`: itself, if it is there."""
        return _on_device(self, device)


def _on_device(samples: _Samples, device: torch.device) -> _Samples:
    if samples.actions.device == device:
        return samples
    values = {field.name: getattr(samples, field.name) for field in dataclasses.fields(samples)}
    moved: dict[str, Any] = {
        name: value if value is None else map_state(lambda tensor: tensor.to(device), value)
        for name, value in values.items()
    }
    return dataclasses.replace(samples, **moved)


class Rollout:
    """Tensors (T, B, ...) reused by every rollout, a segment of T steps in each column.

    Args:
        horizon: T, the steps of a segment.
        observation: an example of the rows to store; so are its dtype and device.
        action: an example of the actions to store.
        columns: B, how many to allocate.
        state_batch_dim: the dimension of a recurrent policy's state that counts rows.

    Attributes:
        observations: seen before the action at t, as the environment's rows.
        actions: taken at t.
        log_probabilities: float32, of those actions, when taken.
        values: float32 (T + 1, B); row T is the value after the last step.
        rewards: float32, received after the action at t.
        terminals: bool, the episode ended after step t.
        truncations: bool, the episode was cut off after step t.
        final_values: float32, the value of the true last observation, where truncated.
        starts: bool, the observation at t is the first of an episode.
        valid: bool, an agent acted at t.
        initial_state: of a recurrent policy before step 0, with B rows; None without memory.
        columns: int64, those that form the rollout, in the order they were finished; others are
            still being written.
        joint: observations (T, rows, ...) of all agents, for a central critic; None without one.
        peers: int64 (B, agents), which rows of `joint` the critic sees for each column.
    """

    def __init__(
        self,
        horizon: int,
        observation: Tensor,
        action: Tensor,
        columns: int,
        state_batch_dim: int = 0,
    ) -> None:
        device, rows = observation.device, columns
        self._state_batch_dim = state_batch_dim

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
        self.joint: Tensor | None = None
        self.peers: Tensor | None = None

    def set_initial_state(self, columns: slice, state: State | None) -> None:
        """Store the state that the segments of `columns` begin with; None if there is none."""
        if state is None:
            return
        dim, device = self._state_batch_dim, self.values.device
        if self.initial_state is None:

            def allocate(tensor: Tensor) -> Tensor:
                shape = (*tensor.shape[:dim], self.rows, *tensor.shape[dim + 1 :])
                return torch.zeros(shape, dtype=tensor.dtype, device=device)

            self.initial_state = map_state(allocate, state)
        write_state_rows(self.initial_state, columns, dim, state)

    def initial_state_of(self, columns: Rows) -> State | None:
        """Return the state that the segments of `columns` begin with; None without memory."""
        if self.initial_state is None:
            return None
        state: State = state_rows(self.initial_state, columns, self._state_batch_dim)
        return state

    def part(self, tensor: Tensor) -> Tensor:
        """Return the columns of `tensor`, (T, B, ...), that form the rollout: (T, columns, ...)."""
        return tensor if len(self.columns) == self.rows else tensor[:, self.columns]

    def minibatches(
        self,
        count: int,
        advantages: Tensor,
        generator: torch.Generator,
        keeps_absent: bool = False,
    ) -> Iterator[Minibatch]:
        """Yield `count` random pieces that together form the rollout.

        A recurrent policy gets whole columns. For any other the samples of absent agents are left
        out, unless too few would remain for `count` pieces.

        Args:
            count: pieces; at most the columns if recurrent, else the samples.
            advantages: float32 (T, columns).
            generator: draws the order, on the CPU.
            keeps_absent: leave out none, so that the pieces of every rollout have the same sizes.
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

    def sequences(self, chosen: Tensor) -> Sequences:
        """Return whole columns of the rollout, copied.

        Args:
            chosen: int64 (B,), on the rollout's device: places in `columns`, which counts those
                that form the rollout from 0.
        """
        rows = self.columns[chosen]

        def sequence(tensor: Tensor) -> Tensor:
            return tensor[:, rows].transpose(0, 1)  # (B, T, ...)

        return Sequences(
            observations=sequence(self.observations),
            state=self.initial_state_of(rows),
            starts=sequence(self.starts),
            actions=sequence(self.actions),
            log_probabilities=sequence(self.log_probabilities),
            values=sequence(self.values),
            rewards=sequence(self.rewards),
            terminals=sequence(self.terminals),
            truncations=sequence(self.truncations),
            final_values=sequence(self.final_values),
            valid=sequence(self.valid),
            joint=self._joint_sequence(rows),
        )

    def _joint_sequence(self, rows: Tensor) -> Tensor | None:
        """Return what the agents of the games of some columns observed: (B, T, agents, ...)."""
        if self.joint is None or self.peers is None:
            return None
        return self.joint[:, self.peers[rows]].transpose(0, 1)

    def _rows(self, chosen: Tensor, advantages: Tensor, returns: Tensor) -> Minibatch:
        columns = self.sequences(chosen)
        return Minibatch(
            observations=columns.observations,
            state=columns.state,
            starts=columns.starts,
            actions=columns.actions.flatten(0, 1),
            log_probabilities=columns.log_probabilities.flatten(),
            values=columns.values[:, :-1].flatten(),
            advantages=advantages[:, chosen].T.flatten(),
            returns=returns[:, chosen].T.flatten(),
            valid=columns.valid.flatten(),
            joint=columns.joint,
        )

    def _samples(self, chosen: Tensor, advantages: Tensor, returns: Tensor) -> Minibatch:
        width = len(self.columns)
        steps, columns = chosen // width, self.columns[chosen % width]
        samples = steps * self.rows + columns
        joint = None
        if self.joint is not None and self.peers is not None:
            joint = self.joint[steps[:, None], self.peers[columns]]  # (N, agents, ...)
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
            joint=joint,
        )


def storage_device(config: LoopConfig, vecenv: VectorEnv, device: torch.device) -> torch.device:
    """Return the device that rollouts are stored on."""
    cpu = torch.device("cpu")
    if device.type != "cuda" or config.storage == "cpu":
        return cpu if config.storage == "cpu" else device
    space = vecenv.single_observation_space
    rows = (2 * vecenv.num_envs // vecenv.batch_size - 1) * vecenv.agents_per_batch
    needed = config.horizon * rows * math.prod(space.shape) * np.dtype(space.dtype).itemsize
    fits = needed <= torch.cuda.mem_get_info(device)[0] / 2
    return device if fits or config.storage == "device" else cpu
