"""In each autoreset mode our vectorizers return what Gymnasium's SyncVectorEnv returns in it."""

import contextlib

import numpy as np
import pytest
from environments import Countdown
from gymnasium.vector import AutoresetMode
from gymnasium_parity import ENVIRONMENTS, MODES, assert_equal, of_gymnasium, steps_of
from vector_environments import Flock

from pufferlib import vector
from pufferlib.exceptions import ArgumentError
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


SEVERAL = {"backend": "Multiprocessing", "num_workers": 2}
BACKENDS = {
    "serial": {"backend": "Serial"},
    "two workers": SEVERAL,
    "caller steps": {**SEVERAL, "caller_steps": True},
}


@pytest.mark.parametrize("autoreset", MODES)
@pytest.mark.parametrize("name", ["CartPole", "infos of all kinds"])
@pytest.mark.parametrize(
    ("backend", "steps"),
    [
        ("serial", 1000),
        ("two workers", 100),
        pytest.param("two workers", 1000, marks=pytest.mark.long),
        pytest.param("caller steps", 1000, marks=pytest.mark.long),
    ],
)
def test_every_step_equals_that_of_gymnasium(backend, steps, name, autoreset):
    creators = ENVIRONMENTS[name]
    envs = vector.make(creators, num_envs=4, autoreset=autoreset, **BACKENDS[backend])
    with contextlib.closing(envs):
        theirs = of_gymnasium(creators, autoreset)
        assert compare(to_gymnasium(envs), theirs, autoreset, steps) > steps / 8


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
@pytest.mark.parametrize("creators", ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_infos_of_every_kind_equal_those_of_gymnasium(creators, autoreset):
    envs = vector.make(creators, num_envs=4, autoreset=autoreset)
    assert compare(to_gymnasium(envs), of_gymnasium(creators, autoreset), autoreset, 100) > 15
    envs.close()


def test_agents_are_reset_together(make):
    envs = to_gymnasium(make([Flock, Flock], [[0], [1]], num_envs=2, autoreset="disabled"))
    assert envs.autoreset_mode is AutoresetMode.DISABLED
    envs.reset(seed=0)
    for _ in range(4):
        infos = envs.step([1, 2, 3, 101, 102, 103])[4]
    assert not envs.masks.any()
    assert infos["agent_infos"][3] == [{"ends": "b"}, {"ends": "c"}]
    assert "final_obs" not in infos
    with pytest.raises(ArgumentError, match=r"some, not all, rows of .* environments \[1\];"):
        envs.reset(options={"reset_mask": np.arange(6) > 3})
    with pytest.raises(ArgumentError, match=r"NumPy array of bool, \(6,\), .* bool, \(2,\)"):
        envs.reset(options={"reset_mask": np.ones(2, np.bool_)})
    options = {"reset_mask": np.arange(6) > 2}
    observations, _ = envs.reset(options=options)
    assert observations.tolist() == [[0, 0], [2, 4], [3, 4], [11, 0], [12, 0], [0, 0]]
    assert envs.masks.tolist() == [False, False, False, True, True, False]
    assert options.keys() == {"reset_mask"}


def test_other_options_than_the_mask_reach_the_environments_that_are_reset(make):
    envs = to_gymnasium(make(Countdown, num_envs=2, autoreset="disabled"))
    envs.reset(seed=0, options={"level": 1})
    mask = np.array([False, True])
    envs.reset(seed=[7, 8], options={"reset_mask": mask, "level": 2})
    assert envs.get_attr("options") == ({"level": 1}, {"level": 2})
    assert envs.np_random_seed == (0, 8)
