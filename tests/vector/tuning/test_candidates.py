"""Which candidates are worth a trial."""

import itertools
from dataclasses import replace

import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.vector.tuning.candidates import Candidate, candidates
from pufferlib.vector.tuning.env_profile import EnvProfile

PROFILE = EnvProfile(
    num_agents=1,
    steps=1000,
    step_us=100.0,
    step_cv=0.1,
    reset_us=100.0,
    reset_fraction=0.01,
    cpu_fraction=1.0,
    queued_fraction=0.0,
    steps_per_second=9900.0,
    observation_bytes=100,
    bandwidth_mb_s=0.99,
    memory_bytes=1000,
)


def test_a_batch_that_needs_too_much_memory_is_refused():
    with pytest.raises(ArgumentError, match="A batch of 4 environments needs about"):
        candidates(replace(PROFILE, memory_bytes=2**20), 2, 8, batch_size=4, max_memory_bytes=2**20)


@pytest.mark.parametrize("batch_size", [None, 1, 6, 7, 16])
@pytest.mark.parametrize(
    "profile",
    [
        PROFILE,
        replace(PROFILE, step_us=1.0),
        replace(PROFILE, step_us=5000.0),
        replace(PROFILE, cpu_fraction=0.01),
        replace(PROFILE, num_agents=9, memory_bytes=None),
    ],
    ids=["plain", "cheap", "expensive", "waiting", "many agents"],
)
def test_every_candidate_is_accepted_by_its_backend(profile, batch_size):
    for cores, max_envs in itertools.product((1, 2, 3, 4, 64), (1, 2, 5, 16, 100, 1024)):
        if batch_size is not None and batch_size > max_envs:
            continue
        found = candidates(profile, cores, max_envs, batch_size)
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


def test_candidates_follow_from_the_cost_of_an_environment():
    serial = [Candidate("Serial", 2), Candidate("Serial", 32)]
    alone = Candidate("Multiprocessing", 2, num_workers=2)
    plain = candidates(PROFILE, 2, 32)
    assert plain == [
        *serial,
        alone,
        Candidate("Multiprocessing", 8, num_workers=2),
        Candidate("Multiprocessing", 32, num_workers=2),
        Candidate("Multiprocessing", 8, num_workers=2, caller_steps=True),
        Candidate("Multiprocessing", 32, num_workers=2, caller_steps=True),
        Candidate("Multiprocessing", 32, num_workers=2, batch_size=16),
        Candidate("Multiprocessing", 32, num_workers=2, batch_size=16, zero_copy=False),
        Candidate("Multiprocessing", 32, num_workers=4, batch_size=16),
    ]
    # A worker is not asked for one step that is shorter than a round trip.
    cheap = candidates(replace(PROFILE, step_us=2.0), 2, 32)
    assert set(plain) - set(cheap) == {alone}
    # With long steps, many environments in Serial cannot be best.
    assert set(plain) - set(candidates(replace(PROFILE, step_us=9999.0), 2, 32)) == {serial[1]}
    # If environments wait for something, more of them than cores can wait at the same time.
    waiting = candidates(replace(PROFILE, cpu_fraction=0.1), 2, 32)
    assert {each.num_workers for each in waiting} == {1, 2, 8, 16, 32}
    assert not any(each.caller_steps for each in waiting)
    # A single environment with many agents may be enough.
    assert candidates(replace(PROFILE, num_agents=64), 2, 32)[0] == Candidate("Serial", 1)


def test_memory_limits_how_many_environments_are_tried():
    # One takes 1000 bytes, and 100 twice in the rows: ten take 12000.
    found = candidates(PROFILE, 2, 32, max_memory_bytes=12_000)
    assert max(each.num_envs for each in found) == 10
    assert candidates(PROFILE, 2, 32, max_memory_bytes=1) == candidates(PROFILE, 2, 1)
