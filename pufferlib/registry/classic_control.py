"""Classic control: CartPole, Acrobot, MountainCar, Pendulum.

Source: https://gymnasium.farama.org/environments/classic_control/   License: MIT
Cite: Barto, Sutton and Anderson 1983 (CartPole); Sutton 1996 (Acrobot); Moore 1990 (MountainCar).
Install: make install ENV=classic_control
Observations: Box([-4.8 -inf -0.41887903 -inf], [4.8 inf 0.41887903 inf], (4,), float32) CartPole,
Box([-1. -1. -1. -1. -12.566371 -28.274334], [1. 1. 1. 1. 12.566371 28.274334], (6,), float32)
Acrobot, Box([-1.2 -0.07], [0.6 0.07], (2,), float32) MountainCar and MountainCarContinuous,
Box([-1. -1. -8.], [1. 1. 8.], (3,), float32) Pendulum. Actions: Discrete(2) CartPole, Discrete(3)
Acrobot and MountainCar, Box(-1.0, 1.0, (1,), float32) MountainCarContinuous, Box(-2.0, 2.0, (1,),
float32) Pendulum. One agent.
Deterministic under a seed.
"""

from typing import TYPE_CHECKING, Any

from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv

FAMILY = Family(
    name="classic_control",
    package="gymnasium",
    default="CartPole-v1",
    tasks=(
        "Acrobot-v1",
        "CartPole-v1",
        "MountainCar-v0",
        "MountainCarContinuous-v0",
        "Pendulum-v1",
    ),
    render_modes=("rgb_array", "rgb_array_list", "human"),
)
__getattr__ = lazily(Policy="pufferlib.models:Default")


def make_env(
    name: str = FAMILY.default, render_mode: str | None = None, **kwargs: Any
) -> "GymnasiumPufferEnv":
    """Return the task `name`, flat, with episode statistics.

    At an episode's end `info` has `episode_return` and `episode_length`.

    Args:
        name: one of `FAMILY.tasks`.
        render_mode: "rgb_array", "rgb_array_list", "human" or None; all need pygame.
        **kwargs: passed to `gymnasium.make`.

    Raises:
        ArgumentError: there is no such render mode.
    """
    FAMILY.check(name, render_mode)
    import gymnasium

    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._pygame_close import PygameEpisodeStats

    env = gymnasium.make(name, render_mode=render_mode, disable_env_checker=True, **kwargs)
    return GymnasiumPufferEnv(PygameEpisodeStats(env))


env_creator = creator_of(FAMILY, make_env)
