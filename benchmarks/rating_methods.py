"""Compare ratings on simulated games of known strengths; prints the tables of docs/rating.md.

    python benchmarks/rating_methods.py

The first table rates the same games of 10 players, 0 to 600 Elo points apart, in several orders.
Columns: the root mean square error of ratings around their mean; and how far a player's rating
moves from the lowest to the highest over the orders, the mean of players.

The second one simulates round robins of 6 players with ties, an advantage of the first side and
few games. Columns: how many of the 95% intervals hold the true rating, and their mean width; and
the same if every game counted as one without ties.
"""

import argparse
import math
from collections.abc import Sequence

import numpy as np

from pufferlib.rating import Game, fit

PLAYERS, APART, SEAT = 10, 600.0, 50.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", type=int, default=2000, help="that are rated in several orders")
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--tournaments", type=int, default=200, help="of each row of table 2")
    arguments = parser.parse_args()
    compare_orders(arguments.games, arguments.orders)
    compare_ties(arguments.tournaments)


def compare_orders(count: int, orders: int) -> None:
    rng = np.random.default_rng(0)
    true = np.linspace(0, APART, PLAYERS)
    games = []
    for _ in range(count):
        one, two = rng.choice(PLAYERS, 2, replace=False)
        games += play(rng, one, two, true[one] - true[two], 1, ties=0.0)
    methods = {f"online Elo, k = {k}": k for k in (4, 16, 32)} | {"`rating.fit`": None}
    print(f"**{count:,} games in {orders} orders**\n")
    print("| method | error | moves by |\n|---|---|---|")
    shuffled = [[games[i] for i in rng.permutation(count)] for _ in range(orders)]
    for name, k in methods.items():
        found = np.array([fitted(each) if k is None else online_elo(each, k) for each in shuffled])
        centered = found - found.mean(1, keepdims=True)
        error = math.sqrt(((centered - (true - true.mean())) ** 2).mean())
        print(f"| {name} | {error:.0f} | {np.ptp(centered, 0).mean():.0f} |", flush=True)
    print()


def play(
    rng: np.random.Generator, one: int, two: int, ahead: float, count: int, ties: float
) -> list[Game]:
    """Return games of two players, the first `ahead` Elo points above the second."""
    score = 1 / (1 + 10 ** (-ahead / 400))
    tie = 2 * min(score, 1 - score) * ties
    results = rng.multinomial(count, [score - tie / 2, tie, 1 - score - tie / 2])
    games = []
    for ranks, times in zip(((1, 2), (1, 1), (2, 1)), results, strict=True):
        games += [Game("simulated", (str(one), str(two)), (0.0, 0.0), ranks, 1)] * int(times)
    return games


def fitted(games: Sequence[Game]) -> list[float]:
    ratings = fit(games)
    return [ratings[str(player)].rating for player in range(PLAYERS)]


def online_elo(games: Sequence[Game], k: float) -> list[float]:
    """Return Elo's ratings, which change by k times the surprise after every game."""
    ratings = [0.0] * PLAYERS
    for game in games:
        one, two = map(int, game.players)
        expected = 1 / (1 + 10 ** ((ratings[two] - ratings[one]) / 400))
        score = (game.ranks[1] - game.ranks[0] + 1) / 2
        ratings[one] += k * (score - expected)
        ratings[two] -= k * (score - expected)
    return ratings


def compare_ties(tournaments: int) -> None:
    true = np.linspace(0, APART, 6)
    print(f"**{tournaments} tournaments of 6 players, 95% intervals**\n")
    print("| games a pair | ties | cover | width | cover, ties ignored | width |")
    print("|---|---|---|---|---|---|")
    for games_per_seat in (3, 20):
        for ties in (0.0, 0.5, 0.9):
            rng = np.random.default_rng(0)
            held: list[tuple[float, float, float, float]] = []
            tied = 0.0
            for _ in range(tournaments):
                games = []
                for one in range(6):
                    for two in set(range(6)) - {one}:
                        ahead = true[one] - true[two] + SEAT
                        games += play(rng, one, two, ahead, games_per_seat, ties)
                tied += sum(game.ranks == (1, 1) for game in games) / len(games) / tournaments
                held += coverage(games, true)
            cover, width, plain_cover, plain_width = np.mean(held, 0)
            print(
                f"| {2 * games_per_seat} | {tied:.0%} | {cover:.1%} | {width:.0f} | "
                f"{plain_cover:.1%} | {plain_width:.0f} |",
                flush=True,
            )
    print()


def coverage(games: Sequence[Game], true: np.ndarray) -> list[tuple[float, float, float, float]]:
    """Return of each player but the anchor: is the truth in its interval, its width; twice."""
    ratings = fit(games, anchor="0")
    posterior, found = ratings.posterior, []
    for player in range(1, len(true)):
        name = str(player)
        contrast = np.zeros(len(posterior.mode))
        contrast[ratings.index[name]], contrast[ratings.index["0"]] = 1, -1
        deviation = 400 / math.log(10) * math.sqrt(contrast @ posterior.inverse @ contrast)
        value, low, high = ratings.difference(name, "0")
        error = abs(value - (true[player] - true[0]))
        inside = low <= true[player] - true[0] <= high
        found.append((inside, high - low, error <= 1.96 * deviation, 2 * 1.96 * deviation))
    return found


if __name__ == "__main__":
    main()
