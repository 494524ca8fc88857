"""Train CartPole with RLlib's PPO, two env runners and a policy of this library.

    puffer install rllib
    python examples/rllib.py

It takes about a minute on two cores, and prints a line for each update.
"""

import argparse
import functools

import gymnasium
import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig

from pufferlib.frameworks import rllib
from pufferlib.models import Default


def main() -> None:
    """Train until the mean return is 475, or for as many steps as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100_000, help="at most (default: 100000)")
    parser.add_argument("--save", metavar="FOLDER", help="for the checkpoint of RLlib")
    args = parser.parse_args()
    torch.set_num_threads(1)  # two, for so small a network, would mostly wait for each other

    policy_creator = functools.partial(Default, hidden_size=64, critic="separate")
    config = rllib.configure(
        PPOConfig(), gymnasium.make, policy_creator, env_kwargs={"id": "CartPole-v1"}
    )
    config.env_runners(num_env_runners=2, num_envs_per_env_runner=4)
    config.training(
        train_batch_size_per_learner=2048,
        minibatch_size=256,
        num_epochs=10,
        lr=1e-3,
        lambda_=0.95,
        vf_clip_param=1e6,  # as good as none
        use_kl_loss=False,
    )

    ray.init("local", num_cpus=3, include_dashboard=False, log_to_driver=False)
    algorithm = config.build_algo()
    steps = mean = 0
    while mean < 475 and steps < args.steps:
        results = algorithm.train()["env_runners"]
        steps, mean = results["num_env_steps_sampled_lifetime"], results["episode_return_mean"]
        print(f"steps {steps:.0f}  episode_return {mean:.1f}")
    if args.save is not None:
        print(f"Saved {algorithm.save_to_path(args.save)}")
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
