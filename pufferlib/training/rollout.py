"""Rollout storage: observations, actions and rewards, `horizon` steps to a column."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pufferlib.annotations import Array
from pufferlib.policy import Rows, State, map_state, state_rows, write_state_rows
from pufferlib.training.config import LoopConfig
from pufferlib.training.minibatch import Minibatch, Sequences
from pufferlib.vector import VectorEnv


@dataclass
class Steps:
    """What is known of each step without the network, in NumPy: arrays (T, B).

    On the CPU the tensors of the rollout are views of them.

    Attributes:
        rewards: float32, see `Rollout`, as for the others, which are bool.
    """

    rewards: NDArray[np.float32]
    terminals: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    starts: NDArray[np.bool_]
    valid: NDArray[np.bool_]


class Segment:
    """Views of some columns of a rollout, one for each step: to write one takes one operation.

    Attributes:
        columns: which.
        observations: T views (B, ...).
        actions: likewise.
        log_probabilities: T views (B,).
        values: T + 1 views (B,).
        observed: the observations in NumPy, (T, B, ...); None unless they are on the CPU.
    """

    def __init__(self, rollout: "Rollout", columns: slice) -> None:
        self.columns = columns
        own = rollout.observations[:, columns]
        self.observations = own.unbind()
        self.actions = rollout.actions[:, columns].unbind()
        self.log_probabilities = rollout.log_probabilities[:, columns].unbind()
        self.values = rollout.values[:, columns].unbind()
        self.observed: Array | None = own.numpy() if own.device.type == "cpu" else None


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
        steps: the five of these that are known without the network, where they are written.
        skipped: bool (T, B), in NumPy: steps that minibatches of samples leave out although an
            agent acted; None if there are none.
        initial_state: of a recurrent policy before step 0, with B rows; None without memory.
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

        self.horizon, self.rows = horizon, rows
        self.observations = empty(horizon, rows, *observation.shape[1:], dtype=observation.dtype)
        self.actions = empty(horizon, rows, *action.shape[1:], dtype=action.dtype)
        self.values = empty(horizon + 1, rows)
        # Side by side, so that a minibatch is gathered from all of them in one operation.
        self._floats = empty(3, horizon, rows)
        self._flags = empty(4, horizon, rows, dtype=torch.bool)
        self.log_probabilities, self.final_values, self.rewards = self._floats
        self.terminals, self.truncations, self.starts, self.valid = self._flags
        # With one axis for all samples: a view costs as much as a small computation.
        self._flat_floats, self._flat_flags = self._floats.flatten(1), self._flags.flatten(1)
        self._flat_observations = self.observations.flatten(0, 1)
        self._flat_actions = self.actions.flatten(0, 1)
        known = (self.rewards, self.terminals, self.truncations, self.starts, self.valid)
        self.steps = Steps(*(tensor.cpu().numpy() for tensor in known))
        self.skipped: NDArray[np.bool_] | None = None
        self.initial_state: State | None = None
        self.columns = torch.arange(rows)
        self.joint: Tensor | None = None
        self.peers: Tensor | None = None

    @property
    def columns(self) -> Tensor:
        """Those that form the rollout, int64, in the order they were finished.

        Others are still being written.
        """
        return self._columns

    @columns.setter
    def columns(self, columns: Tensor) -> None:
        self._places: NDArray[np.int64] = columns.cpu().numpy()
        self._columns = columns.to(self.values.device)

    def upload(self) -> None:
        """Copy what was written to `steps` to the tensors; on the CPU they share memory."""
        if self.values.device.type != "cpu":
            for name, array in vars(self.steps).items():
                getattr(self, name).copy_(torch.from_numpy(array))

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

    @property
    def acted(self) -> NDArray[np.bool_]:
        """Where an agent acted, (T, columns): `part(valid)` without waiting for a GPU."""
        valid = self.steps.valid
        return valid if len(self._places) == self.rows else valid[:, self._places]

    def minibatches(
        self,
        count: int,
        advantages: Tensor,
        generator: torch.Generator,
        keeps_absent: bool = False,
        epochs: int = 1,
    ) -> Iterator[Minibatch]:
        """Yield, for each epoch, `count` random pieces that together form the rollout.

        A recurrent policy gets whole columns. For any other the samples of absent agents and the
        skipped ones are left out, unless too few would remain for `count` pieces.

        Args:
            count: pieces; at most the columns if recurrent, else the samples.
            advantages: float32 (T, columns).
            generator: draws a new order for each epoch, on the CPU.
            keeps_absent: leave out none, so that the pieces of every rollout have the same sizes.
            epochs: how often every sample is in a piece.
        """
        is_recurrent, acted = self.initial_state is not None, self.acted
        pieces = np.arange(len(self._places) if is_recurrent else acted.size)
        has_absent = not acted.all()
        learned = acted if self.skipped is None else acted & ~self.skipped[:, self._places]
        if not (learned.all() or is_recurrent or keeps_absent):
            present = np.flatnonzero(learned)
            if len(present) >= count:
                pieces, has_absent = present, False
        values = self.part(self.values)[:-1]
        numbers = torch.stack(  # (4, T, columns), gathered together
            [self.part(self.log_probabilities), values, advantages, advantages + values]
        )
        take = self._columns_of if is_recurrent else self._samples_of
        for _ in range(epochs):
            order = torch.randperm(len(pieces), generator=generator).numpy()
            for minibatch in take(np.array_split(pieces[order], count), numbers):
                minibatch.has_absent = has_absent or keeps_absent
                yield minibatch

    def sequences(self, chosen: NDArray[np.int64]) -> Sequences:
        """Return whole columns of the rollout, copied.

        Args:
            chosen: (B,), places in `columns`, which counts those that form the rollout from 0.
        """
        places = self._places[chosen]
        rows = self._uploaded(places)
        samples = self._uploaded(_samples_of_columns(places, self.horizon, self.rows))
        grid = samples.view(len(places), self.horizon)
        log_probabilities, final_values, rewards = self._flat_floats[:, grid]
        terminals, truncations, starts, valid = self._flat_flags[:, grid]
        observations = self._flat_observations.index_select(0, samples)  # copies whole rows
        return Sequences(
            observations=observations.unflatten(0, grid.shape),
            state=self.initial_state_of(rows),
            starts=starts,
            actions=self._flat_actions[grid],
            log_probabilities=log_probabilities,
            values=self.values.index_select(1, rows).transpose(0, 1),
            rewards=rewards,
            terminals=terminals,
            truncations=truncations,
            final_values=final_values,
            valid=valid,
            joint=self._joint_sequence(rows),
            has_absent=not self.steps.valid[:, places].all(),
            start_steps=self._start_steps(places),
        )

    def _joint_sequence(self, rows: Tensor) -> Tensor | None:
        """Return what the agents of the games of some columns observed: (B, T, agents, ...)."""
        if self.joint is None or self.peers is None:
            return None
        return self.joint[:, self.peers[rows]].transpose(0, 1)

    def _start_steps(self, places: NDArray[np.int64]) -> list[int]:
        """Return the steps in which an episode starts in one of some columns."""
        steps: list[int] = np.flatnonzero(self.steps.starts[:, places].any(1)).tolist()
        return steps

    def _uploaded(self, places: NDArray[np.int64]) -> Tensor:
        """Return indices on the device of the rollout, without waiting for it."""
        indices, device = torch.from_numpy(places), self.values.device
        if device.type == "cuda":
            indices = indices.pin_memory()
        return indices.to(device, non_blocking=True)

    def _columns_of(self, pieces: list[NDArray[np.int64]], numbers: Tensor) -> Iterator[Minibatch]:
        """Yield minibatches of whole columns; each piece counts those of the rollout from 0."""
        numbers = numbers.flatten(1)  # (4, N)
        for chosen in pieces:
            places, shape = self._places[chosen], (len(chosen), self.horizon)
            rows = self._uploaded(places)
            samples = self._uploaded(_samples_of_columns(places, self.horizon, self.rows))
            own = samples
            if len(self._places) != self.rows:
                own_places = _samples_of_columns(chosen, self.horizon, len(self._places))
                own = self._uploaded(own_places)
            log_probabilities, values, advantages, returns = numbers.index_select(1, own)
            _, _, starts, valid = self._flat_flags.index_select(1, samples)
            yield Minibatch(
                observations=self._flat_observations.index_select(0, samples).unflatten(0, shape),
                state=self.initial_state_of(rows),
                starts=starts.unflatten(0, shape),
                actions=self._flat_actions.index_select(0, samples),
                log_probabilities=log_probabilities,
                values=values,
                advantages=advantages,
                returns=returns,
                valid=valid,
                joint=self._joint_sequence(rows),
                start_steps=self._start_steps(places),
            )

    def _samples_of(self, pieces: list[NDArray[np.int64]], numbers: Tensor) -> Iterator[Minibatch]:
        """Yield minibatches of samples; each piece counts those of the rollout by steps."""
        numbers = numbers.flatten(1)  # (4, N)
        valid = self.valid.flatten()
        for chosen in pieces:
            steps, columns = np.divmod(chosen, len(self._places))
            places = self._places[columns]
            samples = self._uploaded(steps * self.rows + places)
            is_all = len(self._places) == self.rows
            own = numbers.index_select(1, samples if is_all else self._uploaded(chosen))
            log_probabilities, values, advantages, returns = own  # each (n,)
            joint = None
            if self.joint is not None and self.peers is not None:
                peers = self.peers[self._uploaded(places)]
                joint = self.joint[self._uploaded(steps)[:, None], peers]  # (n, agents, ...)
            yield Minibatch(
                observations=self._flat_observations.index_select(0, samples),
                state=None,
                starts=None,
                actions=self._flat_actions.index_select(0, samples),
                log_probabilities=log_probabilities,
                values=values,
                advantages=advantages,
                returns=returns,
                valid=valid.index_select(0, samples),
                joint=joint,
            )


def _samples_of_columns(columns: NDArray[np.int64], horizon: int, count: int) -> NDArray[np.int64]:
    """Return the places of whole columns in (T, count), flattened; those of a column together."""
    return (columns[:, None] + count * np.arange(horizon)).ravel()


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
