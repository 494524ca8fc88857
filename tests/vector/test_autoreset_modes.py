"""In each autoreset mode our vectorizers return what Gymnasium's SyncVectorEnv returns in it."""

import contextlib

import gymnasium
import numpy as np
import pettingzoo
import pytest
from environments import Countdown
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode
from gymnasium_parity import ENVIRONMENTS, MODES, Sync, assert_equal, of_gymnasium, steps_of
from vector_environments import Flock

from pufferlib import emulation, vector
from pufferlib.exceptions import ArgumentError
from pufferlib.registry import ocean
from pufferlib.vector import to_gymnasium


def compare(ours, theirs, autoreset, steps, seed=3, seeds=None):
    """Compare all results of `steps` steps; return how many episodes ended.

    Args:
        seeds: of Gymnasium's environments; None: those that follow from `seed`.
    """
    theirs.action_space.seed(seed)
    actions = [theirs.action_space.sample() for _ in range(steps)]
    mine = steps_of(ours, actions, seed, autoreset)
    others = steps_of(theirs, actions, seed if seeds is None else seeds, autoreset)
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


def rows_of_gymnasium(creators, actions, autoreset):
    """Return by environment (observation, reward, flags, last observation) of resets and steps."""
    envs = of_gymnasium(creators, autoreset)
    rows = [[] for _ in creators]
    has_ended = np.ones(len(creators), np.bool_)
    for observations, *numbers, infos in steps_of(envs, actions, 3, autoreset):
        is_reset = not numbers
        for env in np.flatnonzero(has_ended) if is_reset else range(len(creators)):
            reward, *flags = (0, False, False) if is_reset else (each[env] for each in numbers)
            last = None
            if any(flags):
                last = (infos["final_obs"] if autoreset == "same_step" else observations)[env]
                last = last.tobytes()
            rows[env].append((observations[env].tobytes(), float(reward), *flags, last))
        has_ended = np.zeros(len(creators), np.bool_) if is_reset else numbers[1] | numbers[2]
    envs.close()
    return rows


def rows_of_pool(envs, actions, autoreset, counts):
    """Return the same of a pool, for as many results of each environment as `counts` says."""
    rows, steps = [[] for _ in counts], [0] * len(counts)
    is_due = np.ones(len(counts), np.bool_)  # environments that were stepped or reset
    envs.async_reset(seed=3)
    while any(len(own) < count for own, count in zip(rows, counts, strict=True)):
        batch = envs.recv()
        for row in np.flatnonzero(is_due[batch.env_ids]):
            flags = batch.terminals[row], batch.truncations[row]
            last = batch.final_observations[row].tobytes() if any(flags) else None
            result = (batch.observations[row].tobytes(), float(batch.rewards[row]), *flags, last)
            rows[batch.env_ids[row]].append(result)
        is_due[batch.env_ids] = False
        mask = np.zeros(len(counts), np.bool_)
        mask[batch.env_ids] = ~batch.masks
        if autoreset == "disabled" and mask.any():
            envs.async_reset(options={"reset_mask": mask})
            is_due |= mask
            continue
        due = [min(steps[env], len(actions) - 1) for env in batch.env_ids]  # some are faster
        envs.send([actions[step][env] for step, env in zip(due, batch.env_ids, strict=True)])
        is_due[batch.env_ids] = True
        for env in batch.env_ids:
            steps[env] += 1
    return [own[:count] for own, count in zip(rows, counts, strict=True)]


@pytest.mark.parametrize("autoreset", MODES)
@pytest.mark.parametrize(
    "options",
    [
        {"backend": "Serial"},
        pytest.param({"backend": "Multiprocessing", "zero_copy": False}, marks=pytest.mark.long),
    ],
    ids=lambda options: options["backend"],
)
def test_every_row_of_a_pool_equals_that_of_gymnasium(options, autoreset):
    creators = ENVIRONMENTS["infos of all kinds"]
    actions = np.random.default_rng(5).integers(5, size=(1000, 4))
    expected = rows_of_gymnasium(creators, actions, autoreset)
    pool = vector.make(
        creators, num_envs=4, num_workers=4, batch_size=2, autoreset=autoreset, **options
    )
    with contextlib.closing(pool):
        found = rows_of_pool(pool, actions, autoreset, [len(own) for own in expected])
    assert found == expected
    assert min(map(len, expected)) > 1000


@pytest.mark.parametrize("autoreset", MODES)
def test_every_step_of_native_environments_equals_that_of_gymnasium(autoreset):
    envs = vector.make(ocean.make_env, ["memory"], num_envs=2, autoreset=autoreset)
    single = [lambda: emulation.to_gymnasium(ocean.make_env("memory"))] * 2
    theirs = Sync(single, autoreset_mode=AutoresetMode[autoreset.upper()])
    assert compare(to_gymnasium(envs), theirs, autoreset, 1000) > 100
    envs.close()


class Member(gymnasium.Env):
    """One of several agents whose episodes end together: they draw the end with the same seed."""

    observation_space, action_space = Box(-1, 1, (2,), np.float32), Discrete(4)

    def __init__(self, number=0):
        self.number = number

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.shared = np.random.default_rng(seed)
            self.own = np.random.default_rng([seed, self.number])
        return self._observe(), {}

    def step(self, action):
        terminated, truncated = (self.shared.random(2) < 0.05).tolist()
        reward = float(np.float32(self.own.normal() + action))
        return self._observe(), reward, terminated, truncated and not terminated, {}

    def _observe(self):
        return self.own.uniform(-1, 1, 2).astype(np.float32)


class Members(pettingzoo.ParallelEnv):
    """Three of them as one environment."""

    render_mode = None

    def __init__(self):
        self.metadata = {"name": "members"}
        self.possible_agents = [0, 1, 2]
        self.members = [Member(number) for number in self.possible_agents]

    def observation_space(self, agent):
        return Member.observation_space

    def action_space(self, agent):
        return Member.action_space

    def reset(self, seed=None, options=None):
        self.agents = self.possible_agents
        results = [each.reset(seed=seed) for each in self.members]
        return tuple(dict(enumerate(each)) for each in zip(*results, strict=True))

    def step(self, actions):
        results = [each.step(actions[each.number]) for each in self.members]
        results = tuple(dict(enumerate(each)) for each in zip(*results, strict=True))
        if any(results[2].values()) or any(results[3].values()):
            self.agents = []
        return results


@pytest.mark.parametrize("autoreset", MODES)
@pytest.mark.parametrize("backend", ["serial", pytest.param("two workers", marks=pytest.mark.long)])
def test_every_row_of_several_agents_equals_that_of_gymnasium(backend, autoreset):
    envs = vector.make(Members, num_envs=2, autoreset=autoreset, **BACKENDS[backend])
    creators = [lambda number=number: Member(number) for number in range(3)] * 2
    theirs = Sync(creators, autoreset_mode=AutoresetMode[autoreset.upper()])
    seeds = [3, 3, 3, 4, 4, 4]  # environment i has the seed 3 + i, and so have its agents
    with contextlib.closing(envs):
        assert compare(to_gymnasium(envs), theirs, autoreset, 1000, seeds=seeds) > 300


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
