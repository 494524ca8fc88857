"""The seeds and options of `reset` reach each environment, on every backend and after a restart."""

import threading

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import SyncVectorEnv
from vector_environments import Asked, Echo

from pufferlib import vector
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.registry import ocean
from pufferlib.vector import Multiprocessing, to_gymnasium
from pufferlib.vector.arguments import seed_each


class AskedAgents(pettingzoo.ParallelEnv):
    """Likewise, with an agent."""

    metadata = {"name": "asked"}  # noqa: RUF012  # as PettingZoo declares it
    possible_agents = ["a"]  # noqa: RUF012
    render_mode = None

    def __init__(self):
        self.env = Asked()

    def observation_space(self, agent):
        return self.env.observation_space

    def action_space(self, agent):
        return self.env.action_space

    def reset(self, seed=None, options=None):
        self.agents = ["a"]
        observation, info = self.env.reset(seed=seed, options=options)
        return {"a": observation}, {"a": info}

    def step(self, actions):
        results = [{"a": each} for each in self.env.step(actions["a"])]
        if results[3]["a"]:
            self.agents = []
        return tuple(results)

    @property
    def asked(self):
        return self.env.asked


class Leveled(PufferEnv):
    """A native environment whose `reset` takes options."""

    single_observation_space, single_action_space = Box(0, 9, (1,)), Discrete(2)
    num_agents = 1

    def reset(self, seed=None, options=None):
        self.observations[:] = (options or {}).get("level", 0)
        self.masks[:] = True
        return self.observations, []


class Seeded(PufferEnv):
    """Three games, each of which observes its seed."""

    single_observation_space, single_action_space = Box(0, 99, (1,)), Discrete(2)
    num_agents = num_seeds = 3

    def reset(self, seed=None):
        self.observations[:, 0] = np.arange(3) + seed
        self.masks[:] = True
        return self.observations, []

    def step(self, actions):
        self.rewards[:], self.terminals[:], self.truncations[:] = 0, False, False
        return self.observations, self.rewards, self.terminals, self.truncations, []


LISTS = [[7, 3, 7, 0], (7, 3, 7, 0), np.array([7, 3, 7, 0]), [np.uint8(7), 3, 7, 0]]


def test_games_of_several_environments_with_a_seed_each_share_none(make):
    envs = make(Seeded, num_envs=4)
    assert envs.num_seeds == 12
    assert envs.reset(seed=7)[0].ravel().tolist() == list(range(7, 19))
    assert envs.reset(seed=[7, 3, 50, 0])[0].ravel()[::3].tolist() == [7, 3, 50, 0]
    rows = to_gymnasium(envs)
    assert rows.reset(seed=20)[0].ravel().tolist() == list(range(20, 32))


@pytest.mark.parametrize("seeds", LISTS, ids=["list", "tuple", "array", "numpy integers"])
def test_each_environment_gets_its_seed_of_a_list(seeds, make):
    ours = make(gymnasium.make, ["CartPole-v1"], num_envs=4)
    theirs = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 4)
    expected, _ = theirs.reset(seed=[7, 3, 7, 0])
    np.testing.assert_array_equal(ours.reset(seeds)[0], expected)
    np.testing.assert_array_equal(to_gymnasium(ours).reset(seed=seeds)[0], expected)


@pytest.mark.parametrize("env", [Asked, AskedAgents])
def test_seeds_and_options_reach_every_environment(env, make):
    envs = make(env, num_envs=4)
    envs.reset(seed=[5, None, 2**40, 0], options={"level": 3})
    envs.step([0, 1, 0, 0])  # episode 2 of environment 1 begins
    envs.reset(seed=range(4))
    envs.reset(seed=None, options={})
    first = {"level": 3}  # each has its own copy: the environments take the key out
    assert envs.get_attr("asked") == [
        [(5, first), (0, None), (None, {})],
        [(None, first), (None, None), (1, None), (None, {})],
        [(2**40, first), (2, None), (None, {})],
        [(0, first), (3, None), (None, {})],
    ]


def test_options_pass_through_to_gymnasium(make):
    envs = to_gymnasium(make(Asked, num_envs=2))
    options = {"level": [1, 2]}
    envs.reset(seed=[4, None], options=options)
    assert envs.get_attr("asked") == ([(4, options)], [(None, options)])
    assert options == {"level": [1, 2]}
    natives = to_gymnasium(make(Leveled, num_envs=2))  # they keep no seeds themselves
    natives.reset(seed=[4, None])
    assert natives.np_random_seed == (4, -1)
    natives.reset(seed=[None, 6])
    assert natives.np_random_seed == (4, 6)


def test_native_environments_take_options_if_their_reset_does(make):
    assert make(Leveled, num_envs=2).reset(options={"level": 7})[0].tolist() == [[7], [7]]
    envs = make(ocean.env_creator("squared"), num_envs=2)
    with pytest.raises(ArgumentError, match=r"takes a seed only; got options=\{'level': 7\}"):
        envs.reset(options={"level": 7})
    envs.reset(options={})
    mixed = make([Leveled, lambda: _without_options(Leveled())], num_envs=2)
    with pytest.raises(ArgumentError, match="takes a seed only"):
        mixed.reset(options={"level": 7})


def _without_options(env):
    env.reset = lambda seed=None: type(env).reset(env, seed)
    return env


WRONG_SEEDS = {
    "a fraction": (1.5, "seed must be a whole number of at least 0, None, or a list"),
    "a word": ("7", "got '7'"),
    "a flag": (True, "got True"),
    "below zero": (-1, "got -1"),
    "too few": ([7], "seed has 1 values for num_envs=2"),
    "too many": (range(3), "seed has 3 values for num_envs=2"),
    "none at all": ([], "seed has 0 values"),
    "a fraction in a list": ([1, 1.5], r"got \[1, 1\.5\]"),
    "below zero in a list": ([1, -1], r"got \[1, -1\]"),
    "two axes": ([[1, 2], [3, 4]], "a whole number"),
    "words": (["7", "8"], "a whole number"),
    "a set": ({1, 2}, "a whole number"),
}


@pytest.mark.parametrize(("seed", "match"), WRONG_SEEDS.values(), ids=WRONG_SEEDS.keys())
def test_other_seeds_are_refused_and_nothing_is_reset(seed, match, make):
    envs = make(Asked, num_envs=2)
    envs.reset(seed=0)
    for reset in (envs.reset, envs.async_reset, to_gymnasium(envs).reset):
        with pytest.raises(ArgumentError, match=match):
            reset(seed=seed)
    envs.step([0, 0])  # the batch still waits for actions
    assert envs.get_attr("asked") == [[(0, None)], [(1, None)]]


@pytest.mark.parametrize("options", ["level", 3, ["level"], [("level", 3)]])
def test_options_that_are_no_dict_are_refused_and_nothing_is_reset(options, make):
    envs = make(Asked, num_envs=2)
    envs.reset(seed=0)
    with pytest.raises(ArgumentError, match="options must be a dict or None, got "):
        envs.reset(options=options)
    envs.step([0, 0])
    assert envs.get_attr("asked") == [[(0, None)], [(1, None)]]


def test_options_that_cannot_be_sent_are_refused_and_nothing_is_reset():
    envs = vector.make(Asked, backend=Multiprocessing, num_envs=2, num_workers=2)
    envs.reset(seed=0)
    with pytest.raises(ArgumentError, match="The options of reset must be picklable"):
        envs.reset(options={"lock": threading.Lock()})
    envs.step([0, 0])
    assert envs.get_attr("asked") == [[(0, None)], [(1, None)]]
    envs.close()


def test_a_pool_and_the_caller_s_own_environments_get_seeds_and_options():
    for options in ({"batch_size": 2}, {"caller_steps": True}):
        envs = vector.make(Leveled, backend=Multiprocessing, num_envs=4, num_workers=2, **options)
        observations, _ = envs.reset(seed=[4, 3, 2, 1], options={"level": 8})
        assert set(observations.ravel()) == {8}
        envs.close()


def test_a_replacement_gets_new_seeds_where_there_were_any_and_the_options():
    envs = vector.make(
        Asked, backend=Multiprocessing, num_envs=4, num_workers=2, on_failure="restart"
    )
    envs.reset(seed=[5, 5, 9, None], options={"level": 3})
    for _ in range(2):
        envs.step([0, 0, 2, 0])
        envs.step([0, 0, 0, 0])
    *others, (of_third,), (of_fourth,) = envs.get_attr("asked")
    envs.close()
    assert others == [[(5, {"level": 3})]] * 2  # this worker has not failed
    assert of_third[0] not in (5, 9, None)
    assert of_fourth[0] is None
    assert of_third[1] == of_fourth[1] == {"level": 3}


class Dice(Echo):
    """Observes a number of NumPy's global generator."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=0)
        self.tag = np.random.randint(2**30)
        return self._observe(0), {}


def test_global_generators_of_a_worker_follow_the_seed_of_its_first_environment():
    envs = vector.make(Dice, backend=Multiprocessing, num_envs=4, num_workers=2)
    rolls = [
        envs.reset(seeds)[0][:, 0].tolist()
        for seeds in ([1, 0, 2, 0], [1, 5, 2, 5], [2, 0, 1, 0], [None, 1, 2, 0])
    ]
    envs.close()
    assert rolls[0] == rolls[1] == [*rolls[2][2:], *rolls[2][:2]]
    assert rolls[0][:2] != rolls[3][:2]
    assert rolls[0][2:] == rolls[3][2:]


def test_a_number_counts_from_environment_0():
    assert seed_each(7, 3) == seed_each(np.int8(7), 3) == [7, 8, 9]
    assert seed_each(None, 2) == [None, None]
