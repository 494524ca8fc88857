"""Every candidate works, and the best of them is chosen."""

import os
import time
from dataclasses import replace

import gymnasium
import pytest
from gymnasium.spaces import Box, Discrete
from vector_environments import Echo, Faulty, raise_plain

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, WorkerError
from pufferlib.registry import classic_control, ocean
from pufferlib.vector.tuning.autotune import Trial, autotune, choose, rank
from pufferlib.vector.tuning.candidates import Candidate

BRIEF = {"max_envs": 4, "seconds": 0.02, "rounds": 1}


class Sleeper(gymnasium.Env):
    """A step sleeps 2 ms."""

    observation_space = Box(0, 1, (3,))
    action_space = Discrete(2)

    def reset(self, *, seed=None, options=None):
        return self.observation_space.sample(), {}

    def step(self, action):
        time.sleep(0.002)
        return self.observation_space.sample(), 0.0, False, False, {}


class AtHome(Echo):
    """Fails to be made in any process but one."""

    def __init__(self, home):
        super().__init__()
        if os.getpid() != home:
            raise_plain()


@pytest.mark.parametrize("family", [classic_control, ocean], ids=["one agent", "native"])
def test_every_candidate_works_and_the_best_can_be_made(family):
    creator = family.env_creator()
    announced = []
    tuning = autotune(creator, announce=lambda *given: announced.append(given), **BRIEF)
    assert [trial.error for trial in tuning.trials] == [None] * len(tuning.trials)
    ((profile, tried),) = announced
    assert profile == tuning.profile
    assert {trial.candidate for trial in tuning.trials} == set(tried)
    rates = [trial.steps_per_second for trial in tuning.trials]
    assert rates == sorted(rates, reverse=True)
    assert min(rates) > 0
    assert tuning.trials[0].ratio == 1
    serial = next(trial for trial in tuning.trials if trial.candidate.backend == "Serial")
    assert serial.busy_cores > 0
    envs = vector.make(creator, **tuning.best.arguments())
    assert (envs.num_envs, envs.num_workers) == (tuning.best.num_envs, tuning.best.num_workers)
    envs.close()


def test_no_candidate_is_faster_than_its_environments_can_be():
    tuning = autotune(Sleeper, **BRIEF)
    assert tuning.profile.step_us >= 2000
    for trial in tuning.trials:
        assert 0 < trial.steps_per_second <= trial.candidate.num_workers * 500


def test_arguments_of_the_environment_reach_it_on_every_backend():
    tuning = autotune(Echo, [7], {"length": 5}, **BRIEF)
    assert [trial.error for trial in tuning.trials] == [None] * len(tuning.trials)
    with pytest.raises(TypeError, match="unexpected keyword argument 'lenght'"):
        autotune(Echo, env_kwargs={"lenght": 5}, **BRIEF)


@pytest.mark.parametrize("where", ["__init__", "reset", "step"])
def test_an_environment_that_fails_alone_raises_its_own_exception(where):
    with pytest.raises(ValueError, match="negative energy"):
        autotune(Faulty, [where, raise_plain], **BRIEF)


def test_a_candidate_that_fails_is_a_row_and_the_others_continue():
    tuning = autotune(AtHome, [os.getpid()], **BRIEF)
    for trial in tuning.trials:
        if trial.candidate.backend == "Serial":
            assert trial.error is None
        else:
            assert "failed in __init__(): ValueError: negative energy" in trial.error
            assert "\n" not in trial.error
            assert (trial.steps_per_second, trial.ratio, trial.busy_cores) == (0, 0, None)
    assert tuning.best.backend == "Serial"


def test_if_all_candidates_fail_the_first_failure_is_raised():
    made = []

    def make():
        made.append(1)
        if len(made) > 2:  # the profile makes two
            raise_plain()
        return Echo()

    with pytest.raises(WorkerError, match=r"Environment 0 failed in __init__\(\): ValueError"):
        autotune(make, **BRIEF)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"max_envs": 0}, "max_envs must be a whole number of at least 1; got 0"),
        ({"rounds": 0}, "rounds must be a whole number"),
        ({"batch_size": -1}, "batch_size must be a whole number"),
        ({"max_memory_bytes": 0.5}, "max_memory_bytes must be a whole number"),
        ({"seconds": 0}, "seconds must be above 0; got 0"),
        ({"seconds": float("nan")}, "seconds must be above 0; got nan"),
        ({"batch_size": 8, "max_envs": 4}, "got batch_size=8, max_envs=4. Use max_envs=8"),
        ({"env_kwargs": [{}]}, "env_kwargs is a list"),
    ],
)
def test_a_mistake_is_refused_before_anything_is_made(arguments, match):
    made = []
    with pytest.raises(ArgumentError, match=match):
        autotune(lambda **kwargs: made.append(1), **arguments)
    assert made == []


def trial(ratio, backend, num_envs, num_workers=1, **options):
    candidate = Candidate(backend, num_envs, num_workers=num_workers, **options)
    return Trial(candidate, 1000 * ratio, ratio, 1.0)


def test_the_simplest_of_the_nearly_fastest_is_chosen():
    pool = trial(1.0, "Multiprocessing", 32, 4, batch_size=16)
    caller = trial(0.99, "Multiprocessing", 32, 4, caller_steps=True)
    many = trial(0.98, "Multiprocessing", 32, 4)
    few = trial(0.97, "Multiprocessing", 8, 4)
    serial = trial(0.969, "Serial", 1)
    failed = Trial(Candidate("Serial", 2), 0.0, 0.0, None, "ValueError: no")
    assert choose([pool, serial, failed]) == pool.candidate
    assert choose([pool, caller, serial]) == caller.candidate
    assert choose([pool, caller, many, serial]) == many.candidate
    assert choose([pool, caller, many, few, serial]) == few.candidate
    assert choose([pool, few, replace(serial, ratio=0.97)]) == serial.candidate


def test_ratios_are_taken_within_each_round():
    # b's median rate is the highest, 30; the rounds give a 10/20, 30/30 and 20/40 of it.
    a, b, c = Candidate("Serial", 1), Candidate("Serial", 2), Candidate("Serial", 3)
    measured = {
        a: [(10.0, 1.0), (30.0, 3.0), (20.0, 1.5)],
        b: [(20.0, None), (30.0, None), (40.0, None)],
    }
    assert rank(measured, {c: ValueError("first line\nsecond")}) == (
        Trial(b, 30.0, 1.0, None),
        Trial(a, 20.0, 0.5, 1.5),
        Trial(c, 0.0, 0.0, None, "ValueError: first line"),
    )
