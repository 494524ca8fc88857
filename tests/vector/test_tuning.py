"""Which settings are tried, that every one of them works, and which one is chosen."""

import itertools
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
from pufferlib.vector.env_profile import EnvProfile
from pufferlib.vector.tuning import Setting, Trial, autotune, choose, rank, settings

pytestmark = pytest.mark.timeout(120)

BRIEF = {"max_envs": 4, "seconds": 0.02, "rounds": 1}
PROFILE = EnvProfile(
    num_agents=1,
    steps=1000,
    step_us=100.0,
    step_cv=0.1,
    reset_us=100.0,
    reset_share=0.01,
    cpu_share=1.0,
    queued_share=0.0,
    steps_per_second=9900.0,
    observation_bytes=100,
    bandwidth_mb_s=0.99,
    memory_bytes=1000,
)


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
def test_every_setting_that_is_tried_works_and_the_best_can_be_made(family):
    creator = family.env_creator()
    announced = []
    tuning = autotune(creator, announce=lambda *given: announced.append(given), **BRIEF)
    assert [trial.error for trial in tuning.trials] == [None] * len(tuning.trials)
    ((profile, tried),) = announced
    assert profile == tuning.profile
    assert {trial.setting for trial in tuning.trials} == set(tried)
    rates = [trial.steps_per_second for trial in tuning.trials]
    assert rates == sorted(rates, reverse=True)
    assert min(rates) > 0
    assert tuning.trials[0].ratio == 1
    serial = next(trial for trial in tuning.trials if trial.setting.backend == "Serial")
    assert serial.busy_cores > 0
    envs = vector.make(creator, **tuning.best.arguments())
    assert (envs.num_envs, envs.num_workers) == (tuning.best.num_envs, tuning.best.num_workers)
    envs.close()


def test_no_setting_is_faster_than_the_environments_can_be():
    tuning = autotune(Sleeper, **BRIEF)
    assert tuning.profile.step_us >= 2000
    for trial in tuning.trials:
        assert 0 < trial.steps_per_second <= trial.setting.num_workers * 500


def test_arguments_of_the_environment_reach_it_wherever_it_is():
    tuning = autotune(Echo, [7], {"length": 5}, **BRIEF)
    assert [trial.error for trial in tuning.trials] == [None] * len(tuning.trials)
    with pytest.raises(TypeError, match="unexpected keyword argument 'lenght'"):
        autotune(Echo, env_kwargs={"lenght": 5}, **BRIEF)


@pytest.mark.parametrize("where", ["__init__", "reset", "step"])
def test_an_environment_that_fails_by_itself_fails_as_it_is(where):
    with pytest.raises(ValueError, match="negative energy"):
        autotune(Faulty, [where, raise_plain], **BRIEF)


def test_a_setting_that_fails_is_a_row_and_the_others_go_on():
    tuning = autotune(AtHome, [os.getpid()], **BRIEF)
    for trial in tuning.trials:
        if trial.setting.backend == "Serial":
            assert trial.error is None
        else:
            assert "failed in __init__(): ValueError: negative energy" in trial.error
            assert "\n" not in trial.error
            assert (trial.steps_per_second, trial.ratio, trial.busy_cores) == (0, 0, None)
    assert tuning.best.backend == "Serial"


def test_where_all_settings_fail_the_first_failure_is_raised():
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


def test_a_batch_that_needs_too_much_memory_is_refused():
    with pytest.raises(ArgumentError, match="A batch of 4 environments needs about"):
        settings(replace(PROFILE, memory_bytes=2**20), 2, 8, batch_size=4, max_memory_bytes=2**20)


@pytest.mark.parametrize("batch_size", [None, 1, 6, 7, 16])
@pytest.mark.parametrize(
    "profile",
    [
        PROFILE,
        replace(PROFILE, step_us=1.0),
        replace(PROFILE, step_us=5000.0),
        replace(PROFILE, cpu_share=0.01),
        replace(PROFILE, num_agents=9, memory_bytes=None),
    ],
    ids=["plain", "cheap", "dear", "waiting", "many agents"],
)
def test_every_setting_is_one_that_the_backends_take(profile, batch_size):
    for cores, max_envs in itertools.product((1, 2, 3, 4, 64), (1, 2, 5, 16, 100, 1024)):
        if batch_size is not None and batch_size > max_envs:
            continue
        found = settings(profile, cores, max_envs, batch_size)
        assert 0 < len(found) <= 10
        assert len(set(found)) == len(found)
        for each in found:
            batch = each.batch_size or each.num_envs
            assert batch_size in (None, batch)
            assert each.num_envs <= max_envs
            assert each.num_envs % each.num_workers == 0
            envs_per_worker = each.num_envs // each.num_workers
            assert batch % envs_per_worker == 0
            assert each.num_workers % (batch // envs_per_worker) == 0
            if each.is_pool:
                assert each.num_envs == 2 * batch
            if each.caller_steps:
                assert each.num_workers > 1
                assert not each.is_pool
            if each.backend == "Serial":
                assert each.arguments() == {"backend": "Serial", "num_envs": each.num_envs}


def test_what_is_tried_follows_from_what_an_environment_costs():
    serial = [Setting("Serial", 2), Setting("Serial", 32)]
    alone = Setting("Multiprocessing", 2, 2)
    plain = settings(PROFILE, 2, 32)
    assert plain == [
        *serial,
        alone,
        Setting("Multiprocessing", 8, 2),
        Setting("Multiprocessing", 32, 2),
        Setting("Multiprocessing", 8, 2, caller_steps=True),
        Setting("Multiprocessing", 32, 2, caller_steps=True),
        Setting("Multiprocessing", 32, 2, 16),
        Setting("Multiprocessing", 32, 2, 16, zero_copy=False),
        Setting("Multiprocessing", 32, 4, 16),
    ]
    # A worker is not asked for a single step shorter than the asking.
    cheap = settings(replace(PROFILE, step_us=2.0), 2, 32)
    assert set(plain) - set(cheap) == {alone}
    # Where a step is long, all of them one after the other cannot be best.
    assert set(plain) - set(settings(replace(PROFILE, step_us=9999.0), 2, 32)) == {serial[1]}
    # Where environments wait for something, more of them than cores may wait together.
    waiting = settings(replace(PROFILE, cpu_share=0.1), 2, 32)
    assert {each.num_workers for each in waiting} == {1, 2, 8, 16, 32}
    assert not any(each.caller_steps for each in waiting)
    # Many agents in one environment may need no other.
    assert settings(replace(PROFILE, num_agents=64), 2, 32)[0] == Setting("Serial", 1)


def test_memory_limits_how_many_environments_are_tried():
    # One takes 1000 bytes, and 100 twice in the rows: ten take 12000.
    found = settings(PROFILE, 2, 32, max_memory_bytes=12_000)
    assert max(each.num_envs for each in found) == 10
    assert settings(PROFILE, 2, 32, max_memory_bytes=1) == settings(PROFILE, 2, 1)


def trial(ratio, *setting, **options):
    return Trial(Setting(*setting, **options), 1000 * ratio, ratio, 1.0)


def test_the_fastest_is_chosen_and_of_those_as_fast_the_simplest():
    pool = trial(1.0, "Multiprocessing", 32, 4, 16)
    caller = trial(0.99, "Multiprocessing", 32, 4, caller_steps=True)
    many = trial(0.98, "Multiprocessing", 32, 4)
    few = trial(0.97, "Multiprocessing", 8, 4)
    serial = trial(0.969, "Serial", 1)
    failed = Trial(Setting("Serial", 2), 0.0, 0.0, None, "ValueError: no")
    assert choose([pool, serial, failed]) == pool.setting
    assert choose([pool, caller, serial]) == caller.setting
    assert choose([pool, caller, many, serial]) == many.setting
    assert choose([pool, caller, many, few, serial]) == few.setting
    assert choose([pool, few, replace(serial, ratio=0.97)]) == serial.setting


def test_ratios_are_taken_round_by_round():
    # b's median rate is the highest, 30; the rounds give a 10/20, 30/30 and 20/40 of it.
    a, b, c = Setting("Serial", 1), Setting("Serial", 2), Setting("Serial", 3)
    turns = {
        a: [(10.0, 1.0), (30.0, 3.0), (20.0, 1.5)],
        b: [(20.0, None), (30.0, None), (40.0, None)],
    }
    assert rank(turns, {c: ValueError("first line\nsecond")}) == (
        Trial(b, 30.0, 1.0, None),
        Trial(a, 20.0, 0.5, 1.5),
        Trial(c, 0.0, 0.0, None, "ValueError: first line"),
    )
