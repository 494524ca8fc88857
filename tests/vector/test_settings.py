"""Which settings are worth a trial."""

import itertools
from dataclasses import replace

import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.vector.env_profile import EnvProfile
from pufferlib.vector.settings import Setting, settings

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
