"""ViZDoom: Doom played from pixels; its scenarios, and the maps of Freedoom.

Source: https://vizdoom.farama.org   License: MIT (the engine: GPL-2, Freedoom's maps: BSD)
Cite: Kempka et al. 2016, ViZDoom: A Doom-based AI Research Platform, arXiv:1605.02097.
Install: make install ENV=vizdoom
Observations: Dict('gamevariables': Box(-3.4028235e+38, 3.4028235e+38, (1,), float32), 'screen':
Box(0, 255, (60, 80, 3), uint8)) Basic; as many variables as the scenario has, Box(-3.4028235e+38,
3.4028235e+38, (5,), float32) Deathmatch, none MyWayHome and PredictPosition; also 'audio' or
'notifications' in the tasks so named. Actions: Discrete(4) Basic and likewise, MultiBinary of
buttons in the tasks so named and in Freedoom, MultiBinary(5) MyWayHome-MultiBinary, MultiBinary(19)
Freedoom, Deathmatch Dict('binary': Discrete(18), 'continuous': Box(-3.4028235e+38, 3.4028235e+38,
(3,), float32)). One agent.
Deterministic under a seed.
Each environment is a separate process. Left out: the maps of Doom and Doom 2, whose files you
have to own.
"""

from itertools import product
from typing import TYPE_CHECKING, Any

from pufferlib.arguments import whole_number
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv

FAMILY = Family(
    name="vizdoom",
    package="vizdoom",
    default="VizdoomBasic-v1",
    tasks=(
        "VizdoomBasic-MultiBinary-v1",
        "VizdoomBasic-v1",
        "VizdoomBasicAudio-MultiBinary-v1",
        "VizdoomBasicAudio-v1",
        "VizdoomBasicNotifications-MultiBinary-v1",
        "VizdoomBasicNotifications-v1",
        "VizdoomDeadlyCorridor-MultiBinary-v1",
        "VizdoomDeadlyCorridor-v1",
        "VizdoomDeathmatch-MultiBinary-v1",
        "VizdoomDeathmatch-v1",
        "VizdoomDefendCenter-MultiBinary-v1",
        "VizdoomDefendCenter-v1",
        "VizdoomDefendLine-MultiBinary-v1",
        "VizdoomDefendLine-v1",
        "VizdoomHealthGathering-MultiBinary-v1",
        "VizdoomHealthGathering-v1",
        "VizdoomHealthGatheringSupreme-MultiBinary-v1",
        "VizdoomHealthGatheringSupreme-v1",
        "VizdoomMyWayHome-MultiBinary-v1",
        "VizdoomMyWayHome-v1",
        "VizdoomPredictPosition-MultiBinary-v1",
        "VizdoomPredictPosition-v1",
        "VizdoomTakeCover-MultiBinary-v1",
        "VizdoomTakeCover-v1",
        *(
            f"VizdoomFreedoom1E{episode}M{level}-S{skill}-v0"
            for episode, level, skill in product(range(1, 5), range(1, 10), range(1, 6))
        ),
        *(
            f"VizdoomFreedoom2MAP{level:02}-S{skill}-v0"
            for level, skill in product(range(1, 33), range(1, 6))
        ),
    ),
    samples=(
        "VizdoomBasic-v1",
        "VizdoomMyWayHome-MultiBinary-v1",
        "VizdoomDeathmatch-v1",
    ),
    render_modes=("rgb_array", "human"),
)
__getattr__ = lazily(Policy="pufferlib.policies.pixels:NatureCNN")


def make_env(
    name: str = FAMILY.default,
    frame_skip: int = 4,
    resolution: str = "160X120",
    shrink: int = 2,
    gray: bool = False,
    frame_stack: int = 1,
    render_mode: str | None = None,
    **kwargs: Any,
) -> "GymnasiumPufferEnv":
    """Return the task `name`, flat, with episode statistics.

    At an episode's end `info` has, besides `episode_return` and `episode_length`, the scenario's
    game variables by name in lower case (`ammo2`, `health`, `killcount` ...).

    Args:
        name: one of `FAMILY.tasks`.
        frame_skip: how many tics, of 35 in a second, an action lasts.
        resolution: that the game is drawn in, one of `vizdoom.ScreenResolution` without "RES_".
        shrink: replace each square of this many pixels a side by its mean.
        gray: one channel of brightness in place of three.
        frame_stack: how many screens, the newest last, are in the channels of an observation.
        render_mode: "rgb_array", the game as it is drawn, or "human"; the first needs no display.
        **kwargs: passed to `gymnasium.make` (`max_episode_steps`) and to ViZDoom: arguments of its
            environment (`max_buttons_pressed` ...) and settings of its .cfg files (`doom_skill`,
            `episode_timeout`, `doom_scenario_path` ...). A file is looked for in the working
            directory, then in the package.

    Raises:
        ArgumentError: there is no such resolution, setting or file, or a number is not whole and
            above 0.
    """
    FAMILY.check(name, render_mode)
    frame_skip = whole_number("frame_skip", frame_skip)
    import gymnasium
    import vizdoom.gymnasium_wrapper  # noqa: F401  (registers the tasks)

    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._closing import closed_if_refused
    from pufferlib.registry._images import preprocessed
    from pufferlib.registry._pygame_close import PygameEpisodeStats
    from pufferlib.registry._vizdoom_env import DoomGame, resolution_of, settings_of

    env: Any = gymnasium.make(
        name,
        frame_skip=frame_skip,
        screen_resolution=resolution_of(resolution),
        render_mode=render_mode,
        disable_env_checker=True,
        **settings_of(kwargs),
    )
    game = DoomGame(env)
    with closed_if_refused(game):
        env = preprocessed(game, shrink=shrink, gray=gray, frame_stack=frame_stack)
        return GymnasiumPufferEnv(PygameEpisodeStats(env))


env_creator = creator_of(FAMILY, make_env)
