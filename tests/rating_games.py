"""Games for the tests of ratings: of stated results, and simulated from known strengths."""

import math

import numpy as np

from pufferlib.rating import Game

WIN, TIE, LOSS = (1, 2), (1, 1), (2, 1)


def game(players, ranks):
    return Game("a_game", tuple(players), tuple(-float(rank) for rank in ranks), tuple(ranks), 1)


def meetings(first, second, wins=0, ties=0, losses=0):
    """Return games with the results of `first`, half of them in each seat."""
    played = []
    for ranks, times in ((WIN, wins), (TIE, ties), (LOSS, losses)):
        assert times % 2 == 0
        played += [game((first, second), ranks)] * (times // 2)
        played += [game((second, first), ranks[::-1])] * (times // 2)
    return played


def round_robin(rng, strengths, times, seat=0.0, ties=0.0):
    """Return games of two sides, each pair `times` in each seat, by the law of the Elo scale.

    Args:
        rng: a generator.
        strengths: Elo points by name.
        times: of each pair in each seat.
        seat: Elo points of the first seat over the second.
        ties: 0 for none, 1 for as many as leave the expected score.
    """
    played = []
    for first, one in strengths.items():
        for second, two in strengths.items():
            if first != second:
                score = 1 / (1 + 10 ** ((two - one - seat) / 400))
                tie = 2 * min(score, 1 - score) * ties
                chances = (score - tie / 2, tie, 1 - score - tie / 2)
                counts = rng.multinomial(times, chances)
                for ranks, count in zip((WIN, TIE, LOSS), counts, strict=True):
                    played += [game((first, second), ranks)] * int(count)
    return played


def free_for_all(rng, strengths, games, sides):
    """Return games of several sides: the best side has the largest of Gumbel variables.

    They finish as in the model of Plackett and Luce (Yellott 1977,
    doi:10.1016/0022-2496(77)90026-8).
    """
    names, values = list(strengths), np.array(list(strengths.values()))
    played = []
    for _ in range(games):
        who = rng.choice(len(names), sides, replace=False)
        levels = values[who] * math.log(10) / 400 + rng.gumbel(size=sides)
        ranks = 1 + (levels[:, None] < levels).sum(1)
        played.append(game([names[i] for i in who], ranks.tolist()))
    return played
