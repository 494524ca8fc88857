"""Neural MMO without files: maps in memory, numeric infos, rendering of the map."""

import functools
import numbers
from typing import Any

import nmmo
import numpy as np
from nmmo.core.action import Action, Price, Token
from nmmo.core.terrain import MapGenerator
from nmmo.lib import material, seeding, spawn
from numpy.typing import NDArray

from pufferlib.annotations import (
    Array,
    Kwargs,
    Options,
    ParallelReset,
    ParallelStep,
    Space,
    Structure,
)
from pufferlib.arguments import whole_number
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError

_SYSTEMS = nmmo.config.AllGameSystems
_CONFIGS = {
    size: type(size, (getattr(nmmo.config, size), _SYSTEMS), {})
    for size in ("Small", "Medium", "Large")
}
_BY_CHANCE = (material.Ore, material.Tree, material.Crystal)  # may give weapons
# What the package keeps on classes: the choices of the world made last, and what resources give in
# the one made first.
_SHARED = (
    *((Action, "arguments"), (Price, "classes"), (Price, "price_range"), (Token, "classes")),
    *((resource, "table") for resource in _BY_CHANCE),
)
_MAPS_SEED = 0
_TILE_PIXELS = 6
_PLAYER, _NPC = (255, 64, 64), (255, 255, 0)


class World(nmmo.Env):
    """Neural MMO, whose infos hold numbers at the end of an agent's episode and nothing else.

    Its maps equal the ones that Neural MMO writes into the working directory with seed 0, but are
    made once per process and kept in memory: processes share no file, and none is left behind.
    Every reset redistributes the tiles of a map under the environment's seed, unless
    MAP_RESET_FROM_FRACTAL is False. The package's cache of paths is cleared between episodes, since
    the map may change. State that the package keeps per process is switched to the world in use.

    Args:
        size: "Small", "Medium" or "Large", of nmmo.config; with all its game systems.
        settings: attributes of nmmo.config that replace the size's own.
        render_mode: "rgb_array" or None.

    Raises:
        ArgumentError: an unknown setting, or a value out of range.
    """

    def __init__(self, size: str, settings: Kwargs, render_mode: str | None) -> None:
        config = _CONFIGS[size]()
        for name, value in settings.items():
            if name not in config.original:
                raise ArgumentError(
                    f"There is no setting {name!r} of Neural MMO. Give attributes of nmmo.config, "
                    f"such as HORIZON or NPC_N."
                )
            if name not in ("PLAYER_N", "MAP_N", "HORIZON"):
                _check_kind(name, value, config.original[name])
            config.set(name, value)
        config.set("PLAYER_N", whole_number("num_agents", config.PLAYER_N))
        config.set("MAP_N", whole_number("MAP_N", config.MAP_N))
        most = config.MAX_HORIZON - 1  # observations hold the step, from 0
        config.set("HORIZON", whole_number("HORIZON", config.HORIZON, most=most))
        places = len(spawn.get_edge_tiles(config))
        if config.PLAYER_LOADER is spawn.SequentialLoader and places < config.PLAYER_N:
            raise ArgumentError(
                f"num_agents must be at most {places}, the places to begin at on a map with "
                f"MAP_CENTER={config.MAP_CENTER}; got {config.PLAYER_N}. Give fewer, or a larger "
                f"MAP_CENTER."
            )
        config.set("PATH_MAPS", "")
        config.set("MAP_GENERATOR", _NoFiles)
        for resource in _BY_CHANCE:
            resource.table = None
            resource(config)  # makes its table
        super().__init__(config)
        self._own = [(owner, name, getattr(owner, name, None)) for owner, name in _SHARED]
        self.metadata = {"name": "nmmo", "render_modes": ["rgb_array"]}
        self.render_mode = render_mode

    def observation_space(self, agent: int) -> Space:
        """Return the observation space; the package's own method keeps every world alive."""
        return self._obs_space

    def action_space(self, agent: int) -> Space:
        """Return the action space; the package's own method keeps every world alive."""
        return self._atn_space

    def reset(self, seed: int | None = None, options: Options | None = None) -> ParallelReset[int]:
        """Start an episode; return (observations, empty infos)."""
        self._use_own_settings()
        self.realm.map.pathfinding_cache.clear()  # else the last map's paths are taken on this one
        observations, _ = super().reset(seed=None if seed is None else int(seed), options=options)
        return observations, {agent: {} for agent in observations}

    def step(self, actions: dict[int, Structure]) -> ParallelStep[int]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        self._use_own_settings()
        observations, rewards, terminations, truncations, infos = super().step(actions)
        ended = {agent for agent in infos if terminations[agent] or truncations[agent]}
        infos = {agent: self._report(agent, infos) if agent in ended else {} for agent in infos}
        rewards = {agent: float(rewards[agent]) for agent in observations}
        return observations, rewards, terminations, truncations, infos

    def render(self, mode: str = "rgb_array") -> NDArray[np.uint8] | None:
        """Return uint8 (6 * MAP_SIZE, 6 * MAP_SIZE, 3), players red and others yellow, or None."""
        if self.render_mode is None:
            return None
        picture = _colors()[self.tile_map[:, :, 2]]
        for entities, color in ((self.realm.npcs, _NPC), (self.realm.players, _PLAYER)):
            for entity in entities.values():
                picture[entity.pos] = color
        return picture.repeat(_TILE_PIXELS, 0).repeat(_TILE_PIXELS, 1)

    def _use_own_settings(self) -> None:
        for owner, name, value in self._own:
            setattr(owner, name, value)

    def _load_map_file(self, map_id: int | None = None) -> dict[str, Array]:
        made = _maps(_Terrain(self.config))
        chosen = map_id or self._np_random.integers(self.config.MAP_N) + 1
        terrain, tiles = made[chosen - 1]
        found = {"map": tiles.copy()}
        if self.config.MAP_RESET_FROM_FRACTAL:
            found["fractal"] = terrain.astype(float)
        return found

    def _report(self, agent: int, infos: dict[int, Info]) -> Info:
        player = self._dead_this_tick.get(agent) or self.realm.players[agent]
        tasks = infos[agent]["task"].values()
        return {
            "exploration": player.history.exploration,
            "player_kills": player.history.player_kills,
            "damage_inflicted": player.history.damage_inflicted,
            "damage_received": player.history.damage_received,
            "level": int(player.attack_level),
            "task_progress": max((float(task["progress"]) for task in tasks), default=0.0),
        }


def _check_kind(name: str, value: object, default: object) -> None:
    """Raise unless `value` is a number or a bool, as `default` is."""
    is_bool = isinstance(value, (bool, np.bool_))
    if isinstance(default, bool):
        if not is_bool:
            raise ArgumentError(f"{name} must be True or False; got {value!r}.")
    elif isinstance(default, numbers.Real) and (is_bool or not isinstance(value, numbers.Real)):
        raise ArgumentError(f"{name} must be a number, as its default {default} is; got {value!r}.")


class _NoFiles(MapGenerator):
    def generate_all_maps(self, seed: int | None = None) -> None:
        """Write nothing."""


class _Terrain:
    """The settings that a map depends on, as a key."""

    def __init__(self, config: Any) -> None:
        self.config = config
        relevant = ("MAP_", "TERRAIN_", "PROFESSION_SYSTEM")
        self._key = tuple(
            (name, repr(value)) for name, value in config.items() if name.startswith(relevant)
        )

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Terrain) and self._key == other._key


@functools.lru_cache(maxsize=4)
def _maps(terrain: _Terrain) -> list[tuple[NDArray[np.float16], NDArray[np.int64]]]:
    """Return (fractal, tiles) of each map, with the dtypes that Neural MMO's files have."""
    generator = MapGenerator(terrain.config)
    random, _ = seeding.np_random(_MAPS_SEED)
    made = (generator.generate_map(index, random) for index in range(terrain.config.MAP_N))
    return [(fractal.astype(np.float16), tiles.astype(int)) for fractal, tiles in made]


@functools.cache
def _colors() -> NDArray[np.uint8]:
    """Return the mean color of each material's picture, uint8 (materials, 3)."""
    textures = MapGenerator(nmmo.config.Default()).textures
    means = [textures[index].mean((0, 1)) for index in range(len(textures))]
    return np.array(means).astype(np.uint8)
