"""MuJoCo locomotion and control, as Gymnasium's version 5 tasks have it.

Source: https://gymnasium.farama.org/environments/mujoco/   License: MIT (MuJoCo: Apache-2.0)
Cite: Todorov, Erez and Tassa 2012, MuJoCo; Towers et al. 2024, Gymnasium, arXiv:2407.17032.
Install: make install ENV=mujoco
Observations: Box(-inf, inf, (105,), float64) Ant, Box(-inf, inf, (17,), float64) HalfCheetah and
Walker2d, Box(-inf, inf, (11,), float64) Hopper, Box(-inf, inf, (348,), float64) Humanoid and
HumanoidStandup, Box(-inf, inf, (9,), float64) InvertedDoublePendulum, Box(-inf, inf, (4,), float64)
InvertedPendulum, Box(-inf, inf, (23,), float64) Pusher, Box(-inf, inf, (10,), float64) Reacher,
Box(-inf, inf, (8,), float64) Swimmer.
Actions: Box(-1.0, 1.0, (8,), float32) Ant, Box(-1.0, 1.0, (6,), float32) HalfCheetah and Walker2d,
Box(-1.0, 1.0, (3,), float32) Hopper, Box(-0.4, 0.4, (17,), float32) Humanoid and HumanoidStandup,
Box(-1.0, 1.0, (1,), float32) InvertedDoublePendulum, Box(-3.0, 3.0, (1,), float32)
InvertedPendulum, Box(-2.0, 2.0, (7,), float32) Pusher, Box(-1.0, 1.0, (2,), float32) Reacher and
Swimmer. One agent.
Deterministic under a seed.
"""

import os
import sys
from typing import TYPE_CHECKING, Any

from pufferlib.exceptions import ArgumentError
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv

FAMILY = Family(
    name="mujoco",
    package="mujoco",
    default="HalfCheetah-v5",
    tasks=(
        "Ant-v5",
        "HalfCheetah-v5",
        "Hopper-v5",
        "Humanoid-v5",
        "HumanoidStandup-v5",
        "InvertedDoublePendulum-v5",
        "InvertedPendulum-v5",
        "Pusher-v5",
        "Reacher-v5",
        "Swimmer-v5",
        "Walker2d-v5",
    ),
    samples=("HalfCheetah-v5", "Hopper-v5", "Reacher-v5"),
    render_modes=("rgb_array", "rgb_array_list", "depth_array", "rgbd_tuple", "human"),
)
__getattr__ = lazily(Policy="pufferlib.models:Default")


def make_env(
    name: str = FAMILY.default, render_mode: str | None = None, **kwargs: Any
) -> "GymnasiumPufferEnv":
    """Return the task `name`, flat, with episode statistics.

    At an episode's end `info` also has what the task reports of its last step, such as `x_position`
    and the parts of the reward.

    Args:
        name: one of `FAMILY.tasks`.
        render_mode: "rgb_array", "rgb_array_list", "depth_array", "rgbd_tuple", "human" or None.
            Without a display all but "human" are drawn with EGL or OSMesa, whichever is installed,
            unless the variable MUJOCO_GL says otherwise.
        **kwargs: passed to `gymnasium.make` (`max_episode_steps`) and to the task
            (`ctrl_cost_weight`, `exclude_current_positions_from_observation` ...).
            `camera_name="track"` films what walks away from Gymnasium's own camera.

    Raises:
        ArgumentError: there is no such render mode, or a window is asked for without a display.
    """
    FAMILY.check(name, render_mode)
    has_display = {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    if render_mode == "human" and sys.platform == "linux" and not has_display:
        raise ArgumentError(
            "render_mode='human' opens a window, and there is no display: MuJoCo would end the "
            "process. Give 'rgb_array'."
        )
    import gymnasium

    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._mujoco_headless import mujoco
    from pufferlib.wrappers import EpisodeStats

    mujoco()
    env = gymnasium.make(name, render_mode=render_mode, disable_env_checker=True, **kwargs)
    return GymnasiumPufferEnv(EpisodeStats(env))


env_creator = creator_of(FAMILY, make_env)
