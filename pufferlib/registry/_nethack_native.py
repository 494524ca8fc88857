"""Many games of NetHack as one native environment, over NLE's own binding to its C code."""

import ctypes
import os
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
from nle import nethack

from pufferlib.annotations import Array
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.layout import Layout
from pufferlib.environment import Buffers, Info, PufferEnv, StepResult
from pufferlib.exceptions import CallOrderError
from pufferlib.registry import _nethack_batch_plain as plain
from pufferlib.registry._nethack_env import LARGEST_SEED, empty_records
from pufferlib.registry._nethack_sharing import share_segments

if TYPE_CHECKING or os.environ.get("PUFFERLIB_NO_EXTENSIONS", "") not in ("", "0"):
    from pufferlib.registry._nethack_batch_plain import Batch
else:
    try:
        from pufferlib.registry._nethack_batch import Batch
    except ModuleNotFoundError:  # installed without a compiler
        from pufferlib.registry._nethack_batch_plain import Batch

_SHORT = 50  # steps: after so short an episode, sharing the library costs more than it saves
_MOST_SCREENS = 1000  # before a game that can be played
_IN_MOVELOOP = 3  # in program_state
_NEEDED = ("blstats", "glyphs", "message", "internal", "program_state")


class Kind(NamedTuple):
    """What the games of a native environment have in common.

    Attributes:
        rules: of the task.
        status: its `StepStatus`.
        observations: what a row has, leaves of NLE.
        actions: the key that each action presses.
        options: of NetHack.
        character: who plays.
        spawns_monsters: NetHack makes monsters at random.
        written: observations that NetHack writes, whether a row has them or not.
        dungeon: NetHack's data file with the levels; NLE's own if None.
        make_judge: makes a game's judge, of the arrays that it writes into, by name; None if the
            rules suffice.
        make_rooms: called with a game's folder; returns a function that compiles the next level
            into it, with the seed if given.
    """

    rules: plain.Rules
    status: Any
    observations: gymnasium.spaces.Dict
    actions: tuple[int, ...]
    options: tuple[str, ...]
    character: str
    spawns_monsters: bool = True
    written: tuple[str, ...] = ()
    dungeon: bytes | None = None
    make_judge: Callable[[dict[str, Array]], plain.Judge] | None = None
    make_rooms: Callable[[str], Callable[[int | None], None]] | None = None


class NetHackGames(PufferEnv):
    """Games of one kind, each a row, that NetHack writes its observations into.

    Does what NLE does in Python, and `NetHackEpisode`: see there for seeds, limits and last
    screens. After a failure inside a call they can only be closed.

    Args:
        kind: of the games.
        num_envs: how many.
        share_library: share the read-only memory of the library, where that is possible.
        buffers: rows to write into; allocated here if None.

    Attributes:
        observation_layout: how an observation lies in its row; `unflatten` gives it back.
        action_layout: the same for actions.
    """

    def __init__(
        self, kind: Kind, num_envs: int, share_library: bool, buffers: Buffers | None = None
    ) -> None:
        self.observation_layout = Layout.of(kind.observations)
        self.action_layout = ActionLayout.of(gymnasium.spaces.Discrete(len(kind.actions)))
        self.single_observation_space = self.observation_layout.space
        self.single_action_space = self.action_layout.space
        self.num_agents = self.num_seeds = num_envs
        self._kind, self._keys = kind, np.array(kind.actions)
        self._shares = share_library
        self._checked: set[int] = set()  # games whose copies of the library are known to be equal
        self._games: list[Any] = []
        self._rooms: list[Callable[[int | None], None]] = []
        self._is_playing = False  # they have been reset
        self._is_broken = False  # a call failed midway
        self._is_running = [False] * num_envs
        self._generators: list[np.random.Generator | None] = [None] * num_envs
        # Frees them, where this is dropped without `close`.
        self._close = weakref.finalize(self, _close_all, self._games)
        super().__init__(buffers)

    def bind(self, buffers: Buffers) -> None:
        """Write into these rows from now on.

        Raises:
            CallOrderError: they are closed, or a call failed midway.
        """
        self._check_usable()
        super().bind(buffers)
        self._is_playing = False
        if any(self._is_running):  # games that have started keep their arrays
            _close_all(self._games)
            self._is_running = [False] * self.num_agents
            self._checked.clear()
        if not self._games:
            for _ in range(self.num_agents):
                self._games.append(self._make_game())
            make_rooms = self._kind.make_rooms
            if make_rooms is not None:
                self._rooms = [make_rooms(game._vardir) for game in self._games]
        connected = [self._connect(row, game) for row, game in enumerate(self._games)]
        self._program_states = [arrays["program_state"] for arrays in connected]
        make_judge = self._kind.make_judge
        self._batch = Batch(
            [game._pynethack for game in self._games],
            [plain.Arrays(*(each[key] for key in plain.Arrays._fields)) for each in connected],
            self._kind.rules,
            self.rewards,
            self.terminals,
            self.truncations,
            None if make_judge is None else [make_judge(arrays) for arrays in connected],
        )

    def reset(self, seed: int | None = None) -> tuple[Array, list[Info]]:
        """Start a new episode in every game; return (observations, []).

        Args:
            seed: of the first game, from which the others count; of this episode and those after.

        Raises:
            CallOrderError: they are closed, or a call failed midway.
        """
        self._check_usable()
        try:
            for index in range(self.num_agents):
                if seed is not None:
                    self._generators[index] = np.random.default_rng(seed + index)
                self._begin(index)
        except BaseException:
            self._is_playing, self._is_broken = False, True
            raise
        self._is_playing = True
        self.rewards[:], self.terminals[:], self.truncations[:] = 0, False, False
        self.masks[:] = True
        return self.observations, []

    def step(self, actions: Array) -> StepResult:
        """Step all games; return (observations, rewards, terminals, truncations, infos).

        Raises:
            CallOrderError: before `reset`; they are closed, or a call failed midway.
        """
        if not self._is_playing:
            self._check_usable()
            raise CallOrderError("step before reset. Call reset first.")
        keys = self._keys[actions].tolist()
        try:
            ended = self._batch.step(keys)
            infos = [self._end(index) for index in ended]
        except BaseException:
            self._is_playing, self._is_broken = False, True
            raise
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def close(self) -> None:
        """Free the games: their memory, their copies of the library, their folders."""
        self._is_playing = False
        self._close()

    def _check_usable(self) -> None:
        if not self._close.alive:
            raise CallOrderError("The games are closed. Make a new environment.")
        if self._is_broken:
            raise CallOrderError(
                "An earlier call failed midway, so the games can only be closed. Close this "
                "environment and make a new one."
            )

    def _make_game(self) -> Any:
        kind = self._kind
        game = nethack.Nethack(
            observation_keys=(),
            options=kind.options,
            playername="Agent-" + kind.character,
            ttyrec=None,
            spawn_monsters=kind.spawns_monsters,
        )
        if kind.dungeon is not None:
            data = Path(game._vardir, "nhdat")
            data.unlink()  # a link to NLE's own
            if self._games:
                data.symlink_to(Path(self._games[0]._vardir, "nhdat"))  # closed last
            else:
                data.write_bytes(kind.dungeon)
        return game

    def _connect(self, row: int, game: Any) -> dict[str, Array]:
        """Let a game write into a row; return its arrays, by name."""
        layout, arrays = self.observation_layout, {}
        for field, view in zip(layout.fields, layout.views(self.observations[row]), strict=True):
            key = str(field.leaf.path[0])
            # NLE compares dtypes by identity, and those of views may be copies.
            arrays[key] = view.view(np.dtype(nethack.OBSERVATION_DESC[key]["dtype"]))
        for key in (*_NEEDED, *self._kind.written):
            if key not in arrays and (key != "glyphs" or _sees_glyphs(self._kind.rules)):
                arrays[key] = np.zeros(**nethack.OBSERVATION_DESC[key])
        game._pynethack.set_buffers(**arrays)
        arrays.setdefault("glyphs", np.zeros(**nethack.OBSERVATION_DESC["glyphs"]))
        return arrays

    def _begin(self, index: int, may_share: bool = True) -> None:
        """Quit a game that is running, and start the next one."""
        game = self._games[index]
        if self._is_running[index]:
            self._batch.quit(index)
        empty_records(game._vardir)
        self._is_running[index] = True
        generator, level = self._generators[index], None
        if generator is not None:
            core, display, level = generator.integers(LARGEST_SEED, size=3).tolist()
            game._pynethack.set_initial_seeds(core, display, False, level)
        if self._rooms:
            self._rooms[index](level)
        while not self._reaches_play(index):
            warnings.warn(f"Not in moveloop after {_MOST_SCREENS} tries, aborting.", stacklevel=2)
        if self._shares and may_share:
            try:
                self._shares = share_segments(game.dlpath, is_checked=index in self._checked)
            except MemoryError:  # part of the library may be missing
                self._games.remove(game)
                _abandon(game)
                raise
            self._checked.add(index)
        self._batch.begin(index)

    def _reaches_play(self, index: int) -> bool:
        """Start a game, and pass the screens before it."""
        game = self._games[index]._pynethack
        game.reset()
        for _ in range(_MOST_SCREENS):
            if self._program_states[index][_IN_MOVELOOP]:
                return True
            game.step(plain.SPACE)
        return False

    def _end(self, index: int) -> Info:
        """Write the last observation of an episode, start the next one; return its info."""
        self.final_observations[index] = self.observations[index]
        episode = self._batch.episode(index)
        game = self._games[index]
        info = {
            "end_status": self._kind.status(episode.status),
            "is_ascended": game.how_done() == nethack.ASCENDED,
            "depth": episode.depth,
            "experience_level": episode.experience_level,
            "turns": episode.turns,
            "score": episode.score,
        }
        if self._kind.rules.goal != "none":
            info["success"] = episode.status == plain.SUCCESSFUL
        info["episode_return"] = episode.episode_return
        info["episode_length"] = episode.episode_length
        self._begin(index, may_share=episode.episode_length >= _SHORT)
        return info


def _abandon(game: Any) -> None:
    """Free what a game has besides its library, which is neither called nor unloaded any more.

    The library's file stays open, too. The loader knows the library by the number of the file, and
    NLE ends the process where a new game's library has the number of one that is loaded.
    """
    _, file, folder = game._finalizer.detach()[2]
    for kept in (game._pynethack, file):  # freeing the first would unload the library
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    folder.cleanup()


def _close_all(games: list[Any]) -> None:
    while games:
        games.pop().close()


def _sees_glyphs(rules: plain.Rules) -> bool:
    return rules.reward == "scout" or rules.goal in ("stairs with pet", "oracle")
