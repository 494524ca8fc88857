"""The record of a run's games: its file, the learner's scores, and ratings."""

import dataclasses
import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from pufferlib.annotations import StateDict
from pufferlib.exceptions import CheckpointError
from pufferlib.rating import Game, append_games, fit, read_games
from pufferlib.rating.games import GAMES, RANDOM
from pufferlib.selfplay.matchmaking import Candidate
from pufferlib.selfplay.pool import Member
from pufferlib.selfplay.scores import Scores
from pufferlib.selfplay.seats import LEARNER

_RATED = 10_000  # latest games


class GameRecord:
    """Games between the learner and others, in the order in which they were counted.

    Args:
        folder: of the run.
        window: games against each opponent, on each side, that the scores are taken over.
        is_saved: write the file: of processes that learn together one does.

    Attributes:
        scores: of the learner.
    """

    def __init__(self, folder: Path, window: int, is_saved: bool = True) -> None:
        self._path, self.scores = folder / GAMES, Scores(window)
        self._unsaved: list[Game] = []
        self._is_saved = is_saved
        self._num_saved = 0  # games in the file
        self._rated: deque[Game] = deque(maxlen=_RATED)
        self._ratings: dict[str, float] = {}  # of the learner, too

    def add(self, game: Game, name: str) -> None:
        """Count a game, in which the learner is called LEARNER.

        Args:
            game: of the learner on one side, and others.
            name: of the learner in the file.
        """
        self.scores.add(game, LEARNER)
        players = tuple(name if player == LEARNER else player for player in game.players)
        named = dataclasses.replace(game, players=players)
        self._rated.append(named)
        if self._is_saved:
            self._unsaved.append(named)

    def rate(self, name: str) -> None:
        """Fit ratings to the latest games; the learner's is that of the games as `name`."""
        if not self._rated:
            return
        found = {player.name: player.rating for player in fit(self._rated).players}
        self._ratings = {LEARNER if key == name else key: r for key, r in found.items()}

    @property
    def rating(self) -> float | None:
        """The rating of the learner; None if there is none yet."""
        return self._ratings.get(LEARNER)

    def candidates(self, members: Iterable[Member], side: int) -> list[Candidate]:
        """Return what matchmakers know of the members of a pool, for the learner's side."""
        return [
            Candidate(
                member.timesteps,
                self.scores.win_rate(member.name, side),
                self._ratings.get(member.name),
                member.is_kept,
            )
            for member in members
        ]

    def metrics(self, members: Iterable[str]) -> dict[str, float]:
        """Return scores, and ratings in Elo above random play, of those that there are."""
        names = list(members)
        found = {
            "selfplay/score": self.scores.mean(names),
            "selfplay/score_random": self.scores.mean([RANDOM]),
            **{
                f"selfplay/score_side_{side}": self.scores.mean(names, side)
                for side in self.scores.sides
            },
        }
        pool = [self._ratings[name] for name in names if name in self._ratings]
        if pool and RANDOM in self._ratings:
            found |= {
                "selfplay/rating": self.rating,
                "selfplay/pool_rating": sum(pool) / len(pool),
                "selfplay/best_pool_rating": max(pool),
            }
        return {name: value for name, value in found.items() if value is not None}

    def save(self) -> None:
        """Append new games to the file."""
        append_games(self._path, self._unsaved)
        self._num_saved += len(self._unsaved)
        self._unsaved = []

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps, once `save` was called: not the games."""
        return {
            "saved": self._num_saved,
            "scores": self.scores.state_dict(),
            "ratings": self._ratings,
        }

    def load_state_dict(self, state: StateDict | None, cuts_file: bool) -> None:
        """Continue from `state_dict`, with the games that it counts.

        Args:
            state: None: count on from the games in the file, if there is one.
            cuts_file: remove the games after them from the file.

        Raises:
            CheckpointError: an earlier version kept the scores without the learner's side.
        """
        self._unsaved = []
        self._rated.clear()
        if state is None:
            self._num_saved = len(read_games(self._path)) if self._path.exists() else 0
            return
        if not all(isinstance(by_side, dict) for by_side in state["scores"].values()):
            folder = self._path.parent
            raise CheckpointError(
                f"The checkpoint in {folder} has scores of self-play without the policy's side, as "
                f"an earlier version of pufferlib kept them. Resume the run with that version, or "
                f"begin a new one from its weights: --init {folder}"
            )
        self._num_saved, self._ratings = state["saved"], state["ratings"]
        self.scores.load_state_dict(state["scores"])
        if cuts_file and self._path.exists():
            _keep_lines(self._path, self._num_saved)
        played = read_games(self._path) if self._num_saved else []
        self._rated.extend(played[: self._num_saved])  # another process may not have cut the file


def _keep_lines(path: Path, count: int) -> None:
    """Cut a file after its first `count` lines."""
    with path.open("rb") as file:
        end = sum(len(file.readline()) for _ in range(count))
    os.truncate(path, end)
