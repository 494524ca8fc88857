"""Act with a policy in collection, and record what comes of it in its rollouts."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pufferlib.agent_policies import PolicyRows
from pufferlib.annotations import Array
from pufferlib.emulation.description import describe
from pufferlib.policy import State, map_state
from pufferlib.pytorch import action_converter
from pufferlib.training.joint import JointObservations, last_observations, peers_of
from pufferlib.training.observed import ObservedRows
from pufferlib.training.policy_runner import Decision, PolicyRunner
from pufferlib.training.profile import Profile
from pufferlib.training.rollout import Rollout, Segment
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
        layout = describe(vecenv).observation_layout
        has_turns = "turn" in getattr(layout.structure, "spaces", {})
        skips_waiting = has_turns and getattr(part.policy, "skips_waiting", False)
        self._turns = layout if skips_waiting else None
        self._storage: Rollout | None = None
        self._seen: tuple[Array, Tensor] | None = None  # by the policy on the CPU; one memory
        self._views: dict[int, Segment] = {}  # of the storage, by segment
        self._sums = np.zeros(part.count(vecenv.num_agents))  # of rewards, in unfinished episodes

    def restart(self) -> None:
        """Begin new episodes in all rows."""
        self.runner.reset()
        self._sums[:] = 0

    def act(self, observed: ObservedRows, starts: NDArray[np.bool_], group: Group) -> Array:
        """Choose and store actions for a batch; return those of the policy's rows, as sent.

        Args:
            observed: what all rows of the batch observe.
            starts: bool (B,), the observation is the first of an episode.
            group: of the batch.
        """
        rows = self._rows_of(group)
        state = self.runner.state(rows) if group.step == 0 else None
        if state is not None:  # act() writes into it
            state = map_state(torch.clone, state)
        joint = self._seen_by_critic(observed)
        if self._storage is None:  # the first action says what a storage of actions is like
            observations = observed.tensor[self.rows]
            first = self._starts(starts)
        else:
            observations, first = self._store_observations(observed, starts, group)
        decision = self.runner.act(observations, first, rows, joint=joint)
        if self.part.is_frozen:
            decision.check_finite(self.part.policy)
        else:
            if self._storage is None:
                self._storage = self._allocate(observations, decision.actions)
                self._store_observations(observed, starts, group)
            self._store_decision(decision, state, group)
        return self._convert(decision.actions, decision.heads)

    def _store_observations(
        self, observed: ObservedRows, starts: NDArray[np.bool_], group: Group
    ) -> tuple[Tensor, Tensor | None]:
        """Store what the policy sees; return observations and starts on the policy's device."""
        segment, step = self._segment(group.segment), group.step
        self.storage.steps.starts[step, segment.columns] = starts[self.places]
        if self._turns is not None and self.storage.skipped is not None:
            turn = self._turns.unflatten(observed.array[self.places])["turn"]
            self.storage.skipped[step, segment.columns] = turn.reshape(-1) == 0
        if segment.observed is None:
            observations = observed.tensor if self._has_all else observed.tensor[self.rows]
            segment.observations[step].copy_(observations)
        else:
            segment.observed[step] = observed.array[self.places]
            if self._device.type == "cpu":
                # Apart from the storage: the policy may scale what it gets in place.
                if self._seen is None:
                    array = np.empty_like(segment.observed[step])
                    self._seen = array, torch.from_numpy(array)
                self._seen[0][...] = segment.observed[step]
                observations = self._seen[1]
            else:
                observations = observed.tensor[self.rows]
        return observations, self._starts(starts)

    def _starts(self, starts: NDArray[np.bool_]) -> Tensor | None:
        """Return the starts of the policy's rows on its device.

        None if there are none, or the policy has no memory; a compiled one would be compiled again.
        """
        own = starts[self.places]
        if not self.runner.is_recurrent or not (own.any() or self.runner.is_compiled):
            return None
        return torch.tensor(own, device=self._device)

    def _store_decision(self, decision: Decision, state: State | None, group: Group) -> None:
        """Store what the policy chose; `state` is that before the first step."""
        assert decision.log_probabilities is not None  # the actions are sampled
        segment, step = self._segment(group.segment), group.step
        if group.ended is not None:
            self._segment(group.ended).values[-1].copy_(decision.values)
        if step == 0:
            self.storage.set_initial_state(segment.columns, state)
        torch._foreach_copy_(  # one operation
            [segment.actions[step], segment.log_probabilities[step], segment.values[step]],
            [decision.actions, decision.log_probabilities, decision.values],
        )

    def bootstrap(self, observed: ObservedRows, starts: NDArray[np.bool_], group: Group) -> None:
        """Store the value of the observation that follows the last finished segment."""
        if self.part.is_frozen:
            return
        values = self.runner.values(
            observed.tensor[self.rows],
            self._starts(starts),
            self._rows_of(group),
            self._seen_by_critic(observed),
        )
        self._segment(group.ended).values[-1].copy_(values)

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
        steps, places = self.storage.steps, self.places
        step, columns = group.step, self._columns(group.segment)
        terminals, truncations = batch.terminals[places], batch.truncations[places]
        rewards = batch.rewards[places]
        if self._scale is not None:
            ends = terminals | truncations
            rewards = self._scale(rewards, ends, taken[places], self._rows_of(group))
        steps.valid[step, columns] = taken[places]
        steps.rewards[step, columns] = rewards
        steps.terminals[step, columns] = terminals
        steps.truncations[step, columns] = truncations
        if truncations.any():
            with self._profile.part("forward"):
                values = self._final_values(self._rows_of(group), batch, acted)
                self.storage.final_values[step, columns] = values.to(self._storage_device)
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
        self.storage.columns = torch.cat([torch.arange(each.start, each.stop) for each in columns])
        self.storage.upload()
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

    def _segment(self, number: int | None) -> Segment:
        """Return views of a segment of the storage."""
        assert number is not None
        if number not in self._views:
            self._views[number] = Segment(self.storage, self._columns(number))
        return self._views[number]

    def _leave_out(self, step: int, columns: slice, rows: NDArray[np.bool_]) -> None:
        """Give steps lost with a worker an advantage of 0, and bootstrap nothing across them."""
        steps, values = self.storage.steps, self.storage.values[step, columns].cpu().numpy()
        steps.rewards[step, columns][rows] = values[rows]
        steps.terminals[step, columns][rows] = True
        steps.truncations[step, columns][rows] = False

    def _seen_by_critic(self, observed: ObservedRows) -> Tensor | None:
        """Return the observations of all agents for each row; None without a central critic."""
        return None if self._peers is None else observed.tensor[self._peers]

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
        if self._turns is not None:
            storage.skipped = np.zeros((self._horizon, storage.rows), np.bool_)
        if self._joint is not None and self._peers is not None:
            self._joint.attach(storage, self._peers)
        return storage


def segments_of(vecenv: VectorEnv) -> int:
    """Return how many segments are stored: each group writes one while its last is learned from."""
    return 2 * (vecenv.num_envs // vecenv.batch_size) - 1
