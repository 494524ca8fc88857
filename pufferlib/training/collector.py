"""Collect rollouts: step the environments with the policy, and store the results."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError
from pufferlib.policy import map_state
from pufferlib.pytorch import action_converter
from pufferlib.training.episodes import EpisodeCounts
from pufferlib.training.finite import FiniteCheck
from pufferlib.training.opponents import Opponents
from pufferlib.training.policy_runner import PolicyRunner
from pufferlib.training.profile import Profile
from pufferlib.training.rollout import Rollout
from pufferlib.training.statistics import EpisodeStatistics, RewardScale
from pufferlib.vector import Batch, VectorEnv


@dataclass
class _Group:
    """Rows that are always in a batch together.

    Attributes:
        rows: which of the vectorizer's.
        columns: of the storage, where the current segment is written; None between two segments.
        step: of that segment.
        ended: columns of the last segment, until the value of the observation after it is stored.
    """

    rows: slice
    columns: slice | None = None
    step: int = 0
    ended: slice | None = None


class Collector:
    """Collects rollouts of `horizon` steps.

    Each batch is answered as it arrives, and stored in a segment of `horizon` steps. A rollout is
    as many finished segments as there are groups of rows. With a synchronous vectorizer there is
    one group, and each rollout is made by the current policy. With a pool, fast groups finish more
    segments than slow ones, collection never waits for the slowest, and environments keep stepping
    while the policy learns: an unfinished segment then continues with the new policy. Its samples
    keep the probabilities with which they were drawn.

    Args:
        vecenv: synchronous, or a pool with `zero_copy`.
        runner: acts for all rows of `vecenv`.
        horizon: steps of a segment.
        storage_device: where rollouts are kept.
        scale: divides rewards; None leaves them unchanged.
        profile: times "environment", "copy", "forward" and "opponents".
        opponents: play some of the rows; None: `runner` plays all.

    Attributes:
        timesteps: steps of agents since the start.
        episodes: statistics that the environments' infos report.
        counts: of episodes, whatever the infos report.

    Raises:
        ArgumentError: a pool without `zero_copy`.
    """

    def __init__(
        self,
        vecenv: VectorEnv,
        runner: PolicyRunner,
        horizon: int,
        storage_device: torch.device,
        scale: RewardScale | None,
        profile: Profile,
        opponents: Opponents | None = None,
    ) -> None:
        if vecenv.batch_size < vecenv.num_envs and not vecenv.zero_copy:
            raise ArgumentError(
                "The trainer needs batches of the same neighboring rows each time; got a pool with "
                "zero_copy=False. Make it with zero_copy=True."
            )
        self._vecenv, self._runner, self._horizon = vecenv, runner, horizon
        self._device, self._storage_device = runner.device, storage_device
        self._scale, self._profile, self._opponents = scale, profile, opponents
        self.timesteps = 0
        self.episodes = EpisodeStatistics()
        self.counts = EpisodeCounts(vecenv)
        self._group_count = vecenv.num_envs // vecenv.batch_size
        self._finite = FiniteCheck(vecenv)
        self._convert = action_converter(vecenv, runner.policy)
        self._copy: Callable[[NDArray[np.generic]], Tensor] = _copier(runner.device)
        self._storage: Rollout | None = None

    def begin(self, seed: int) -> None:
        """Reset all environments; environment i gets `seed + i`."""
        rows, size = self._vecenv.num_agents, self._vecenv.agents_per_batch
        self._groups = [_Group(slice(start, start + size)) for start in range(0, rows, size)]
        self._free = [
            slice(start, start + size)
            for start in range(0, (2 * self._group_count - 1) * size, size)
        ]
        self._learned_from: list[slice] = []
        self._runner.reset()
        if self._opponents is not None:
            self._opponents.begin(seed)
        self._starts = torch.ones(rows, dtype=torch.bool, device=self._device)
        self._acting = torch.zeros(rows, dtype=torch.bool, device=self._device)
        self._vecenv.async_reset(seed)
        self.counts.restart()
        batch = self._vecenv.recv()
        self._hold(batch)
        self.counts.begin(batch, batch.masks, self._held.rows)

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
                self.counts.begin(batch, batch.masks, group.rows)
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
        """Choose and store actions for the held batch; return them for the environments."""
        with self._profile.part("forward"):
            rows = group.rows
            starts = self._starts[rows]
            state = self._runner.state(rows) if group.columns is None else None
            if state is not None:  # act() writes into it
                state = map_state(torch.clone, state)
            actions, log_probabilities, values, heads = self._runner.act(
                self._observations, starts, rows
            )
            assert log_probabilities is not None  # the actions are sampled
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
            chosen = self._convert(actions, heads)
        if self._opponents is None:
            return chosen
        with self._profile.part("opponents"):
            seen = self._batch.observations
            return self._opponents.act(seen, starts.cpu().numpy(), rows, chosen)

    def _bootstrap(self, group: _Group) -> None:
        """Store the value of the observation that follows the last finished segment."""
        if group.ended is None:
            return
        assert self._storage is not None
        with self._profile.part("forward"):
            starts = self._starts[group.rows]
            values = self._runner.values(self._observations, starts, group.rows)
            self._storage.values[-1, group.ended] = values.to(self._storage_device)
            group.ended = None

    def _hold(self, batch: Batch) -> _Group:
        """Keep the batch that the policy acts on next; return its group."""
        with self._profile.part("copy"):
            first, size = int(batch.env_ids[0]), len(batch.env_ids)
            group = self._groups[first // size]
            self._finite.observations(batch, self.timesteps)
            self._held, self._batch = group, batch
            self._observations = self._copy(batch.observations)
            self._masks = torch.tensor(batch.masks, device=self._device)
            if group.columns is None:
                self._acting[group.rows] = self._masks
        return group

    def _note(self, group: _Group, batch: Batch) -> None:
        """Store the results of the group's last actions."""
        rows, step, columns = group.rows, group.step, group.columns
        storage = self._storage
        assert storage is not None
        assert columns is not None
        was_acting = self._acting[rows] & ~torch.tensor(batch.lost, device=self._device)
        acted = taken = was_acting.cpu().numpy()
        self._finite.rewards(batch, acted, self.timesteps)
        if self._opponents is not None:
            taken = acted & self._opponents.learns[rows]
        ends = batch.terminals | batch.truncations
        rewards = batch.rewards
        if self._scale is not None:
            rewards = self._scale(rewards, ends, taken, rows)
        storage.valid[step, columns] = torch.tensor(taken, device=self._storage_device)
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
                values = self._final_values(rows, batch)
                storage.final_values[step, columns] = values.to(self._storage_device)
        if batch.lost.any():
            self._leave_out(step, columns, batch.lost)
        ended = torch.tensor(ends, device=self._device)
        self._starts[rows] = ended | (self._masks & ~was_acting)
        self._acting[rows] = self._masks
        self.timesteps += int(taken.sum())
        self.counts.step(batch, taken, ends, rows)
        infos: list[Info] = batch.infos
        if self._opponents is not None:
            infos = self._opponents.step(batch, acted, rows)
        self.episodes.add(infos)

    def _leave_out(self, step: int, columns: slice, rows: NDArray[np.bool_]) -> None:
        """Give steps lost with a worker an advantage of 0, and bootstrap nothing across them."""
        storage = self._storage
        assert storage is not None
        lost = torch.tensor(rows, device=self._storage_device)
        for tensor, value in (
            (storage.rewards, storage.values[step, columns]),
            (storage.terminals, torch.ones_like(lost)),
            (storage.truncations, torch.zeros_like(lost)),
        ):
            tensor[step, columns] = torch.where(lost, value, tensor[step, columns])

    def _final_values(self, rows: slice, batch: Batch) -> Tensor:
        """Return the value of the last observation of each row, 0 where not truncated."""
        truncations = batch.truncations
        seen = np.ones_like(truncations) if self._runner.is_compiled else truncations
        final = torch.tensor(batch.final_observations[seen], device=self._device)
        chosen = torch.from_numpy(seen.nonzero()[0]).to(self._device)
        values = torch.zeros(len(truncations), device=self._device)
        values[chosen] = self._runner.values(final, None, rows.start + chosen)
        values[torch.from_numpy(~truncations).to(self._device)] = 0
        return values

    def _allocate(self, actions: Tensor) -> Rollout:
        columns = (2 * self._group_count - 1) * self._vecenv.agents_per_batch
        return Rollout(
            self._horizon,
            self._observations.to(self._storage_device),
            actions.to(self._storage_device),
            columns,
            self._runner.state_batch_dim,
        )


def _copier(device: torch.device) -> Callable[[NDArray[np.generic]], Tensor]:
    """Return a function that copies rows, which the vectorizer will overwrite, to `device`.

    For a GPU it goes through page-locked memory, which transfers in the background. That memory is
    written again only after the actions have come back from the GPU, when the transfer is over.
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
