"""Collect rollouts: step the environments with the policy, and store the results."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pufferlib.annotations import Array
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError
from pufferlib.training.episodes import EpisodeCounts
from pufferlib.training.finite import FiniteCheck
from pufferlib.training.joint import JointObservations
from pufferlib.training.observed import ObservedRows
from pufferlib.training.opponents import Opponents
from pufferlib.training.policy_actor import joined
from pufferlib.training.profile import Profile
from pufferlib.training.recorder import Group, Recorder, segments_of
from pufferlib.training.rollout import Rollout
from pufferlib.training.statistics import EpisodeStatistics
from pufferlib.vector import Batch, VectorEnv


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
        recorders: act for all rows of `vecenv` together, and record their results.
        horizon: steps of a segment, as of the recorders.
        profile: times "environment", "copy", "forward" and "opponents".
        joint: gets what all agents observe, for central critics; None: there are none.
        opponents: play some of the rows; None: the recorders' policies play all.

    Attributes:
        timesteps: steps of agents since the start, without those of frozen policies or opponents.
        steps: those of all agents.
        episodes: statistics that the environments' infos report.
        counts: of episodes, whatever the infos report.

    Raises:
        ArgumentError: a pool without `zero_copy`.
    """

    def __init__(
        self,
        vecenv: VectorEnv,
        recorders: Sequence[Recorder],
        horizon: int,
        profile: Profile,
        joint: JointObservations | None = None,
        opponents: Opponents | None = None,
    ) -> None:
        if vecenv.batch_size < vecenv.num_envs and not vecenv.zero_copy:
            raise ArgumentError(
                "The trainer needs batches of the same neighboring rows each time; got a pool with "
                "zero_copy=False. Make it with zero_copy=True."
            )
        self._vecenv, self._recorders, self._horizon = vecenv, recorders, horizon
        self._device, self._profile = recorders[0].runner.device, profile
        self._joint, self._opponents = joint, opponents
        self.timesteps = self.steps = 0
        self.episodes = EpisodeStatistics()
        self.counts = EpisodeCounts(vecenv)
        self._acting = np.zeros(vecenv.num_agents, np.bool_)
        self._older = self._acting.copy()  # whose episodes began before the task changed
        self._group_count = vecenv.num_envs // vecenv.batch_size
        self._finite = FiniteCheck(vecenv)
        self._learns = np.ones(vecenv.agents_per_batch, np.bool_)  # which rows are learned from
        for recorder in recorders:
            self._learns[recorder.places] = not recorder.part.is_frozen
        self._staging: Tensor | None = None

    def begin(self, seed: int) -> None:
        """Reset all environments; environment i gets `seed + i`.

        Of native environments of several games, each game gets the next one.
        """
        rows, size = self._vecenv.num_agents, self._vecenv.agents_per_batch
        self._groups = [
            Group(number, slice(number * size, (number + 1) * size))
            for number in range(self._group_count)
        ]
        self._free = list(range(segments_of(self._vecenv)))  # segments of the storage
        self._learned_from: list[int] = []
        for recorder in self._recorders:
            recorder.restart()
        if self._opponents is not None:
            self._opponents.begin(seed)
        self._starts = np.ones(rows, np.bool_)
        # Rows that have not acted since their last episode ended: who waits, masked, has.
        self._fresh = np.ones(rows, np.bool_)
        self._acting[:] = False
        self._vecenv.async_reset(seed)
        self.counts.restart()
        self._older[:] = False
        self.episodes.leave_task_before()
        batch = self._vecenv.recv()
        self._hold(batch)
        self.counts.begin(batch, batch.masks, self._held.rows)

    @torch.no_grad()
    def collect(self) -> list[Rollout]:
        """Return the rollouts of the policies that learn, valid until the next call."""
        self._free += self._learned_from
        finished: list[int] = []
        while len(finished) < self._group_count:
            chosen = self._act(self._held)
            with self._profile.part("environment"):
                self._vecenv.send(chosen)
                batch = self._vecenv.recv()
            group = self._hold(batch)
            if group.segment is None:  # the first batch of a group: nothing came before
                self.counts.begin(batch, batch.masks, group.rows)
                continue
            with self._profile.part("copy"):
                self._note(group, batch)
            group.step += 1
            if group.step == self._horizon:
                finished.append(group.segment)
                group.segment, group.ended = None, group.segment
        self._bootstrap(self._held)
        self._learned_from = finished
        return [each.rollout(finished) for each in self._recorders if not each.part.is_frozen]

    def _act(self, group: Group) -> NDArray[np.generic]:
        """Choose and store actions for the held batch; return them for the environments."""
        with self._profile.part("forward"):
            if group.segment is None:
                group.segment, group.step = self._free.pop(0), 0
            if self._joint is not None:
                self._joint.write(self._observed.tensor, group.segment, group.step)
            starts = self._starts[group.rows]
            actions = [each.act(self._observed, starts, group) for each in self._recorders]
            group.ended = None
            chosen = self._joined(actions)
        if self._opponents is None:
            return chosen
        with self._profile.part("opponents"):
            return self._opponents.act(self._batch, starts, group.rows, chosen)

    def _joined(self, actions: list[Array]) -> Array:
        """Return the actions of all policies in the order of the batch."""
        if len(actions) == 1:
            return actions[0]
        parts = [
            (each.rows, own)
            for each, own in zip(self._recorders, actions, strict=True)
            if isinstance(each.rows, Tensor)
        ]
        return joined(parts, self._vecenv.agents_per_batch)

    def _bootstrap(self, group: Group) -> None:
        """Store the values of the observations that follow the last finished segment."""
        if group.ended is None:
            return
        with self._profile.part("forward"):
            starts = self._starts[group.rows]
            for recorder in self._recorders:
                recorder.bootstrap(self._observed, starts, group)
            group.ended = None

    def _hold(self, batch: Batch) -> Group:
        """Keep the batch that the policy acts on next; return its group."""
        with self._profile.part("copy"):
            first, size = int(batch.env_ids[0]), len(batch.env_ids)
            group = self._groups[first // size]
            self._finite.observations(batch, self.timesteps)
            self._held, self._batch = group, batch
            if self._device.type == "cuda" and self._staging is None:
                self._staging = torch.tensor(batch.observations).pin_memory()
            self._observed = ObservedRows(batch.observations, self._device, self._staging)
            if group.segment is None:
                self._acting[group.rows] = batch.masks
        return group

    def _note(self, group: Group, batch: Batch) -> None:
        """Store the results of the group's last actions."""
        rows = group.rows
        acted = taken = self._acting[rows] & ~batch.lost
        self._finite.rewards(batch, acted, self.timesteps)
        if self._opponents is not None:
            taken = acted & self._opponents.learns[rows]
        if batch.truncations.any():
            self._finite.final_observations(batch, self.timesteps)
        for recorder in self._recorders:
            recorder.note(batch, taken, acted, group)
        ends = batch.terminals | batch.truncations
        self._fresh[rows] = ends | batch.lost | (self._fresh[rows] & ~acted)
        self._starts[rows] = ends | (batch.masks & self._fresh[rows])
        self._acting[rows] = batch.masks
        self.timesteps += int(np.count_nonzero(taken & self._learns))
        self.steps += int(np.count_nonzero(acted))
        self._count_returns(batch, taken, group)
        self.counts.step(batch, taken, ends, rows)
        infos: list[Info] = batch.infos
        if self._opponents is not None:
            infos = self._opponents.step(batch, acted, rows)
        self.episodes.add(infos)
        if not self.episodes.are_current:
            self._older[rows] &= ~(ends | batch.lost)
            if not self._older.any():
                self.episodes.leave_task_before()

    def begin_task(self) -> None:
        """Begin new means of episodes, as the task of the episodes to come is another one."""
        self._older[:] = self._acting
        self.episodes.begin_task()

    def _count_returns(self, batch: Batch, taken: NDArray[np.bool_], group: Group) -> None:
        """Add the returns of each of several policies: infos do not say whose they are."""
        for recorder in self._recorders:
            if recorder.part.name:
                name = f"{recorder.part.name}/episode_return"
                self.episodes.add({name: value} for value in recorder.returns(batch, taken, group))
