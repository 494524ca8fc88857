"""Slime Volleyball as a Gymnasium environment, drawn without a display."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Action, Array, Observation, Options, Rendered, Space
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


_package = _import()
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
    saved = {name: getattr(_package, name) for name in _DRAWING}
    _package.setPixelObsMode()
    try:
        yield
    finally:
        for name, value in saved.items():
            setattr(_package, name, value)


class SlimeGame(gymnasium.Env[Observation, Action]):
    """Play the right side against the package's built-in opponent.

    Args:
        is_pixels: observe the screen.
        is_discrete: act by one of six numbers.
        survival_reward: added in each step.
        max_steps: truncates a game.
        render_mode: None or "rgb_array".
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
        self._is_pixels, self._survival_reward = is_pixels, survival_reward
        self._max_steps, self._steps = max_steps, 0
        bound = np.finfo(np.float32).max
        self.observation_space = gymnasium.spaces.Box(-bound, bound, (12,), np.float32)
        if is_pixels:
            shape = (_package.PIXEL_HEIGHT, _package.PIXEL_WIDTH, 3)
            self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self.action_space: Space = gymnasium.spaces.MultiBinary(3)
        self._buttons: list[list[int]] | None = None
        if is_discrete:
            self._buttons = _package.SlimeVolleyEnv.action_table
            self.action_space = gymnasium.spaces.Discrete(len(self._buttons))
        self._opponent = _package.BaselinePolicy()
        self._game: Any = None

    def reset(
        self, *, seed: int | None = None, options: Options | None = None
    ) -> tuple[Array, Info]:
        """Start a game; return (observation, {})."""
        super().reset(seed=seed)
        with _as_pixels() if self._is_pixels else contextlib.nullcontext():
            self._game = _package.Game(np_random=self.np_random)
        self._opponent.reset()
        self._steps = 0
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
        if self.render_mode is None:
            return None
        if self._game is None:
            raise gymnasium.error.ResetNeeded("There is no game yet: call reset() before render().")
        return self._draw()

    def _observe(self) -> Array:
        if self._is_pixels:
            return _package.downsize_image(self._draw())
        return np.array(self._game.agent_right.getObservation(), np.float32)

    def _draw(self) -> NDArray[np.uint8]:
        with _as_pixels():
            picture: NDArray[np.uint8] = self._game.display(None)
        return picture
