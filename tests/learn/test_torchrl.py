"""TorchRL's PPO learns with our recurrent policies what needs memory.

LEARN_SEEDS=1,2,3 tries more seeds than the first.
"""

import os

import pytest
import torch

from pufferlib import vector
from pufferlib.models import Default, GRUWrapper, LSTMWrapper
from pufferlib.registry import ocean

pytestmark = [
    pytest.mark.learn,
    pytest.mark.slow,
    pytest.mark.leaves_threads,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:Creating .*WeightUpdater"),  # by TorchRL's Collector
]
SEEDS = os.environ.get("LEARN_SEEDS", "1").split(",")
ENVS, STEPS, UPDATES = 64, 24, 60  # four games of six steps in a rollout


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("memory", [LSTMWrapper, GRUWrapper])
def test_memory_is_learned(memory, seed):
    pytest.importorskip("torchrl")
    from torchrl.collectors import Collector
    from torchrl.modules import set_recurrent_mode
    from torchrl.objectives import ClipPPOLoss
    from torchrl.objectives.value import GAE

    from pufferlib.frameworks.torchrl import actor_critic, make_env

    torch.manual_seed(int(seed))
    envs = vector.make(ocean.make_env, ["memory"], num_envs=ENVS)
    policy = memory(envs, Default(envs, hidden_size=32))
    networks = actor_critic(policy, envs)
    actor, critic = networks.get_policy_operator(), networks.get_value_operator()
    env = make_env(envs, policy)
    env.set_seed(int(seed))
    frames = ENVS * STEPS
    collector = Collector(
        env,
        actor,
        frames_per_batch=frames,
        total_frames=frames * UPDATES,
        auto_register_policy_transforms=False,  # make_env has appended them
    )
    advantage = GAE(gamma=0.99, lmbda=0.95, value_network=critic, deactivate_vmap=True)
    loss = ClipPPOLoss(actor, critic, entropy_coeff=0.01)
    optimizer = torch.optim.Adam(policy.parameters(), lr=2e-3, eps=1e-5)
    rewards = []
    for data in collector:  # (ENVS, STEPS)
        rewards.append(data["next", "reward"].sum().item() / data["next", "done"].sum().item())
        with torch.no_grad():
            advantage(data)
        for _ in range(4):
            for chosen in torch.randperm(ENVS).split(ENVS // 4):
                with set_recurrent_mode(True):
                    parts = loss(data[chosen])
                total = parts["loss_objective"] + parts["loss_critic"] + parts["loss_entropy"]
                optimizer.zero_grad()
                total.backward()
                torch.nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
                optimizer.step()
    collector.shutdown()
    print(*(f"{reward:.2f}" for reward in rewards[::10]))
    # The mean share of bits that are right: 0.5 without memory.
    assert sum(rewards[-10:]) / 10 > 0.95
