"""Faults that are planted are named, and none is named where they are left out.

Each is trained for real, in a second or two.
"""

import functools

import gymnasium
import numpy as np
import pytest
import torch
from faults import (
    Masked,
    SaturatedDefault,
    ScaledSquared,
    ScaledValues,
    SeededSpaces,
    SharpDefault,
    Treadmill,
    Unscaled,
    emulated,
    train,
)
from training_environments import Dial, Roster

from pufferlib.models import Default
from pufferlib.policies.masked import MaskedDefault
from pufferlib.registry.ocean.bandit import Bandit
from pufferlib.registry.ocean.memory import Memory
from pufferlib.registry.ocean.password import Password
from pufferlib.runs.diagnosis import diagnose
from pufferlib.runs.diagnosis.watch import Watch


def squared(**settings):
    return functools.partial(train, ScaledSquared, **settings)


def bandit(scale=1.0, noise=0.1, agents=32, **settings):
    creator = functools.partial(
        Bandit, num_agents=agents, reward_scale=scale, reward_noise=noise, num_actions=4
    )
    return functools.partial(train, creator, **settings)


def spaces(ignores_seed):
    return functools.partial(
        train, functools.partial(emulated, SeededSpaces, ignores_seed), num_envs=4, updates=10
    )


def treadmill(end, updates=63):
    creator = functools.partial(emulated, Treadmill, end)
    return functools.partial(train, creator, num_envs=4, horizon=32, updates=updates)


def memory(delay, gamma=0.99, horizon=64, updates=20):
    creator = functools.partial(Memory, num_agents=16, mem_length=1, mem_delay=delay)
    return functools.partial(train, creator, gamma=gamma, horizon=horizon, updates=updates)


def password(length):
    creator = functools.partial(Password, num_agents=32, password_length=length)
    return functools.partial(train, creator)


def dial(policy):
    box = gymnasium.spaces.Box(-0.01, 0.01, (2,), np.float32)
    creator = functools.partial(emulated, Dial, box, target=0.004)
    return functools.partial(train, creator, policy, num_envs=8)


def masked(policy):
    return functools.partial(train, functools.partial(emulated, Masked), policy, num_envs=8)


PLANTED = {
    "rewards too large": ("Rewards are too large", bandit(1000.0), bandit()),
    "rewards too small": ("Rewards are too small", bandit(1e-4, 1e-4), bandit()),
    "learning rate too high": (
        "Learning rate too high",
        squared(learning_rate=0.1),
        squared(),
    ),
    "learning rate too low": (
        "Learning rate too low",
        squared(learning_rate=1e-7),
        squared(),
    ),
    "entropy collapsed": (
        "Entropy collapsed",
        squared(policy=SharpDefault),
        squared(),
    ),
    "entropy bonus": ("Entropy bonus too large", squared(entropy_coefficient=3.0), squared()),
    "values diverge": ("Values diverge", squared(policy=ScaledValues), squared()),
    "discount": (
        "Horizon shorter than the delay of reward",
        memory(100, gamma=0.95),
        memory(2, gamma=0.95),
    ),
    "horizon": (
        "Horizon shorter than the delay of reward",
        memory(100, gamma=0.995, horizon=8, updates=80),
        memory(2, gamma=0.995, horizon=8, updates=80),
    ),
    "observations": (
        "Observations are not normalized",
        functools.partial(train, functools.partial(ScaledSquared, 1000.0)),
        squared(),
    ),
    "seeds": ("Environments share a seed", spaces(True), spaces(False)),
    "time limit": (
        "Time limit treated as termination",
        treadmill("termination"),
        treadmill("truncation"),
    ),
    "idle rows": (
        "Rows that never act",
        functools.partial(train, Roster, num_envs=4),
        squared(),
    ),
    "action bounds": ("Actions outside the bounds", dial(Unscaled), dial(Default)),
    "never end": ("Episodes never end", treadmill("none"), treadmill("truncation")),
    "dead units": ("Dead units", squared(policy=SaturatedDefault), squared()),
    "masked actions": ("Forbidden actions are taken", masked(Default), masked(MaskedDefault)),
    "no reward": ("No reward", password(30), password(3)),
}


def findings(run):
    torch.manual_seed(0)  # of the network
    found = diagnose(*run())
    assert found.unjudged == {}
    return [finding.name for finding in found.findings]


QUICK = ("seeds", "idle rows")
CASES = [
    pytest.param(*case, id=name, marks=() if name in QUICK else pytest.mark.long)
    for name, case in PLANTED.items()
]


@pytest.mark.parametrize(("fault", "planted", "healthy"), CASES)
def test_a_planted_fault_is_named_and_none_without_it(fault, planted, healthy):
    assert findings(planted)[:1] == [fault]
    assert findings(healthy) == []


HEALTHY = {
    "timesteps": 64_000,
    "learning_rate": 1e-3,
    "episode/episode_return": 5.0,
    "loss/value": 0.1,
    "loss/entropy": 1.0,
    "loss/approximate_kl": 0.01,
    "loss/clip_fraction": 0.1,
    "loss/gradient_norm": 1.0,
    "loss/explained_variance": 0.8,
    "rollout/return_mean": 1.0,
    "rollout/return_std": 1.0,
    "rollout/value_mean": 1.0,
    "rollout/value_std": 1.0,
    "rollout/reward_mean": 0.1,
    "rollout/reward_std": 1.0,
    "rollout/reward_max": 1.0,
    "rollout/nonzero_rewards": 0.5,
    "rollout/terminal_error": 0.5,
    "rollout/terminated": 100,
    "rollout/truncated": 0,
    "rollout/episode_length": 20.0,
    "rollout/longest_episodes": 0.1,
    "rollout/absent": 0.0,
    "rollout/idle_rows": 0.0,
    "rollout/equal_starts": 0.0,
    "rollout/repeated_starts": 0.0,
    "rollout/equal_starts_z": 0.0,
    "rollout/observation_mean": 0.0,
    "rollout/observation_std": 1.0,
    "rollout/observation_max": 3.0,
    "policy/relative_entropy": 0.5,
    "policy/dead_units": 0.1,
}
CONFIG = {
    "train": {
        "gamma": 0.99,
        "horizon": 64,
        "max_gradient_norm": 0.5,
        "entropy_coefficient": 0.01,
        "normalize_rewards": False,
    },
    "policy": {"normalize_observations": False, "rescale_actions": True},
}


def records(changes, updates=40):
    return [{**HEALTHY, "updates": update + 1, **changes} for update in range(updates)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"rollout/terminated": 0}, "Episodes never end"),
        ({"rollout/terminated": 0, "rollout/truncated": 1}, None),
        (
            {"rollout/longest_episodes": 1.0, "rollout/terminal_error": -5.0},
            "Time limit treated as termination",
        ),
        ({"rollout/longest_episodes": 1.0}, None),  # games of a fixed length
        ({"rollout/terminal_error": -5.0}, None),  # falls
        (
            {"rollout/equal_starts": 0.1, "rollout/equal_starts_z": 6.5},
            "Environments share a seed",
        ),
        ({"rollout/equal_starts": 0.1, "rollout/equal_starts_z": 5.5}, None),  # by chance
        ({"rollout/equal_starts": 0.04, "rollout/equal_starts_z": 6.5}, None),
        ({"rollout/idle_rows": 0.2}, "Rows that never act"),
        ({"rollout/absent": 0.8}, None),  # agents that have died
        ({"rollout/reward_max": 0.0, "rollout/nonzero_rewards": 0.0}, "No reward"),
        ({"rollout/nonzero_rewards": 0.001}, "Horizon shorter than the delay of reward"),
        ({"rollout/nonzero_rewards": 0.01}, None),
        ({"rollout/observation_std": 50.0}, "Observations are not normalized"),
        ({"rollout/observation_max": 0.001}, "Observations are not normalized"),
        (
            {"policy/clipped_actions": 0.9, "policy/action_excess": 9.0},
            "Actions outside the bounds",
        ),
        ({"policy/clipped_actions": 0.9, "policy/action_excess": 0.5}, None),  # acts at the bounds
        ({"policy/forbidden_actions": 0.3}, "Forbidden actions are taken"),
        (
            {"rollout/return_mean": 90.0, "loss/gradient_norm": 40.0},
            "Rewards are too large",
        ),
        ({"rollout/return_mean": 90.0}, None),
        ({"rollout/return_mean": 0.001, "rollout/return_std": 0.001}, "Rewards are too small"),
        ({"rollout/value_mean": 1e4}, "Values diverge"),
        ({"loss/explained_variance": -20.0}, "Values diverge"),
        ({"loss/explained_variance": -20.0, "rollout/return_std": 0.02}, None),  # all solved alike
        ({"loss/approximate_kl": 0.3}, "Learning rate too high"),
        ({"loss/clip_fraction": 0.6}, "Learning rate too high"),
        (
            {"loss/approximate_kl": 1e-8, "policy/relative_entropy": 0.99},
            "Learning rate too low",
        ),
        ({"loss/approximate_kl": 1e-8}, None),  # has settled
        ({"policy/relative_entropy": 0.001}, "Entropy collapsed"),
        ({"policy/dead_units": 0.9}, "Dead units"),
    ],
)
def test_a_rule_begins_at_its_threshold(changes, expected):
    found = diagnose(records(changes), CONFIG)
    assert [finding.name for finding in found.findings] == ([] if expected is None else [expected])
    assert found.unjudged == {}


def test_a_policy_that_became_certain_by_learning_is_healthy():
    run = records({"policy/relative_entropy": 0.001})
    for update, record in enumerate(run):
        record["rollout/reward_mean"] = min(1.0, update / 4)
    assert diagnose(run, CONFIG).findings == []


def test_a_large_entropy_bonus_is_named_with_a_smaller_coefficient():
    config = {**CONFIG, "train": {**CONFIG["train"], "entropy_coefficient": 0.5}}
    (found,) = diagnose(records({"policy/relative_entropy": 0.97}), config).findings
    assert found.name == "Entropy bonus too large"
    assert found.evidence == "97% of the maximal entropy at a coefficient of 0.5"
    assert found.change == "--train.entropy-coefficient 0.01"


@pytest.mark.parametrize(
    ("delay", "gamma"),
    [(1_000, "0.999"), (20_000, "0.99995"), (99_999, "0.99999"), (3e6, "0.9999997")],
)
def test_a_longer_discount_is_never_rounded_to_none(delay, gamma):
    (found,) = diagnose(records({"rollout/nonzero_rewards": 1 / delay}), CONFIG).findings
    assert found.change == f"--train.gamma {gamma}"


SCALES = {
    "Rewards are too large": {"rollout/return_mean": 90.0, "loss/gradient_norm": 40.0},
    "Rewards are too small": {"rollout/return_mean": 1e-4, "rollout/return_std": 1e-4},
}


@pytest.mark.parametrize(("name", "changes"), SCALES.items(), ids=SCALES)
def test_rewards_that_are_normalized_already_are_not_named(name, changes):
    assert name in {finding.name for finding in diagnose(records(changes), CONFIG).findings}
    config = {"train": {**CONFIG["train"], "normalize_rewards": True}}
    found = {finding.name for finding in diagnose(records(changes), config).findings}
    assert name not in found


def test_metrics_that_are_missing_are_listed_with_their_faults():
    run = records({})
    for record in run:
        del record["loss/explained_variance"], record["rollout/reward_max"]
    unjudged = diagnose(run, CONFIG).unjudged
    assert unjudged["Values diverge"] == ["rollout/reward_max", "loss/explained_variance"]
    assert unjudged["No reward"] == ["rollout/reward_max"]
    assert "Dead units" not in unjudged


def test_a_watch_names_a_fault_that_persists():
    watch = Watch(CONFIG, interval_s=0)
    named = []
    for record in records({"rollout/idle_rows": 0.5}, updates=12):
        watch.add(record)
        named.append(watch.finding and watch.finding.name)
    assert named == [None] * 10 + ["Rows that never act"] * 2  # ten updates, two judgments
    watch.add({**HEALTHY, "updates": 13})
    assert watch.finding is None


def test_a_watch_of_a_long_run_still_sees_its_beginning():
    watch = Watch(CONFIG, interval_s=0)
    for record in records({"loss/approximate_kl": 5.0}, updates=30):
        watch.add(record)
    for record in records({}, updates=400):
        watch.add(record)
    assert watch.finding is not None
    assert watch.finding.name == "Learning rate too high"
