"""Train CartPole with PPO of Stable-Baselines3, over our vectorizer and with our policy.

python examples/sb3.py        # a minute; prints the mean return of 20 episodes, 500 at most
"""

import argparse

import gymnasium
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy

import pufferlib
from pufferlib.frameworks import sb3
from pufferlib.models import Default


def make_env():
    """Return one environment; emulation is put around it."""
    return gymnasium.make("CartPole-v1")


def policy(env):
    """Return a network for an environment: any of ours, or your own."""
    return Default(env, hidden_size=64)


def main():
    """Train, evaluate, save and load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timesteps", type=int, default=100_000)
    parser.add_argument("--backend", default="Multiprocessing", help="or Serial, Ray")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", default="cartpole-sb3.zip", help="file of the model")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # two, for so small a network, would mostly wait for each other
    vecenv = pufferlib.vector.make(make_env, backend=arguments.backend, num_envs=8, num_workers=2)
    env = sb3.PufferVecEnv(vecenv)
    # The settings of RL Baselines3 Zoo.
    model = PPO(
        sb3.Policy,
        env,
        policy_kwargs={"policy_creator": policy},
        n_steps=32,
        batch_size=256,
        n_epochs=20,
        gamma=0.98,
        gae_lambda=0.8,
        learning_rate=lambda remaining: 1e-3 * remaining,
        clip_range=lambda remaining: 0.2 * remaining,
        seed=arguments.seed,
        device="cpu",
    )
    model.learn(arguments.timesteps)
    model.save(arguments.save)
    loaded = PPO.load(arguments.save, env=env, device="cpu")
    env.seed(1_000_000)
    mean, deviation = evaluate_policy(loaded, env, n_eval_episodes=20)
    env.close()
    print(f"mean return {mean:.1f} +/- {deviation:.1f}")


if __name__ == "__main__":
    main()
