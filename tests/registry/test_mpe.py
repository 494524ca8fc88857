"""MPE: the scenarios of mpe2."""

import importlib
from contextlib import closing

import pytest

pytest.importorskip("mpe2")

from kinds import kinds_of_bare, kinds_of_emulated
from mpe2 import all_modules

from pufferlib.registry import mpe
from pufferlib.testing import check_env


def test_the_tasks_are_those_of_the_package():
    assert set(mpe.FAMILY.tasks) == {
        name.removeprefix("mpe/") for name in all_modules.mpe_environments
    }


@pytest.mark.parametrize("task", mpe.FAMILY.tasks)
def test_a_scenario_keeps_the_contract_and_has_the_packages_agents(task):
    check_env(mpe.env_creator(task), steps=30)  # an episode is 25
    bare = importlib.import_module(f"mpe2.{task}").parallel_env()
    with closing(bare), closing(mpe.make_env(task)) as env:
        assert env.possible_agents == bare.possible_agents
        assert kinds_of_emulated(env) == kinds_of_bare(bare)


def test_unlike_agents_are_alike_and_equal_ones_stay_plain():
    with closing(mpe.make_env("simple_spread_v3")) as spread:
        assert spread.single_observation_space.shape == (18,)
        assert spread.single_action_space.n == 5
    with closing(mpe.make_env("simple_speaker_listener_v4")) as speaker:
        assert set(speaker.observation_layout.structure.spaces) == {"team", "team_0", "team_1"}
        assert speaker.single_action_space.nvec.tolist() == [3, 5]


def test_the_time_limit_truncates_and_reports_the_episode():
    with closing(mpe.make_env("simple_v3", max_cycles=2)) as env:
        env.reset(seed=0)
        total = 0.0
        for step in (1, 2):
            _, rewards, terminations, truncations, infos = env.step({"agent_0": 1})
            total += rewards["agent_0"]
            assert (terminations, truncations) == ({"agent_0": False}, {"agent_0": step == 2})
        assert infos["agent_0"] == {
            "episode_return": pytest.approx(total),
            "episode_length": 2,
        }


def test_it_renders_without_a_display():
    with closing(mpe.make_env(render_mode="rgb_array")) as env:
        env.reset(seed=0)
        assert env.render().std() > 0
