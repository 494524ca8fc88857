"""Wrappers for level-based foraging: truncation, seeded placement, rendering."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box
from lbforaging.foraging import ForagingEnv

from pufferlib.annotations import (
    Action,
    Array,
    GymnasiumEnv,
    GymnasiumReset,
    GymnasiumStep,
    GymnasiumWrapper,
    Options,
    Rendered,
    Space,
)

_SIDE = 24  # of a cell in the picture, in pixels
_FOOD, _AGENT = np.array([40, 160, 40]), np.array([40, 80, 200])


class Foraging(ForagingEnv):
    """Foraging whose grid observations have a space of the right shape."""

    def _get_observation_space(self) -> Space:
        if not self._grid_observation:
            return super()._get_observation_space()
        side = 2 * self.sight + 1
        levels = sorted(self.max_player_level)
        most_food = sum(levels[:3]) if self.max_food_level is None else max(self.max_food_level)
        most_level = levels[-1] if self._observe_agent_levels else 1
        most = np.array([most_level, most_food, 1], np.float32)
        high = np.broadcast_to(most[:, None, None], (3, side, side))
        return Box(np.zeros_like(high), high, dtype=np.float32)


class ForagingEpisode(GymnasiumWrapper):
    """Report the time limit as truncation, and render without a display.

    The environment reports it as terminated. It places agents one after another on free cells, and
    counts cells as taken where agents stood at the end of the previous episode; here they are free,
    so an episode depends on the seed alone.
    """

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(self, env: GymnasiumEnv, render_mode: str | None) -> None:
        super().__init__(env)
        world: Any = env.unwrapped
        world.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> GymnasiumReset:
        """Start an episode; return (observations, info)."""
        world: Any = self.env.unwrapped
        for player in world.players:
            player.position = None
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Action) -> GymnasiumStep:
        """Take one step; return (observations, rewards, terminated, truncated, info)."""
        observations, rewards, is_over, _, info = self.env.step(action)
        world: Any = self.env.unwrapped
        left = int(world.field.sum())
        if is_over:
            info = dict(info, food_gathered=1 - left / float(world._food_spawned))
        return observations, rewards, is_over and not left, is_over and left > 0, info

    def render(self) -> Rendered:
        """Return a picture, uint8 (height, width, 3); None without a render mode."""
        if self.render_mode is None:
            return None
        world: Any = self.env.unwrapped
        picture = np.full((*world.field.shape, 3), 255.0)
        food = world.field > 0
        picture[food] = _shade(_FOOD, world.field[food])
        for player in world.players:
            picture[player.position] = _shade(_AGENT, np.array(player.level))
        cells = np.kron(picture.astype(np.uint8), np.ones((_SIDE, _SIDE, 1), np.uint8))
        cells[::_SIDE] = cells[:, ::_SIDE] = 0  # lines
        return cells


def _shade(color: Array, level: Array) -> Array:
    """Return a color for each level, darker for a higher one."""
    return color * (1 / (1 + 0.25 * (level - 1)))[..., None]
