"""Stable Retro: one environment in a process, games that have to be imported, frames skipped."""

import contextlib

import numpy as np
import pytest
import stable_retro as package
from stable_retro.data import Integrations, get_file_path, get_romfile_path, list_games

from pufferlib.exceptions import ArgumentError, NotInstalledError, UnknownNameError
from pufferlib.registry import stable_retro
from pufferlib.registry._stable_retro_env import Skip

LEFT = np.array([0] * 6 + [1] + [0] * 5, np.int8)  # of a Genesis' buttons: B A mode start up down


@pytest.fixture
def env():
    with contextlib.closing(stable_retro.make_env(render_mode="rgb_array")) as made:
        yield made


def test_the_tasks_are_the_games_whose_files_are_there():
    def is_there(game):
        try:
            get_romfile_path(game, Integrations.STABLE)
        except FileNotFoundError:
            return False
        return True

    assert tuple(filter(is_there, list_games(Integrations.STABLE))) == stable_retro.FAMILY.tasks


def test_a_second_environment_is_refused_with_what_to_do(env):
    with pytest.raises(ArgumentError, match=r"one environment in a process.*num_workers=num_envs"):
        stable_retro.make_env()
    assert env.reset(seed=0)[0].shape == (112, 160, 4)


def test_a_game_that_is_not_there_says_how_to_import_it():
    with pytest.raises(NotInstalledError, match="SonicTheHedgehog-Genesis-v0 has not been impor"):
        stable_retro.make_env(game="SonicTheHedgehog-Genesis-v0")
    with pytest.raises(UnknownNameError, match=r"no game 'Airstriker-Genesis'. Did you mean"):
        stable_retro.make_env(game="Airstriker-Genesis")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"state": "Level2"}, r"no state 'Level2'\. Did you mean 'Level1'\? It has: Level1\."),
        ({"scenario": "scenaro"}, r"no scenario 'scenaro'\. Did you mean 'scenario'\?"),
        ({"scenario": "nope.json"}, r"no scenario 'nope\.json'\. It has: scenario\."),
        ({"info": "nope"}, r"no info 'nope'\. It has: data\."),
    ],
)
def test_a_file_that_the_game_does_not_have_is_refused(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        stable_retro.make_env(**kwargs)


def test_the_files_that_the_game_has_are_taken_with_and_without_their_endings():
    scenario = get_file_path("Airstriker-Genesis-v0", "scenario.json", Integrations.STABLE)
    for files in (
        {"state": "Level1", "scenario": "scenario", "info": "data"},
        {"state": "Level1.state", "scenario": scenario},
        {"state": package.State.NONE},
    ):
        with contextlib.closing(stable_retro.make_env(**files)) as env:
            env.reset(seed=0)


@pytest.mark.parametrize("kwargs", [{"shrink": 3}, {"frame_skip": 0}])
def test_an_environment_that_was_refused_is_in_nobodys_way(kwargs):
    with pytest.raises(ArgumentError, match="must") as refused:
        stable_retro.make_env(**kwargs)
    stable_retro.make_env().close()
    del refused  # was referenced in the meantime, with all that its frames hold


def test_the_newest_of_the_frames_is_the_games_gray_and_half_its_size(env):
    env.reset(seed=0)
    for _ in range(20):
        observation = env.step(LEFT)[0]
    gray = env.render().astype(float) @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    expected = gray.reshape(112, 2, 160, 2).mean((1, 3))
    assert np.abs(observation[..., -1] - expected).max() < 2
    assert observation[..., -1].std() > 1


@pytest.mark.long
def test_an_action_lasts_for_frames_whose_rewards_add_up():
    with contextlib.closing(package.make("Airstriker-Genesis-v0", render_mode="rgb_array")) as bare:
        bare.reset(seed=0)
        bare.action_space.seed(0)
        actions = [bare.action_space.sample() for _ in range(300)]
        rewards, screens = [], []
        for action in actions:
            rewards.append(sum(float(bare.step(action)[1]) for _ in range(4)))
            screens.append(bare.get_screen().copy())
        env = Skip(bare, 4)
        env.reset(seed=0)
        for action, reward, screen in zip(actions, rewards, screens, strict=True):
            observation, total, *_ = env.step(action)
            assert total == reward
            np.testing.assert_array_equal(observation, screen)
    assert sum(rewards) > 0


@pytest.mark.long
def test_the_step_limit_truncates_and_reports_the_games_own_variables():
    with contextlib.closing(package.make("Airstriker-Genesis-v0", render_mode="rgb_array")) as bare:
        bare.reset(seed=0)
        expected = [bare.step(LEFT)[-1] for _ in range(3 * 4)][-1]  # four frames an action
    assert expected["lives"] > 0
    with contextlib.closing(stable_retro.make_env(max_episode_steps=3)) as env:
        env.reset(seed=0)
        steps = [env.step(LEFT) for _ in range(3)]
    assert [step[2:4] for step in steps] == [(False, False), (False, False), (False, True)]
    total = sum(step[1] for step in steps)
    reported = {"episode_return": total, "episode_length": 3}
    assert [step[4] for step in steps] == [{}, {}, expected | reported]
