"""Act with a policy in collection, and record what comes of it in its rollouts."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pufferlib.agent_policies import PolicyRows
from pufferlib.annotations import Array
from pufferlib.policy import State, map_state
from pufferlib.pytorch import action_converter
from pufferlib.training.joint import JointObservations, last_observations, peers_of
from pufferlib.training.policy_runner import Decision, PolicyRunner
from pufferlib.training.profile import Profile
from pufferlib.training.rollout import Rollout
from pufferlib.training.statistics import RewardScale
from pufferlib.vector import Batch, VectorEnv


@dataclass
class Group:
    """Rows that are always in a batch together.

    Attributes:
        number: of the group, from 0.
        rows: which of the vectorizer's.
        segment: where in the storage the current segment is written; None between two segments.
        step: of that segment.
        ended: the last segment, until the value of the observation after it is stored.
    """

    number: int
    rows: slice
    segment: int | None = None
    step: int = 0
    ended: int | None = None


class Recorder:
    """Acts with one policy for its rows of every batch, and records their segments.

    Args:
        vecenv: a synchronous vectorizer or a pool, whose batches it acts for.
        part: the policy, and which rows it acts for.
        runner: runs the policy for all of these rows.
        horizon: steps of a segment.
        storage_device: where rollouts are kept.
        scale: divides rewards; None leaves them unchanged.
        profile: times "forward" where last observations are valued.
        joint: what all agents observe, for a central critic; None: no policy has one.

    Attributes:
        part: as given. Of a frozen policy nothing is recorded.
        runner: as given.
        rows: which rows of a batch it acts for: int64 on the device, or all of them, a slice.
        places: the same for arrays.
    """

    def __init__(
        self,
        vecenv: VectorEnv,
        part: PolicyRows,
        runner: PolicyRunner,
        horizon: int,
        storage_device: torch.device,
        scale: RewardScale | None,
        profile: Profile,
        joint: JointObservations | None = None,
    ) -> None:
        self.part, self.runner = part, runner
        self._horizon, self._device = horizon, runner.device
        self._storage_device, self._scale = storage_device, scale
        self._profile = profile
        self._segments = segments_of(vecenv)
        self._count = part.count(vecenv.agents_per_batch)
        own = part.among(vecenv.agents_per_batch)
        self.rows = own if isinstance(own, slice) else own.to(self._device)
        self.places = own if isinstance(own, slice) else own.numpy()
        self._has_all = isinstance(own, slice)
        peers = None if part.is_frozen else peers_of(part, vecenv.agents_per_batch)
        self._peers = None if peers is None else peers.to(self._device)
        self._joint = joint
        self._convert = action_converter(vecenv, part.policy)
        self._storage: Rollout | None = None
        self._sums = np.zeros(part.count(vecenv.num_agents))  # of rewards, in unfinished episodes

    def restart(self) -> None:
        """Begin new episodes in all rows."""
        self.runner.reset()
        self._sums[:] = 0

    def act(self, observations: Tensor, starts: Tensor, group: Group) -> Array:
        """Choose and store actions for a batch; return those of the policy's rows, as sent.

        Args:
            observations: (B, ...), of all rows of the batch.
            starts: bool (B,), the observation is the first of an episode.
            group: of the batch.
        """
        joint = self._seen_by_critic(observations)
        if not self._has_all:
            observations, starts = observations[self.rows], starts[self.rows]
        rows = self._rows_of(group)
        state = self.runner.state(rows) if group.step == 0 else None
        if state is not None:  # act() writes into it
            state = map_state(torch.clone, state)
        decision = self.runner.act(observations, starts, rows, joint=joint)
        if not self.part.is_frozen:
            self._store(observations, starts, decision, state, group)
        return self._convert(decision.actions, decision.heads)

    def _store(
        self,
        observations: Tensor,
        starts: Tensor,
        decision: Decision,
        state: State | None,
        group: Group,
    ) -> None:
        """Store what the policy saw and chose; `state` is that before the first step."""
        actions, log_probabilities, values, _ = decision
        assert log_probabilities is not None  # the actions are sampled
        if self._storage is None:
            self._storage = self._allocate(observations, actions)
        storage, device = self._storage, self._storage_device
        if group.ended is not None:
            storage.values[-1, self._columns(group.ended)] = values.to(device)
        step, columns = group.step, self._columns(group.segment)
        if step == 0:
            storage.set_initial_state(columns, state)
        storage.observations[step, columns] = observations.to(device)
        storage.actions[step, columns] = actions.to(device)
        storage.log_probabilities[step, columns] = log_probabilities.to(device)
        storage.values[step, columns] = values.to(device)
        storage.starts[step, columns] = starts.to(device)

    def bootstrap(self, observations: Tensor, starts: Tensor, group: Group) -> None:
        """Store the value of the observation that follows the last finished segment."""
        if self.part.is_frozen:
            return
        values = self.runner.values(
            observations[self.rows],
            starts[self.rows],
            self._rows_of(group),
            self._seen_by_critic(observations),
        )
        self.storage.values[-1, self._columns(group.ended)] = values.to(self._storage_device)

    def note(
        self, batch: Batch, taken: NDArray[np.bool_], acted: NDArray[np.bool_], group: Group
    ) -> None:
        """Store the results of the group's last actions.

        Args:
            batch: the results.
            taken: bool (B,), the policy acted in the row, and the result is that of its action.
            acted: bool (B,), an agent acted: the policy, or an opponent.
            group: of the batch.
        """
        if self.part.is_frozen:
            return
        storage, device, places = self.storage, self._storage_device, self.places
        step, columns = group.step, self._columns(group.segment)
        terminals, truncations = batch.terminals[places], batch.truncations[places]
        rewards = batch.rewards[places]
        if self._scale is not None:
            ends = terminals | truncations
            rewards = self._scale(rewards, ends, taken[places], self._rows_of(group))
        storage.valid[step, columns] = torch.tensor(taken[places], device=device)
        storage.rewards[step, columns] = torch.tensor(rewards, device=device)
        storage.terminals[step, columns] = torch.tensor(terminals, device=device)
        storage.truncations[step, columns] = torch.tensor(truncations, device=device)
        if truncations.any():
            with self._profile.part("forward"):
                values = self._final_values(self._rows_of(group), batch, acted)
                storage.final_values[step, columns] = values.to(device)
        lost = batch.lost[places]
        if lost.any():
            self._leave_out(step, columns, lost)

    def returns(self, batch: Batch, taken: NDArray[np.bool_], group: Group) -> list[float]:
        """Count the rewards of a step; return the sums of the episodes that ended.

        Args:
            batch: the results of the group's last actions.
            taken: bool (B,), an agent acted in the row.
            group: of the batch.
        """
        places, sums = self.places, self._sums[self._rows_of(group)]  # a view
        taken = taken[places]
        sums[taken] += batch.rewards[places][taken]
        ends = (batch.terminals | batch.truncations)[places]
        found: list[float] = sums[ends & taken].tolist()
        sums[ends] = 0
        return found

    def rollout(self, segments: list[int]) -> Rollout:
        """Return the storage, with these segments as the rollout."""
        columns = [self._columns(segment) for segment in segments]
        self.storage.columns = torch.cat(
            [torch.arange(part.start, part.stop) for part in columns]
        ).to(self._storage_device)
        return self.storage

    @property
    def storage(self) -> Rollout:
        """The tensors of all segments; they exist once the policy has acted."""
        assert self._storage is not None
        return self._storage

    def _rows_of(self, group: Group) -> slice:
        """Return which of the policy's rows are in a group."""
        return slice(group.number * self._count, (group.number + 1) * self._count)

    def _columns(self, segment: int | None) -> slice:
        """Return the columns of the storage in which a segment is."""
        assert segment is not None
        return slice(segment * self._count, (segment + 1) * self._count)

    def _leave_out(self, step: int, columns: slice, rows: NDArray[np.bool_]) -> None:
        """Give steps lost with a worker an advantage of 0, and bootstrap nothing across them."""
        storage = self.storage
        lost = torch.tensor(rows, device=self._storage_device)
        for tensor, value in (
            (storage.rewards, storage.values[step, columns]),
            (storage.terminals, torch.ones_like(lost)),
            (storage.truncations, torch.zeros_like(lost)),
        ):
            tensor[step, columns] = torch.where(lost, value, tensor[step, columns])

    def _seen_by_critic(self, observations: Tensor) -> Tensor | None:
        """Return the observations of all agents for each row; None without a central critic."""
        return None if self._peers is None else observations[self._peers]

    def _final_values(self, rows: slice, batch: Batch, acted: NDArray[np.bool_]) -> Tensor:
        """Return the value of the last observation of each row, 0 where not truncated.

        Args:
            rows: of the policy, which are in the batch.
            batch: the results.
            acted: bool (B,), an agent acted in the row.
        """
        truncations = batch.truncations[self.places]
        seen = np.ones_like(truncations) if self.runner.is_compiled else truncations
        chosen = torch.from_numpy(seen.nonzero()[0]).to(self._device)
        values = torch.zeros(len(truncations), device=self._device)
        final = torch.tensor(batch.final_observations[self.places][seen], device=self._device)
        joint = None
        if self._peers is not None:
            every = torch.tensor(last_observations(batch, acted), device=self._device)
            joint = every[self._peers[chosen]]
        values[chosen] = self.runner.values(final, None, rows.start + chosen, joint)
        values[torch.from_numpy(~truncations).to(self._device)] = 0
        return values

    def _allocate(self, observations: Tensor, actions: Tensor) -> Rollout:
        storage = Rollout(
            self._horizon,
            observations.to(self._storage_device),
            actions.to(self._storage_device),
            self._segments * self._count,
            self.runner.state_batch_dim,
        )
        if self._joint is not None and self._peers is not None:
            self._joint.attach(storage, self._peers)
        return storage


def segments_of(vecenv: VectorEnv) -> int:
    """Return how many segments are stored: each group writes one while its last is learned from."""
    return 2 * (vecenv.num_envs // vecenv.batch_size) - 1
