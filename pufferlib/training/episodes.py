"""Count episodes as they are collected: how they end, how long they are, how they begin."""

import math
import zlib
from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import StateDict
from pufferlib.exceptions import ContractError
from pufferlib.vector import Batch, VectorEnv

_WINDOW = 100  # episodes
_STARTS = 8  # episodes of each environment whose first observations are compared
_MOST_ENVS = 64  # environments that are compared


class EpisodeCounts:
    """Counts the episodes of each row, whatever the environment reports of them.

    First observations show whether environments share a seed. Independent ones begin alike as often
    as one environment begins like its own other episodes: always if its start is fixed, hardly ever
    if it is random. Environments with the same random numbers begin alike far more often.

    Args:
        vecenv: whose rows are counted. Of each environment the first row is compared.
    """

    def __init__(self, vecenv: VectorEnv) -> None:
        self._lengths = np.zeros(vecenv.num_agents, np.int64)
        self._has_acted = np.zeros(vecenv.num_agents, np.bool_)
        self._ended: deque[int] = deque(maxlen=_WINDOW)  # lengths
        self._terminated = self._truncated = 0
        firsts = np.cumsum([0, *vecenv.agents_per_env[:-1]])[:_MOST_ENVS]
        self._place = {int(row): place for place, row in enumerate(firsts)}
        self._starts: list[list[int]] = [[] for _ in firsts]  # checksums
        self._likeness: dict[str, float] | None = {}  # None: out of date

    def restart(self) -> None:
        """Begin new episodes in all rows."""
        self._lengths[:] = 0

    def begin(self, batch: Batch, began: NDArray[np.bool_], rows: slice) -> None:
        """Note the first observations of episodes.

        Args:
            batch: of `rows`.
            began: bool (B,), an episode begins with this observation.
            rows: which of all rows these are.
        """
        if len(self._place) == 1:
            return
        for index in (began & batch.masks).nonzero()[0].tolist():
            place = self._place.get(rows.start + index)
            if place is not None and len(self._starts[place]) < _STARTS:
                self._starts[place].append(zlib.crc32(batch.observations[index].tobytes()))
                self._likeness = None

    def step(
        self, batch: Batch, taken: NDArray[np.bool_], ends: NDArray[np.bool_], rows: slice
    ) -> None:
        """Count a step.

        Args:
            batch: the results of the actions.
            taken: bool (B,), an agent acted.
            ends: bool (B,), the episode ended.
            rows: which of all rows these are.
        """
        lengths = self._lengths[rows]  # a view
        lengths += taken
        self._has_acted[rows] |= taken
        if not ends.any():
            return
        counted = ends & taken
        terminated = int(np.count_nonzero(counted & batch.terminals))
        self._terminated += terminated
        self._truncated += int(np.count_nonzero(counted)) - terminated
        self._ended.extend(lengths[counted].tolist())
        lengths[ends] = 0
        self.begin(batch, ends, rows)

    @property
    def longest(self) -> int:
        """The length of the longest of the last hundred episodes; 0 if none has ended."""
        return max(self._ended, default=0)

    def metrics(self) -> dict[str, float]:
        """Return the counts since the run began, and statistics of the last hundred episodes."""
        if self._likeness is None:
            self._likeness = _likeness(self._starts)
        lengths = list(self._ended)
        ended: dict[str, float] = {}
        if lengths:
            ended["rollout/episode_length"] = sum(lengths) / len(lengths)
            ended["rollout/longest_episodes"] = lengths.count(max(lengths)) / len(lengths)
        return {
            "rollout/terminated": self._terminated,
            "rollout/truncated": self._truncated,
            "rollout/idle_rows": 1 - float(self._has_acted.mean()),
            **ended,
            **self._likeness,
        }

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps: all but the unfinished episodes."""
        return {
            "terminated": self._terminated,
            "truncated": self._truncated,
            "lengths": list(self._ended),
            "has_acted": self._has_acted.tolist(),
            "starts": [list(starts) for starts in self._starts],
        }

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from `state_dict`; of another number of rows, the counts of episodes only."""
        self._terminated, self._truncated = state["terminated"], state["truncated"]
        self._ended = deque(state["lengths"], maxlen=_WINDOW)
        if len(state["has_acted"]) == len(self._has_acted):
            self._has_acted[:] = state["has_acted"]
        if len(state["starts"]) == len(self._starts):
            self._starts = [list(starts) for starts in state["starts"]]
            self._likeness = None


class IdleCheck:
    """Refuses environments in which no agent acts any more: training would never end.

    Args:
        horizon: steps of each row in a rollout.
    """

    _MOST_UPDATES = 20

    def __init__(self, horizon: int) -> None:
        self._horizon, self._updates = horizon, 0

    def __call__(self, steps: int, timesteps: int) -> None:
        """Note an update.

        Args:
            steps: of agents in its rollouts, whoever played them.
            timesteps: of the run so far.

        Raises:
            ContractError: no agent has acted in the last twenty updates.
        """
        self._updates = 0 if steps else self._updates + 1
        if self._updates >= self._MOST_UPDATES:
            raise ContractError(
                f"No agent has acted in the last {self._updates * self._horizon:,} steps of any "
                f"environment, after {timesteps:,} timesteps: every row is masked as absent. An "
                f"environment must begin a new episode once its last agent has ended. Find the "
                f"cause with pufferlib.testing.check_env."
            )


def _likeness(starts: list[list[int]]) -> dict[str, float]:
    """Return how often two first observations are equal: of two environments, and of one.

    Args:
        starts: of each environment, the checksums of its first observations in order.
    """
    latest = max(len(own) for own in starts)
    columns = [[own[k] for own in starts if len(own) > k] for k in range(latest)]
    across, within = _Pairs.of_equal(columns), _Pairs.of_equal(starts)
    possible = _Pairs.of(map(len, columns))
    if not possible.total or not (repeatable := _Pairs.of(map(len, starts)).total):
        return {}
    pool = [start for own in starts for start in own]
    return {
        "rollout/equal_starts": across.total / possible.total,
        "rollout/repeated_starts": within.total / repeatable,
        "rollout/equal_starts_z": _z(across.total, possible, _Pairs.of_equal([pool]), len(pool)),
    }


class _Pairs(NamedTuple):
    """Pairs of starts within groups, as the edges of a graph.

    Attributes:
        total: their number.
        adjacent: ordered pairs of edges that meet in a start.
    """

    total: int
    adjacent: int

    @classmethod
    def of(cls, sizes: Iterable[int]) -> Self:
        """Return all pairs within groups of these sizes."""
        sizes = list(sizes)
        return cls(sum(n * (n - 1) // 2 for n in sizes), sum(n * (n - 1) * (n - 2) for n in sizes))

    @classmethod
    def of_equal(cls, groups: Iterable[list[int]]) -> Self:
        """Return the pairs within groups that are equal."""
        return cls.of(n for group in groups for n in Counter(group).values())


def _z(found: int, possible: _Pairs, equal: _Pairs, size: int) -> float:
    """Return by how many standard deviations `found` exceeds its mean, had chance dealt the starts.

    Mean and variance are those over all permutations of the pool of starts, which keep how often
    each occurs (Barton and David 1966, "The random intersection of two graphs"). 0 if they are
    all equal or all different, when every permutation finds as many.

    Args:
        found: possible pairs that are equal.
        possible: pairs of two environments in the same episode.
        equal: pairs that are equal, of the whole pool.
        size: of the pool.
    """
    if size < 4:
        return 0.0
    places = [math.perm(size, k) for k in range(5)]
    mean = 2 * possible.total * equal.total / places[2]
    apart = [pairs.total * (pairs.total - 1) - pairs.adjacent for pairs in (possible, equal)]
    squared = mean + possible.adjacent * equal.adjacent / places[3]
    variance = squared + 4 * apart[0] * apart[1] / places[4] - mean**2
    return (found - mean) / math.sqrt(variance) if variance > 1e-9 else 0.0
