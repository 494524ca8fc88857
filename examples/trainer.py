"""Train an LSTM to remember, with the trainer's Python interface; print the score of the games.

    python examples/trainer.py

A game of Ocean's memory shows two bits and asks for them later: without a memory the score is 0.25.
"""

import argparse

import torch

from pufferlib.models import Default, LSTMWrapper
from pufferlib.ppo import PPOConfig, Trainer, evaluate
from pufferlib.registry import ocean
from pufferlib.vector import make

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timesteps", type=int, default=60_000, help="of training")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    envs = make(ocean.env_creator("memory"), env_kwargs={"num_agents": 32}, num_envs=2)
    torch.manual_seed(given.seed)
    policy = LSTMWrapper(envs, Default(envs))  # or any module that returns (logits, value, state)
    config = PPOConfig(
        total_timesteps=given.timesteps,
        seed=given.seed,
        horizon=32,
        learning_rate=2e-3,
        clip_coefficient=0.1,
        entropy_coefficient=0.01,
        minibatches=4,
        update_epochs=4,
        normalize_rewards=False,
    )
    trainer = Trainer(config, envs, policy)
    while not trainer.is_done:
        metrics = trainer.step()
        if trainer.updates % 5 == 0 or trainer.is_done:
            score, speed = metrics["episode/score"], metrics["steps_per_second"]
            print(f"{trainer.timesteps:>6} steps  score {score:.2f}  ({speed:,.0f} steps/s)")
    trainer.save("memory.pt")  # weights and optimizer; trainer.load("memory.pt") resumes
    envs.close()

    games = make(ocean.env_creator("memory"), num_envs=64)  # others than those of training
    print("return of 64 new games, of 1:", evaluate(games, policy, seed=1_000_000))
    games.close()
