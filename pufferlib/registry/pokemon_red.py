"""Pokemon Red on an emulated Game Boy (PyBoy); you provide the ROM.

Source: https://github.com/Baekalfen/PyBoy   License: LGPL-3.0 (PyBoy); the game is proprietary and
not included
Cite: rewards and observations after Whidden, https://github.com/PWhiddy/PokemonRedExperiments;
memory addresses from the disassembly, https://github.com/pret/pokered.
Install: make install ENV=pokemon_red, and give a ROM: `make_env(rom=...)` or the environment
variable PUFFERLIB_POKEMON_RED_ROM.
Observations: Box(0, 255, (3, 72, 80), uint8), the last three frames in gray, oldest first. Actions:
Discrete(7): down, left, right, up, a, b, start. One agent.
Deterministic, with or without a seed: chance comes from when buttons are pressed.

Agents that were trained on HomebrewWalk-v0 before 2026-11-30 do not transfer: its screen changed.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv

FAMILY = Family(
    name="pokemon_red",
    package="pyboy",
    default="PokemonRed-v0",
    tasks=("HomebrewWalk-v0", "PokemonRed-v0"),
    samples=("HomebrewWalk-v0",),
    render_modes=("rgb_array",),
)
__getattr__ = lazily(Policy="pufferlib.policies.pixels:NatureCNN")

ROM_VARIABLE = "PUFFERLIB_POKEMON_RED_ROM"
_TITLE = b"POKEMON RED"


def make_env(
    name: str = FAMILY.default,
    rom: str | os.PathLike[str] | None = None,
    state: str | os.PathLike[str] | None = None,
    *,
    max_steps: int = 20_480,
    frames_per_action: int = 24,
    badge_reward: float = 5.0,
    event_reward: float = 2.0,
    level_reward: float = 1.0,
    tile_reward: float = 0.02,
    render_mode: str | None = None,
) -> "GymnasiumPufferEnv":
    """Return the task `name`, flat, with episode statistics.

    A reward is for what was never reached before in the episode: a badge, an event of the story, a
    level of the party (above 22 in sum, a quarter of it), a tile of a map.

    An episode has no end but `max_steps`, a truncation. `info` then has, besides `episode_return`
    and `episode_length`: `badges`, `events`, `levels`, `tiles`, how many were reached.

    HomebrewWalk-v0 plays a small bundled game in the same way and needs no ROM: the arrows walk,
    and A is an event.

    Args:
        name: one of `FAMILY.tasks`.
        rom: file of the game; the one that PUFFERLIB_POKEMON_RED_ROM names if None.
        state: a file that PyBoy's `save_state` wrote, where each episode begins; power-on if None,
            which is some hundred button presses before the game proper.
        max_steps: actions of an episode.
        frames_per_action: of 60 in a second, at least 9; a button is pressed for 8 of them.
        badge_reward: for each badge.
        event_reward: for each flag of the story.
        level_reward: for each level.
        tile_reward: for each tile.
        render_mode: "rgb_array" or None.

    Raises:
        ArgumentError: the ROM or state does not exist or is invalid, the ROM is of another game, or
            a number is out of range.
    """
    FAMILY.check(name, render_mode)
    max_steps = whole_number("max_steps", max_steps)
    frames_per_action = whole_number("frames_per_action", frames_per_action, least=9)
    start = None if state is None else Path(state).expanduser()
    if start is not None and not start.is_file():
        raise ArgumentError(
            f"There is no saved state {str(start)!r}. Give the path of one, or leave out state."
        )
    cartridge = _homebrew(rom) if name == "HomebrewWalk-v0" else _pokemon_red(rom)
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._pokemon_red_env import GameBoyQuest
    from pufferlib.wrappers import EpisodeStats

    game = GameBoyQuest(
        cartridge,
        start,
        max_steps=max_steps,
        frames_per_action=frames_per_action,
        weights=(badge_reward, event_reward, level_reward, tile_reward),
        render_mode=render_mode,
    )
    return GymnasiumPufferEnv(EpisodeStats(game))


def _homebrew(rom: str | os.PathLike[str] | None) -> bytes:
    if rom is not None:
        raise ArgumentError("HomebrewWalk-v0 brings its own ROM. Leave out rom.")
    from pufferlib.registry._pokemon_red_rom import walk_rom

    return walk_rom()


def _pokemon_red(rom: str | os.PathLike[str] | None) -> bytes:
    """Return the user's ROM."""
    named = rom if rom is not None else os.environ.get(ROM_VARIABLE)
    if not named:
        raise ArgumentError(
            f"PokemonRed-v0 needs a ROM of your own of Pokemon Red (a .gb file of 1 MiB). Give its "
            f"path: make_env(rom='PokemonRed.gb'), --env.kwargs.rom PokemonRed.gb, or the "
            f"environment variable {ROM_VARIABLE}. HomebrewWalk-v0 runs without."
        )
    path = Path(named).expanduser()
    if not path.is_file():
        raise ArgumentError(
            f"There is no ROM {str(path)!r}. Give the path of a Pokemon Red .gb file as rom, or in "
            f"the environment variable {ROM_VARIABLE}."
        )
    cartridge = path.read_bytes()
    if not cartridge[0x134:].startswith(_TITLE):
        raise ArgumentError(
            f"{str(path)!r} is not Pokemon Red: its header says {cartridge[0x134:0x144]!r}, which "
            f"must begin with {_TITLE!r}. Give the path of a Pokemon Red .gb file."
        )
    return cartridge


env_creator = creator_of(FAMILY, make_env)
