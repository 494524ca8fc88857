"""The loop of CleanRL's recurrent script learns with our policy what needs memory.

LEARN_SEEDS=1,2,3 tries more seeds than the first.
"""

import os

import pytest
import torch

from pufferlib import vector
from pufferlib.frameworks.cleanrl import LSTMPolicy
from pufferlib.models import Default, LSTMWrapper
from pufferlib.registry import ocean

pytestmark = [pytest.mark.learn, pytest.mark.slow, pytest.mark.timeout(600)]
SEEDS = os.environ.get("LEARN_SEEDS", "1").split(",")
ENVS, STEPS, UPDATES, WIDTH = 64, 24, 80, 32  # four games of six steps in a rollout
GAMMA, GAE_LAMBDA, LEARNING_RATE = 0.99, 0.95, 2e-3


def rollout_of(envs, agent, next_obs, next_done, state):
    """Return what ppo_atari_lstm.py stores, (STEPS, ENVS, ...), and where the next one begins."""
    steps = []
    with torch.no_grad():
        for _ in range(STEPS):
            result = agent.get_action_and_value(next_obs, state, next_done)
            action, log_probability, _, value, state = result
            obs, reward, terminations, truncations, _ = envs.step(action.numpy())
            stored = (next_obs, action, log_probability, torch.Tensor(reward), next_done)
            steps.append((*stored, value.flatten()))
            next_obs, next_done = torch.Tensor(obs), torch.Tensor(terminations | truncations)
        next_value = agent.get_value(next_obs, state, next_done).flatten()
    obs, actions, logprobs, rewards, dones, values = map(torch.stack, zip(*steps, strict=True))
    advantages, advantage = torch.zeros(STEPS, ENVS), 0
    for t in reversed(range(STEPS)):
        is_last = t == STEPS - 1
        continues = 1 - (next_done if is_last else dones[t + 1])
        later = next_value if is_last else values[t + 1]
        delta = rewards[t] + GAMMA * later * continues - values[t]
        advantages[t] = advantage = delta + GAMMA * GAE_LAMBDA * continues * advantage
    rollout = (obs, dones, actions, logprobs, advantages, advantages + values)
    return rollout, rewards.sum() / dones.sum(), (next_obs, next_done, state)


def loss_of(agent, batch, state):
    """Return the loss of PPO on whole sequences of some environments."""
    obs, dones, actions, logprobs, advantages, returns = (each.flatten(0, 1) for each in batch)
    _, logprob, entropy, value, _ = agent.get_action_and_value(obs, state, dones, actions)
    ratio = (logprob - logprobs).exp()
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    gain = torch.min(advantages * ratio, advantages * ratio.clamp(0.8, 1.2)).mean()
    return 0.25 * (value.flatten() - returns).square().mean() - gain - 0.01 * entropy.mean()


@pytest.mark.parametrize("seed", SEEDS)
def test_memory_is_learned(seed):
    torch.manual_seed(int(seed))
    envs = vector.to_gymnasium(vector.make(ocean.make_env, ["memory"], num_envs=ENVS))
    agent = LSTMPolicy(LSTMWrapper(envs, Default(envs, hidden_size=WIDTH)))
    optimizer = torch.optim.Adam(agent.parameters(), lr=LEARNING_RATE, eps=1e-5)
    zeros = torch.zeros(1, ENVS, WIDTH)
    where = torch.Tensor(envs.reset(seed=int(seed))[0]), torch.ones(ENVS), (zeros, zeros)
    scores = []
    for update in range(UPDATES):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - update / UPDATES)
        begin = where[2]
        rollout, score, where = rollout_of(envs, agent, *where)
        scores.append(score.item())
        for _ in range(4):
            for chosen in torch.randperm(ENVS).split(ENVS // 4):
                state = tuple(part[:, chosen] for part in begin)
                loss = loss_of(agent, [each[:, chosen] for each in rollout], state)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimizer.step()
    envs.close()
    print(*(f"{score:.2f}" for score in scores[::10]))
    # The mean share of bits that are right: 0.5 without memory.
    assert sum(scores[-10:]) / 10 > 0.95
