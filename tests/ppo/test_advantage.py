"""Advantages equal hand calculations, their definition as a sum, and Stable-Baselines3's."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from stable_baselines3.common.buffers import RolloutBuffer

from pufferlib.exceptions import ArgumentError
from pufferlib.ppo.advantage import advantages

GAMMA, LAMBDA = 0.5, 0.5


def one_row(rewards, values, terminals=(), truncations=(), final_values=None):
    """Return the advantages of one row; `terminals` and `truncations` are the steps that end."""
    steps = len(rewards)
    flags = [torch.zeros(steps, 1, dtype=torch.bool) for _ in range(2)]
    for flag, ends in zip(flags, (terminals, truncations), strict=True):
        flag[list(ends)] = True
    final = torch.zeros(steps, 1) if final_values is None else torch.tensor(final_values)[:, None]
    return advantages(
        torch.tensor(rewards)[:, None],
        torch.tensor(values)[:, None],
        *flags,
        final,
        GAMMA,
        LAMBDA,
    )[:, 0].tolist()


def test_without_an_end_the_next_value_is_bootstrapped():
    # delta_1 = 2 + 0.5 * 8 - 4 = 2;  delta_0 = 1 + 0.5 * 4 - 2 = 1;  A_0 = 1 + 0.25 * 2
    assert one_row([1.0, 2.0], [2.0, 4.0, 8.0]) == [1.5, 2.0]


def test_termination_bootstraps_from_nothing():
    # delta_0 = 1 - 2 = -1, to which step 1 adds nothing; delta_1 = 2 + 4 - 4 = 2
    assert one_row([1.0, 2.0], [2.0, 4.0, 8.0], terminals=[0]) == [-1.0, 2.0]


def test_truncation_bootstraps_from_the_final_value_and_not_from_the_next():
    # delta_0 = 1 + 0.5 * 6 - 2 = 2, although the next row's value is 4
    ends = {"truncations": [0], "final_values": [6.0, 0.0]}
    assert one_row([1.0, 2.0], [2.0, 4.0, 8.0], **ends) == [2.0, 2.0]


def test_an_end_that_is_both_bootstraps_from_nothing():
    ends = {"terminals": [0], "truncations": [0], "final_values": [6.0, 0.0]}
    assert one_row([1.0, 2.0], [2.0, 4.0, 8.0], **ends) == [-1.0, 2.0]


def random_rollout(steps, rows):
    """Return random array arguments of `advantages`, with ends of both kinds."""
    random = np.random.default_rng(0)
    rewards, final = random.normal(size=(2, steps, rows)).astype(np.float32)
    values = random.normal(size=(steps + 1, rows)).astype(np.float32)
    terminals, truncations = random.random((2, steps, rows)) < 0.15
    return rewards, values, terminals, truncations, final


def test_agrees_with_the_sum_of_discounted_deltas_episode_by_episode():
    steps, rows = 20, 6
    given = random_rollout(steps, rows)
    rewards, values, terminals, truncations, final = given
    result = advantages(*map(torch.from_numpy, given), 0.9, 0.8).numpy()
    for row in range(rows):
        for start in range(steps):
            expected, weight = 0.0, 1.0
            for t in range(start, steps):
                after = final[t, row] if truncations[t, row] else values[t + 1, row]
                after = 0.0 if terminals[t, row] else after
                expected += weight * (rewards[t, row] + 0.9 * after - values[t, row])
                if terminals[t, row] or truncations[t, row]:
                    break
                weight *= 0.9 * 0.8
            assert result[start, row] == pytest.approx(expected, abs=1e-5)


def test_agrees_with_stable_baselines():
    steps, rows = 20, 6
    given = random_rollout(steps, rows)
    rewards, values, terminals, truncations, final = given
    ends = terminals | truncations
    buffer = RolloutBuffer(
        steps, Box(0, 1, (1,)), Discrete(2), "cpu", gae_lambda=0.8, gamma=0.9, n_envs=rows
    )
    # It has no final values: its algorithms add them, discounted, to the reward before.
    whole = rewards + 0.9 * final * (truncations & ~terminals)
    starts = np.vstack([np.ones(rows), ends[:-1]])
    nothing = np.zeros((rows, 1))
    for t in range(steps):
        value = torch.from_numpy(values[t])
        buffer.add(nothing, nothing, whole[t], starts[t], value, torch.zeros(rows))
    buffer.compute_returns_and_advantage(torch.from_numpy(values[-1]), ends[-1])
    result = advantages(*map(torch.from_numpy, given), 0.9, 0.8).numpy()
    np.testing.assert_allclose(result, buffer.advantages, atol=1e-5)


def test_a_constant_reward_under_a_time_limit_has_no_advantage_at_the_true_value():
    # V = r / (1 - gamma) solves the endless task; a time limit must not change that.
    steps, value = 6, 1.0 / (1 - 0.9)
    truncations = torch.zeros(steps, 1, dtype=torch.bool)
    truncations[[2, 5]] = True
    result = advantages(
        torch.ones(steps, 1),
        torch.full((steps + 1, 1), value),
        torch.zeros(steps, 1, dtype=torch.bool),
        truncations,
        torch.full((steps, 1), value),
        0.9,
        0.95,
    )
    assert result.abs().max().item() < 1e-5


def test_shapes_that_disagree_are_refused():
    flags = torch.zeros(3, 2, dtype=torch.bool)
    with pytest.raises(ArgumentError, match=r"values must be \(4, 2\)"):
        advantages(torch.zeros(3, 2), torch.zeros(3, 2), flags, flags, torch.zeros(3, 2), 0.9, 0.9)
