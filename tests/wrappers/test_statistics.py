"""Episode statistics equal sums by hand, appear once per episode, and change nothing else."""

import gymnasium
import numpy as np
import pytest
from environments import Countdown, Population
from gymnasium.wrappers import RecordEpisodeStatistics
from pettingzoo.utils import BaseParallelWrapper
from spaces_cases import assert_agree, samples

from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.wrappers import EpisodeStats, MultiAgentEpisodeStats


@pytest.mark.parametrize("how", ["terminated", "truncated"])
def test_an_episode_is_reported_on_its_last_step_only(how):
    env = EpisodeStats(Countdown(length=3, how=how))
    for episode in (1, 2):
        assert env.reset()[1] == {}
        infos = [env.step(0)[4] for _ in range(3)]
        due = {"ends": episode, "episode_return": 1.0 + 2.0 + 3.0, "episode_length": 3}
        assert infos == [{}, {}, due]


def test_an_episode_that_a_reset_ends_is_not_counted_in_the_next():
    env = EpisodeStats(Countdown(length=2))
    env.reset()
    env.step(0)
    env.reset()
    env.step(0)
    assert env.step(0)[4]["episode_length"] == 2


def test_further_statistics_are_read_from_the_unwrapped_environment():
    env = EpisodeStats(Countdown(length=1), lambda bare: {"secret": bare.secret})
    env.reset()
    assert env.step(0)[4]["secret"] == 7


def test_play_is_unchanged_and_sums_equal_those_of_gymnasiums_wrapper():
    ours = EpisodeStats(gymnasium.make("CartPole-v1", disable_env_checker=True))
    theirs = RecordEpisodeStatistics(gymnasium.make("CartPole-v1", disable_env_checker=True))
    ends = 0
    assert_agree(ours.reset(seed=0)[0], theirs.reset(seed=0)[0])
    for action in samples(ours.action_space, 60):
        *actual, info = ours.step(action)
        *expected, expected_info = theirs.step(action)
        assert_agree(actual[0], expected[0])
        assert actual[1:] == expected[1:]
        if actual[2] or actual[3]:
            ends += 1
            assert info["episode_return"] == expected_info["episode"]["r"]
            assert info["episode_length"] == expected_info["episode"]["l"]
            assert_agree(ours.reset()[0], theirs.reset()[0])
    assert ends > 1


def test_the_spec_recreates_a_wrapped_environment():
    env = GymnasiumPufferEnv(EpisodeStats(gymnasium.make("CartPole-v1", disable_env_checker=True)))
    again = gymnasium.make(env.spec)
    assert isinstance(again.env, EpisodeStats)


def test_each_agent_is_reported_when_its_own_episode_ends():
    env = MultiAgentEpisodeStats(Population())
    for _ in range(2):
        assert env.reset(seed=0)[1] == {"early": {}, "through": {}}
        infos = [env.step(dict.fromkeys(env.agents, 0))[4] for _ in range(3)]
        # Rewards are 10 x step + place; "late" takes part in steps 2 and 3.
        assert infos[0] == {
            "early": {"left": "early", "episode_return": 10.0, "episode_length": 1},
            "through": {},
        }
        assert infos[1] == {"through": {}, "late": {}}
        assert infos[2] == {
            "through": {"left": "through", "episode_return": 11.0 + 21 + 31, "episode_length": 3},
            "late": {"left": "late", "episode_return": 22.0 + 32, "episode_length": 2},
        }


def test_agents_whose_episode_a_reset_ends_are_not_counted_in_the_next():
    env = MultiAgentEpisodeStats(Population({"a": (0, 2, "terminated")}))
    env.reset()
    env.step({"a": 0})
    env.reset()
    env.step({"a": 0})
    assert env.step({"a": 0})[4]["a"]["episode_length"] == 2


@pytest.mark.parametrize("env", [EpisodeStats(Countdown()), MultiAgentEpisodeStats(Population())])
def test_seeds_and_options_reach_the_environment(env):
    for _ in range(2):
        env.reset(seed=0, options={"level": 3})
        assert env.unwrapped.options == {"level": 3}
        assert env.unwrapped.episode == 1  # counted since seeded


class WithoutInfos(BaseParallelWrapper):
    """Returns no infos."""

    def step(self, actions):
        return (*super().step(actions)[:4], {})


def test_an_agent_without_info_is_reported():
    env = MultiAgentEpisodeStats(WithoutInfos(Population()))
    env.reset()
    infos = env.step(dict.fromkeys(env.agents, 0))[4]
    assert infos == {"early": {"episode_return": 10.0, "episode_length": 1}}


def test_play_of_many_agents_is_unchanged():
    ours, bare = MultiAgentEpisodeStats(Population()), Population()
    assert_agree(ours.reset(seed=0)[0], bare.reset(seed=0)[0])
    for _ in range(3):
        actions = dict.fromkeys(bare.agents, np.int64(1))
        for actual, expected in zip(ours.step(actions)[:4], bare.step(actions)[:4], strict=True):
            assert_agree(actual, expected)
        assert ours.agents == bare.agents
