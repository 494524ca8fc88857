"""Step many games of NetHack, in plain Python: the twin of `_nethack_batch.pyx`.

Both do what `NLE.step` of nle 1.3.0 does, and `pufferlib.registry._nethack_env` around it: answer
prompts, compute the reward of the task, find the end of an episode.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array

# Keys.
SPACE, ESCAPE, QUIT, YES = ord(" "), 27, 0x80 | ord("q"), ord("y")
# Positions in blstats: NLE_BL_X and so on of nle.nethack.
X, Y, SCORE, DEPTH, GOLD, EXPERIENCE_LEVEL, TURNS, DUNGEON, LEVEL = 0, 1, 9, 12, 13, 18, 20, 23, 24
# In `internal`: what the game waits for; whether the hero stands on stairs down; nutrition.
IN_YN, IN_GETLIN, WAITS_FOR_SPACE, STAIRS_DOWN, NUTRITION = 1, 2, 3, 4, 7
# How an episode ended: values of `StepStatus`.
ABORTED, RUNNING, DEATH, SUCCESSFUL = -1, 0, 1, 2
FROZEN_PENALTY = -0.01  # penalty_step, for a step in which no time passes
# Prompts that contain one of these are left to the agent: SKIP_EXCEPTIONS.
LEFT_TO_AGENT = (b"eat", b"attack", b"direction?", b"pray")

REWARDS = ("score", "gold", "eat", "scout", "goal")
GOALS = ("none", "stairs", "stairs with pet", "oracle")


class Rules(NamedTuple):
    """What a task rewards, and when it ends.

    Attributes:
        reward: one of `REWARDS`: what is gained since the last step. "goal" is 1 at the goal.
        goal: one of `GOALS`; reaching it ends the episode.
        max_steps: the episode ends after so many.
        aborts: the limit is NLE's, which reports ABORTED and overrules the goal; else Gymnasium's.
        leaves_all: all prompts for one key are left to the agent, not only `LEFT_TO_AGENT`.
        blank: the glyph of a place that was not seen.
        pets: the first glyph of a pet, and the first after those.
        oracle: the glyph of the Oracle.
    """

    reward: str
    goal: str
    max_steps: int
    aborts: bool
    leaves_all: bool
    blank: int
    pets: tuple[int, int]
    oracle: int


class Arrays(NamedTuple):
    """The arrays that one game writes into, C-contiguous."""

    blstats: NDArray[np.int64]
    glyphs: NDArray[np.int16]
    message: NDArray[np.uint8]
    internal: NDArray[np.int32]


class Judge(Protocol):
    """Computes reward and end of episode of one game in Python, instead of `Rules.goal`, `reward`.

    The limit stays that of the rules, which must abort.
    """

    def begin(self) -> None:
        """Begin an episode: the game has just started."""

    def end(self, key: int, is_over: bool, is_cut: bool) -> int:
        """Return the status after a step.

        Args:
            key: that was pressed.
            is_over: the game itself has ended.
            is_cut: the limit is reached.
        """

    def reward(self, status: int) -> float:
        """Return the reward of the step, once per step and after `end`, which returned `status`."""


class Episode(NamedTuple):
    """An episode up to now.

    `depth` is the deepest level reached; `experience_level`, `turns` and `score` are as long as the
    hero lives.
    """

    status: int
    depth: int
    experience_level: int
    turns: int
    score: int
    episode_return: float
    episode_length: int


class Game:
    """One game, and what must be remembered of its last step."""

    def __init__(self, game: Any, arrays: Arrays, judge: Judge | None) -> None:
        self.arrays, self.judge = arrays, judge
        self.press, self.is_over, self.is_normal = game.step, game.done, game.in_normal_game

    def begin(self) -> None:
        """Forget the last episode: a game has just started."""
        self.frozen, self.status, self.steps, self.total = 0, RUNNING, 0, 0.0
        self.explored: dict[tuple[int, int], int] = {}
        self.depth = self.experience_level = self.turns = self.last_score = 0
        self.remember()
        if self.judge is not None:
            self.judge.begin()

    def remember(self) -> None:
        """Keep what the next reward is a difference to, and the statistics."""
        blstats = self.arrays.blstats
        self.score, self.gold, self.time = int(blstats[SCORE]), int(blstats[GOLD]), blstats[TURNS]
        self.nutrition = int(self.arrays.internal[NUTRITION])
        if blstats[DEPTH]:  # all zero once the game is over
            self.depth = max(self.depth, int(blstats[DEPTH]))
            self.experience_level = int(blstats[EXPERIENCE_LEVEL])
            self.turns, self.last_score = int(blstats[TURNS]), self.score

    def answer(self, leaves: tuple[bytes, ...]) -> bool:
        """Decline prompts, but those that contain one of `leaves`; return if the game is over."""
        internal = self.arrays.internal
        while not self.is_over():
            if internal[WAITS_FOR_SPACE]:
                self.press(SPACE)
            elif internal[IN_GETLIN]:
                self.press(ESCAPE)
            elif internal[IN_YN]:
                message = self.arrays.message.tobytes()
                if any(text in message for text in leaves):
                    return False
                self.press(ESCAPE)  # what comes next is left to the agent, too
                return bool(self.is_over())
            else:
                return False
        return True

    def is_at(self, goal: str, rules: Rules) -> bool:
        """Return whether the hero is where the task wants it."""
        arrays = self.arrays
        if goal == "none":
            return False
        if goal != "oracle" and not arrays.internal[STAIRS_DOWN]:
            return False
        if goal == "stairs":
            return True
        x, y = arrays.blstats[X], arrays.blstats[Y]
        near = arrays.glyphs[y - 1 : y + 2, x - 1 : x + 2]
        if goal == "oracle":
            return bool((near == rules.oracle).any())
        return bool(((near >= rules.pets[0]) & (near < rules.pets[1])).any())

    def gain(self, rules: Rules) -> float:
        """Return the reward of the step that was just taken."""
        blstats, kind = self.arrays.blstats, rules.reward
        if self.judge is not None:
            return self.judge.reward(self.status)
        if kind == "goal":
            return int(self.status == SUCCESSFUL) + self.penalty()
        if kind == "score":
            gained = int(blstats[SCORE]) - self.score
            return (gained if gained and self.is_normal() else 0) + self.penalty()
        if not self.is_normal():
            return 0.0
        if kind == "gold":
            gained = int(blstats[GOLD]) - self.gold
        elif kind == "eat":
            gained = max(0, int(self.arrays.internal[NUTRITION]) - self.nutrition)
        else:
            place = (int(blstats[DUNGEON]), int(blstats[LEVEL]))
            explored = int(np.count_nonzero(self.arrays.glyphs != rules.blank))
            gained = explored - self.explored.get(place, 0)
            self.explored[place] = explored
        return gained + self.penalty()

    def penalty(self) -> float:
        """Count the steps in which no time passes; return the penalty for it."""
        self.frozen = self.frozen + 1 if self.arrays.blstats[TURNS] == self.time else 0
        return FROZEN_PENALTY if self.frozen else 0.0


class Batch:
    """Games that are stepped together, each a row.

    Args:
        games: of `nle._pynethack.Nethack`.
        arrays: what each of them writes into.
        rules: of the task.
        rewards: float32 (games,), written by `step`.
        terminals: bool (games,), likewise.
        truncations: bool (games,), likewise.
        judges: of the games; None if the rules suffice.
    """

    def __init__(
        self,
        games: Sequence[Any],
        arrays: Sequence[Arrays],
        rules: Rules,
        rewards: NDArray[np.float32],
        terminals: NDArray[np.bool_],
        truncations: NDArray[np.bool_],
        judges: Sequence[Judge] | None = None,
    ) -> None:
        each_judge = [None] * len(games) if judges is None else judges
        self._games = [Game(*each) for each in zip(games, arrays, each_judge, strict=True)]
        self._rules = rules
        self._leaves = (b"",) if rules.leaves_all else LEFT_TO_AGENT
        self._rows: tuple[Array, ...] = (rewards, terminals, truncations)

    def begin(self, index: int) -> None:
        """Begin an episode: the game has just started."""
        self._games[index].begin()

    def quit(self, index: int) -> None:
        """Quit a game, so that it frees its memory; it may be over already."""
        game = self._games[index]
        if not game.answer(leaves=()):
            game.press(QUIT)
            game.press(YES)
            game.answer(leaves=())

    def step(self, keys: Sequence[int]) -> list[int]:
        """Press a key in each game; return the games whose episodes have ended.

        Those must be started again before the next step.
        """
        ended = []
        for index, (game, key) in enumerate(zip(self._games, keys, strict=True)):
            game.press(key)
            status = self._status(game, key, is_over=game.answer(self._leaves))
            is_cut = status == ABORTED
            game.status = RUNNING if is_cut and not self._rules.aborts else status
            reward = game.gain(self._rules)
            game.remember()
            game.total += reward
            rewards, terminals, truncations = self._rows
            rewards[index], terminals[index], truncations[index] = reward, status > 0, is_cut
            if status != RUNNING:
                ended.append(index)
        return ended

    def episode(self, index: int) -> Episode:
        """Return the episode of a game, up to now."""
        game = self._games[index]
        statistics = (game.depth, game.experience_level, game.turns, game.last_score)
        return Episode(game.status, *statistics, game.total, game.steps)

    def _status(self, game: Game, key: int, is_over: bool) -> int:
        """Count a step; return how it ended the episode, ABORTED for any limit."""
        rules = self._rules
        game.steps += 1
        is_cut = game.steps >= rules.max_steps
        if game.judge is not None:
            return game.judge.end(key, is_over, is_cut)
        if is_over:
            return DEATH
        if not (is_cut and rules.aborts) and game.is_at(rules.goal, rules):
            return SUCCESSFUL
        return ABORTED if is_cut else RUNNING
