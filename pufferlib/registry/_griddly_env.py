"""Griddly games as Gymnasium and PettingZoo environments: seeds, time limits, rendering."""

import colorsys
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
from numpy.typing import NDArray

from pufferlib.annotations import (
    Action,
    AnySpace,
    Observation,
    Options,
    ParallelStep,
    Rendered,
    Space,
)
from pufferlib.arguments import whole_number
from pufferlib.environment import Info

_LARGEST_SEED = 2**31 - 1
_CELL_PIXELS = 10


def make_game(
    name: str, level: int, max_steps: int, render_mode: str | None
) -> "Game | SharedGame":
    """Return the game that griddly registers as `name`, of one player or of several.

    Raises:
        ArgumentError: no such level, or less than one step.
    """
    griddly = _griddly()
    from gym.envs import registration

    file = registration.registry[name].kwargs["yaml_file"]
    count = griddly.GriddlyLoader().load(file).get_level_count()
    # Given any other number the engine raises, and freeing the half-made game ends the process.
    level = whole_number(f"level of {name}", level, least=0, most=count - 1)
    max_steps = whole_number("max_steps", max_steps)
    game = griddly.GymWrapper(file, level=level)
    game.reset()  # spaces are known from then on
    kind = Game if game.player_count == 1 else SharedGame
    return kind(game, max_steps, render_mode)


def _griddly() -> ModuleType:
    """Import griddly, and with it gym, which would print a deprecation notice."""
    from gym_notices import notices

    kept, notices.notices = notices.notices, {}
    try:
        import griddly
    finally:
        notices.notices = kept
    return griddly


class _Clock:
    """What both kinds of game share: seed each episode, truncate it, render it."""

    def __init__(self, game: Any, max_steps: int, render_mode: str | None) -> None:
        self.game = game
        self._max_steps = max_steps
        self._steps = 0
        self._is_drawn = render_mode is not None

    def begin(self, random: np.random.Generator) -> Observation:
        """Start an episode with a new seed; return Griddly's observations."""
        self._steps = 0
        self.game.game.seed(int(random.integers(_LARGEST_SEED)))
        return self.game.reset()

    def step(self, action: Action) -> tuple[Observation, Any, bool, bool, dict[str, str]]:
        """Return (observations, rewards, terminated, truncated, results by number of player)."""
        observations, rewards, terminated, info = self.game.step(action)
        self._steps += 1
        truncated = not terminated and self._steps >= self._max_steps
        return observations, rewards, bool(terminated), truncated, info.get("PlayerResults", {})

    def draw(self) -> NDArray[np.uint8] | None:
        """Return uint8 (h, w, 3), a color for each kind of object, or None."""
        if not self._is_drawn:
            return None
        objects = np.array(self.game.game.observe())[: len(self.game.object_names)]  # (kinds, w, h)
        kinds = np.where(objects.any(0), 1 + objects.argmax(0), 0).T
        picture = _palette(len(objects))[kinds]
        return picture.repeat(_CELL_PIXELS, 0).repeat(_CELL_PIXELS, 1)


class Game(gymnasium.Env[Observation, Action]):
    """A game of one player.

    Args:
        game: a griddly.GymWrapper.
        max_steps: an episode is truncated after so many.
        render_mode: "rgb_array" or None.
    """

    def __init__(self, game: Any, max_steps: int, render_mode: str | None) -> None:
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
        self.render_mode = render_mode
        self._clock = _Clock(game, max_steps, render_mode)
        self.observation_space = _planes(game.observation_space)
        self.action_space = _choices(game.action_space)

    def reset(
        self, *, seed: int | None = None, options: Options | None = None
    ) -> tuple[NDArray[np.uint8], Info]:
        """Start an episode; return (observation, {})."""
        super().reset(seed=seed)
        return _copy(self._clock.begin(self.np_random)), {}

    def step(self, action: Action) -> tuple[NDArray[np.uint8], float, bool, bool, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        observation, reward, terminated, truncated, results = self._clock.step(action)
        info = {"win": results.get("1") == "Win"} if terminated or truncated else {}
        return _copy(observation), float(reward), terminated, truncated, info

    def render(self) -> Rendered:
        """Return uint8 (h, w, 3), a color for each kind of object, or None."""
        return self._clock.draw()

    def close(self) -> None:
        """Free Griddly's resources."""
        self._clock.game.close()


class SharedGame(pettingzoo.ParallelEnv[str, NDArray[np.uint8], Action]):
    """A game of several players, "player_1" and so on, whose episodes end together.

    Args:
        game: a griddly.GymWrapper.
        max_steps: an episode is truncated after so many.
        render_mode: "rgb_array" or None.
    """

    def __init__(self, game: Any, max_steps: int, render_mode: str | None) -> None:
        self.metadata = {"name": "griddly", "render_modes": ["rgb_array"], "render_fps": 10}
        self.render_mode = render_mode
        self._clock = _Clock(game, max_steps, render_mode)
        self.possible_agents = [f"player_{number + 1}" for number in range(game.player_count)]
        self.agents: list[str] = []
        self._observation_space = _planes(game.observation_space[0])
        self._action_spaces = {
            agent: _choices(space)
            for agent, space in zip(self.possible_agents, game.action_space, strict=True)
        }
        self._random = np.random.default_rng()

    def observation_space(self, agent: str) -> gymnasium.spaces.Box:
        """Return the observation space, the same object for every agent."""
        return self._observation_space

    def action_space(self, agent: str) -> Space:
        """Return the agent's action space, the same object on every call."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> tuple[dict[str, NDArray[np.uint8]], dict[str, Info]]:
        """Start an episode; return (observations, empty infos)."""
        if seed is not None:
            self._random = np.random.default_rng(seed)
        self.agents = self.possible_agents[:]
        observations = self._by_agent(self._clock.begin(self._random))
        return observations, {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Action]) -> ParallelStep[str]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        given = [actions[agent] for agent in self.possible_agents]
        observations, rewards, terminated, truncated, results = self._clock.step(given)
        agents = self.possible_agents
        is_over = terminated or truncated
        if is_over:
            self.agents = []
        return (
            self._by_agent(observations),
            {agent: float(reward) for agent, reward in zip(agents, rewards, strict=True)},
            dict.fromkeys(agents, terminated),
            dict.fromkeys(agents, truncated),
            {
                agent: {"win": results.get(agent.removeprefix("player_")) == "Win"}
                if is_over
                else {}
                for agent in agents
            },
        )

    def render(self) -> Rendered:
        """Return uint8 (h, w, 3), a color for each kind of object, or None."""
        return self._clock.draw()

    def close(self) -> None:
        """Free Griddly's resources."""
        self._clock.game.close()

    def _by_agent(self, observations: Observation) -> dict[str, NDArray[np.uint8]]:
        return {
            agent: _copy(observation)
            for agent, observation in zip(self.possible_agents, observations, strict=True)
        }


def _palette(kinds: int) -> NDArray[np.uint8]:
    """Return dark gray and `kinds` colors of distinct hues, uint8 (1 + kinds, 3)."""
    hues = [colorsys.hsv_to_rgb(kind / kinds, 0.75, 1.0) for kind in range(kinds)]
    return (np.array([(0.15, 0.15, 0.15), *hues]) * 255).astype(np.uint8)


def _copy(observation: Observation) -> NDArray[np.uint8]:
    """Return a copy of an observation, which Griddly overwrites in the next step."""
    return np.array(observation, np.uint8)


def _planes(space: AnySpace) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(0, 255, tuple(space.shape), np.uint8)


def _choices(space: AnySpace) -> Space:
    if hasattr(space, "nvec"):
        return gymnasium.spaces.MultiDiscrete(np.array(space.nvec))
    return gymnasium.spaces.Discrete(int(space.n))
