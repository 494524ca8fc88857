"""Procgen games: one as a Gymnasium environment, many as a native one."""

import contextlib
import sys
import types
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Action, Array, Kwargs, Observation, Options, Rendered
from pufferlib.environment import Buffers, Info, PufferEnv, StepResult

_SEEDS = 2**31
_RESTART = -1  # an action: begin another level
_TIME_LIMITS = {"bigfish": 6000, "bossfight": 4000, "leaper": 500, "maze": 500, "plunder": 4000}
_OBSERVATIONS = gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8)
_ACTIONS = gymnasium.spaces.Discrete(15)


def game_options(game: str, mode: str, **kwargs: Any) -> Kwargs:
    """Return the arguments of `ProcgenGym3Env`; no threads, since they do not survive a fork."""
    return {"env_name": game, "distribution_mode": mode, "num_threads": 0, **kwargs}


def time_limit(options: Kwargs) -> int:
    """Return after how many steps the game with these options ends an episode."""
    if options["env_name"] == "jumper" and options["distribution_mode"] == "memory":
        return 2000
    return _TIME_LIMITS.get(options["env_name"], 1000)


class ProcgenGame(gymnasium.Env[Observation, Action]):
    """One game.

    Args:
        options: from `game_options`.
        render_mode: None or "rgb_array".
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(self, options: Kwargs, render_mode: str | None) -> None:
        self.observation_space, self.action_space = _OBSERVATIONS, _ACTIONS
        self.render_mode = render_mode
        self._options = dict(options, render_mode=render_mode)
        self._limit = time_limit(options)
        self._games: Any = None
        self._last = np.zeros(_OBSERVATIONS.shape, np.uint8)
        self._clock, self._is_fresh = 0, False

    def reset(
        self, *, seed: int | None = None, options: Options | None = None
    ) -> tuple[NDArray[np.uint8], Info]:
        """Start an episode; return (observation, {})."""
        super().reset(seed=seed)
        if seed is not None or self._games is None:
            self.close()
            self._games = _make_games(1, self._options, seed)
        elif not self._is_fresh:
            self._games.act(np.array([_RESTART]))
        self._see()
        self._clock, self._is_fresh = 0, True
        return self._last.copy(), {}

    def step(self, action: Action) -> tuple[NDArray[np.uint8], float, bool, bool, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        before = self._last
        self._games.act(np.array([action]))
        reward, is_over = self._see()
        self._clock += 1
        self._is_fresh = is_over
        if not is_over:
            if _restarted_games(self._games, self._options).size:
                self._clock = 0
            return self._last.copy(), reward, False, False, {}
        info = _reported(self._games.get_info()[0])
        is_cut = self._clock >= self._limit and not info["solved"]
        return before.copy(), reward, not is_cut, is_cut, info

    def render(self) -> Rendered:
        """Return the screen, uint8 (512, 512, 3); None without a render mode."""
        if self.render_mode is None or self._games is None:
            return None
        return self._games.get_info()[0]["rgb"].copy()

    def close(self) -> None:
        """Free the game."""
        if self._games is not None:
            self._games.close()
            self._games = None

    def _see(self) -> tuple[float, bool]:
        """Store the current observation; return (reward, whether an episode has started)."""
        rewards, observations, firsts = self._games.observe()
        self._last = observations["rgb"][0]
        return float(rewards[0]), bool(firsts[0])


class ProcgenGames(PufferEnv):
    """Many games, each a row, stepped in one call.

    Args:
        num_envs: how many.
        options: from `game_options`.
        buffers: rows to write into; allocated here if None.
    """

    def __init__(self, num_envs: int, options: Kwargs, buffers: Buffers | None = None) -> None:
        self.single_observation_space, self.single_action_space = _OBSERVATIONS, _ACTIONS
        self.num_agents = num_envs
        self._options, self._limit = options, time_limit(options)
        self._games: Any = None
        self._returns, self._lengths = np.zeros(num_envs), np.zeros(num_envs, np.int64)
        self._clocks = np.zeros(num_envs, np.int64)
        super().__init__(buffers)

    def reset(self, seed: int | None = None) -> tuple[Array, list[Info]]:
        """Start a new episode in every game; return (observations, [])."""
        if seed is not None or self._games is None:
            self.close()
            self._games = _make_games(self.num_agents, self._options, seed)
        else:
            self._games.act(np.full(self.num_agents, _RESTART))
        self.observations[:] = self._games.observe()[1]["rgb"]
        self.rewards[:], self.terminals[:], self.truncations[:] = 0, False, False
        self.masks[:] = True
        self._returns[:], self._lengths[:], self._clocks[:] = 0, 0, 0
        return self.observations, []

    def step(self, actions: Array) -> StepResult:
        """Step all games; return (observations, rewards, terminals, truncations, infos)."""
        self._games.act(actions)
        rewards, observations, firsts = self._games.observe()
        self.rewards[:] = rewards
        self._returns += rewards
        self._lengths += 1
        self._clocks += 1
        self.terminals[:], self.truncations[:] = False, False
        infos = self._end(np.flatnonzero(firsts)) if firsts.any() else []
        self._clocks[_restarted_games(self._games, self._options)] = 0
        self.observations[:] = observations["rgb"]
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def close(self) -> None:
        """Free the games."""
        if self._games is not None:
            self._games.close()
            self._games = None

    def _end(self, over: NDArray[np.intp]) -> list[Info]:
        """Write the ends of episodes while `observations` still holds the previous step."""
        self.final_observations[over] = self.observations[over]
        game_infos = self._games.get_info()
        infos = []
        for i in over:
            info = _reported(game_infos[i])
            is_cut = self._clocks[i] >= self._limit and not info["solved"]
            self.terminals[i], self.truncations[i] = not is_cut, is_cut
            info["episode_return"] = float(self._returns[i])
            info["episode_length"] = int(self._lengths[i])
            infos.append(info)
        self._returns[over], self._lengths[over], self._clocks[over] = 0, 0, 0
        return infos


def _reported(info: Info) -> Info:
    return {"solved": float(info["prev_level_complete"]), "level": int(info["prev_level_seed"])}


def _restarted_games(games: Any, options: Kwargs) -> NDArray[np.intp]:
    """Return the games whose clock has restarted within an episode.

    With `use_sequential_levels` an episode goes on where a level is completed.
    """
    if not options.get("use_sequential_levels"):
        return np.zeros(0, np.intp)
    return np.flatnonzero([info["prev_level_complete"] for info in games.get_info()])


def _make_games(count: int, options: Kwargs, seed: int | None) -> Any:
    """Return new games; there is no other way to seed them."""
    with _imported_without_gym():
        from procgen import ProcgenGym3Env

    games = ProcgenGym3Env(num=count, rand_seed=None if seed is None else seed % _SEEDS, **options)
    # cffi looks a function up under a lock, on first use. Garbage collected while others are made
    # would wait for it forever.
    _ = games._c_lib.libenv_close
    return games


@contextlib.contextmanager
def _imported_without_gym() -> Iterator[None]:
    """Import `procgen` with a stand-in for the part of `gym` that it registers names with.

    `gym` may not be installed, and prints a notice if it is. `procgen` also leaves a file open.
    """
    stand_in = types.ModuleType("gym.envs.registration")
    vars(stand_in)["register"] = lambda **_: None
    modules = {
        "gym": types.ModuleType("gym"),
        "gym.envs": types.ModuleType("gym.envs"),
        "gym.envs.registration": stand_in,
    }
    if "procgen" in sys.modules or "gym" in sys.modules:
        modules = {}
    sys.modules.update(modules)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "unclosed file .*version.txt", ResourceWarning)
            yield
    finally:
        for name in modules:
            del sys.modules[name]
