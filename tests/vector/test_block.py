"""The environments of one worker: their rows, seeds and end."""

import numpy as np
import pytest
from environments import Sampler
from gymnasium.spaces import Box, Discrete
from vector_environments import Echo, Flock

from pufferlib.emulation import native
from pufferlib.environment import Buffers, PufferEnv
from pufferlib.vector.arguments import Creation
from pufferlib.vector.block import Block


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
            raise OSError("the simulator is gone")


def block_of(*envs, first_env=0):
    """Return a block of `envs`, and the rows that it is bound to."""
    block = Block(first_env)
    block.make([Creation(lambda env=env: env, (), {}) for env in envs])
    buffers = Buffers.allocate(envs[0].single_observation_space, sum(block.num_agents))
    block.bind(buffers)
    return block, buffers


def test_each_environment_gets_its_own_rows_and_actions():
    block, buffers = block_of(Ledger(1, num_agents=2), Ledger(5, num_agents=1), Ledger(7))
    block.reset(seed=0)
    block.step(np.array([1, 2, 3, 4, 5]))
    assert block.num_agents == [2, 1, 2]
    assert buffers.observations.ravel().tolist() == [1, 1, 5, 7, 7]
    assert buffers.rewards.tolist() == [1, 2, 3, 4, 5]


def test_seeds_count_from_the_first_environment_of_all():
    envs = Ledger(1), Ledger(5)
    block, _ = block_of(*envs, first_env=6)
    block.reset(seed=100)
    block.reset(seed=None)
    assert [env.seeds for env in envs] == [[106, None], [107, None]]


def test_steps_count_from_the_last_reset():
    block, _ = block_of(Ledger(1), Ledger(5))
    block.reset(seed=0)
    block.step(np.zeros(4, np.int64))
    block.step(np.zeros(4, np.int64))
    assert block.steps == 2
    block.reset(seed=None)
    assert block.steps == 0


def test_all_environments_close_even_if_one_fails_to():
    envs = Ledger(1), Ledger(2), Ledger(3)
    block, _ = block_of(*envs)
    with pytest.raises(OSError, match="the simulator is gone"):
        block.close()
    assert [env.is_closed for env in envs] == [True, True, True]
    block.close()


def test_a_new_attribute_is_set_on_the_users_own_environment():
    gymnasium_env, pettingzoo_env = Echo(), Flock()
    block = Block(first_env=0)
    block.make([Creation(lambda: pettingzoo_env, (), {}), Creation(lambda: gymnasium_env, (), {})])
    block.set_attr("skill", [3, 4])
    assert (pettingzoo_env.skill, gymnasium_env.skill) == (3, 4)
    block.set_attr("brand_new", [5, 6])
    assert block.get_attr("brand_new") == [5, 6]


def test_environments_that_count_their_actions_from_different_numbers_each_get_their_own():
    envs = [Sampler(Box(0, 1, (2,)), Discrete(3, start=start)) for start in (0, 5)]
    block, _ = block_of(*(native(env) for env in envs))
    block.reset(seed=0)
    block.step(np.array([1, 2]))
    assert [env.actions for env in envs] == [[1], [7]]
