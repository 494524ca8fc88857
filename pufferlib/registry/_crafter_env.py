"""Crafter as a Gymnasium environment that is deterministic under a seed."""

import collections
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Action, Observation, Options, Rendered
from pufferlib.environment import Info


@contextlib.contextmanager
def _gym_left_out() -> Iterator[None]:
    """Keep `crafter` from importing `gym`, which it can do without and which prints a notice."""
    is_loaded = "gym" in sys.modules
    if not is_loaded:
        sys.modules["gym"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not is_loaded:
            del sys.modules["gym"]


with _gym_left_out():
    import crafter
    from crafter.engine import World


class _InOrder(dict[object, None]):
    """A set that is iterated in the order of insertion."""

    def add(self, item: object) -> None:
        self[item] = None

    def remove(self, item: object) -> None:
        del self[item]


class _SeededWorld(World):
    """A world whose creatures are visited in an order that depends on the seed alone."""

    def reset(self, seed: int | None = None) -> None:
        super().reset(seed)
        self._chunks: Any = collections.defaultdict(_InOrder)


class CrafterGame(gymnasium.Env[Observation, Action]):
    """Crafter; reports at the end of an episode which achievements were unlocked.

    Args:
        render_mode: None or "rgb_array".
        **kwargs: passed to `crafter.Env`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(self, render_mode: str | None, **kwargs: Any) -> None:
        self.render_mode = render_mode
        self._game = crafter.Env(**kwargs)
        self._game._world.__class__ = _SeededWorld
        width, height, channels = self._game.observation_space.shape
        shape = (height, width, channels)  # dtype of its images, whatever it declares
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self.action_space = gymnasium.spaces.Discrete(self._game.action_space.n)

    def reset(
        self, *, seed: int | None = None, options: Options | None = None
    ) -> tuple[NDArray[np.uint8], Info]:
        """Start an episode in a new world; return (observation, {})."""
        super().reset(seed=seed)
        if seed is not None:
            self._game._seed, self._game._episode = int(seed), 0
        return self._game.reset(), {}

    def step(self, action: Action) -> tuple[NDArray[np.uint8], float, bool, bool, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        observation, reward, is_over, info = self._game.step(int(action))
        is_dead = bool(info["discount"] == 0)
        info = _unlocked(info["achievements"]) if is_over else {}
        return observation, float(reward), is_dead, bool(is_over) and not is_dead, info

    def render(self) -> Rendered:
        """Return a picture, uint8 (512, 512, 3); None without a render mode.

        Raises:
            ResetNeeded: there is no world yet.
        """
        if self.render_mode is None:
            return None
        if self._game._player is None:
            raise gymnasium.error.ResetNeeded("There is no world: call reset() before render().")
        random = self._game._world.random
        state = random.get_state()  # the night's noise is drawn with the world's own generator
        picture = self._game.render((512, 512))
        random.set_state(state)
        return picture


def _unlocked(counts: dict[str, int]) -> Info:
    is_unlocked = {f"achievement_{name}": float(count > 0) for name, count in counts.items()}
    return dict(is_unlocked, achievements=sum(is_unlocked.values()))
