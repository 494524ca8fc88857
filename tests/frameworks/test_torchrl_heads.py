"""What TorchRL's actor makes of the heads of a policy."""

import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from torch.distributions import Categorical, Independent, Normal

from pufferlib import vector
from pufferlib.models import Default

pytestmark = pytest.mark.leaves_threads  # TorchRL imports Ray, whose allocator has one


def make_actor(policy_creator, space):
    """Return an actor, its environment, and rows that it observes."""
    pytest.importorskip("torchrl")
    from pufferlib.frameworks import torchrl

    torch.manual_seed(0)
    envs = vector.make(Sampler, [Box(-1, 1, (2,)), space], num_envs=4)
    policy = policy_creator(envs, hidden_size=8)
    for parameter in policy.decoder.parameters():  # far from uniform
        torch.nn.init.normal_(parameter, 0, 0.3)
    rows = torchrl.make_env(envs).reset(seed=0)
    envs.close()
    return torchrl.actor_critic(policy, envs).get_policy_operator(), rows


@torch.no_grad()
def test_actions_are_sampled_unless_the_most_probable_are_asked_for():
    actor, rows = make_actor(Default, Discrete(3))
    from torchrl.envs import ExplorationType, set_exploration_type

    data = rows[:1].expand(4000).clone()
    shares = actor(data)["action"].bincount(minlength=3) / 4000
    expected = data["logits"][0].softmax(-1)
    assert expected.sort().values[1] > 0.05
    torch.testing.assert_close(shares, expected, rtol=0, atol=0.03)
    with set_exploration_type(ExplorationType.DETERMINISTIC):
        assert (actor(data)["action"] == expected.argmax()).all()


class AsDistributions(Default):
    """Returns its heads as distributions of torch."""

    def forward(self, observations):
        heads, value = super().forward(observations)
        if not isinstance(heads, list):
            return self.distribution(heads), value
        return [self.distribution(head) for head in heads], value

    def distribution(self, head):
        return Independent(head, 1) if isinstance(head, Normal) else Categorical(logits=head)


@pytest.mark.parametrize("space", [Discrete(3), MultiDiscrete([3, 2]), Box(-2, 2, (2,))])
@torch.no_grad()
def test_heads_may_be_distributions(space):
    plain, rows = make_actor(Default, space)
    actor, _ = make_actor(AsDistributions, space)
    expected = plain(rows.clone())
    found = actor.get_dist(rows.clone()).log_prob(expected["action"])
    torch.testing.assert_close(found, expected["action_log_prob"])
