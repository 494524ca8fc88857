"""The environments of one worker: their rows, seeds and end."""

import pickle
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from environments import Sampler
from gymnasium.spaces import Box, Dict, Discrete, Text
from vector_environments import Echo, Flock

from pufferlib import vector
from pufferlib.emulation import GymnasiumPufferEnv, Layout, PettingZooPufferEnv, native
from pufferlib.environment import Buffers, PufferEnv
from pufferlib.exceptions import ArgumentError, UnequalSpacesError
from pufferlib.vector.arguments import Creation
from pufferlib.vector.block import Block, Description, common_description
from pufferlib.wrappers import EpisodeStats, MultiAgentEpisodeStats


class Ledger(PufferEnv):
    """Two agents; keeps the seeds it was given, and marks its rows."""

    single_observation_space = Box(0, 100, (1,), np.int64)
    single_action_space = Discrete(10)

    def __init__(self, mark, num_agents=2):
        self.mark, self.num_agents, self.seeds, self.is_closed = mark, num_agents, [], False
        super().__init__()

    def reset(self, seed=None):
        self.seeds.append(seed)
        self.observations[:] = self.mark
        return self.observations, []

    def step(self, actions):
        self.rewards[:] = actions
        return self.observations, self.rewards, self.terminals, self.truncations, []

    def close(self):
        self.is_closed = True
        if self.mark == 2:
            raise OSError("the simulator has closed")


def block_of(*envs, first_env=0):
    """Return a block of `envs`, and the rows that it is bound to."""
    block = Block(first_env)
    block.make([Creation(lambda env=env: env, (), {}) for env in envs])
    buffers = Buffers.allocate(envs[0].single_observation_space, sum(block.num_agents))
    block.bind(buffers)
    return block, buffers


def test_each_environment_gets_its_own_rows_and_actions():
    block, buffers = block_of(Ledger(1, num_agents=2), Ledger(5, num_agents=1), Ledger(7))
    block.reset([0, 0, 0])
    block.step(np.array([1, 2, 3, 4, 5]))
    assert block.num_agents == [2, 1, 2]
    assert buffers.observations.ravel().tolist() == [1, 1, 5, 7, 7]
    assert buffers.rewards.tolist() == [1, 2, 3, 4, 5]


def test_each_environment_gets_its_own_seed():
    envs = Ledger(1), Ledger(5)
    block, _ = block_of(*envs, first_env=6)
    block.reset([106, 3])
    block.reset([None, 0])
    assert [env.seeds for env in envs] == [[106, None], [3, 0]]
    assert block.seeds == [None, 0]


def test_steps_count_from_the_last_reset():
    block, _ = block_of(Ledger(1), Ledger(5))
    block.reset([0, 0])
    block.step(np.zeros(4, np.int64))
    block.step(np.zeros(4, np.int64))
    assert block.steps == 2
    block.reset([None, None])
    assert block.steps == 0


def test_all_environments_close_even_if_one_fails_to():
    envs = Ledger(1), Ledger(2), Ledger(3)
    block, _ = block_of(*envs)
    with pytest.raises(OSError, match="the simulator has closed"):
        block.close()
    assert [env.is_closed for env in envs] == [True, True, True]
    block.close()


def test_a_new_attribute_is_set_on_the_users_own_environment():
    gymnasium_env, pettingzoo_env = Echo(), Flock()
    block = Block(first_env=0)
    block.make([Creation(lambda: pettingzoo_env, (), {}), Creation(lambda: gymnasium_env, (), {})])
    block.set_attr("skill", [0, 1], [3, 4])
    assert (pettingzoo_env.skill, gymnasium_env.skill) == (3, 4)
    block.set_attr("brand_new", [0, 1], [5, 6])
    assert block.get_attr("brand_new", [0, 1]) == [5, 6]


ONE = Echo()
FLOCK = Flock()
SHARED = {
    "itself": lambda: ONE,
    "in a wrapper of Gymnasium": lambda: gymnasium.wrappers.TimeLimit(ONE, 5),
    "in emulation": lambda: GymnasiumPufferEnv(EpisodeStats(ONE)),
    "several agents": lambda: FLOCK,
    "several agents in a wrapper": lambda: MultiAgentEpisodeStats(FLOCK),
    "several agents in emulation": lambda: PettingZooPufferEnv(FLOCK),
    "native": lambda ledger=Ledger(7): ledger,  # noqa: B008  # one for all calls is the point
}


@pytest.mark.parametrize("creator", SHARED.values(), ids=SHARED.keys())
def test_an_environment_made_twice_is_found_in_its_wrappers(creator):
    block = Block(first_env=6)
    other = Ledger if isinstance(creator(), Ledger) else type(creator().unwrapped)
    args = (1,) if other is Ledger else ()
    made = [Creation(other, args, {}), *[Creation(creator, (), {})] * 3]
    descriptions = block.make(made)
    assert [each.same_as for each in descriptions] == [None, None, 7]
    assert len(block.envs) == 2  # so that none is closed twice


def test_environments_that_share_a_space_are_different_ones():
    block = Block(first_env=0)
    descriptions = block.make([Creation(Ledger, (mark,), {}) for mark in range(3)])
    assert [each.same_as for each in descriptions] == [None] * 3


def test_environments_whose_actions_start_at_different_numbers_get_their_own_actions():
    envs = [Sampler(Box(0, 1, (2,)), Discrete(3, start=start)) for start in (0, 5)]
    block, _ = block_of(*(native(env) for env in envs))
    block.reset([0, 0])
    block.step(np.array([1, 2]))
    assert [env.actions for env in envs] == [[1], [7]]


PLACE = Box(0, 1, (2,))
KIND = Dict(kind=Discrete(3), place=PLACE)  # rows of 16 bytes
UNLIKE = [
    Dict(kind=Discrete(9), place=PLACE),
    Dict(place=PLACE, speed=Discrete(3)),
    Dict([("place", PLACE), ("kind", Discrete(3))]),
]


def described(observation_space, action_space):
    """Return the description as it comes from a worker."""
    env = native(Sampler(observation_space, action_space))
    return pickle.loads(pickle.dumps(Description.of(env)))


@pytest.mark.parametrize("unlike", UNLIKE, ids=str)
def test_observation_spaces_that_flatten_alike_but_differ_are_refused(unlike):
    alike, other = described(KIND, Discrete(2)), described(unlike, Discrete(2))
    said = (
        r"equal spaces: the observation space is Dict\('kind.* in environment 0, Dict.* in .* 2\."
    )
    with pytest.raises(ArgumentError, match=said):
        common_description([alike, described(KIND, Discrete(2)), other])


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (Discrete(3), Discrete(3, start=5)),
        (Dict(a=Discrete(3), b=Discrete(3)), Dict(a=Discrete(3), c=Discrete(3))),
        (Text(2, charset="ab"), Text(2, charset="xy")),
    ],
)
def test_action_spaces_that_flatten_alike_but_differ_are_refused(first, other):
    with pytest.raises(
        ArgumentError, match=r"equal spaces: the action space is .* in environment 1"
    ):
        common_description([described(KIND, first), described(KIND, other)])


def test_native_and_emulated_environments_with_equal_spaces_share_a_description():
    space, actions = Box(0, 100, (1,), np.int64), Discrete(10)
    own, emulated = Description.of(Ledger(1)), described(space, actions)
    assert common_description([own, emulated, own]) == own
    assert common_description([emulated, own]) == replace(emulated, takes_options=False)


def test_a_native_environment_is_not_mistaken_for_an_emulated_one():
    class Flat(Ledger):
        single_observation_space = Layout.of(KIND).space

    descriptions = [described(KIND, Discrete(10)), Description.of(Flat(1))]
    for both in (descriptions, descriptions[::-1]):
        with pytest.raises(ArgumentError, match=r"the observation space is .*Dict"):
            common_description(both)


@pytest.mark.parametrize("backend", ["Serial", "Multiprocessing"])
def test_environments_with_unequal_spaces_are_refused_together(backend):
    spaces = [[KIND, Discrete(2)], [UNLIKE[1], Discrete(2)]]
    with pytest.raises(UnequalSpacesError, match="must have equal spaces: the observation space"):
        vector.make([Sampler, Sampler], spaces, num_envs=2, backend=backend)


def test_numbers_of_numpy_in_the_metadata_are_kept_as_numbers_of_python():
    env = Echo()
    env.metadata = {"render_fps": np.int64(30), "speed": np.float32(0.5), "extra": object()}
    (description,) = Block(0).make([Creation(lambda: env, (), {})])
    assert description.metadata == {"render_fps": 30, "speed": 0.5}
    assert [type(each) for each in description.metadata.values()] == [int, float]
