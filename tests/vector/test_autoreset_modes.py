"""In each autoreset mode our vectorizers return what Gymnasium's SyncVectorEnv returns in it."""

import numpy as np
import pytest
from gymnasium_parity import ENVIRONMENTS, MODES, assert_equal, of_gymnasium, steps_of

from pufferlib import vector
from pufferlib.vector import to_gymnasium


def compare(ours, theirs, autoreset, steps, seed=3):
    """Compare all results of `steps` steps; return how many episodes ended."""
    theirs.action_space.seed(seed)
    actions = [theirs.action_space.sample() for _ in range(steps)]
    mine, others = (steps_of(envs, actions, seed, autoreset) for envs in (ours, theirs))
    ended = 0
    for step, (result, expected) in enumerate(zip(mine, others, strict=True)):
        assert_equal(result, expected, f"result {step}")
        if len(expected) == 5:
            ended += np.count_nonzero(expected[2] | expected[3])
    theirs.close()
    return ended


@pytest.mark.parametrize("autoreset", MODES)
@pytest.mark.parametrize("name", ["CartPole", "infos of all kinds"])
def test_a_thousand_steps_equal_those_of_gymnasium(name, autoreset, make):
    creators = ENVIRONMENTS[name]
    ours = to_gymnasium(make(creators, num_envs=4, autoreset=autoreset))
    assert compare(ours, of_gymnasium(creators, autoreset), autoreset, 1000) > 150


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
@pytest.mark.parametrize("creators", ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_infos_of_every_kind_equal_those_of_gymnasium(creators, autoreset):
    envs = vector.make(creators, num_envs=4, autoreset=autoreset)
    assert compare(to_gymnasium(envs), of_gymnasium(creators, autoreset), autoreset, 100) > 15
    envs.close()


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
def test_a_caller_that_steps_equals_gymnasium(autoreset):
    creators = ENVIRONMENTS["infos of all kinds"]
    options = {"backend": "Multiprocessing", "num_workers": 2, "caller_steps": True}
    envs = vector.make(creators, num_envs=4, autoreset=autoreset, **options)
    assert compare(to_gymnasium(envs), of_gymnasium(creators, autoreset), autoreset, 100) > 15
    envs.close()
