"""Episode means, and the reward scale against Stable-Baselines3's."""

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from pufferlib.ppo.statistics import EpisodeStatistics, RewardScale

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


def test_rewards_are_scaled_as_stable_baselines_scales_them():
    reference = VecNormalize(
        DummyVecEnv([Noise] * ROWS), norm_obs=False, clip_reward=np.inf, gamma=0.9
    )
    scale = RewardScale(ROWS, gamma=0.9)
    reference.seed(0)
    reference.reset()
    for _ in range(50):
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


def test_a_restored_scale_goes_on_as_the_first_at_the_start_of_episodes():
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


def test_restored_episode_statistics_go_on_with_the_same_hundred_episodes():
    first, second = EpisodeStatistics(), EpisodeStatistics()
    first.add({"episode_return": float(i)} for i in range(120))
    second.add([{"episode_return": -1e6, "other": 1.0}])
    second.load_state_dict(first.state_dict())
    second.add({"episode_return": float(i)} for i in range(120, 150))
    assert second.means() == {"episode_return": sum(range(50, 150)) / 100}
