"""Who plays which side of which game."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pufferlib.rating import Game


@dataclass(frozen=True)
class Fixture:
    """A game to be played.

    Attributes:
        players: of each side, the name of the player.
        seed: of the environment.
        pair: the sides of the two players whose pairing it belongs to.
    """

    players: tuple[str, ...]
    seed: int
    pair: tuple[int, int]


def pairing(
    first: str, second: str, others: Sequence[str], num_sides: int, games: int, seed: int
) -> list[Fixture]:
    """Return the games of two players, in which each of them has each side equally often.

    The order of the two does not matter, and more games begin with the same as fewer. Each seed has
    as many games as there are sides; from one to the next the players move on by a side: with two
    sides they swap. More sides are for `others`, drawn at random, each at most once if there are
    enough; without others, the two players take them by turns.

    Args:
        first: the name of a player.
        second: the name of another.
        others: the names of the other players.
        num_sides: of the game.
        games: how many, rounded up to a multiple of `num_sides`.
        seed: the seeds of the games are drawn from it and the names of the two players.
    """
    first, second = sorted((first, second))
    fixtures = []
    for number in range(-(-games // num_sides)):
        own = _seed_of(seed, f"{first}\n{second}", number)
        generator = np.random.default_rng(own)
        places = generator.permutation(num_sides).tolist()
        rest = _others(first, second, sorted(others), num_sides - 2, number, generator)
        lineup = dict(zip(places, [first, second, *rest], strict=True))
        for shift in range(num_sides):
            players = tuple(lineup[(side - shift) % num_sides] for side in range(num_sides))
            pair = ((places[0] + shift) % num_sides, (places[1] + shift) % num_sides)
            fixtures.append(Fixture(players, own, pair))
    return fixtures


def _seed_of(seed: int, pair: str, number: int) -> int:
    entropy = [seed % 2**32, zlib.crc32(pair.encode()), number]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0]) >> 1  # below 2 ** 31


def _others(
    first: str,
    second: str,
    others: Sequence[str],
    count: int,
    number: int,
    generator: np.random.Generator,
) -> list[str]:
    """Return the players of the sides that the two of a pairing leave."""
    if not others:
        turns = (first, second) if number % 2 == 0 else (second, first)
        return [turns[place % 2] for place in range(count)]
    drawn: list[str] = []
    while len(drawn) < count:
        drawn += generator.permutation(others).tolist()
    return drawn[:count]


def missing(fixtures: Iterable[Fixture], games: Iterable[Game]) -> list[Fixture]:
    """Return the fixtures that are not among the games that were played.

    A game is that of a fixture if it has its seed, and its two players have the same sides; the
    other sides may have other players, if there were others at the time.
    """
    played: dict[int, list[tuple[str, ...]]] = {}
    for game in games:
        if game.seed is not None:
            played.setdefault(game.seed, []).append(game.players)
    left = []
    for fixture in fixtures:  # the very same first
        known = played.get(fixture.seed, [])
        if fixture.players in known:
            known.remove(fixture.players)
        else:
            left.append(fixture)
    return [fixture for fixture in left if not _take_alike(fixture, played.get(fixture.seed, []))]


def _take_alike(fixture: Fixture, known: list[tuple[str, ...]]) -> bool:
    """Remove a game in which the two players have the same sides; return whether there is one."""
    for players in known:
        is_alike = len(players) == len(fixture.players) and all(
            players[side] == fixture.players[side] for side in fixture.pair
        )
        if is_alike:
            known.remove(players)
            return True
    return False
