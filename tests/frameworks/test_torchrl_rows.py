"""Rows of TorchRL's environments: legal actions only, and agents that come and go."""

import gymnasium
import numpy as np
import pettingzoo
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from sb3_environments import OneLegal

from pufferlib import vector
from pufferlib.exceptions import ArgumentError
from pufferlib.models import Default, LSTMWrapper
from pufferlib.policies.masked import MaskedDefault

pytestmark = pytest.mark.leaves_threads  # TorchRL imports Ray, whose allocator has one


@pytest.fixture(scope="module")
def rl():
    """Return the binding, imported here because that takes seconds."""
    pytest.importorskip("torchrl")
    from pufferlib.frameworks import torchrl

    return torchrl


class Counted(gymnasium.Env):
    """Counts its calls. No observation is 0."""

    observation_space, action_space = Box(1, 2, (1,)), Discrete(2)

    def __init__(self, calls):
        self.calls = calls

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.calls.append("reset")
        return np.ones(1, np.float32), {}

    def step(self, action):
        self.calls.append("step")
        return np.ones(1, np.float32), 0.0, False, False, {}


class Returning(pettingzoo.ParallelEnv):
    """Of two agents, "away" is there at times 0 to 1 and 5 to 8; its first stay may end as done.

    Each observes the time plus 1, and the episode takes 8 steps.
    """

    metadata = {"name": "returning_v0"}  # noqa: RUF012
    possible_agents = ["stays", "away"]  # noqa: RUF012
    render_mode = None

    def __init__(self, says_done):
        self.says_done = says_done

    def observation_space(self, agent):
        return Box(0, 9, (1,))

    def action_space(self, agent):
        return Discrete(3)

    def reset(self, seed=None, options=None):
        self.time, self.agents = 0, [*self.possible_agents]
        return self._all(self.agents, self._observation()), self._all(self.agents, {})

    def step(self, actions):
        self.time += 1
        is_absent = 2 <= self.time < 5
        seen = ["stays"] if is_absent and not self._leaves else [*self.possible_agents]
        ends = {agent: self.time == 8 or (agent == "away" and self._leaves) for agent in seen}
        self.agents = [] if self.time == 8 else ["stays"] if is_absent else [*self.possible_agents]
        observations = self._all(seen, self._observation())
        zeros = self._all(seen, 0.0)
        return observations, zeros, ends, self._all(seen, False), self._all(seen, {})

    @property
    def _leaves(self):
        return self.says_done and self.time == 2

    def _observation(self):
        return np.array([self.time + 1], np.float32)

    def _all(self, agents, value):
        return dict.fromkeys(agents, value)


def with_memory(envs):
    torch.manual_seed(0)
    policy = LSTMWrapper(envs, Default(envs, hidden_size=8, critic="shared"))
    for parameter in policy.parameters():  # also the biases: zeros are remembered
        torch.nn.init.normal_(parameter, 0, 0.5)
    return policy


@torch.no_grad()
def test_only_legal_actions_are_played(rl):
    envs = vector.make(OneLegal, num_envs=2)
    policy = MaskedDefault(envs)
    actor = rl.actor_critic(policy, envs).get_policy_operator()
    data = rl.make_env(envs, policy).rollout(20, actor, break_when_any_done=False)
    assert data["next", "done"].sum() == 4  # episodes of 8 steps
    envs.close()


def test_making_an_environment_plays_none(rl):
    calls = []
    envs = vector.make(Counted, [calls])
    env = rl.make_env(envs, Default(envs))
    assert "step" not in calls
    before = calls.count("reset")
    env.rollout(3)
    assert calls.count("step") == 3
    assert calls.count("reset") == before + 1
    envs.close()


@pytest.mark.parametrize("says_done", [True, False])
@torch.no_grad()
def test_an_agent_that_returns_has_forgotten(rl, says_done):
    envs = vector.make(Returning, [says_done])
    policy = with_memory(envs)
    actor = rl.actor_critic(policy, envs).get_policy_operator()
    data = rl.make_env(envs, policy).rollout(12, actor, break_when_any_done=False)
    envs.close()
    away = data[1]
    assert away["mask"].ravel().nonzero().ravel().tolist() == [0, 1, 5, 6, 7, 8, 9]
    starts = away["episode_start"].ravel()
    assert [t for t in starts.nonzero().ravel().tolist() if away["mask"].ravel()[t]] == [0, 5, 8]
    assert data[0]["episode_start"].ravel().nonzero().ravel().tolist() == [0, 8]
    for t in (5, 8):
        fresh, _, _ = policy(away["observation"][t : t + 1])
        torch.testing.assert_close(away["logits"][t], fresh[0])


def test_several_agents_need_the_same_step_mode(rl):
    envs = vector.make(Returning, [True], autoreset="disabled")
    with pytest.raises(ArgumentError, match=r'"disabled".*several agents.*"same_step"'):
        rl.make_env(envs)
    envs.close()


@torch.no_grad()
def test_rows_of_a_sequence_cannot_be_left_out(rl):
    from torchrl.modules import set_recurrent_mode

    envs = vector.make(Returning, [True])
    policy = with_memory(envs)
    actor = rl.actor_critic(policy, envs).get_policy_operator()
    data = rl.make_env(envs, policy).rollout(12, actor, break_when_any_done=False)
    envs.close()
    with set_recurrent_mode(True):
        with pytest.raises(ArgumentError, match=r"\(rows, steps\); got a batch of shape \(19,\)"):
            actor.get_dist(data[data["mask"]])
        again = actor.get_dist(data.clone()).log_prob(data["action"])
    torch.testing.assert_close(again, data["action_log_prob"])


def test_losses_weighted_by_the_mask_are_those_of_the_agents_that_are_there(rl):
    from torchrl.objectives import ClipPPOLoss
    from torchrl.objectives.value import GAE

    torch.manual_seed(0)
    envs = vector.make(Returning, [True])
    policy = Default(envs, hidden_size=8)
    networks = rl.actor_critic(policy, envs)
    actor, critic = networks.get_policy_operator(), networks.get_value_operator()
    with torch.no_grad():
        data = rl.make_env(envs, policy).rollout(12, actor, break_when_any_done=False)
        GAE(gamma=0.9, lmbda=0.9, value_network=critic)(data)
    envs.close()
    mask = data["mask"]
    assert not mask.all()
    parts = ClipPPOLoss(actor, critic, reduction="none")(data)
    expected = ClipPPOLoss(actor, critic)(data[mask])
    for name in ("loss_objective", "loss_critic", "loss_entropy"):  # as the docs show
        torch.testing.assert_close((parts[name] * mask).sum() / mask.sum(), expected[name])
