"""Episode means, and the reward scale compared with Stable-Baselines3's."""

import decimal
import enum
import fractions

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from pufferlib.exceptions import ContractError
from pufferlib.training.statistics import EpisodeStatistics, RewardScale

ROWS = 3


class Noise(gymnasium.Env):
    """Random rewards, episodes of seven steps."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        reward = float(self.np_random.normal(3, 5))
        return np.zeros(1, np.float32), reward, self.steps == 7, False, {}


class Late(Noise):
    """Gives no reward for three hundred steps, and then one: 17 deviations, clipped to 10."""

    def step(self, action):
        self.steps += 1
        return np.zeros(1, np.float32), float(self.steps == 300), self.steps == 305, False, {}


@pytest.mark.parametrize("env", [Noise, Late])
def test_rewards_are_scaled_and_clipped_as_in_stable_baselines(env):
    reference = VecNormalize(DummyVecEnv([env] * ROWS), norm_obs=False, gamma=0.9)
    scale = RewardScale(ROWS, gamma=0.9)
    reference.seed(0)
    reference.reset()
    for _ in range(310):
        _, expected, ends, _ = reference.step(np.zeros(ROWS, np.int64))
        everyone = np.ones(ROWS, np.bool_)
        assert scale(reference.get_original_reward(), ends, everyone) == pytest.approx(
            expected, rel=1e-5
        )


def test_rows_without_an_agent_do_not_count():
    random = np.random.default_rng(0)
    alone, among_absent = RewardScale(2, 0.9), RewardScale(6, 0.9)
    acting = np.array([True, False, False, True, False, False])
    for _ in range(30):
        rewards = random.normal(size=2).astype(np.float32)
        wide = np.zeros(6, np.float32)
        wide[acting] = rewards
        expected = alone(rewards, np.zeros(2, np.bool_), np.ones(2, np.bool_))
        scaled = among_absent(wide, np.zeros(6, np.bool_), acting)
        np.testing.assert_array_equal(scaled[acting], expected)


def test_a_restored_scale_continues_like_the_original_at_the_start_of_episodes():
    random = np.random.default_rng(0)
    rewards = random.normal(size=(20, 4)).astype(np.float32)
    ends, everyone = np.zeros(4, np.bool_), np.ones(4, np.bool_)
    whole, second = RewardScale(4, 0.9), RewardScale(4, 0.9)
    for row in rewards[:10]:
        whole(row, ends, everyone)
    whole(rewards[10], everyone, everyone)  # all episodes end
    second.load_state_dict(whole.state_dict())
    for row in rewards[11:]:
        np.testing.assert_array_equal(second(row, ends, everyone), whole(row, ends, everyone))


def test_episode_statistics_average_the_numbers_of_the_last_hundred_episodes():
    statistics = EpisodeStatistics()
    statistics.add({"episode_return": float(i), "name": "x", "won": i % 2 == 0} for i in range(150))
    assert statistics.means() == {"episode_return": sum(range(50, 150)) / 100, "won": 0.5}


def test_restored_episode_statistics_continue_with_the_same_hundred_episodes():
    first, second = EpisodeStatistics(), EpisodeStatistics()
    first.add({"episode_return": float(i)} for i in range(120))
    second.add([{"episode_return": -1e6, "other": 1.0}])
    second.load_state_dict(first.state_dict())
    second.add({"episode_return": float(i)} for i in range(120, 150))
    assert second.means() == {"episode_return": sum(range(50, 150)) / 100}


class Kind(enum.StrEnum):
    WON = "won"


def test_every_kind_of_number_is_averaged_and_other_values_are_ignored():
    statistics = EpisodeStatistics()
    for flag in (np.True_, np.False_):
        info = {
            "python": 1,
            "bool": True,
            "numpy_bool": flag,
            "numpy": np.float16(0.5),
            "zero_dimensional": np.array(2),
            "torch": torch.tensor(3.0),
            "fraction": fractions.Fraction(1, 4),
        }
        statistics.add([{**info, "text": "4", "list": [5], "array": np.ones(2), "none": None}])
    expected = {
        "python": 1.0,
        "bool": 1.0,
        "numpy_bool": 0.5,
        "numpy": 0.5,
        "zero_dimensional": 2.0,
        "torch": 3.0,
        "fraction": 0.25,
    }
    assert statistics.means() == expected


def test_keys_of_any_type_are_named_by_their_text():
    statistics = EpisodeStatistics()
    statistics.add([{1: 1.0, "a": 2.0, np.str_("b"): 3.0, Kind.WON: 4.0, np.int64(7): 5.0}])
    assert statistics.means() == {"1": 1.0, "7": 5.0, "a": 2.0, "b": 3.0, "won": 4.0}
    assert {type(key) for key in statistics.state_dict()} == {str}


@pytest.mark.parametrize(
    "value",
    [10**400, 10**5000, np.complex64(1j), 1j, decimal.Decimal("sNaN"), np.array(1j)],
    ids=["huge", "huge beyond its repr", "complex", "Python's complex", "signaling", "array"],
)
def test_a_number_that_is_no_float_is_refused_with_its_key(value):
    with pytest.raises(ContractError, match=r"infos\['damage'\] must be a number .* got"):
        EpisodeStatistics().add([{"damage": value}])


@pytest.mark.parametrize("options", [{}, {"stats_key": "of_the_wrapper"}])
def test_the_statistics_of_gymnasiums_wrapper_are_counted_under_our_names(options):
    env = gymnasium.wrappers.RecordEpisodeStatistics(Noise(), **options)
    env.reset(seed=0)
    statistics, total, ended = EpisodeStatistics(), 0.0, False
    while not ended:
        _, reward, ended, _, info = env.step(0)
        total += reward
        statistics.add([info])
    means = statistics.means()
    assert means.keys() == {"episode_return", "episode_length"}
    assert means["episode_return"] == pytest.approx(total, rel=1e-5)
    assert means["episode_length"] == 7


def test_an_episode_that_both_wrappers_report_counts_once():
    statistics = EpisodeStatistics()
    info = {"episode": {"r": 5.0, "l": 3, "t": 0.1}, "episode_return": 5.0, "episode_length": 3}
    statistics.add([info])
    assert statistics.state_dict() == {"episode_return": [5.0], "episode_length": [3.0]}


def test_what_ends_counts_until_the_task_before_is_left_and_then_only_what_follows():
    statistics = EpisodeStatistics()
    statistics.add([{"episode_return": 1.0}])
    statistics.begin_task()
    assert (statistics.means(), statistics.are_current) == ({}, False)
    statistics.add([{"episode_return": 10.0, "apples": 2}])
    assert statistics.means() == {"apples": 2, "episode_return": 10}
    assert statistics.state_dict() == {}  # a resumed run begins new episodes
    statistics.leave_task_before()
    assert (statistics.means(), statistics.are_current) == ({}, True)
    statistics.add([{"episode_return": 3.0}])
    statistics.leave_task_before()  # once more
    assert statistics.state_dict() == {"episode_return": [3]}


def test_loaded_episodes_are_current():
    statistics = EpisodeStatistics()
    statistics.begin_task()
    statistics.load_state_dict({"episode_return": [4.0]})
    assert statistics.are_current
    statistics.leave_task_before()
    assert statistics.means() == {"episode_return": 4}
