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


def squared(**settings):
    return functools.partial(train, ScaledSquared, **settings)


def bandit(scale=1.0, noise=0.1, agents=32, **settings):
    creator = functools.partial(
        Bandit, num_agents=agents, reward_scale=scale, reward_noise=noise, num_actions=4
    )
    return functools.partial(train, creator, **settings)


def spaces(ignores_seed):
    creator = lambda: emulated(SeededSpaces(ignores_seed))  # noqa: E731
    return functools.partial(train, creator, num_envs=4, updates=10)


def treadmill(end, updates=63):
    creator = lambda: emulated(Treadmill(end))  # noqa: E731
    return functools.partial(train, creator, num_envs=4, horizon=32, updates=updates)


def memory(delay, gamma=0.99, horizon=64, updates=20):
    creator = functools.partial(Memory, num_agents=16, mem_length=1, mem_delay=delay)
    return functools.partial(train, creator, gamma=gamma, horizon=horizon, updates=updates)


def password(length):
    creator = functools.partial(Password, num_agents=32, password_length=length)
    return functools.partial(train, creator)


def dial(policy):
    box = gymnasium.spaces.Box(-0.01, 0.01, (2,), np.float32)
    creator = lambda: emulated(Dial(box, target=0.004))  # noqa: E731
    return functools.partial(train, creator, policy, num_envs=8)


def masked(policy):
    return functools.partial(train, lambda: emulated(Masked()), policy, num_envs=8)


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
