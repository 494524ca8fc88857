"""Which workers make up a batch, and when a replacement begins, whatever the workers are."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from local_workers import LocalWorkers
from vector_environments import Echo, Flock, Troubled

from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.vector.restart import RestartRule
from pufferlib.vector.worker_tracker import Lost


def group_of(num_envs, num_workers, order=()):
    """Return a group whose environments are made and reset."""
    env_args = [[tag] for tag in range(num_envs)]
    group = LocalWorkers([Echo] * num_envs, env_args, num_workers, RestartRule(), order)
    group.descriptions()
    group.allocate_rows(num_envs, [w * num_envs // num_workers for w in range(num_workers)])
    n = num_envs // num_workers
    group.order_all("reset", [([0] * n, None)] * num_workers)
    return group


def test_descriptions_are_in_the_order_of_the_environments_whoever_is_first():
    class Wide(Flock):
        possible_agents = ("a", "b", "c", "d")

    group = LocalWorkers([Flock, Wide, Wide, Wide], num_workers=4, order=[3, 1])
    description, num_agents = group.descriptions()
    assert num_agents == [3, 4, 4, 4]
    assert description.single_observation_space.shape == (2,)


def test_environments_with_other_spaces_are_refused():
    group = LocalWorkers([Echo, Flock], num_workers=2)
    with pytest.raises(ArgumentError, match=r"single_observation_space is .* in environment 1"):
        group.descriptions()


def test_a_batch_is_of_those_who_finish_first():
    group = group_of(4, 4, order=[2, 0, 3, 1])
    assert group.first_ready(2, None) == [0, 2]
    assert group.first_ready(2, None) == [1, 3]


def test_a_batch_of_neighbors_waits_for_a_whole_group():
    group = group_of(4, 4, order=[0, 2, 3, 1])
    assert group.first_ready(2, 2) == [2, 3]
    assert group.first_ready(2, 2) == [0, 1]


def test_draining_waits_for_all_and_forgets_their_answers():
    group = group_of(4, 4)
    assert group.first_ready(1, None) == [0]
    group.order_step(0)
    group.drain()
    group.order_all("reset", [([5], None)] * 4)
    assert group.first_ready(4, None) == [0, 1, 2, 3]
    assert not any(group._tracker.doing)  # none counts as ready for what it did before
    assert [group.take_answer(worker) for worker in range(4)] == [None] * 4  # no infos
    assert [commands[-1] for commands in group.commands] == [("reset", [5], None)] * 4


RAISE, AT_RESET = Troubled.RAISE, Troubled.RAISE_IN_RESET - Troubled.RAISE
SEED = 11


def failed_group(log=None, fates=()):
    """Return (group, rule, rows); of two workers with an environment each, worker 1 has failed."""
    rule = RestartRule("restart")
    env_args = [[0], [1, 2**40, log, fates]]
    group = LocalWorkers([Troubled] * 2, env_args, 2, rule)
    group.descriptions()
    rows, actions = group.allocate_rows(2, [0, 1])
    group.order_all("reset", [([SEED], {"level": 1})] * 2)
    group.first_ready(2, None)
    actions[:] = 1, RAISE
    for worker in (0, 1):
        group.order_step(worker)
    assert group.first_ready(2, None) == [0, 1]
    assert group.take_answer(0) is None
    lost = group.take_answer(1)
    assert lost == Lost({"restarted": "as ordered", "worker": 1})
    actions[:] = 2
    return group, rule, rows


def names(group, worker):
    return [command for command, *_ in group.commands[worker]]


def test_a_replacement_is_reset_with_a_new_seed_when_its_batch_is_requested():
    group, rule, rows = failed_group()
    rows.observations[1] = -1  # what the caller wrote there of the loss
    for worker in (0, 1):
        group.order_step(worker)
    assert group.first_ready(2, None) == [0, 1]
    assert names(group, 0) == ["__init__", "reset", "step", "step"]
    assert names(group, 1) == ["__init__", "reset", "step", "__init__", "reset"]
    _, new_seeds, options = group.commands[1][-1]
    assert new_seeds == rule.new_seeds([SEED], 1) != [SEED]
    assert options == {"level": 1}
    assert rows.observations.tolist() == [[0, 0, 2, 2], [1, 0, 0, 0]]


class Games(PufferEnv):
    """Two games that observe their seeds, and fail at action 1."""

    single_observation_space, single_action_space = Box(0, 2**31, (1,), np.int64), Discrete(2)
    num_agents = num_seeds = 2

    def reset(self, seed=None):
        self.observations[:, 0] = seed + np.arange(2)
        self.masks[:] = True
        return self.observations, []

    def step(self, actions):
        if actions.any():
            raise ValueError("as ordered")
        return self.observations, self.rewards, self.terminals, self.truncations, []


def test_games_of_a_replacement_share_no_seed():
    group = LocalWorkers([Games] * 4, None, 2, RestartRule("restart"))
    group.descriptions()
    rows, actions = group.allocate_rows(8, [0, 4])
    group.order_all("reset", [([0, 2], None), ([4, 6], None)])
    assert group.first_ready(2, None) == [0, 1]
    actions[:] = [0] * 4 + [1] * 4
    for _ in range(2):
        for worker in (0, 1):
            group.order_step(worker)
        assert group.first_ready(2, None) == [0, 1]
        actions[:] = 0
    seeds = rows.observations[:, 0].tolist()
    assert seeds[:4] == [0, 1, 2, 3]
    assert seeds[4:] == list(range(seeds[4], seeds[4] + 4))
    assert seeds[4] != 4


def test_the_rows_of_a_replacement_stay_as_they_are_until_its_batch_is_requested():
    group, _, rows = failed_group()
    rows.observations[1] = -1
    group.order_step(0)
    assert group.first_ready(1, None) == [0]
    group.drain()  # its environments are made
    assert names(group, 1)[-1] == "__init__"
    assert rows.observations[1].tolist() == [-1] * 4


@pytest.mark.parametrize("is_made_before", [True, False])
def test_a_call_waits_for_a_replacement_and_its_batch_comes_after_one_more_reset(is_made_before):
    group, _, rows = failed_group()
    if is_made_before:
        group._wait(1)
    group.begin_call()
    assert names(group, 1) == ["__init__", "reset", "step", "__init__", "reset"]
    group.order_all("get_attr", [("tag", [0])] * 2)
    assert group.first_ready(2, None) == [0, 1]
    assert [group.take_answer(worker) for worker in (0, 1)] == [[0], [1]]
    group.end_call()
    rows.observations[1] = -1
    for worker in (0, 1):
        group.order_step(worker)
    assert group.first_ready(2, None) == [0, 1]
    assert names(group, 1)[3:] == ["__init__", "reset", "get_attr", "reset"]
    assert rows.observations[1].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("where", ["__init__", "reset"])
def test_a_replacement_that_fails_is_replaced_without_another_lost_batch(where, tmp_path):
    group, rule, rows = failed_group(tmp_path / "log", ["", where, where])
    for worker in (0, 1):
        group.order_step(worker)
    assert group.first_ready(2, None) == [0, 1]
    assert group.take_answer(1) is None  # no info of a loss
    assert rule.num_restarts == 3
    expected = ["__init__"] * 3 if where == "__init__" else ["__init__", "reset"] * 2 + ["__init__"]
    assert names(group, 1)[3:] == [*expected, "reset"]
    assert rows.observations[1].tolist() == [1, 0, 0, 0]


def test_a_replacement_with_other_agents_is_refused():
    lives = []

    class Growing(Flock):
        def __init__(self):
            super().__init__()
            lives.append(1)
            if len(lives) > 1:
                self.possible_agents = [*self.possible_agents, "d"]

        def step(self, actions):
            raise ValueError("too many")

    group = LocalWorkers([Growing], num_workers=1, restart_rule=RestartRule("restart"))
    group.descriptions()
    group.allocate_rows(3, [0])
    group.order_all("reset", [([0], None)])
    group.first_ready(1, None)
    group.order_step(0)
    group.first_ready(1, None)
    group.order_step(0)
    with pytest.raises(ArgumentError, match=r"have \[4\] agents; the old ones had \[3\]"):
        group.first_ready(1, None)


def test_environments_are_divided_evenly():
    group = LocalWorkers([Echo] * 6, [[tag] for tag in range(6)], num_workers=3)
    group.descriptions()
    group.allocate_rows(6, [0, 2, 4])
    group.order_all("get_attr", [("tag", [0, 1])] * 3)
    group.first_ready(3, None)
    answers = [group.take_answer(worker) for worker in range(3)]
    np.testing.assert_array_equal(answers, [[0, 1], [2, 3], [4, 5]])
