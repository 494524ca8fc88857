"""Stable-Baselines3 learns from the agents that are present, and from no others."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_environments import Lights
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize
from torch.testing import assert_close
from training_environments import Roster

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, CallOrderError, ContractError
from pufferlib.frameworks.sb3 import (
    MaskablePolicy,
    Policy,
    Presence,
    PresentBuffer,
    PufferVecEnv,
    RecurrentPolicy,
    leave_out_absent,
)
from pufferlib.models import Default, GRUWrapper, LSTMWrapper, NormalizedObservations

SPACES = Box(-10, 10, (1,), np.float32), Discrete(2)


def filled(acted, rewards, starts, values, last_values, dones):
    """Return a buffer of steps (T, rows) with gamma and lambda of 1/2."""
    steps, rows = np.shape(acted)
    presence = Presence(rows)
    options = {"gamma": 0.5, "gae_lambda": 0.5, "n_envs": rows, "device": "cpu"}
    buffer = PresentBuffer(steps, *SPACES, presence=presence, **options)
    for t in range(steps):
        presence.update(np.array(acted[t], bool))
        observations = np.array([[10 * row + t] for row in range(rows)], np.float32) % 10
        value = torch.tensor(values[t], dtype=torch.float32)
        zeros = np.zeros(rows)
        buffer.add(observations, zeros, np.array(rewards[t]), np.array(starts[t]), value, value)
    buffer.compute_returns_and_advantage(torch.tensor(last_values), np.array(dones))
    return buffer


def test_advantages_are_those_of_the_present_agents():
    # Row 0 ends at t=1. Row 1 ends at t=0, is absent at t=1 and 2, and returns at t=3.
    # Row 2 was absent at t=0, ends at t=2 by a lost step, and is absent at t=3.
    buffer = filled(
        acted=[[1, 1, 0], [1, 0, 1], [1, 0, 0], [1, 1, 0]],
        rewards=[[1, 2, 9], [1, 9, 1], [1, 9, 9], [1, 4, 9]],
        starts=[[1, 1, 1], [0, 1, 1], [1, 0, 0], [0, 1, 1]],
        values=[[1, 1, 7], [2, 7, 2], [3, 7, 4], [4, 2, 7]],
        last_values=[2.0, 6.0, 7.0],
        dones=[False, False, False],
    )
    # A = delta + 1/4 A', delta = r + 1/2 V' - V; at an end without V' and A'.
    expected = [
        [1 + 1 - 1 + 0.25 * -1, 2 - 1, 0],  # row 0 goes on to -1
        [1 - 2, 0, 1 + 2 - 2 + 0.25 * 0],  # row 2 bootstraps the value of the lost step only
        [1 + 2 - 3 + 0.25 * -2, 0, 0],
        [1 + 1 - 4, 4 + 3 - 2, 0],
    ]
    np.testing.assert_allclose(buffer.advantages, expected)
    present = buffer.acted
    np.testing.assert_allclose(
        buffer.returns[present], (np.array(expected) + buffer.values)[present]
    )


def test_minibatches_have_every_present_transition_once():
    acted = np.array([[1, 0], [1, 1], [0, 1], [1, 0], [1, 1]])
    zeros = np.zeros((5, 2))
    buffer = filled(acted, zeros, zeros, zeros, [0.0, 0.0], [False, False])
    for _ in range(2):  # two epochs
        sizes, seen = [], []
        for samples in buffer.get(3):
            sizes.append(len(samples.observations))
            seen += samples.observations[:, 0].tolist()
        assert sizes == [3, 2, 2]  # of 7; never a minibatch of one, which cannot be normalized
        assert sorted(seen) == sorted([0, 1, 3, 4, 1, 2, 4])  # the steps of both rows
    (everything,) = buffer.get()
    assert len(everything.observations) == 7


def test_with_everybody_present_it_equals_the_buffer_of_stable_baselines3():
    generator = np.random.default_rng(0)
    shape = 6, 3
    rewards, values = generator.normal(size=shape), generator.normal(size=shape)
    starts = generator.random(shape) < 0.3
    last, dones = generator.normal(size=3), generator.random(3) < 0.5
    ours = filled(np.ones(shape), rewards, starts, values, last, dones)
    theirs = RolloutBuffer(6, *SPACES, device="cpu", gamma=0.5, gae_lambda=0.5, n_envs=3)
    for t in range(6):
        value = torch.tensor(values[t])
        theirs.add(np.zeros((3, 1)), np.zeros(3), rewards[t], starts[t], value, value)
    theirs.compute_returns_and_advantage(torch.tensor(last), dones)
    np.testing.assert_array_equal(ours.advantages, theirs.advantages)
    np.testing.assert_array_equal(ours.returns, theirs.returns)


def test_a_rollout_without_anybody_is_an_error():
    zeros = np.zeros((2, 1))
    buffer = filled(zeros, zeros, zeros, zeros, [0.0], [False])
    with pytest.raises(ContractError, match="in any of the 2 steps"):
        next(buffer.get(2))


class Inspect(BaseCallback):
    """Keeps the minibatches of each rollout, and what the policy says of them."""

    def __init__(self):
        super().__init__()
        self.rollouts = []

    def _on_step(self):
        return True

    @torch.no_grad()
    def _on_rollout_end(self):
        found = []
        for samples in self.model.rollout_buffer.get(8):
            actions = samples.actions.long().flatten()
            extra = [samples.lstm_states, samples.episode_starts] if self.is_recurrent else []
            masks = {"action_masks": samples.action_masks} if self.is_masked else {}
            rated = self.model.policy.evaluate_actions(
                samples.observations, actions, *extra, **masks
            )
            real = samples.mask > 0.5 if self.is_recurrent else slice(None)
            assert_close(rated[1][real], samples.old_log_prob[real], atol=1e-5, rtol=0)
            assert_close(rated[0].flatten()[real], samples.old_values[real], atol=1e-5, rtol=0)
            found.append(samples.observations[real])
        self.rollouts.append(torch.cat(found))

    @property
    def is_recurrent(self):
        return isinstance(self.model, RecurrentPPO)

    @property
    def is_masked(self):
        return isinstance(self.model, MaskablePPO)


def small(env):
    return Default(env, hidden_size=8)


CREATORS = {
    PPO: (Policy, [small]),
    A2C: (Policy, [small]),
    RecurrentPPO: (
        RecurrentPolicy,
        [lambda env: LSTMWrapper(env, small(env)), lambda env: GRUWrapper(env, small(env))],
    ),
    MaskablePPO: (MaskablePolicy, [small]),
}


def model_of(algorithm, env, creator=0, **options):
    form, creators = CREATORS[algorithm]
    options = {"n_steps": 10, "seed": 0, "device": "cpu", **options}
    if algorithm is not A2C:
        options = {"batch_size": 6, "n_epochs": 2, **options}
    return algorithm(form, env, policy_kwargs={"policy_creator": creators[creator]}, **options)


@pytest.mark.long
@pytest.mark.parametrize(
    ("algorithm", "creator"), [(PPO, 0), (A2C, 0), (RecurrentPPO, 0), (RecurrentPPO, 1)]
)
def test_only_the_present_are_learned_from(algorithm, creator):
    # One agent of Roster plays all five steps of an episode, one two, and one none. Of the present
    # the last part of an observation is 1. Rollouts of 8 steps end within episodes.
    env = PufferVecEnv(vector.make(Roster, num_envs=2))
    model = leave_out_absent(model_of(algorithm, env, creator, n_steps=8))
    inspect = Inspect()
    model.learn(5 * 8 * 6, callback=inspect)
    for rollout in inspect.rollouts:
        assert (rollout[:, 2] == 1).all()
    steps = np.arange(40) % 5
    taken = [2 * (8 + (steps[start : start + 8] < 2).sum()) for start in range(0, 40, 8)]
    assert [len(rollout) for rollout in inspect.rollouts] == taken
    assert all(weight.isfinite().all() for weight in model.policy.parameters())
    env.close()


def test_running_statistics_are_of_the_present():
    def creator(env):
        return NormalizedObservations(env, small(env))

    env = PufferVecEnv(vector.make(Roster, num_envs=2))
    kwargs = {"policy_creator": creator}
    model = PPO(Policy, env, policy_kwargs=kwargs, n_steps=10, batch_size=6, device="cpu")
    leave_out_absent(model).learn(60)
    model.learn(60)  # applies those of the last rollout first
    network = model.policy.network
    assert network.count == pytest.approx(2 * 2 * (5 + 2), abs=0.01)
    assert network.mean[2] == pytest.approx(1, abs=1e-4)  # in rows of absent agents it is 0
    assert network.variance[2] == pytest.approx(0, abs=1e-4)
    env.close()


@pytest.mark.long
@pytest.mark.parametrize("algorithm", [PPO, MaskablePPO, RecurrentPPO])
def test_agents_of_pettingzoo_are_learned_from_while_they_are_present(algorithm):
    # In six steps "early" takes two, "through" six and "late" three. Without masks an action is
    # taken whether or not the mask allows it.
    env = PufferVecEnv(vector.make(Lights, num_envs=2))
    model = leave_out_absent(model_of(algorithm, env, n_steps=12))
    inspect = Inspect()
    model.learn(2 * 12 * 6, callback=inspect)
    assert [len(rollout) for rollout in inspect.rollouts] == [2 * 2 * 11] * 2
    env.close()


def test_wrapped_environments_and_arguments_do_the_same():
    inner = PufferVecEnv(vector.make(Roster, num_envs=1))
    env = VecNormalize(inner, norm_obs=False)
    model = leave_out_absent(model_of(PPO, env))
    inspect = Inspect()
    model.learn(30, callback=inspect)
    by_arguments = model_of(
        PPO,
        env,
        rollout_buffer_class=PresentBuffer,
        rollout_buffer_kwargs={"presence": inner.presence},
    )
    by_arguments.learn(30, callback=inspect)
    assert [len(rollout) for rollout in inspect.rollouts] == [14, 14]
    env.close()


@pytest.mark.parametrize("algorithm", [PPO, RecurrentPPO])
def test_a_loaded_model_says_that_its_buffer_belongs_to_no_environment(algorithm, tmp_path):
    env = PufferVecEnv(vector.make(Roster, num_envs=1))
    model = leave_out_absent(model_of(algorithm, env))
    model.learn(30)
    model.save(tmp_path / "model")
    loaded = algorithm.load(tmp_path / "model", env=env, device="cpu")
    with pytest.raises(CallOrderError, match=r"leave_out_absent\(model\) again"):
        loaded.learn(30)
    leave_out_absent(loaded).learn(30)
    env.close()


def test_other_environments_and_buffers_are_refused():
    with pytest.raises(ArgumentError, match="over DummyVecEnv"):
        leave_out_absent(PPO("MlpPolicy", "CartPole-v1", device="cpu"))
    env = PufferVecEnv(vector.make(Roster))
    with pytest.raises(ArgumentError, match="got DQN, which has no rollout buffer"):
        leave_out_absent(DQN("MlpPolicy", env, buffer_size=10, device="cpu"))

    class Own(RolloutBuffer):
        pass

    with pytest.raises(ArgumentError, match="got Own"):
        leave_out_absent(model_of(PPO, env, rollout_buffer_class=Own))
    env.close()
