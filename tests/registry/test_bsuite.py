"""The Behaviour Suite: its settings, its own seeds, what it counts."""

import bsuite as package
import numpy as np
import pytest
from bsuite.environments.catch import Catch

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import bsuite


def test_the_tasks_are_the_packages_that_download_nothing():
    listed = package.bsuite.EXPERIMENT_NAME_TO_ENVIRONMENT
    names = [f"bsuite/{name}-v0" for name in listed if not name.startswith("mnist")]
    assert sorted(names) == list(bsuite.FAMILY.tasks)


def test_a_seed_is_the_packages_own():
    env, bare = bsuite.make_env(), Catch(seed=11)
    np.testing.assert_array_equal(env.reset(seed=11)[0], bare.reset().observation)
    for step in range(40):
        observation, reward, terminated, truncated, _ = env.step(step % 3)
        timestep = bare.step(step % 3)
        np.testing.assert_array_equal(observation, timestep.observation)
        assert (reward, terminated, truncated) == (timestep.reward, timestep.last(), False)
        if terminated:
            np.testing.assert_array_equal(env.reset()[0], bare.reset().observation)


def test_a_seed_is_given_to_reset():
    with pytest.raises(ArgumentError, match=r"takes no seed; got seed=4\. .* env\.reset\(seed=4\)"):
        bsuite.make_env("bsuite/catch-v0", seed=4)


def test_a_setting_is_one_of_the_sweep_and_arguments_go_before_it():
    assert bsuite.make_env("bsuite/deep_sea-v0").env.observation_space.shape == (10, 10)
    assert bsuite.make_env("bsuite/deep_sea-v0", 5).env.observation_space.shape == (20, 20)
    assert bsuite.make_env("bsuite/deep_sea-v0", size=6).env.observation_space.shape == (6, 6)
    with pytest.raises(
        ArgumentError, match="setting of deep_sea must be a whole number from 0 to 20; got 21"
    ):
        bsuite.make_env("bsuite/deep_sea-v0", 21)


def test_the_end_reports_the_regret_since_the_seed():
    env = bsuite.make_env("bsuite/umbrella_length-v0", chain_length=2)
    for episode in range(8):
        env.reset(seed=2 if episode == 0 else None)
        infos = []
        terminated = False
        while not terminated:
            *_, terminated, _, info = env.step(0)
            infos.append(info)
        assert infos[:-1] == [{}] * (len(infos) - 1)
        assert 0 <= info["total_regret"] <= 2 * (episode + 1)  # right is 1, wrong is -1
    assert info["total_regret"] > 0
    env.reset(seed=2)
    assert env.unwrapped.dm_env.bsuite_info()["total_regret"] == 0


def test_the_board_is_drawn():
    env = bsuite.make_env("bsuite/catch-v0", render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (240, 120, 3)
    squares = picture[12::24, 12::24, 0]
    np.testing.assert_array_equal(squares, 255 * observation.reshape(10, 5))
