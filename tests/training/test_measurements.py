"""The metrics by which runs are judged, against calculations by hand."""

import copy
import functools
import math
from contextlib import closing

import gymnasium
import numpy as np
import pytest
import torch
from faults import Masked, emulated
from torch import nn
from torch.distributions import Beta, Independent, Normal
from training_environments import Constant, Dial, OneValue

from pufferlib import vector
from pufferlib.normalization import NormalizedObservations
from pufferlib.training.measurements import Measurements
from pufferlib.training.optimization import value_metrics
from pufferlib.training.policy_runner import PolicyRunner
from pufferlib.training.rollout import Rollout

CPU = torch.device("cpu")
GAMMA = 0.5


class Returns(nn.Module):
    """A policy that returns what it is given."""

    def __init__(self, heads, body=None):
        super().__init__()
        self.heads, self.body = heads, body or nn.Identity()

    def forward(self, observations):
        self.body(observations.float())
        return self.heads, torch.zeros(len(observations), 1)


def measured(env, policy=None):
    """Return (measurements, an empty rollout of two steps and two rows)."""
    with closing(
        vector.make(functools.partial(emulated, copy.deepcopy, env), backend="Serial", num_envs=2)
    ) as vecenv:
        policy = policy or OneValue()
        measurements = Measurements(vecenv, PolicyRunner(policy, 2, CPU), GAMMA)
        vecenv.async_reset(0)
        observations = torch.tensor(vecenv.recv().observations)
        space = vecenv.single_action_space
        action = torch.zeros(2, *space.shape, dtype=torch.float32 if space.shape else torch.int64)
    rollout = Rollout(2, observations, action, 2)
    rollout.observations[:] = observations
    rollout.valid[:] = True
    return measurements, rollout


def dial(high=1.0):
    return Dial(gymnasium.spaces.Box(-high, high, (1,), np.float32), target=0.0)


def test_explained_variance_is_that_of_valid_samples():
    values, targets = torch.tensor([1.0, 2.0, 3.0, 9.0]), torch.tensor([1.0, 2.0, 5.0, 0.0])
    metrics = value_metrics(values, targets, torch.tensor([True, True, True, False]))
    # Targets 1, 2, 5 have the variance 78 / 27, errors 0, 0, 2 have 8 / 9.
    assert metrics["loss/explained_variance"] == pytest.approx(1 - (8 / 9) / (78 / 27))
    assert metrics["rollout/return_mean"] == pytest.approx(8 / 3)
    assert metrics["rollout/return_std"] == pytest.approx(math.sqrt(78 / 27))
    assert metrics["rollout/value_mean"] == pytest.approx(2)
    assert metrics["rollout/value_std"] == pytest.approx(math.sqrt(2 / 3))


def test_explained_variance_of_equal_targets_is_zero():
    ones = torch.ones(3)
    assert value_metrics(ones * 2, ones, ones.bool())["loss/explained_variance"] == 0
    assert value_metrics(ones, ones, ~ones.bool()) == {}


def test_rewards_and_the_error_at_terminations():
    measurements, rollout = measured(Constant(is_truncated=False))
    rollout.rewards[:] = torch.tensor([[1.0, 0.0], [-3.0, 7.0]])
    rollout.values[:] = torch.tensor([[2.0, 1.0], [4.0, 5.0], [8.0, 8.0]])
    rollout.terminals[1, 0] = True
    rollout.valid[1, 1] = False
    metrics = measurements.of_rollout(rollout, entropy=math.log(2) / 4)
    assert metrics["rollout/absent"] == pytest.approx(1 / 4)
    assert metrics["rollout/reward_mean"] == pytest.approx(-2 / 3)
    assert metrics["rollout/reward_std"] == pytest.approx(np.std([1, 0, -3]))
    assert metrics["rollout/reward_max"] == 3
    assert metrics["rollout/nonzero_rewards"] == pytest.approx(2 / 3)
    # At the termination -3 - 4; at the two steps before 1 + 4 / 2 - 2 and 0 + 5 / 2 - 1.
    assert metrics["rollout/terminal_error"] == pytest.approx(-7 / math.sqrt((1 + 1.5**2) / 2))
    assert metrics["policy/relative_entropy"] == pytest.approx(1 / 4)


def test_a_rollout_without_agents_has_no_other_metric():
    measurements, rollout = measured(Constant(is_truncated=False))
    rollout.valid[:] = False
    assert measurements.of_rollout(rollout, 0.5) == {"rollout/absent": 1}
    assert measurements.of_network(rollout, 0) == {}


def test_observations_are_those_of_present_agents():
    measurements, rollout = measured(Constant(is_truncated=False))
    rollout.observations[:] = torch.tensor([[[1.0], [2.0]], [[-6.0], [100.0]]])
    rollout.valid[1, 1] = False
    metrics = measurements.of_rollout(rollout, None)
    assert metrics["rollout/observation_mean"] == pytest.approx(-1)
    assert metrics["rollout/observation_std"] == pytest.approx(np.std([1, 2, -6]))
    assert metrics["rollout/observation_max"] == 6


def test_observations_are_as_the_network_reads_them():
    env = emulated(copy.deepcopy, Constant(is_truncated=False))
    policy = NormalizedObservations(env, OneValue())
    policy.mean[:], policy.variance[:] = 5.0, 4.0
    measurements, rollout = measured(Constant(is_truncated=False), policy)
    rollout.observations[:] = torch.tensor([[[1.0], [3.0]], [[5.0], [7.0]]])  # -2, -1, 0 and 1
    metrics = measurements.of_rollout(rollout, None)
    assert metrics["rollout/observation_mean"] == pytest.approx(-0.5)
    assert metrics["rollout/observation_std"] == pytest.approx(np.std([-2, -1, 0, 1]))
    assert metrics["rollout/observation_max"] == pytest.approx(2)


@pytest.mark.parametrize(("rescales", "unit"), [(True, 1.0), (False, 4.0)])
def test_clipped_actions_are_those_outside_the_bounds_of_samples(rescales, unit):
    policy = OneValue()
    policy.rescale_actions = rescales
    measurements, rollout = measured(dial(high=4.0), policy)
    rollout.actions[:] = unit * torch.tensor([[[0.0], [2.0]], [[-3.0], [0.5]]])
    metrics = measurements.of_rollout(rollout, None)
    assert metrics["policy/clipped_actions"] == 0.5
    assert metrics["policy/action_excess"] == pytest.approx((1 + 2) / 4)
    assert "policy/relative_entropy" not in measurements.of_rollout(rollout, 0.3)


def test_forbidden_actions_are_those_that_the_mask_forbids():
    env = Masked()
    measurements, rollout = measured(env)
    batch = rollout.observations.clone()
    mask = torch.zeros(2, 8, dtype=torch.int8)
    mask[0, 3] = mask[1, 5] = 1
    assert batch.dtype == torch.uint8  # bytes, the mask first
    rollout.observations[..., :8] = mask.view(torch.uint8)
    rollout.actions[:] = torch.tensor([[3, 3], [0, 5]])
    assert measurements.of_rollout(rollout, None)["policy/forbidden_actions"] == 0.5
    rollout.observations[1, :, :8] = 0  # nothing is legal, as for absent agents
    assert measurements.of_rollout(rollout, None)["policy/forbidden_actions"] == 0.5


def test_dead_units_are_zero_or_saturated_everywhere():
    relu, tanh = nn.Linear(1, 4), nn.Linear(4, 2)
    relu.weight.data[:], tanh.weight.data[:] = 0, 0
    relu.bias.data[:] = torch.tensor([-1.0, -0.1, 0.1, 1.0])  # two are zero
    tanh.bias.data[:] = torch.tensor([3.0, 1.0])  # tanh 0.995 and 0.76
    body = nn.Sequential(relu, nn.ReLU(), tanh, nn.Tanh())
    measurements, rollout = measured(Constant(is_truncated=False), Returns(torch.zeros(4, 2), body))
    assert measurements.of_network(rollout, 0) == {"policy/dead_units": pytest.approx(3 / 6)}
    assert measurements.of_network(rollout, 1) == {}
    assert measurements.of_network(rollout, 10) != {}


def test_a_measured_network_stays_as_it_was():
    body = nn.Sequential(nn.BatchNorm1d(1), nn.Dropout(), nn.ReLU())
    body[1].eval()
    measurements, rollout = measured(Constant(is_truncated=False), Returns(torch.zeros(4, 2), body))
    before = torch.get_rng_state()
    measurements.of_network(rollout, 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert body[0].num_batches_tracked == 0
    assert [module.training for module in body] == [True, False, True]
    assert not body[2]._forward_hooks


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        (Normal(torch.zeros(4, 2), torch.tensor([1.0, 3.0]).expand(4, 2)), 2),
        (Independent(Normal(torch.zeros(4, 2), torch.full((4, 2), 0.5)), 1), 0.5),
        (Beta(torch.full((4, 1), 2.0), torch.full((4, 1), 2.0)), math.sqrt(1 / 20)),
        ([torch.zeros(4, 3), Normal(torch.zeros(4, 1), torch.full((4, 1), 0.25))], 0.25),
        (torch.distributions.Categorical(logits=torch.zeros(4, 3)), None),
        (torch.zeros(4, 3), None),
    ],
)
def test_the_deviation_is_that_of_continuous_actions(heads, expected):
    measurements, rollout = measured(dial(), Returns(heads))
    metrics = measurements.of_network(rollout, 0)
    assert metrics.get("policy/action_std") == (expected and pytest.approx(expected))
