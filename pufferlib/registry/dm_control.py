"""The DeepMind Control Suite, and dm_control's locomotion and manipulation, on MuJoCo.

Source: https://github.com/google-deepmind/dm_control   License: Apache-2.0
Cite: Tunyasuvunakool et al. 2020, dm_control: Software and tasks for continuous control,
arXiv:2006.12983.
Install: make install ENV=dm_control
Observations: Dict of float64 Boxes, cheetah-run Dict('position': Box(-inf, inf, (8,), float64),
'velocity': Box(-inf, inf, (9,), float64)), humanoid-walk Dict('com_velocity': Box(-inf, inf, (3,),
float64), 'extremities': Box(-inf, inf, (12,), float64), 'head_height': Box(-inf, inf, (), float64),
'joint_angles': Box(-inf, inf, (21,), float64), 'torso_vertical': Box(-inf, inf, (3,), float64),
'velocity': Box(-inf, inf, (27,), float64)), reach_site_features
Dict('jaco_arm/jaco_hand/joints_pos': Box(-inf, inf, (1, 3), float64),
'jaco_arm/jaco_hand/pinch_site_rmat': Box(-inf, inf, (1, 9), float64), 'jaco_arm/joints_pos':
Box(-inf, inf, (1, 6, 2), float64), 'jaco_arm/joints_vel': Box(-inf, inf, (1, 6), float64) and four
more); the "vision" tasks of manipulation also 'front_close': Box(0, 255, (1, 84, 84, 3), uint8),
most of locomotion 'walker/egocentric_camera': Box(0, 255, (64, 64, 3), uint8): those, and
quadruped-escape, need OpenGL. Actions: Box(-1.0, 1.0, (6,), float64) cheetah-run, Box(-1.0, 1.0,
(21,), float64) humanoid and so on, lqr's within 1e10, Box([-0.62831853 -0.62831853 -0.62831853
-0.83775804 -0.83775804 -0.83775804 -5. -5. -5.], [0.62831853 0.62831853 0.62831853 0.83775804
0.83775804 0.83775804 5. 5. 5.], (9,), float64) reach_site_features. One agent.
Deterministic under a seed.
"""

import functools
from typing import TYPE_CHECKING, Any

from pufferlib.arguments import whole_number
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv

FAMILY = Family(
    name="dm_control",
    package="dm_control",
    needs=("mujoco",),
    default="dm_control/cheetah-run-v0",
    tasks=(
        "dm_control/CmuHumanoidGoToTarget-v0",
        "dm_control/CmuHumanoidHeterogeneousForage-v0",
        "dm_control/CmuHumanoidMazeForage-v0",
        "dm_control/CmuHumanoidRunGaps-v0",
        "dm_control/CmuHumanoidRunWalls-v0",
        "dm_control/RodentEscapeBowl-v0",
        "dm_control/RodentMazeForage-v0",
        "dm_control/RodentRunGaps-v0",
        "dm_control/RodentTwoTouch-v0",
        "dm_control/acrobot-swingup-v0",
        "dm_control/acrobot-swingup_sparse-v0",
        "dm_control/ball_in_cup-catch-v0",
        "dm_control/cartpole-balance-v0",
        "dm_control/cartpole-balance_sparse-v0",
        "dm_control/cartpole-swingup-v0",
        "dm_control/cartpole-swingup_sparse-v0",
        "dm_control/cartpole-three_poles-v0",
        "dm_control/cartpole-two_poles-v0",
        "dm_control/cheetah-run-v0",
        "dm_control/dog-fetch-v0",
        "dm_control/dog-run-v0",
        "dm_control/dog-stand-v0",
        "dm_control/dog-trot-v0",
        "dm_control/dog-walk-v0",
        "dm_control/finger-spin-v0",
        "dm_control/finger-turn_easy-v0",
        "dm_control/finger-turn_hard-v0",
        "dm_control/fish-swim-v0",
        "dm_control/fish-upright-v0",
        "dm_control/hopper-hop-v0",
        "dm_control/hopper-stand-v0",
        "dm_control/humanoid-run-v0",
        "dm_control/humanoid-run_pure_state-v0",
        "dm_control/humanoid-stand-v0",
        "dm_control/humanoid-walk-v0",
        "dm_control/humanoid_CMU-run-v0",
        "dm_control/humanoid_CMU-stand-v0",
        "dm_control/humanoid_CMU-walk-v0",
        "dm_control/lift_brick_features-v0",
        "dm_control/lift_brick_vision-v0",
        "dm_control/lift_large_box_features-v0",
        "dm_control/lift_large_box_vision-v0",
        "dm_control/lqr-lqr_2_1-v0",
        "dm_control/lqr-lqr_6_2-v0",
        "dm_control/manipulator-bring_ball-v0",
        "dm_control/manipulator-bring_peg-v0",
        "dm_control/manipulator-insert_ball-v0",
        "dm_control/manipulator-insert_peg-v0",
        "dm_control/pendulum-swingup-v0",
        "dm_control/place_brick_features-v0",
        "dm_control/place_brick_vision-v0",
        "dm_control/place_cradle_features-v0",
        "dm_control/place_cradle_vision-v0",
        "dm_control/point_mass-easy-v0",
        "dm_control/point_mass-hard-v0",
        "dm_control/quadruped-escape-v0",
        "dm_control/quadruped-fetch-v0",
        "dm_control/quadruped-run-v0",
        "dm_control/quadruped-walk-v0",
        "dm_control/reach_duplo_features-v0",
        "dm_control/reach_duplo_vision-v0",
        "dm_control/reach_site_features-v0",
        "dm_control/reach_site_vision-v0",
        "dm_control/reacher-easy-v0",
        "dm_control/reacher-hard-v0",
        "dm_control/reassemble_3_bricks_fixed_order_features-v0",
        "dm_control/reassemble_3_bricks_fixed_order_vision-v0",
        "dm_control/reassemble_5_bricks_random_order_features-v0",
        "dm_control/reassemble_5_bricks_random_order_vision-v0",
        "dm_control/stack_2_bricks_features-v0",
        "dm_control/stack_2_bricks_moveable_base_features-v0",
        "dm_control/stack_2_bricks_moveable_base_vision-v0",
        "dm_control/stack_2_bricks_vision-v0",
        "dm_control/stack_2_of_3_bricks_random_order_features-v0",
        "dm_control/stack_2_of_3_bricks_random_order_vision-v0",
        "dm_control/stack_3_bricks_features-v0",
        "dm_control/stack_3_bricks_random_order_features-v0",
        "dm_control/stack_3_bricks_vision-v0",
        "dm_control/stacker-stack_2-v0",
        "dm_control/stacker-stack_4-v0",
        "dm_control/swimmer-swimmer15-v0",
        "dm_control/swimmer-swimmer6-v0",
        "dm_control/walker-run-v0",
        "dm_control/walker-stand-v0",
        "dm_control/walker-walk-v0",
    ),
    samples=(
        "dm_control/cheetah-run-v0",
        "dm_control/humanoid-walk-v0",
        "dm_control/reach_site_features-v0",
    ),
    render_modes=("rgb_array",),
)
__getattr__ = lazily(Policy="pufferlib.policies.by_observation:policy_of")


def make_env(
    name: str = FAMILY.default,
    render_mode: str | None = None,
    width: int = 320,
    height: int = 240,
    camera_id: int = 0,
    **kwargs: Any,
) -> "GymnasiumPufferEnv":
    """Return the task `name`, flat, with episode statistics.

    It is built again for each `reset(seed=)`, as `dm_control.suite.load` does with that seed.

    At an episode's end `info` has `episode_return` and `episode_length`.

    Args:
        name: one of `FAMILY.tasks`.
        render_mode: "rgb_array", or None. Without a display it is drawn with EGL or OSMesa, where
            they are installed, unless the variable MUJOCO_GL says otherwise.
        width: of a picture, in pixels.
        height: of a picture, in pixels.
        camera_id: from where; -1 is free.
        **kwargs: of the suite's tasks: `task_kwargs` (`time_limit` ...), `environment_kwargs`
            (`control_timestep`, `flat_observation` ...), `visualize_reward`.

    Raises:
        ArgumentError: a size or a camera that the task does not have, arguments for a task that
            takes none, or a seed.
    """
    FAMILY.check(name, render_mode)
    width, height = whole_number("width", width), whole_number("height", height)
    camera_id = whole_number("camera_id", camera_id, least=-1)
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._closing import closed_if_refused
    from pufferlib.registry._dm_control_env import build, check_picture, picture
    from pufferlib.registry._dm_env import DmEnv
    from pufferlib.wrappers import EpisodeStats

    task = name.removeprefix("dm_control/").removesuffix("-v0")
    render = functools.partial(picture, height=height, width=width, camera_id=camera_id)
    env = DmEnv(functools.partial(build, task, kwargs), render, render_mode)
    with closed_if_refused(env):
        check_picture(env.dm_env, width, height, camera_id)
        return GymnasiumPufferEnv(EpisodeStats(env))


env_creator = creator_of(FAMILY, make_env)
