"""One game of MicroRTS, driven through the Java client directly."""

from collections.abc import Sequence

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array, Observation, Options, Rendered
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError
from pufferlib.registry._microrts_java import (
    PARTS,
    PLANES,
    REWARDS,
    SELF,
    Memory,
    make_client,
    map_size,
    start_java,
)

_OWNERS, _KINDS = slice(10, 13), slice(13, 21)
_NOTHING = (0, 5, 10, 13, 21)  # the first of each kind of plane
_STATISTICS = ("gathered", "workers", "buildings", "attacks", "combat_units")  # after WinLoss
_CELL_PIXELS = 16
# Nothing, resource, base, barracks, worker, light, heavy, ranged: how far from the cell's border.
_INSETS = (8, 0, 1, 3, 6, 5, 4, 5)
_COLORS = np.array([(64, 160, 64), (64, 96, 255), (255, 64, 64)], np.uint8)  # neutral, own, other
_GROUND = 40


class Game(gymnasium.Env[Observation, Array]):
    """A game against one bot, until one side has no units or time is up.

    The client that gym_microrts uses starts the next game before it returns the last observation
    of the current one. This class uses the client below it.

    Args:
        opponent: a function of gym_microrts.microrts_ai.
        map_path: of an XML file, relative to those of gym_microrts.
        max_steps: a game is truncated after so many.
        reward_weight: six numbers, see `make_env`.
        render_mode: "rgb_array" or None.
    """

    def __init__(
        self,
        opponent: str,
        map_path: str,
        max_steps: int,
        reward_weight: Sequence[float],
        render_mode: str | None,
    ) -> None:
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 30}
        self.render_mode = render_mode
        self._max_steps = max_steps
        self._weight = checked_weight(reward_weight)
        size = map_size(map_path)
        self.observation_space, self.action_space = observation_space(size), action_space(size)
        start_java()
        self._memory = Memory.allocate(1, size)
        self._client = make_client(opponent, map_path, self._memory)
        self._steps = 0
        self._sums = np.zeros(len(REWARDS))

    def reset(
        self, *, seed: int | None = None, options: Options | None = None
    ) -> tuple[dict[str, Array], Info]:
        """Start a game; return (observation, {})."""
        super().reset(seed=seed)
        self._client.reset(SELF)
        fill_empty_cells(self._memory.planes[0])
        self._steps = 0
        self._sums[:] = 0
        return self._observe(), {}

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        self._memory.actions[0] = action.reshape(-1, len(PARTS))
        response = self._client.gameStep(SELF)
        rewards = np.array(response.reward)
        self._steps += 1
        self._sums += rewards
        terminated = bool(response.done[0])
        truncated = not terminated and self._steps >= self._max_steps
        info = statistics_of(self._sums) if terminated or truncated else {}
        reward = float(rewards @ self._weight)
        return self._observe(), reward, terminated, truncated, info

    def render(self) -> Rendered:
        """Return a picture, see `draw`; None without a render mode."""
        return draw(self._memory.planes[0]) if self.render_mode else None

    def close(self) -> None:
        """Free the game. Java stays: it cannot be started twice in one process."""
        self._client.close()

    def _observe(self) -> dict[str, Array]:
        self._client.getMasks(SELF)
        return {
            "observation": self._memory.planes[0].astype(np.uint8),
            "action_mask": self._memory.masks[0].reshape(-1, sum(PARTS)).astype(np.uint8),
        }


def observation_space(size: tuple[int, int]) -> gymnasium.spaces.Dict:
    """Return the observation space for a map of `size` (height, width)."""
    cells = size[0] * size[1]
    return gymnasium.spaces.Dict(
        {
            "observation": gymnasium.spaces.Box(0, 1, (*size, PLANES), np.uint8),
            "action_mask": gymnasium.spaces.Box(0, 1, (cells, sum(PARTS)), np.uint8),
        }
    )


def action_space(size: tuple[int, int]) -> gymnasium.spaces.MultiDiscrete:
    """Return the action space for a map of `size` (height, width)."""
    return gymnasium.spaces.MultiDiscrete(np.tile(PARTS, size[0] * size[1]))


def checked_weight(weight: Sequence[float]) -> NDArray[np.float64]:
    """Return `weight` as an array, of a number for each of `REWARDS`.

    Raises:
        ArgumentError: it has more or fewer.
    """
    if len(weight) != len(REWARDS):
        raise ArgumentError(
            f"reward_weight must be {len(REWARDS)} numbers, for {', '.join(REWARDS)}; got "
            f"{weight!r}."
        )
    return np.array(weight, float)


def fill_empty_cells(planes: NDArray[np.int32]) -> None:
    """Mark empty cells as empty: Java does so in a step, but not in a reset."""
    is_empty = ~planes.any(-1)
    for plane in _NOTHING:
        planes[is_empty, plane] = 1


def draw(planes: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Return uint8 (16 * height, 16 * width, 3): own units blue, others red."""
    height, width = planes.shape[:2]
    picture = np.full((height, width, _CELL_PIXELS, _CELL_PIXELS, 3), _GROUND, np.uint8)
    kinds, owners = planes[..., _KINDS].argmax(-1), planes[..., _OWNERS].argmax(-1)
    for row, column in np.argwhere(kinds):
        inset = _INSETS[kinds[row, column]]
        inside = slice(inset, _CELL_PIXELS - inset)
        picture[row, column, inside, inside] = _COLORS[owners[row, column]]
    return picture.swapaxes(1, 2).reshape(height * _CELL_PIXELS, width * _CELL_PIXELS, 3)


def statistics_of(sums: NDArray[np.float64]) -> Info:
    """Return the statistics of an episode from the sums of its unweighted rewards."""
    win, *others = sums.tolist()
    return {"win": win > 0, **dict(zip(_STATISTICS, others, strict=True))}
