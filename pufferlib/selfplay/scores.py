"""The learner's scores against each opponent, over its latest games."""

from collections import deque
from collections.abc import Iterable

from pufferlib.annotations import StateDict
from pufferlib.rating import Game


class Scores:
    """Counts wins, ties and losses of the learner.

    Args:
        window: games against each opponent that are kept.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._scores: dict[str, deque[float]] = {}

    def add(self, game: Game, learner: str) -> None:
        """Count a game in which the learner has one side: a result against each other side."""
        own = game.players.index(learner)
        for side, name in enumerate(game.players):
            if side != own:
                latest = self._scores.setdefault(name, deque(maxlen=self._window))
                latest.append(_score(game.ranks[own], game.ranks[side]))

    def win_rate(self, name: str) -> float:
        """Return the mean score against `name`, with a win and a loss more than there were.

        So it lies within (0, 1): Laplace's rule of succession.
        """
        scores = self._scores.get(name, ())
        return (sum(scores) + 1) / (len(scores) + 2)

    def mean(self, names: Iterable[str]) -> float | None:
        """Return the mean of the latest scores against `names`; None if there was no game."""
        found = [score for name in names for score in self._scores.get(name, ())]
        return sum(found) / len(found) if found else None

    def keep(self, names: Iterable[str]) -> None:
        """Forget all opponents but `names`."""
        self._scores = {name: self._scores[name] for name in names if name in self._scores}

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps."""
        return {name: list(scores) for name, scores in self._scores.items()}

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from `state_dict`."""
        self._scores = {name: deque(s, maxlen=self._window) for name, s in state.items()}


def _score(own: int, other: int) -> float:
    """Return 1 for a better rank than the other's, 0.5 for the same, 0 for a worse one."""
    return 0.5 if own == other else float(own < other)
