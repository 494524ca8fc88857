"""The step that ends an episode starts the next one; every row is computed by hand."""

import numpy as np
from vector_environments import Echo, Flock

# Environments 10 and 20 have episodes of two and three steps. Rows: (tag, episode, step, action).
# actions, observations, terminals, truncations, last observations by row, infos, their environments
COUNTED = [
    ([1, 2], [[10, 0, 1, 1], [20, 0, 1, 2]], [0, 0], [0, 0], {}, [], []),
    (
        *([3, 4], [[10, 1, 0, 0], [20, 0, 2, 4]], [1, 0], [0, 0]),
        *({0: [10, 0, 2, 3]}, [{"episode": 0}], [0]),
    ),
    (
        *([5, 6], [[10, 1, 1, 5], [20, 1, 0, 0]], [0, 1], [0, 0]),
        *({1: [20, 0, 3, 6]}, [{"episode": 0}], [1]),
    ),
    (
        *([7, 8], [[10, 2, 0, 0], [20, 1, 1, 8]], [0, 0], [1, 0]),
        *({0: [10, 1, 2, 7]}, [{"episode": 1}], [0]),
    ),
    ([9, 10], [[10, 2, 1, 9], [20, 1, 2, 10]], [0, 0], [0, 0], {}, [], []),
    (
        *([11, 12], [[10, 3, 0, 0], [20, 2, 0, 0]], [1, 0], [0, 1]),
        *({0: [10, 2, 2, 11], 1: [20, 1, 3, 12]}, [{"episode": 2}, {"episode": 1}], [0, 1]),
    ),
]


def test_a_new_episode_starts_in_the_step_that_ends_the_old_one(make):
    envs = make([Echo, Echo], [[10, 2], [20, 3]], num_envs=2)
    observations, infos = envs.reset(seed=0)
    assert observations.tolist() == [[10, 0, 0, 0], [20, 0, 0, 0]]
    assert infos == []
    for actions, expected, terminals, truncations, finals, infos, env_indices in COUNTED:
        envs.send(actions)
        batch = envs.recv()
        assert batch.observations.tolist() == expected
        assert batch.rewards.tolist() == actions
        assert batch.terminals.tolist() == terminals
        assert batch.truncations.tolist() == truncations
        assert batch.masks.all()
        assert batch.env_ids.tolist() == [0, 1]
        for row, final in finals.items():
            assert envs.final_observations[row].tolist() == final
        assert batch.infos == infos
        assert batch.infos.env_indices == env_indices


def test_a_reset_forgets_how_the_last_episode_ended(make):
    envs = make(Echo, [5, 1], num_envs=2)
    envs.reset(seed=0)
    envs.step([1, 2])
    envs.async_reset(seed=0)
    batch = envs.recv()
    assert batch.observations.tolist() == [[5, 0, 0, 0]] * 2
    assert not batch.rewards.any()
    assert not (batch.terminals | batch.truncations).any()


# A flock: `a` dies at step 2, when `c` joins; at step 4 b terminates and c is truncated.
# observations, rewards, terminals, truncations, masks, last observations by row, infos
FLOCK = [
    ([[1, 1], [2, 1], [0, 0]], [1, 2, 0], [0, 0, 0], [0, 0, 0], [1, 1, 0], {}, []),
    (
        *([[0, 0], [2, 2], [3, 2]], [1, 2, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1]),
        *({0: [1, 2]}, [{"ends": "a"}]),
    ),
    ([[0, 0], [2, 3], [3, 3]], [0, 2, 3], [0, 0, 0], [0, 0, 0], [0, 1, 1], {}, []),
    (
        *([[1, 0], [2, 0], [0, 0]], [0, 2, 3], [0, 1, 0], [0, 0, 1], [1, 1, 0]),
        *({1: [2, 4], 2: [3, 4]}, [{"ends": "b"}, {"ends": "c"}]),
    ),
]


def test_agents_that_die_or_join_keep_their_rows_and_are_masked(make):
    envs = make([Flock, Flock], [[0], [1]], num_envs=2)
    of_flock_1 = np.array([10, 0])  # its agents are 11, 12 and 13
    envs.async_reset(seed=0)
    batch = envs.recv()
    assert batch.observations.tolist() == [[1, 0], [2, 0], [0, 0], [11, 0], [12, 0], [0, 0]]
    assert batch.masks.tolist() == [True, True, False] * 2
    for expected, rewards, terminals, truncations, masks, finals, infos in FLOCK * 2:
        envs.send([1, 2, 3, 101, 102, 103])
        batch = envs.recv()
        second = [row if row == [0, 0] else list(row + of_flock_1) for row in expected]
        assert batch.observations.tolist() == expected + second
        assert batch.rewards.tolist() == rewards + [r and r + 100 for r in rewards]
        assert batch.terminals.tolist() == terminals * 2
        assert batch.truncations.tolist() == truncations * 2
        assert batch.masks.tolist() == masks * 2
        assert batch.env_ids.tolist() == [0, 1, 2, 3, 4, 5]
        for row, final in finals.items():
            assert envs.final_observations[row].tolist() == final
            assert envs.final_observations[row + 3].tolist() == list(final + of_flock_1)
        assert batch.infos == infos * 2
        assert batch.infos.env_indices == [0] * len(infos) + [1] * len(infos)
