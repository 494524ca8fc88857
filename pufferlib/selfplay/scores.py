"""The learner's scores against each opponent, by its side, over its latest games."""

from collections import deque
from collections.abc import Iterable

from pufferlib.annotations import StateDict
from pufferlib.rating import Game


class Scores:
    """Counts wins, ties and losses of the learner.

    Args:
        window: games against each opponent, on each side, that are kept.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._scores: dict[str, dict[int, deque[float]]] = {}  # by opponent and own side

    def add(self, game: Game, learner: str) -> None:
        """Count a game in which the learner has one side: a result against each other side."""
        own = game.players.index(learner)
        for side, name in enumerate(game.players):
            if side != own:
                by_side = self._scores.setdefault(name, {})
                latest = by_side.setdefault(own, deque(maxlen=self._window))
                latest.append(_score(game.ranks[own], game.ranks[side]))

    def win_rate(self, name: str, side: int) -> float:
        """Return the mean score on a side against `name`, with a win and a loss more than found.

        So it lies within (0, 1): Laplace's rule of succession.
        """
        scores = self._scores.get(name, {}).get(side, ())
        return (sum(scores) + 1) / (len(scores) + 2)

    def mean(self, names: Iterable[str], side: int | None = None) -> float | None:
        """Return the mean of the latest scores against `names`; None if there was no game.

        Args:
            names: of opponents.
            side: of the learner; None: all.
        """
        found = [
            score
            for name in names
            for own, scores in self._scores.get(name, {}).items()
            if side in (None, own)
            for score in scores
        ]
        return sum(found) / len(found) if found else None

    @property
    def sides(self) -> list[int]:
        """The sides on which the learner has played."""
        return sorted({side for by_side in self._scores.values() for side in by_side})

    def keep(self, names: Iterable[str]) -> None:
        """Forget all opponents but `names`."""
        self._scores = {name: self._scores[name] for name in names if name in self._scores}

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps."""
        return {
            name: {side: list(scores) for side, scores in by_side.items()}
            for name, by_side in self._scores.items()
        }

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from `state_dict`."""
        self._scores = {
            name: {side: deque(scores, maxlen=self._window) for side, scores in by_side.items()}
            for name, by_side in state.items()
        }


def _score(own: int, other: int) -> float:
    """Return 1 for a better rank than the other's, 0.5 for the same, 0 for a worse one."""
    return 0.5 if own == other else float(own < other)
