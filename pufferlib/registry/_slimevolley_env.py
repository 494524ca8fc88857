"""Slime Volleyball for one player or two, drawn without a display."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
from numpy.typing import NDArray

from pufferlib.annotations import (
    Action,
    Array,
    Observation,
    Options,
    ParallelReset,
    ParallelStep,
    Rendered,
    Space,
)
from pufferlib.environment import Info


def _import() -> Any:
    """Import the package without the notice of `gym`, and restore NumPy's print options.

    `gym` prints what `gym_notices` has for its version.
    """
    printed = np.get_printoptions()
    notices: dict[str, str] = importlib.import_module("gym_notices.notices").notices
    saved = dict(notices)
    if "gym" not in sys.modules:
        notices.clear()
    try:
        return importlib.import_module("slimevolleygym.slimevolley")
    finally:
        notices.update(saved)
        np.set_printoptions(**printed)


package = _import()
_DRAWING = (  # what the package's setPixelObsMode changes, for the process
    "PIXEL_MODE",
    "WINDOW_WIDTH",
    "WINDOW_HEIGHT",
    "FACTOR",
    "AGENT_LEFT_COLOR",
    "AGENT_RIGHT_COLOR",
)


@contextlib.contextmanager
def _as_pixels() -> Iterator[None]:
    """Let the package draw into arrays inside the block; otherwise it opens windows."""
    saved = {name: getattr(package, name) for name in _DRAWING}
    package.setPixelObsMode()
    try:
        yield
    finally:
        for name, value in saved.items():
            setattr(package, name, value)


class SlimeGame(gymnasium.Env[Observation, Action]):
    """Play the right side against the package's built-in opponent.

    Args:
        is_pixels: observe the screen.
        is_discrete: act by one of six numbers.
        survival_reward: added in each step.
        max_steps: truncates a game.
        render_mode: None or "rgb_array".

    Attributes:
        survival_reward: the same, of the games that begin from now on.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(
        self,
        is_pixels: bool,
        is_discrete: bool,
        survival_reward: float,
        max_steps: int,
        render_mode: str | None,
    ) -> None:
        self.render_mode = render_mode
        self._is_pixels = is_pixels
        self.survival_reward = self._survival_reward = survival_reward
        self._max_steps, self._steps = max_steps, 0
        self.observation_space: Space = state_space()
        if is_pixels:
            shape = (package.PIXEL_HEIGHT, package.PIXEL_WIDTH, 3)
            self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self.action_space: Space = gymnasium.spaces.MultiBinary(3)
        self._buttons: list[list[int]] | None = None
        if is_discrete:
            self._buttons = package.SlimeVolleyEnv.action_table
            self.action_space = gymnasium.spaces.Discrete(len(self._buttons))
        self._opponent = package.BaselinePolicy()
        self._game: Any = None

    def reset(
        self, *, seed: int | None = None, options: Options | None = None
    ) -> tuple[Array, Info]:
        """Start a game; return (observation, {})."""
        super().reset(seed=seed)
        with _as_pixels() if self._is_pixels else contextlib.nullcontext():
            self._game = package.Game(np_random=self.np_random)
        self._opponent.reset()
        self._steps, self._survival_reward = 0, self.survival_reward
        return self._observe(), {}

    def step(self, action: Action) -> tuple[Array, float, bool, bool, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        game = self._game
        game.agent_left.setAction(self._opponent.predict(game.agent_left.getObservation()))
        game.agent_right.setAction(action if self._buttons is None else self._buttons[int(action)])
        reward = float(game.step()) + self._survival_reward
        self._steps += 1
        lives = {"lives": game.agent_right.life, "opponent_lives": game.agent_left.life}
        terminated = min(lives.values()) <= 0
        truncated = self._steps >= self._max_steps and not terminated
        return self._observe(), reward, terminated, truncated, lives

    def render(self) -> Rendered:
        """Return a picture, uint8 (336, 672, 3); None without a render mode.

        Raises:
            ResetNeeded: there is no game yet.
        """
        return None if self.render_mode is None else _draw(self._game)

    def _observe(self) -> Array:
        if self._is_pixels:
            return package.downsize_image(_draw(self._game))
        return np.array(self._game.agent_right.getObservation(), np.float32)


class SlimeMatch(pettingzoo.ParallelEnv[str, Observation, Action]):
    """Play both sides. Each sees the court as if it were its own half.

    Args:
        max_steps: truncates a game.
        render_mode: None or "rgb_array".
    """

    metadata = {"name": "slimevolley", "render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(self, max_steps: int, render_mode: str | None) -> None:
        self.render_mode = render_mode
        self.possible_agents, self.agents = ["left", "right"], list[str]()
        self._max_steps, self._steps = max_steps, 0
        self._observation_space = state_space()
        self._action_spaces = {
            agent: gymnasium.spaces.MultiBinary(3) for agent in self.possible_agents
        }
        self._random = np.random.default_rng()
        self._game: Any = None

    def observation_space(self, agent: str) -> Space:
        """Return the observation space, the same object for both."""
        return self._observation_space

    def action_space(self, agent: str) -> Space:
        """Return the agent's action space, the same object on every call."""
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: Options | None = None) -> ParallelReset[str]:
        """Start a game; return (observations, infos)."""
        if seed is not None:
            self._random = gymnasium.utils.seeding.np_random(seed)[0]
        self._game, self._steps = package.Game(np_random=self._random), 0
        self.agents = list(self.possible_agents)
        return self._observe(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Action]) -> ParallelStep[str]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        game, playing = self._game, self.agents
        game.agent_left.setAction(actions["left"])
        game.agent_right.setAction(actions["right"])
        reward = float(game.step())
        self._steps += 1
        lives = {"left": game.agent_left.life, "right": game.agent_right.life}
        terminated = min(lives.values()) <= 0
        truncated = self._steps >= self._max_steps and not terminated
        if terminated or truncated:
            self.agents = []
        return (
            self._observe(),
            {"left": -reward, "right": reward},
            dict.fromkeys(playing, terminated),
            dict.fromkeys(playing, truncated),
            {
                one: {"lives": lives[one], "opponent_lives": lives[other]}
                for one, other in (("left", "right"), ("right", "left"))
            },
        )

    def render(self) -> Rendered:
        """Return a picture, uint8 (336, 672, 3); None without a render mode.

        Raises:
            ResetNeeded: there is no game yet.
        """
        return None if self.render_mode is None else _draw(self._game)

    def close(self) -> None:
        """Do nothing: a game has only memory."""

    def _observe(self) -> dict[str, Observation]:
        agents = {"left": self._game.agent_left, "right": self._game.agent_right}
        return {
            name: np.array(agent.getObservation(), np.float32) for name, agent in agents.items()
        }


class Baseline:
    """The package's own player, a small recurrent network, for either side."""

    def __init__(self) -> None:
        self._policy = package.BaselinePolicy()

    def reset(self) -> None:
        """Forget the game."""
        self._policy.reset()

    def __call__(self, observation: Array) -> list[int]:
        """Return an action for an observation, (12,)."""
        action: list[int] = self._policy.predict(observation)
        return action


def state_space() -> gymnasium.spaces.Box:
    """Return the observation space of one player."""
    bound = np.finfo(np.float32).max
    return gymnasium.spaces.Box(-bound, bound, (12,), np.float32)


def _draw(game: Any) -> NDArray[np.uint8]:
    if game is None:
        raise gymnasium.error.ResetNeeded("There is no game yet: call reset() before render().")
    with _as_pixels():
        picture: NDArray[np.uint8] = game.display(None)
    return picture
