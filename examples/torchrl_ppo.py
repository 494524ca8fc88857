"""Train a policy on CartPole with TorchRL's PPO.

    puffer install torchrl
    python examples/torchrl_ppo.py

The environment is a vectorizer and the policy a plain module, as in `puffer train`; data
collection, advantages and the loss are TorchRL's.
"""

import argparse

import gymnasium
import torch
from torchrl.collectors import Collector
from torchrl.envs import ExplorationType, set_exploration_type
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import pufferlib.vector
from pufferlib.frameworks.torchrl import actor_critic, make_env
from pufferlib.models import Default

FRAMES, EPOCHS, MINIBATCH = 1024, 10, 256  # of an update


def train(timesteps: int, seed: int) -> Default:
    """Return a policy trained for `timesteps` steps."""
    torch.manual_seed(seed)
    envs = pufferlib.vector.make(gymnasium.make, ["CartPole-v1"], num_envs=8)
    policy = Default(envs, hidden_size=64)
    actor_value = actor_critic(policy, envs)
    actor, critic = actor_value.get_policy_operator(), actor_value.get_value_operator()

    env = make_env(envs, policy)
    env.set_seed(seed)
    collector = Collector(env, actor, frames_per_batch=FRAMES, total_frames=timesteps)
    advantage = GAE(gamma=0.99, lmbda=0.95, value_network=critic)
    loss = ClipPPOLoss(actor, critic, clip_epsilon=0.2, entropy_coeff=0.01)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3, eps=1e-5)

    for update, data in enumerate(collector):  # (8, FRAMES / 8)
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - update * FRAMES / timesteps)
        with torch.no_grad():
            advantage(data)
        rows = data.reshape(-1)
        for _ in range(EPOCHS):
            for chosen in torch.randperm(len(rows)).split(MINIBATCH):
                parts = loss(rows[chosen])
                total = parts["loss_objective"] + parts["loss_critic"] + parts["loss_entropy"]
                optimizer.zero_grad()
                total.backward()
                torch.nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
                optimizer.step()
        ended = data["next", "done"].sum().item()
        print(f"{(update + 1) * FRAMES} steps, mean episode length {FRAMES / max(ended, 1):.0f}")
    collector.shutdown()
    return policy


@torch.no_grad()
def evaluate(policy: Default, episodes: int = 32) -> float:
    """Return the mean return of the most probable actions."""
    envs = pufferlib.vector.make(gymnasium.make, ["CartPole-v1"], num_envs=episodes)
    env = make_env(envs, policy)
    env.set_seed(1_000_000)
    actor = actor_critic(policy, envs).get_policy_operator()
    with set_exploration_type(ExplorationType.DETERMINISTIC):
        data = env.rollout(500, actor, break_when_any_done=False)
    env.close()
    is_over = data["next", "done"].cumsum(1) - data["next", "done"].long()  # (episodes, 500, 1)
    return float((data["next", "reward"] * (is_over == 0)).sum(1).mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timesteps", type=int, default=150_000, help="of training")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)  # two, for so small a network, would mostly wait for each other
    print(f"mean return of 32 episodes: {evaluate(train(given.timesteps, given.seed)):.1f}")
