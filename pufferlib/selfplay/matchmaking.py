"""Matchmakers: how likely each member of a pool is the next opponent."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_DEVIATION = 200.0  # Elo: of a player's performance in a game (Elo 1978, 1.3)


class Candidate(NamedTuple):
    """What a matchmaker knows of a member of the pool.

    Attributes:
        timesteps: of the run when the member was made.
        win_rate: of the learner against the member, on one side, in (0, 1); a tie is half a win.
        rating: of the member, in Elo; None if there is none yet.
        is_kept: it is of another run, whose timesteps do not compare with this one's.
    """

    timesteps: int
    win_rate: float
    rating: float | None = None
    is_kept: bool = False


Matchmaker = Callable[[Sequence[Candidate], float | None], NDArray[np.float64]]
"""(candidates, rating of the learner) -> weights of at least 0, one of them above 0."""


def latest(candidates: Sequence[Candidate], rating: float | None = None) -> NDArray[np.float64]:
    """Weigh the newest member alone. In games without a best strategy the policy then cycles.

    It is one of the run's own, if there is one.
    """
    ages = [(not each.is_kept, each.timesteps, n) for n, each in enumerate(candidates)]
    weights = np.zeros(len(candidates))
    weights[max(ages)[2]] = 1
    return weights


def uniform(candidates: Sequence[Candidate], rating: float | None = None) -> NDArray[np.float64]:
    """Weigh all members alike: fictitious self-play.

    Brown 1951; with learned responses Heinrich et al. 2015, "Fictitious self-play in extensive-form
    games".
    """
    return np.ones(len(candidates))


def pfsp_hard(candidates: Sequence[Candidate], rating: float | None = None) -> NDArray[np.float64]:
    """Weigh members by (1 - p)^2, p the learner's win rate: those that it loses to.

    Prioritized fictitious self-play, f_hard (Vinyals et al. 2019, doi:10.1038/s41586-019-1724-z,
    Methods).
    """
    return (1 - _win_rates(candidates)) ** 2


def pfsp_variance(
    candidates: Sequence[Candidate], rating: float | None = None
) -> NDArray[np.float64]:
    """Weigh members by p (1 - p), p the learner's win rate: those as strong as it.

    Prioritized fictitious self-play, f_var (source as `pfsp_hard`).
    """
    rates = _win_rates(candidates)
    return rates * (1 - rates)


def near(candidates: Sequence[Candidate], rating: float | None = None) -> NDArray[np.float64]:
    """Weigh members by the quality of a match at their ratings; all alike while there are none.

    The quality is exp(-d^2 / (4 s^2)), d the difference of ratings and s = 200 the deviation of a
    performance (Herbrich et al. 2006, "TrueSkill", eq. 4.1 without the uncertainty of ratings).
    A member without a rating weighs as one equal to the learner.
    """
    if rating is None:
        return uniform(candidates)
    known = [rating if each.rating is None else each.rating for each in candidates]
    quality = np.exp(-((np.array(known) - rating) ** 2) / (4 * _DEVIATION**2))
    return np.maximum(quality, np.finfo(np.float64).tiny)


LATEST = "latest"
MATCHMAKERS: dict[str, Matchmaker] = {
    LATEST: latest,
    "uniform": uniform,
    "pfsp-hard": pfsp_hard,
    "pfsp-variance": pfsp_variance,
    "near": near,
}


def _win_rates(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    return np.array([candidate.win_rate for candidate in candidates])
