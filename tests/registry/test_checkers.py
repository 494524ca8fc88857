"""Every family passes the checkers of the interfaces that its environments claim to have.

What `make_env` returns is one of three kinds. Each is checked by the packages that define it:

- a `gymnasium.Env`: Gymnasium's `check_env`, before and after emulation, and Stable-Baselines3's
  `check_env`;
- a `pettingzoo.ParallelEnv`: PettingZoo's `parallel_api_test`, `parallel_seed_test`, and `api_test`
  and `seed_test` through `parallel_to_aec`. `parallel_seed_test` stops after one step if an agent
  has a name that is true, and `seed_test` plays on. `max_cycles_test` and `render_test` take a
  module of PettingZoo and its render modes, not an environment;
- a `PufferEnv`, which is neither: the result of `emulation.to_gymnasium` is checked, and that of
  `to_pettingzoo`.

`pufferlib.vector.to_gymnasium` returns a `gymnasium.vector.VectorEnv`, which none of them takes.
"""

from contextlib import closing

import gymnasium
import pettingzoo
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.passive_env_checker import env_render_passive_checker
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from pufferlib import registry
from pufferlib.emulation import GymnasiumPufferEnv, to_gymnasium, to_pettingzoo

STEPS = 10
SLOW = {"dm_control", "vizdoom"}
CASES = [
    pytest.param(
        *(registry.load(name), task),
        id=f"{name}: {task}",
        marks=pytest.mark.long if name in SLOW else (),
    )
    for name in registry.builtin_families()
    for task in registry.load(name).FAMILY.samples
]
# NLE returns its own arrays, which it overwrites ("By default we re-use Numpy arrays, so copy
# before!", nle/env/base.py), and so does NetHackEpisode: only emulation copies them.
REUSED_ARRAYS = {"nethack", "minihack"}
# Stable-Baselines3 asks for a Dict of goals where `unwrapped` has compute_reward; emulation
# flattens it. The attribute is hidden from this check.
WITH_GOALS = {"parking-v0"}

# Warnings are errors. The checkers also warn of what is allowed and of little consequence:
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:.*{text}:UserWarning")
    for text in (
        # Gymnasium
        "is different from the unwrapped version",  # the wrappers are part of what is checked
        "Official support for the `seed` function is dropped",  # of GymnasiumPufferEnv
        "(min|max)imum value is -?infinity",  # as the package declares its spaces
        "maximum and minimum.* values are equal",  # of tasks of Ocean in which nothing is observed
        "we recommend using a symmetric and normalized space",
        "No render fps was declared",  # by packages whose games have no clock
        "Not able to test alternative render modes",
        # PettingZoo
        "Action space for each agent probably should be",
        "Agent's (min|max)imum observation space value is",
        "Observation is a single number",
        "Observation numpy array is all zeros",
        "Agents are recommended to have numbered string names",
        "We recommend agents to be named in the format",
    )
]
# Of Stable-Baselines3: what its own policies expect of images, shapes and bounds.
pytestmark.append(pytest.mark.filterwarnings("ignore::UserWarning:stable_baselines3"))
# pettingzoo.test imports PettingZoo's environments in a way that PettingZoo has deprecated.
pytestmark.append(pytest.mark.filterwarnings("ignore:The old environment creation API"))


@pytest.mark.parametrize(("family", "task"), CASES)
def test_an_environment_passes_the_checks_of_its_interface(family, task):
    with closing(family.make_env(task)) as env:
        if isinstance(env, gymnasium.Env):
            check_gymnasium(env, family.FAMILY.name, task)
        elif isinstance(env, pettingzoo.ParallelEnv):
            check_pettingzoo(env, lambda: family.make_env(task))
        else:
            check_gymnasium(to_gymnasium(env), family.FAMILY.name, task)
            check_pettingzoo(to_pettingzoo(env), lambda: to_pettingzoo(family.make_env(task)))


# The native forms of families of which `make_env` returns a single game unless asked.
@pytest.mark.parametrize("name", ["atari", "procgen", "microrts", "slimevolley"])
def test_one_native_game_passes_the_checks_of_gymnasium(name):
    family = registry.load(name)
    with closing(family.make_env(num_envs=1)) as env:
        check_gymnasium(to_gymnasium(env), name, family.FAMILY.default)


def check_gymnasium(env, name, task):
    """Check a flat Gymnasium environment and, if it is emulated, the environment inside.

    Other render modes than that of `env` are left out: "human" opens windows.
    """
    if isinstance(env, GymnasiumPufferEnv) and name not in REUSED_ARRAYS:
        check_env(env.env, skip_render_check=True, skip_close_check=True)
    check_env(env, skip_render_check=True)
    if env.render_mode is not None:
        env.reset(seed=0)
        env_render_passive_checker(env)
    sb3_check_env(WithoutGoals(env) if task in WITH_GOALS else env, skip_render_check=True)


class WithoutGoals(gymnasium.Wrapper):
    @property
    def unwrapped(self):
        return self


def check_pettingzoo(env, make_env):
    """Check a flat PettingZoo environment; `make_env` returns others of the same task."""
    from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test
    from pettingzoo.utils import parallel_to_aec

    parallel_api_test(env, num_cycles=STEPS)
    parallel_seed_test(make_env, num_cycles=STEPS)
    seed_test(lambda: parallel_to_aec(make_env()), num_cycles=STEPS)
    api_test(parallel_to_aec(env), num_cycles=STEPS)
