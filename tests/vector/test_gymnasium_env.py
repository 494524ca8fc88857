"""With Gymnasium's interface our vectorizers return what its own SyncVectorEnv returns."""

import copy

import gymnasium
import numpy as np
import pytest
from environments import TIMETABLE, Countdown, Population
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as wrappers
from gymnasium_parity import ENVIRONMENTS, Chatty, assert_equal, cartpole, of_gymnasium
from vector_environments import Echo, Flock

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, CallOrderError
from pufferlib.registry import ocean
from pufferlib.vector import to_gymnasium


@pytest.mark.parametrize("creators", ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_everything_equals_what_gymnasium_gives(creators, make):
    ours, theirs = to_gymnasium(make(creators, num_envs=4)), of_gymnasium(creators)
    theirs.action_space.seed(1)
    ended = 0
    for seed in (7, None, [3, 4, 5, 6], [None] * 4):
        if seed is None:  # continues from the generators' states
            assert_equal(ours.reset(), theirs.reset())
        else:
            assert_equal(ours.reset(seed=seed), theirs.reset(seed=seed))
        for _ in range(100):
            actions = theirs.action_space.sample()
            result = theirs.step(actions)
            rewards = result[1].astype(np.float32).astype(np.float64)  # the precision of our rows
            assert_equal(ours.step(actions), (result[0], rewards, *result[2:]))
            ended += np.count_nonzero(result[2] | result[3])
    assert ended > 50
    theirs.close()


@pytest.mark.parametrize("reports_seeded", [False, True])
def test_infos_of_some_resets_only_are_where_gymnasium_has_them(reports_seeded, make):
    class Rarely(Countdown):
        """Only some resets, and only some ends of an episode, return an info."""

        def reset(self, *, seed=None, options=None):
            observation, info = super().reset(seed=seed)
            return observation, info if (seed is not None) == reports_seeded else {}

        def step(self, action):
            *results, info = super().step(action)
            return *results, info if action else {}

    ours = to_gymnasium(make(Rarely, [1], num_envs=2))
    theirs = of_gymnasium([lambda: Rarely(1)] * 2)
    assert_equal(ours.reset(seed=0), theirs.reset(seed=0))
    for actions in ([0, 0], [1, 0], [1, 1]):
        expected = theirs.step(np.array(actions))
        assert_equal(ours.step(actions), expected)
        assert ("begins" in expected[4]) == (not reports_seeded)
    theirs.close()


WRAPPERS = {
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "NormalizeReward": wrappers.NormalizeReward,
    "TransformReward": lambda envs: wrappers.TransformReward(envs, lambda rewards: 2 * rewards),
    "ClipReward": lambda envs: wrappers.ClipReward(envs, -0.5, 0.5),
    "TransformAction": lambda envs: wrappers.TransformAction(envs, lambda actions: 4 - actions),
    "DictInfoToList": wrappers.DictInfoToList,
    "all": lambda envs: wrappers.DictInfoToList(
        wrappers.NormalizeReward(wrappers.RecordEpisodeStatistics(envs))
    ),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS.keys())
def test_wrappers_of_gymnasium_give_what_they_give_around_its_own(wrap, make):
    creators = [Chatty] * 4
    ours, theirs = wrap(to_gymnasium(make(creators, num_envs=4))), wrap(of_gymnasium(creators))
    theirs.action_space.seed(1)
    assert_equal(ours.reset(seed=7), theirs.reset(seed=7))
    for _ in range(100):
        actions = theirs.action_space.sample()
        mine, other = ours.step(actions), theirs.step(actions)
        for infos in (mine[4], other[4]):
            for info in infos if isinstance(infos, list) else [infos]:
                info.get("episode", {}).pop("t", None)  # wall-clock time
        assert_equal(mine, other)
    theirs.close()


def test_observation_wrappers_refuse_us_as_they_refuse_gymnasium(make):
    for envs in (to_gymnasium(make(cartpole, num_envs=2)), of_gymnasium([cartpole] * 2)):
        with pytest.raises(ValueError, match=r"Expected autoreset_mode.*got .*SAME_STEP"):
            wrappers.NormalizeObservation(envs)
        envs.close()


def test_spaces_and_attributes_are_those_of_gymnasium(make):
    ours, theirs = to_gymnasium(make([Chatty] * 4, num_envs=4)), of_gymnasium([Chatty] * 4)
    for name in ("observation_space", "action_space"):
        assert getattr(ours, name) == getattr(theirs, name)
        assert getattr(ours, f"single_{name}") == getattr(theirs, f"single_{name}")
    for name in ("num_envs", "render_mode", "spec", "closed"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert ours.unwrapped is ours
    assert wrappers.RecordEpisodeStatistics(ours).unwrapped is ours
    ours.reset(seed=5)
    theirs.reset(seed=5)
    assert ours.np_random_seed == theirs.np_random_seed == (5, 6, 7, 8)
    ours.reset()
    theirs.reset()
    assert ours.np_random_seed == theirs.np_random_seed == (5, 6, 7, 8)
    for mine, other in zip(ours.np_random, theirs.np_random, strict=True):
        assert mine.bit_generator.state == other.bit_generator.state


def test_metadata_is_that_of_gymnasium(make):
    def pictured():
        return gymnasium.make("CartPole-v1", render_mode="rgb_array")

    ours, theirs = to_gymnasium(make(pictured, num_envs=2)), of_gymnasium([pictured] * 2)
    assert ours.metadata == theirs.metadata
    assert ours.metadata["render_fps"] == 50
    assert "rgb_array" in ours.metadata["render_modes"]
    wrappers.HumanRendering(ours)  # refuses environments without `render_fps`
    theirs.close()


def test_metadata_of_several_agents_and_of_none_is_kept(make):
    assert to_gymnasium(make(Population, num_envs=2)).metadata == {
        "name": "population_v0",
        "render_modes": ["ansi"],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }
    squared = make(ocean.make_env, ["squared"], num_envs=2)
    assert squared.metadata["render_modes"] == ["ansi"]


def test_metadata_that_other_processes_cannot_read_is_left_out(make):
    class Odd(Echo):
        def __init__(self):
            super().__init__()
            self.metadata = {"render_modes": [], "clock": (each for each in ())}

    assert make(Odd, num_envs=2).metadata.keys() == {"render_modes", "autoreset_mode"}


def test_seeds_of_environments_that_keep_none_are_those_of_the_last_reset(make):
    envs = to_gymnasium(make(Flock, num_envs=2))
    assert envs.np_random_seed == (-1, -1)
    envs.reset(seed=7)
    envs.reset()
    assert envs.np_random_seed == (7, 8)
    with pytest.raises(AttributeError, match="np_random"):
        _ = envs.np_random


ACTION_SPACES = [
    Discrete(1000),
    Box(-1, 1, (3,), np.float64),
    MultiDiscrete([5, 7, 1000]),
]


@pytest.mark.parametrize("space", ACTION_SPACES, ids=str)
def test_a_seeded_action_space_gives_the_actions_that_gymnasium_gives(space, make):
    class Seeded(Echo):
        def __init__(self):
            super().__init__()
            self.action_space = copy.deepcopy(space)
            self.action_space.seed(3)

    ours, theirs = to_gymnasium(make(Seeded, num_envs=4)), SyncVectorEnv([Seeded] * 4)
    for _ in range(3):
        np.testing.assert_array_equal(ours.action_space.sample(), theirs.action_space.sample())


def test_a_seeded_structure_of_actions_gives_the_same_actions_again(make):
    class Seeded(Echo):
        action_space = Dict(a=Discrete(1000), b=MultiDiscrete([1000, 1000]))

        def __init__(self):
            super().__init__()
            self.action_space = copy.deepcopy(self.action_space)
            self.action_space.seed(3)

    one, other = make(Seeded, num_envs=2), make(Seeded, num_envs=2)
    np.testing.assert_array_equal(one.action_space.sample(), other.action_space.sample())


def test_action_spaces_that_no_one_seeded_give_different_actions(make):
    class Unseeded(Echo):
        def __init__(self):
            super().__init__()
            self.action_space = Discrete(1000)

    one, other = make(Unseeded, num_envs=8), make(Unseeded, num_envs=8)
    assert (one.action_space.sample() != other.action_space.sample()).any()


def test_methods_and_attributes_of_the_environments_can_be_used(make):
    envs = to_gymnasium(make([Echo] * 2, [[3], [4]], num_envs=2))
    assert envs.render_mode == "ansi"
    assert envs.render() == ("picture of 3", "picture of 4")
    assert envs.get_attr("tag") == (3, 4)
    assert envs.call("greet", "hello", mark="!") == ("hello 3!", "hello 4!")
    envs.set_attr("skill", [1, 2])
    assert envs.get_attr("skill") == (1, 2)
    envs.set_attr("skill", 5, indices=1)
    assert envs.get_attr("skill", indices=[1, 0]) == (5, 1)
    assert envs.call("greet", "hello", indices=1, mark="!") == ("hello 4!",)


def test_close_closes_the_vectorizer_and_may_be_called_again(make):
    vecenv = make(Echo, num_envs=2)
    envs = to_gymnasium(vecenv)
    envs.close()
    envs.close()
    assert envs.closed
    with pytest.raises(CallOrderError, match="after close"):
        vecenv.reset()


def test_returned_arrays_are_not_overwritten(make):
    envs = to_gymnasium(make(Echo, [0, 2], num_envs=2))
    kept = [envs.reset(seed=0)[0]]
    for action in range(1, 5):
        observations, rewards, terminals, truncations, infos = envs.step([action] * 2)
        kept += [observations, rewards, terminals, truncations]
        kept += infos.get("final_obs", np.empty(0)).tolist()
    before = [array.copy() for array in kept]
    envs.step([5] * 2)
    assert all((now == then).all() for now, then in zip(kept, before, strict=True))


def test_without_copy_observations_are_the_rows_themselves(make):
    envs = to_gymnasium(make(Echo, num_envs=2), copy=False)
    first, _ = envs.reset(seed=0)
    second = envs.step([1, 2])[0]
    assert np.shares_memory(first, second)
    assert first[:, 2].tolist() == [1, 1]


def test_each_agent_counts_as_an_environment(make):
    envs = to_gymnasium(make([Flock, Flock], [[0], [1]], num_envs=2))
    assert envs.num_envs == 6
    observations, infos = envs.reset(seed=0)
    assert observations.tolist() == [[1, 0], [2, 0], [0, 0], [11, 0], [12, 0], [0, 0]]
    assert envs.masks.tolist() == [True, True, False] * 2
    assert infos == {}
    actions = [1, 2, 3, 101, 102, 103]
    assert envs.step(actions)[4] == {}
    _, rewards, terminals, truncations, infos = envs.step(actions)  # in each flock `a` dies
    assert rewards.tolist() == [1, 2, 0, 101, 102, 0]
    assert terminals.tolist() == [True, False, False] * 2
    assert not truncations.any()
    assert envs.masks.tolist() == [False, True, True] * 2
    assert infos["_final_obs"].tolist() == [True, False, False] * 2
    assert [infos["final_obs"][row].tolist() for row in (0, 3)] == [[1, 2], [11, 2]]
    assert infos["final_info"] == {}
    assert infos["agent_infos"][[0, 3]].tolist() == [[{"ends": "a"}]] * 2
    assert infos["_agent_infos"].tolist() == [True, False, False] * 2
    envs.step(actions)
    infos = envs.step(actions)[4]  # the others end, and the next episode begins
    assert infos["_final_obs"].tolist() == [False, True, True] * 2
    assert infos["agent_infos"][3] == [{"ends": "b"}, {"ends": "c"}]


def test_infos_of_several_agents_at_the_end_and_at_the_reset_are_in_one_list(make):
    envs = to_gymnasium(make(Population, num_envs=2))
    infos = envs.reset(seed=0)[1]
    first_agents = [agent for agent, (first, *_) in TIMETABLE.items() if first == 0]
    assert infos["agent_infos"][[0, 3]].tolist() == [[{"begins": 1}] * len(first_agents)] * 2
    for _ in range(3):
        infos = envs.step(np.zeros(6, np.int64))[4]
    assert infos["agent_infos"][0] == [{"left": "through"}, {"left": "late"}] + [{"begins": 2}] * 2
    statistics = wrappers.RecordEpisodeStatistics(envs)
    statistics.reset(seed=0)
    for _ in range(3):
        infos = statistics.step(np.zeros(6, np.int64))[4]
    assert infos["episode"]["r"].tolist() == [0, 11 + 21 + 31, 22 + 32] * 2  # 10 x step + place
    assert statistics.return_queue[0] == 10


@pytest.mark.parametrize("options", [5, "reset_mask", ["reset_mask"]])
def test_options_that_are_no_dict_are_refused(options, make):
    envs = to_gymnasium(make(Countdown, num_envs=2))
    for reset in (envs.reset, envs.reset_async):
        with pytest.raises(ArgumentError, match="options must be a dict or None, got "):
            reset(options=options)
    envs.reset(seed=0)


def test_a_pool_is_refused():
    envs = vector.make(Echo, backend="Multiprocessing", num_envs=2, num_workers=2, batch_size=1)
    with pytest.raises(ArgumentError, match="pool with batch_size=1 of num_envs=2"):
        to_gymnasium(envs)
    envs.close()


@pytest.mark.parametrize("given", [vector.Serial, cartpole(), of_gymnasium([cartpole])])
def test_an_object_that_is_not_a_vectorizer_is_refused(given):
    with pytest.raises(ArgumentError, match="takes a vectorizer, got"):
        to_gymnasium(given)
