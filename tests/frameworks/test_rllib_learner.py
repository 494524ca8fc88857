"""RLlib's learner gets the log-probabilities and values that the policy had when it acted."""

import numpy as np
import pytest
import torch
from environments import Countdown, Population
from torch import nn

from pufferlib.models import Default, GRUWrapper, LSTMWrapper

pytestmark = [
    pytest.mark.leaves_threads,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:.*Overriding environment rllib:UserWarning"),
]
rllib = pytest.importorskip("pufferlib.frameworks.rllib", exc_type=ImportError)
ppo = pytest.importorskip("ray.rllib.algorithms.ppo", exc_type=ImportError)
single = pytest.importorskip("ray.rllib.env.single_agent_env_runner", exc_type=ImportError)
multi = pytest.importorskip("ray.rllib.env.multi_agent_env_runner", exc_type=ImportError)

GAMMA = 0.9
POLICIES = {"stateless": None, "lstm": LSTMWrapper, "gru": GRUWrapper}


def creator_of(memory):
    def make(env):
        policy = Default(env, hidden_size=8)
        for parameter in (*policy.decoder.parameters(), *policy.value_head.parameters()):
            nn.init.normal_(parameter)
        return memory(env, policy) if memory else policy

    return make


def batch_of(runner_class, config, num_episodes, module_id):
    """Return whole episodes, and what the learner makes of them."""
    config.env_runners(num_env_runners=0).training(gamma=GAMMA, lambda_=0.0)
    runner = runner_class(config=config)
    episodes = runner.sample(num_episodes=num_episodes)
    learner = config.build_learner(spaces=runner.get_spaces())
    learner.module[module_id].set_state(
        (
            runner.module[module_id] if runner_class is multi.MultiAgentEnvRunner else runner.module
        ).get_state()
    )
    runner.stop()
    batch = learner._learner_connector(
        rl_module=learner.module, batch={}, episodes=episodes, shared_data={}
    )[module_id]
    return learner.module[module_id], batch


@pytest.mark.parametrize("how", ["terminated", "truncated"])
@pytest.mark.parametrize("memory", POLICIES.values(), ids=POLICIES)
@torch.no_grad()
def test_the_learner_of_one_agent(memory, how):
    # Sequences of 2 steps, from episodes of 3 and the step that RLlib adds to bootstrap.
    config = rllib.configure(
        ppo.PPOConfig(), Countdown, creator_of(memory), {"how": how}, max_seq_len=2
    )
    module, batch = batch_of(single.SingleAgentEnvRunner, config, 2, "default_policy")
    check(module, batch)
    [targets, values] = unpadded(module, batch)
    rewards = np.array([1, 2, 3])
    for target, value in zip(targets.reshape(2, 4), values.reshape(2, 4), strict=True):
        following = value[1:] * ([1, 1, how == "truncated"])
        np.testing.assert_allclose(target[:3], rewards + GAMMA * following, rtol=1e-5)


@torch.no_grad()
def test_the_learner_of_several_agents_bootstraps_where_they_are_truncated():
    timetable = {"cut": (0, 2, "truncated"), "dead": (0, 1, "terminated")}
    config = rllib.configure(
        ppo.PPOConfig(), Population, creator_of(None), {"timetable": timetable}
    )
    module, batch = batch_of(multi.MultiAgentEnvRunner, config, 1, rllib.SHARED_MODULE)
    check(module, batch)
    targets, values = unpadded(module, batch)
    own = batch["rewards"].tolist()
    cut = own.index(10)
    np.testing.assert_allclose(
        targets[cut : cut + 2],
        [10 + GAMMA * values[cut + 1], 20 + GAMMA * values[cut + 2]],
        rtol=1e-5,
    )
    np.testing.assert_allclose(targets[own.index(11)], 11, rtol=1e-5)


def check(module, batch):
    """The probability of each action is the one that it was sampled with."""
    output = module.forward_train(batch)
    distribution = module.get_train_action_dist_cls().from_logits(output["action_dist_inputs"])
    mask = batch["loss_mask"]
    assert mask.any()
    torch.testing.assert_close(
        distribution.logp(batch["actions"])[mask], batch["action_logp"][mask]
    )


def unpadded(module, batch):
    """Return value targets, and values of the observations that each row had, in one row each."""
    values = module.compute_values(batch)
    return [np.asarray(batch["value_targets"]).ravel(), np.asarray(values).ravel()]
