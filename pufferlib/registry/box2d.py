"""Box2D: a lander, a walker on two legs, a racing car seen from above.

Source: https://gymnasium.farama.org/environments/box2d/   License: MIT (Box2D itself: zlib)
Cite: Towers et al. 2024, Gymnasium, arXiv:2407.17032.
Install: make install ENV=box2d
Observations: Box([-2.5 -2.5 -10. -10. -6.2831855 -10. -0. -0.], [2.5 2.5 10. 10. 6.2831855 10. 1.
1.], (8,), float32) LunarLander, Box([-3.1415927 -5. ... -1. -1.], [3.1415927 5. ... 1. 1.], (24,),
float32) BipedalWalker; Box(0, 255, (96, 96, 3), uint8) CarRacing. Actions: Discrete(4)
LunarLander-v3, Box(-1.0, 1.0, (2,), float32) the continuous one, Box(-1.0, 1.0, (4,), float32)
BipedalWalker, Box([-1. 0. 0.], 1.0, (3,), float32) CarRacing: wheel, gas, brake. One agent.
Deterministic under a seed; BipedalWalker and CarRacing through the new world made here at a reset.
"""

from typing import TYPE_CHECKING, Any

from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv

FAMILY = Family(
    name="box2d",
    package="Box2D",
    needs=("pygame",),
    default="LunarLander-v3",
    tasks=(
        "BipedalWalker-v3",
        "BipedalWalkerHardcore-v3",
        "CarRacing-v3",
        "LunarLander-v3",
        "LunarLanderContinuous-v3",
    ),
    samples=("LunarLander-v3", "LunarLanderContinuous-v3", "BipedalWalker-v3", "CarRacing-v3"),
    render_modes=("rgb_array", "rgb_array_list", "human"),
)
__getattr__ = lazily(Policy="pufferlib.policies.by_observation:policy_of")


def make_env(
    name: str = FAMILY.default,
    render_mode: str | None = None,
    gray: bool = False,
    frame_stack: int = 1,
    **kwargs: Any,
) -> "GymnasiumPufferEnv":
    """Return the task `name`, flat, with episode statistics.

    At an episode's end `info` has `episode_return` and `episode_length`.

    Args:
        name: one of `FAMILY.tasks`.
        render_mode: None, "rgb_array" or "rgb_array_list", which need no display, or "human". With
            any but None, LunarLander also simulates particles of its exhaust: half the speed.
        gray: CarRacing: one channel of brightness in place of three.
        frame_stack: CarRacing: how many frames, the newest last, are in the channels of an
            observation. The bars below the track show speed and wheel even in a single frame.
        **kwargs: passed to `gymnasium.make` (`max_episode_steps`) and to the task
            (LunarLander: `gravity`, `enable_wind` ...; CarRacing: `continuous` ...).

    Raises:
        ArgumentError: there is no such render mode, or `gray` or `frame_stack` for a task without
            images.
    """
    FAMILY.check(name, render_mode)
    import gymnasium

    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._box2d_env import NewWorld, box2d
    from pufferlib.registry._images import preprocessed
    from pufferlib.registry._pygame_close import PygameEpisodeStats

    box2d()
    env = gymnasium.make(name, render_mode=render_mode, disable_env_checker=True, **kwargs)
    if not name.startswith("LunarLander"):  # which makes its own
        env = NewWorld(env)
    env = preprocessed(env, gray=gray, frame_stack=frame_stack)
    return GymnasiumPufferEnv(PygameEpisodeStats(env))


env_creator = creator_of(FAMILY, make_env)
