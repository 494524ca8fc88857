"""NaN and infinity are refused before they reach the weights."""

import gymnasium
import numpy as np
import pytest
import torch

from pufferlib import vector
from pufferlib.exceptions import NotFiniteError
from pufferlib.models import Default
from pufferlib.ppo import TrainConfig, Trainer
from pufferlib.training.finite import FiniteCheck
from pufferlib.vtrace import VTraceConfig


class Faulty(gymnasium.Env):
    """Returns NaN or infinity in its third step if configured; it may truncate the episode."""

    action_space = gymnasium.spaces.Discrete(2)
    observation_space = gymnasium.spaces.Dict(
        position=gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32),
        picture=gymnasium.spaces.Box(0, 255, (4,), np.uint8),
    )

    def __init__(self, reward=1.0, observation=1.0, is_cut=False):
        self.reward, self.observation, self.is_cut = reward, observation, is_cut

    def reset(self, *, seed=None, options=None):
        self.count = 0
        return self._observe(0.0), {}

    def step(self, action):
        self.count += 1
        is_now = self.count == 3
        seen = self._observe(self.observation if is_now else 1.0)
        return seen, self.reward if is_now else 1.0, False, is_now and self.is_cut, {}

    def _observe(self, value):
        return {
            "position": np.array([0, value], np.float32),
            "picture": np.full(4, 255, np.uint8),  # bytes that would be NaN as floats
        }


class Constant(gymnasium.Env):
    """Observes the same row forever."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, space, row):
        self.observation_space, self.row = space, np.array(row)

    def reset(self, *, seed=None, options=None):
        is_box = isinstance(self.observation_space, gymnasium.spaces.Box)
        return self.row if is_box else {"one": self.row}, {}


def trainer_of(config=TrainConfig, **faults):
    vecenv = vector.make([Faulty, Faulty], env_kwargs=[{}, faults], num_envs=2)
    config = config(horizon=8, minibatches=2, threads=1)
    return Trainer(config, vecenv, Default(vecenv))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_nonfinite_reward_is_reported(value):
    with pytest.raises(NotFiniteError, match=rf"Environment 1 \(row 1\) gave a reward of {value}"):
        trainer_of(reward=value).step()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_nonfinite_observation_is_reported(value):
    expected = rf"Environment 1 \(row 1\) gave an observation that holds {value}, after 4 timesteps"
    with pytest.raises(NotFiniteError, match=expected):
        trainer_of(observation=value).step()


def test_the_last_observation_of_a_truncated_episode_is_checked():
    expected = r"Environment 1 \(row 1\) gave a last observation that holds nan, after 4 timesteps"
    with pytest.raises(NotFiniteError, match=expected):
        trainer_of(observation=np.nan, is_cut=True).step()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("is_one_box", [False, True])
@pytest.mark.parametrize(
    ("row", "rewards"),
    [([np.inf, -np.inf], [np.inf, -np.inf]), ([1.2e308, 1.2e308], [3e38, 3e38])],
)
def test_sums_that_overflow_or_are_undefined_warn_of_nothing(row, rewards, is_one_box):
    space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    if not is_one_box:
        space = gymnasium.spaces.Dict(one=space)
    vecenv = vector.make(Constant, num_envs=2, env_kwargs={"space": space, "row": row})
    check = FiniteCheck(vecenv)
    vecenv.async_reset(0)
    batch = vecenv.recv()
    batch.rewards[:] = rewards
    acting = np.ones(2, bool)
    if np.isfinite(row).all():
        check.observations(batch, 0)
        check.rewards(batch, acting, 0)
        return
    with pytest.raises(NotFiniteError, match="an observation that holds inf"):
        check.observations(batch, 0)
    with pytest.raises(NotFiniteError, match="a reward of inf"):
        check.rewards(batch, acting, 0)


def test_large_numbers_are_accepted():
    trainer_of(reward=3e38, observation=3e38).collect()


def test_a_nonfinite_gradient_does_not_change_the_weights():
    trainer = trainer_of()
    rollout = trainer.collect()
    weights = list(trainer.policy.parameters())
    weights[0].register_hook(lambda gradient: gradient * torch.inf)  # inf, and 0 * inf
    before = [weight.clone() for weight in weights]
    with pytest.raises(NotFiniteError, match=r"gradient's norm is (inf|nan) in update 1, after"):
        trainer.update(rollout)
    for weight, kept in zip(weights, before, strict=True):
        assert torch.equal(weight, kept)


def test_a_nonfinite_loss_does_not_change_the_weights():
    trainer = trainer_of()
    rollout = trainer.collect()
    rollout.rewards[2, 0] = torch.nan
    before = [weight.clone() for weight in trainer.policy.parameters()]
    with pytest.raises(
        NotFiniteError, match=r"loss is nan in update 1.* Lower train.learning_rate"
    ):
        trainer.update(rollout)
    for weight, kept in zip(trainer.policy.parameters(), before, strict=True):
        assert torch.equal(weight, kept)


@pytest.mark.parametrize("config", [TrainConfig, VTraceConfig])
def test_the_policy_is_not_run_after_a_step_that_is_not_finite(config):
    trainer = trainer_of(config)
    rollout = trainer.collect()
    rollout.rewards[2] = torch.nan
    runs = []  # each would change running statistics, and draw from torch's random stream
    trainer.policy.register_forward_hook(lambda *given: runs.append(given))
    with pytest.raises(NotFiniteError):
        trainer.update(rollout)
    assert len(runs) == 1
