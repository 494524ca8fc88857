"""A Game Boy with rewards computed from the memory of Pokemon Red."""

import io
import os
import warnings
from pathlib import Path

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Action, Observation, Options, Rendered
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError

if not os.environ.get("DISPLAY"):
    # PyBoy imports PyOpenGL, which then fixes its platform; dm_control later needs EGL.
    os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Using SDL2 binaries", UserWarning)
    from pyboy import PyBoy
    from pyboy.utils import PyBoyException

_BUTTONS = ("down", "left", "right", "up", "a", "b", "start")
_FRAMES_HELD = 8
_BOOT_FRAMES = 240
_STACK, _REDUCTION = 3, 2

# Addresses in the game's memory, from the symbols of its disassembly.
_BADGES = 0xD356  # wObtainedBadges
_EVENTS = slice(0xD747, 0xD887)  # wEventFlags
_PARTY_COUNT = 0xD163  # wPartyCount
_PARTY_LEVELS = (0xD18C, 0xD1B8, 0xD1E4, 0xD210, 0xD23C, 0xD268)  # wPartyMon1Level ...
_MAP, _Y, _X = 0xD35E, 0xD361, 0xD362  # wCurMap, wYCoord, wXCoord
_FULL_LEVELS = 22  # a level more is worth a quarter: training must not pay more than the story


class GameBoyQuest(gymnasium.Env[Observation, Action]):
    """Play a cartridge; rewards are for badges, events, levels and tiles.

    Args:
        cartridge: the bytes of the ROM.
        state: a file that `PyBoy.save_state` wrote; power-on if None.
        max_steps: actions of an episode.
        frames_per_action: frames from one action to the next.
        weights: rewards for a badge, an event, a level, a tile.
        render_mode: None or "rgb_array".

    Raises:
        ArgumentError: PyBoy cannot play the cartridge, or load the state.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 60}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(
        self,
        cartridge: bytes,
        state: Path | None,
        max_steps: int,
        frames_per_action: int,
        weights: tuple[float, float, float, float],
        render_mode: str | None,
    ) -> None:
        self.render_mode = render_mode
        self._max_steps, self._frames = max_steps, frames_per_action
        self._weights = np.array(weights)
        # From memory: next to a file PyBoy would also look for saved games.
        try:
            self._machine = PyBoy(
                io.BytesIO(cartridge), window="null", sound_emulated=False, log_level="ERROR"
            )
        except PyBoyException as error:
            raise ArgumentError(
                f"PyBoy cannot play a ROM of {len(cartridge)} bytes: {error}. Give the path of a "
                f"whole Pokemon Red .gb file as rom."
            ) from error
        self._machine.set_emulation_speed(0)
        self._start = self._booted() if state is None else self._loaded(state)
        height, width = 144 // _REDUCTION, 160 // _REDUCTION
        self._stack = np.zeros((_STACK, height, width), np.uint8)
        self.observation_space = gymnasium.spaces.Box(0, 255, self._stack.shape, np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(_BUTTONS))
        self._tiles: set[tuple[int, int, int]] = set()
        self._best, self._at_start, self._steps = np.zeros(4), np.zeros(4), 0

    def reset(
        self, *, seed: int | None = None, options: Options | None = None
    ) -> tuple[NDArray[np.uint8], Info]:
        """Start an episode; return (observation, {})."""
        super().reset(seed=seed)
        self._machine.load_state(io.BytesIO(self._start))
        self._machine.tick(1, True)
        self._stack[:] = self._frame()
        self._steps = 0
        self._tiles.clear()
        self._at_start = self._best = self._reached()
        return self._stack.copy(), {}

    def step(self, action: Action) -> tuple[NDArray[np.uint8], float, bool, bool, Info]:
        """Press a button; return (observation, reward, terminated, truncated, info)."""
        button = _BUTTONS[int(action)]
        self._machine.button_press(button)
        self._machine.tick(_FRAMES_HELD, False)
        self._machine.button_release(button)
        self._machine.tick(self._frames - _FRAMES_HELD, True)
        self._stack[:-1] = self._stack[1:]
        self._stack[-1] = self._frame()
        best = np.maximum(self._best, self._reached())
        reward = float(self._weights @ (best - self._best))
        self._best = best
        self._steps += 1
        truncated = self._steps >= self._max_steps
        return self._stack.copy(), reward, False, truncated, self._progress() if truncated else {}

    def render(self) -> Rendered:
        """Return the screen, uint8 (144, 160, 3); None without a render mode."""
        return None if self.render_mode is None else self._machine.screen.ndarray[..., :3].copy()

    def close(self) -> None:
        """Turn the machine off, without a saved game."""
        self._machine.stop(save=False)

    def _booted(self) -> bytes:
        self._machine.tick(_BOOT_FRAMES, False)
        state = io.BytesIO()
        self._machine.save_state(state)
        return state.getvalue()

    def _loaded(self, file: Path) -> bytes:
        state = file.read_bytes()
        try:
            self._machine.load_state(io.BytesIO(state))
        except PyBoyException as error:
            self.close()
            raise ArgumentError(
                f"PyBoy cannot load the saved state {str(file)!r}: {error}. Give a file that its "
                f"save_state wrote, or leave out state."
            ) from error
        return state

    def _frame(self) -> NDArray[np.uint8]:
        return self._machine.screen.ndarray[::_REDUCTION, ::_REDUCTION, 0]

    def _reached(self) -> NDArray[np.float64]:
        """Return badges, events, levels (as they count) and tiles, as of now."""
        memory = self._machine.memory
        self._tiles.add((memory[_MAP], memory[_Y], memory[_X]))
        events = sum(flags.bit_count() for flags in memory[_EVENTS])
        party = _PARTY_LEVELS[: memory[_PARTY_COUNT]]
        levels = sum(memory[address] for address in party)
        counted = min(levels, _FULL_LEVELS) + max(levels - _FULL_LEVELS, 0) / 4
        return np.array([memory[_BADGES].bit_count(), events, counted, len(self._tiles)], float)

    def _progress(self) -> Info:
        badges, _, _, tiles = self._best
        events = self._best[1] - self._at_start[1]
        levels = self._best[2]
        uncounted = levels + 3 * max(levels - _FULL_LEVELS, 0)
        return {
            "badges": int(badges),
            "events": int(events),
            "levels": int(uncounted),
            "tiles": int(tiles),
        }
