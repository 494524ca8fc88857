"""Stepping the environments, and storing what a rollout is made of."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pufferlib.exceptions import ArgumentError
from pufferlib.models import State
from pufferlib.ppo.actions import to_numpy
from pufferlib.ppo.finite import FiniteCheck
from pufferlib.ppo.player import Player
from pufferlib.ppo.profile import Profile
from pufferlib.ppo.statistics import EpisodeStatistics, RewardScale
from pufferlib.ppo.storage import Rollout
from pufferlib.pytorch import sample_actions
from pufferlib.vector import Batch, VectorEnv


@dataclass
class _Group:
    """Rows that are always in a batch together.

    Attributes:
        rows: which of the vectorizer's.
        columns: of the storage, where the segment under way is written; None between two.
        step: of that segment.
        ended: columns of the last segment while the value of what came after it is not known.
    """

    rows: slice
    columns: slice | None = None
    step: int = 0
    ended: slice | None = None


class Collector:
    """Collects rollouts of `horizon` steps.

    A batch is answered as it comes; what a batch's rows saw and did is written to columns of their
    own, a segment of `horizon` steps. A rollout is as many finished segments as there are groups of
    rows. With a synchronous vectorizer there is one group, and each rollout is that of the present
    policy. With a pool the fast groups finish more segments than the slow ones, nobody waits for
    the slowest, and while the policy learns the other groups are stepping: a segment under way then
    goes on with the new policy. Its samples keep the probabilities they were drawn with.

    Args:
        vecenv: synchronous, or a pool with `zero_copy`.
        player: acts.
        horizon: steps of a segment.
        device: where the player acts.
        storage_device: where rollouts are kept.
        scale: divides rewards; None leaves them.
        profile: counts "environment", "copy" and "forward".

    Attributes:
        timesteps: of agents, ever taken.
        episodes: what they reported.

    Raises:
        ArgumentError: a pool without `zero_copy`.
    """

    def __init__(
        self,
        vecenv: VectorEnv,
        player: Player,
        horizon: int,
        device: torch.device,
        storage_device: torch.device,
        scale: RewardScale | None,
        profile: Profile,
    ) -> None:
        if vecenv.batch_size < vecenv.num_envs and not vecenv.zero_copy:
            raise ArgumentError(
                "The trainer takes batches of the same neighbouring rows each time. Make the pool "
                "with zero_copy=True."
            )
        self._vecenv, self._player, self._horizon = vecenv, player, horizon
        self._device, self._storage_device = device, storage_device
        self._scale, self._profile = scale, profile
        self.timesteps = 0
        self.episodes = EpisodeStatistics()
        self._group_count = vecenv.num_envs // vecenv.batch_size
        self._finite = FiniteCheck(vecenv)
        self._copy: Callable[[NDArray[np.generic]], Tensor] = _copier(device)
        self._storage: Rollout | None = None

    def begin(self, seed: int) -> None:
        """Start every episode anew; environment i gets `seed + i`."""
        rows, size = self._vecenv.num_agents, self._vecenv.agents_per_batch
        self._groups = [_Group(slice(start, start + size)) for start in range(0, rows, size)]
        self._free = [
            slice(start, start + size)
            for start in range(0, (2 * self._group_count - 1) * size, size)
        ]
        self._learned_from: list[slice] = []
        self._state = self._player.initial_state(rows)
        self._starts = torch.ones(rows, dtype=torch.bool, device=self._device)
        self._acting = torch.zeros(rows, dtype=torch.bool, device=self._device)
        self._vecenv.async_reset(seed)
        self._hold(self._vecenv.recv())

    @torch.no_grad()
    def collect(self) -> Rollout:
        """Return a rollout, valid until the next call."""
        self._free += self._learned_from
        finished: list[slice] = []
        while len(finished) < self._group_count:
            chosen = self._act(self._held)
            with self._profile.part("environment"):
                self._vecenv.send(chosen)
                batch = self._vecenv.recv()
            group = self._hold(batch)
            if group.columns is None:  # the first batch of a group: nothing came before
                continue
            with self._profile.part("copy"):
                self._note(group, batch)
            group.step += 1
            if group.step == self._horizon:
                finished.append(group.columns)
                group.columns, group.ended = None, group.columns
        self._bootstrap(self._held)
        self._learned_from = finished
        assert self._storage is not None
        self._storage.columns = torch.cat(
            [torch.arange(part.start, part.stop) for part in finished]
        ).to(self._storage_device)
        return self._storage

    def _act(self, group: _Group) -> NDArray[np.generic]:
        """Choose and store actions for the batch that is held; return them for the environment."""
        with self._profile.part("forward"):
            rows = group.rows
            state, starts = self._state_of(rows), self._starts[rows]
            heads, values, after = self._player(self._observations, state, starts)
            actions, log_probabilities, _ = sample_actions(heads)
            if self._storage is None:
                self._storage = self._allocate(actions)
            storage = self._storage
            if group.ended is not None:
                storage.values[-1, group.ended] = values.to(self._storage_device)
                group.ended = None
            if group.columns is None:
                group.columns, group.step = self._free.pop(0), 0
                storage.set_initial_state(group.columns, state)
            step, columns = group.step, group.columns
            storage.observations[step, columns] = self._observations.to(self._storage_device)
            storage.actions[step, columns] = actions.to(self._storage_device)
            storage.log_probabilities[step, columns] = log_probabilities.to(self._storage_device)
            storage.values[step, columns] = values.to(self._storage_device)
            storage.starts[step, columns] = starts.to(self._storage_device)
            self._remember(rows, after)
            return to_numpy(actions, self._vecenv.single_action_space)

    def _bootstrap(self, group: _Group) -> None:
        """Store the value of what the last finished segment was followed by."""
        if group.ended is None:
            return
        assert self._storage is not None
        with self._profile.part("forward"):
            state, starts = self._state_of(group.rows), self._starts[group.rows]
            values = self._player(self._observations, state, starts)[1]
            self._storage.values[-1, group.ended] = values.to(self._storage_device)
            group.ended = None

    def _hold(self, batch: Batch) -> _Group:
        """Keep what the policy acts on next; return the group that it is of."""
        with self._profile.part("copy"):
            first, size = int(batch.env_ids[0]), len(batch.env_ids)
            group = self._groups[first // size]
            self._finite.observations(batch, self.timesteps)
            self._held = group
            self._observations = self._copy(batch.observations)
            self._masks = torch.tensor(batch.masks, device=self._device)
            if group.columns is None:
                self._acting[group.rows] = self._masks
        return group

    def _note(self, group: _Group, batch: Batch) -> None:
        """Store what followed from the group's last actions."""
        rows, step, columns = group.rows, group.step, group.columns
        storage = self._storage
        assert storage is not None
        assert columns is not None
        was_acting = self._acting[rows] & ~torch.tensor(self._vecenv.lost, device=self._device)
        taken = was_acting.cpu().numpy()
        self._finite.rewards(batch, taken, self.timesteps)
        ends = batch.terminals | batch.truncations
        rewards = batch.rewards
        if self._scale is not None:
            rewards = self._scale(rewards, ends, taken, rows)
        storage.valid[step, columns] = was_acting.to(self._storage_device)
        storage.rewards[step, columns] = torch.tensor(rewards, device=self._storage_device)
        storage.terminals[step, columns] = torch.tensor(
            batch.terminals, device=self._storage_device
        )
        storage.truncations[step, columns] = torch.tensor(
            batch.truncations, device=self._storage_device
        )
        if batch.truncations.any():
            self._finite.final_observations(batch, self.timesteps)
            with self._profile.part("forward"):
                values = self._final_values(rows, batch.truncations)
                storage.final_values[step, columns] = values.to(self._storage_device)
        if self._vecenv.lost.any():
            self._leave_out(step, columns)
        ended = torch.tensor(ends, device=self._device)
        self._starts[rows] = ended | (self._masks & ~was_acting)
        self._acting[rows] = self._masks
        self.timesteps += int(taken.sum())
        self.episodes.add(batch.infos)

    def _leave_out(self, step: int, columns: slice) -> None:
        """Give what was lost with a worker an advantage of 0, and let none pass through it."""
        storage = self._storage
        assert storage is not None
        lost = torch.tensor(self._vecenv.lost, device=self._storage_device)
        for tensor, value in (
            (storage.rewards, storage.values[step, columns]),
            (storage.terminals, torch.ones_like(lost)),
            (storage.truncations, torch.zeros_like(lost)),
        ):
            tensor[step, columns] = torch.where(lost, value, tensor[step, columns])

    def _final_values(self, rows: slice, truncations: NDArray[np.bool_]) -> Tensor:
        """Return the value of the last observation of each row, 0 where not truncated."""
        seen = np.ones_like(truncations) if self._player.is_compiled else truncations
        final = torch.tensor(self._vecenv.final_observations[seen], device=self._device)
        chosen = torch.from_numpy(seen.nonzero()[0]).to(self._device)
        state = self._state_of(rows)
        if state is not None:
            state = (state[0][:, chosen], state[1][:, chosen])
        values = torch.zeros(len(truncations), device=self._device)
        values[chosen] = self._player(final, state, None)[1]
        values[torch.from_numpy(~truncations).to(self._device)] = 0
        return values

    def _state_of(self, rows: slice) -> State | None:
        if self._state is None:
            return None
        return self._state[0][:, rows], self._state[1][:, rows]

    def _remember(self, rows: slice, state: State | None) -> None:
        if self._state is None or state is None:
            return
        if self._group_count == 1:
            self._state = state
            return
        self._state[0][:, rows], self._state[1][:, rows] = state

    def _allocate(self, actions: Tensor) -> Rollout:
        columns = (2 * self._group_count - 1) * self._vecenv.agents_per_batch
        return Rollout(
            self._horizon,
            self._observations.to(self._storage_device),
            actions.to(self._storage_device),
            columns,
        )


def _copier(device: torch.device) -> Callable[[NDArray[np.generic]], Tensor]:
    """Return what makes tensors on `device` of rows that the vectorizer will write over.

    For a GPU through page-locked memory, which transfers in the background. It is written to again
    only after the actions have come back from the GPU, by when the transfer is over.
    """
    if device.type != "cuda":
        return torch.tensor
    staging: list[Tensor] = []

    def copy(rows: NDArray[np.generic]) -> Tensor:
        if not staging:
            staging.append(torch.tensor(rows).pin_memory())
        staging[0].copy_(torch.from_numpy(rows))
        return staging[0].to(device, non_blocking=True)

    return copy
