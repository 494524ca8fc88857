"""PPO in one file, in CleanRL's form, over Gymnasium's vectorizer.

    python examples/cleanrl/gymnasium_ppo.py

`examples/cleanrl_ppo.py` is the same script over pufferlib's vectorizer.
"""

import argparse
from collections import deque

import gymnasium
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical


class Agent(nn.Module):
    """Two networks for flat observations and Discrete actions."""

    def __init__(self, envs):
        super().__init__()
        inputs = int(np.prod(envs.single_observation_space.shape))
        self.actor = self.layers(inputs, envs.single_action_space.n)
        self.critic = self.layers(inputs, 1)

    def layers(self, inputs, outputs):
        return nn.Sequential(nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, outputs))

    def get_value(self, x):
        return self.critic(x)

    def get_action_and_value(self, x, action=None):
        distribution = Categorical(logits=self.actor(x))
        action = distribution.sample() if action is None else action
        return action, distribution.log_prob(action), distribution.entropy(), self.critic(x)


def parse_args() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env-id", default="CartPole-v1")
    parser.add_argument("--total-timesteps", type=int, default=150_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--num-envs", type=int, default=8)
    parser.add_argument("--num-steps", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--gamma", type=float, default=0.99)
    parser.add_argument("--gae-lambda", type=float, default=0.95)
    parser.add_argument("--update-epochs", type=int, default=10)
    parser.add_argument("--minibatch-size", type=int, default=256)
    parser.add_argument("--clip-coef", type=float, default=0.2)
    parser.add_argument("--ent-coef", type=float, default=0.01)
    parser.add_argument("--vf-coef", type=float, default=0.5)
    parser.add_argument("--max-grad-norm", type=float, default=0.5)
    return parser.parse_args()


if __name__ == "__main__":
    args = parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)  # two, for so small a network, would mostly wait for each other

    # Environments and agent
    envs = gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.make(args.env_id)] * args.num_envs,
        autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP,
    )
    envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(envs)
    agent = Agent(envs)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)

    # Storage of a rollout
    shape = (args.num_steps, args.num_envs)
    obs = torch.zeros(shape + envs.single_observation_space.shape)
    actions = torch.zeros(shape + envs.single_action_space.shape)
    logprobs, rewards, dones, values = (torch.zeros(shape) for _ in range(4))
    episodic_returns = deque(maxlen=50)

    next_obs = torch.Tensor(envs.reset(seed=args.seed)[0])
    next_done = torch.zeros(args.num_envs)
    num_updates = args.total_timesteps // rewards.numel()
    for update in range(num_updates):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - update / num_updates)

        for step in range(args.num_steps):
            obs[step], dones[step] = next_obs, next_done
            with torch.no_grad():
                action, logprobs[step], _, value = agent.get_action_and_value(next_obs)
            actions[step], values[step] = action, value.flatten()
            next_obs, reward, terminations, truncations, infos = envs.step(action.numpy())
            rewards[step] = torch.Tensor(reward)
            next_obs, next_done = torch.Tensor(next_obs), torch.Tensor(terminations | truncations)
            if "episode" in infos:
                episodic_returns.extend(infos["episode"]["r"][infos["_episode"]])

        # Generalized advantage estimation
        with torch.no_grad():
            next_values = torch.cat([values[1:], agent.get_value(next_obs).reshape(1, -1)])
        continues = 1 - torch.cat([dones[1:], next_done.reshape(1, -1)])
        deltas = rewards + args.gamma * continues * next_values - values
        advantages, advantage = torch.zeros(shape), 0
        for t in reversed(range(args.num_steps)):
            advantage = deltas[t] + args.gamma * args.gae_lambda * continues[t] * advantage
            advantages[t] = advantage

        # Optimization of the clipped objective
        b_obs, b_actions = obs.flatten(0, 1), actions.flatten(0, 1)
        b_logprobs, b_advantages = logprobs.flatten(), advantages.flatten()
        b_returns = (advantages + values).flatten()
        for _ in range(args.update_epochs):
            for rows in torch.randperm(rewards.numel()).split(args.minibatch_size):
                _, logprob, entropy, value = agent.get_action_and_value(
                    b_obs[rows], b_actions[rows]
                )
                ratio = (logprob - b_logprobs[rows]).exp()
                mb_advantages = b_advantages[rows]
                mb_advantages = (mb_advantages - mb_advantages.mean()) / (
                    mb_advantages.std() + 1e-8
                )
                clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
                pg_loss = -torch.min(mb_advantages * ratio, mb_advantages * clipped).mean()
                v_loss = 0.5 * (value.flatten() - b_returns[rows]).square().mean()
                loss = pg_loss - args.ent_coef * entropy.mean() + args.vf_coef * v_loss
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()

        if episodic_returns:
            step = (update + 1) * rewards.numel()
            print(f"global_step={step}, episodic_return={np.mean(episodic_returns):.1f}")
    envs.close()
