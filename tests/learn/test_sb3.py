"""Stable-Baselines3 and sb3-contrib learn over our vectorizers, with our policies.

The score is the mean return of whole episodes, in Lights that of a step, with the most probable
actions. LEARN_SEEDS=1,2,3 tries more seeds than the first.
"""

import os
import time

import gymnasium
import numpy as np
import pytest
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy as evaluate_masked
from sb3_environments import Lights, MethodMasks, OneLegal
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.evaluation import evaluate_policy

from pufferlib import vector
from pufferlib.frameworks.sb3 import (
    MaskablePolicy,
    Policy,
    PufferVecEnv,
    RecurrentPolicy,
    leave_out_absent,
)
from pufferlib.models import Default, GRUWrapper, LSTMWrapper
from pufferlib.registry import ocean

pytestmark = [pytest.mark.learn, pytest.mark.slow, pytest.mark.timeout(1200)]

SEEDS = [int(seed) for seed in os.environ.get("LEARN_SEEDS", "1").split(",")]
over_seeds = pytest.mark.parametrize("seed", SEEDS)
# Of RL Baselines3 Zoo, which has A2C's own defaults.
CART_POLE = {
    PPO: {
        "n_steps": 32,
        "batch_size": 256,
        "n_epochs": 20,
        "gamma": 0.98,
        "gae_lambda": 0.8,
        "learning_rate": lambda remaining: 1e-3 * remaining,
        "clip_range": lambda remaining: 0.2 * remaining,
    },
    A2C: {},
}
MANY_AGENTS = {"n_steps": 32, "batch_size": 512, "n_epochs": 4, "learning_rate": 2e-3}
MANY_AGENTS |= {"clip_range": 0.1, "ent_coef": 0.01}


def small(env):
    return Default(env, hidden_size=64)


def separate(env):
    return Default(env, hidden_size=64, critic="separate")


def trained(algorithm, form, creator, vecenv, timesteps, seed, **options):
    """Return the model and its environment; print what it took."""
    began_s = time.process_time()
    env = PufferVecEnv(vecenv)
    model = algorithm(
        form, env, policy_kwargs={"policy_creator": creator}, seed=seed, device="cpu", **options
    )
    if vecenv.num_agents > vecenv.num_envs:
        leave_out_absent(model)
    model.learn(timesteps)
    env.seed(1_000_000)
    print(f"{algorithm.__name__} {seed}: {time.process_time() - began_s:.0f} s")
    return model, env


def score_of(model, env, episodes, evaluate=evaluate_policy):
    """Return the mean return, and the mean reward of a step."""
    results = evaluate(model, env, n_eval_episodes=episodes, return_episode_rewards=True)
    env.close()
    returns, lengths = results
    print(f"return {np.mean(returns):.3f} of {len(returns)} episodes")
    return np.mean(returns), np.sum(returns) / np.sum(lengths)


@over_seeds
@pytest.mark.parametrize(("algorithm", "timesteps"), [(PPO, 100_000), (A2C, 300_000)])
def test_cart_pole_is_balanced(algorithm, timesteps, seed):
    vecenv = vector.make(gymnasium.make, ["CartPole-v1"], num_envs=8)
    options = CART_POLE[algorithm]
    model, env = trained(algorithm, Policy, separate, vecenv, timesteps, seed, **options)
    assert score_of(model, env, 32)[0] >= 475  # of 500


@over_seeds
@pytest.mark.parametrize("wrapper", [LSTMWrapper, GRUWrapper])
def test_memory_is_solved_with_a_recurrent_policy(wrapper, seed):
    # Without memory 0.25; see pufferlib.registry.ocean.memory. The preset's settings.
    vecenv = vector.make(ocean.make_env, ["memory"], {"num_agents": 64})
    model, env = trained(
        RecurrentPPO,
        RecurrentPolicy,
        lambda env: wrapper(env, Default(env)),
        vecenv,
        160_000,
        seed,
        **{**MANY_AGENTS, "learning_rate": lambda remaining: 2e-3 * remaining},
    )
    assert score_of(model, env, 256)[0] > 0.95


@over_seeds
def test_observations_and_actions_of_several_parts_are_learned(seed):
    vecenv = vector.make(ocean.make_env, ["spaces"], num_envs=64)  # rows of bytes
    options = {**MANY_AGENTS, "n_steps": 16, "batch_size": 256, "clip_range": 0.2}
    model, env = trained(PPO, Policy, small, vecenv, 100_000, seed, **options)
    assert score_of(model, env, 256)[0] > 0.95


@over_seeds
def test_continuous_actions_are_learned(seed):
    vecenv = vector.make(ocean.make_env, ["continuous"], {"num_agents": 64})
    options = {**MANY_AGENTS, "gamma": 0.95, "clip_range": 0.2, "learning_rate": 3e-3}
    model, env = trained(PPO, Policy, small, vecenv, 120_000, seed, **options)
    returns, _ = evaluate_policy(model, env, n_eval_episodes=256, return_episode_rewards=True)
    env.close()
    # A game is won where the distance of 1 has shrunk to 0.1. Random play wins none.
    assert np.mean(np.array(returns) > 0.899) > 0.95


@over_seeds
@pytest.mark.parametrize("creator", [OneLegal, MethodMasks])
def test_a_masked_environment_is_solved(creator, seed):
    # Random legal actions score 4 of 8, and an illegal one raises.
    vecenv = vector.make(creator, num_envs=8)
    options = {"n_steps": 64, "batch_size": 128, "learning_rate": 2e-3, "n_epochs": 4}
    model, env = trained(MaskablePPO, MaskablePolicy, small, vecenv, 20_000, seed, **options)
    assert score_of(model, env, 64, evaluate_masked)[0] > 7.6


@over_seeds
@pytest.mark.parametrize("algorithm", [PPO, MaskablePPO])
def test_agents_of_pettingzoo_that_come_and_go_are_trained(algorithm, seed):
    # Random actions score 1/3, legal ones 1/2.
    vecenv = vector.make(Lights, num_envs=16)
    form, evaluate = (
        (Policy, evaluate_policy) if algorithm is PPO else (MaskablePolicy, evaluate_masked)
    )
    model, env = trained(algorithm, form, small, vecenv, 40_000, seed, **MANY_AGENTS)
    assert score_of(model, env, 96, evaluate)[1] > 0.95
