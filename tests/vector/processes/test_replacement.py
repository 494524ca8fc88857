"""Workers that fail are replaced: rows, infos and seeds before and after, and the limits."""

import contextlib
import os
import signal
import time

import numpy as np
import pytest
from vector_environments import Echo, Flock, Troubled, raise_plain
from vector_processes import children

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, CallOrderError, WorkerError
from pufferlib.vector import Multiprocessing

RAISE, DIE, HANG, DAWDLE = Troubled.RAISE, Troubled.DIE, Troubled.HANG, Troubled.DAWDLE
AT_RESET = 10  # added to one of these: in the next reset
REASONS = {
    RAISE: "Worker 1, environment 2 failed in {}() (seed 2{}): ValueError: as ordered",
    DIE: "Worker 1 (environments 2-3) was killed by SIGKILL, most often by the kernel, out of "
    "memory. Use fewer or smaller environments. It was in {}().",
    HANG: "Worker 1 (environments 2-3) has not finished {}() within timeout_s=3. It was killed. "
    "Use the Serial backend to find out why it hangs, or raise timeout_s.",
}


def restarting(env_creators=None, env_args=None, num_workers=2, **kwargs):
    """Return a vectorizer of four `Troubled` on two workers that are replaced."""
    env_creators = env_creators or [Troubled] * 4
    env_args = env_args or [[tag] for tag in range(len(env_creators))]
    options = {"num_workers": num_workers, "on_failure": "restart", **kwargs}
    return contextlib.closing(
        vector.make(
            env_creators, env_args, backend=Multiprocessing, num_envs=len(env_creators), **options
        )
    )


def received(envs):
    """Return all that is known of the next batch, in lists."""
    batch = envs.recv()
    return {
        "observations": batch.observations.tolist(),
        "rewards": batch.rewards.tolist(),
        "terminals": batch.terminals.tolist(),
        "truncations": batch.truncations.tolist(),
        "masks": batch.masks.tolist(),
        "lost": envs.lost.tolist(),
        "infos": list(batch.infos),
        "env_indices": batch.infos.env_indices,
    }


def stepped(envs, actions):
    envs.send(actions)
    return received(envs)


def nothing_happened(observations, rewards):
    """Return what `received` should, of rows that are all there and of which no episode ended."""
    no, yes = [False] * len(rewards), [True] * len(rewards)
    flags = {"terminals": no, "truncations": no, "masks": yes, "lost": no}
    return {"observations": observations, "rewards": rewards} | flags | NO_INFOS


NO_INFOS = {"infos": [], "env_indices": []}
OF_ECHO = [[0, 0, 2, 5], [1, 0, 2, 6]]  # the rows of worker 0 after two steps
WORKER_1_IS_LOST = {
    "observations": [*OF_ECHO, [0] * 4, [0] * 4],
    "rewards": [5, 6, 0, 0],
    "terminals": [False] * 4,
    "truncations": [False, False, True, True],
    "masks": [True, True, False, False],
    "lost": [False, False, True, True],
    "env_indices": [2],
}


def lost(reason):
    return WORKER_1_IS_LOST | {"infos": [{"restarted": reason, "worker": 1}]}


@pytest.mark.parametrize(
    ("fault", "start_method"),
    [
        *[(RAISE, "fork"), (RAISE, "forkserver"), (RAISE, "spawn")],
        *[(DIE, "fork"), (DIE, "forkserver"), (DIE, "spawn")],
        (HANG, "fork"),
    ],
)
def test_lost_rows_are_reported_once_and_then_new_episodes_begin(fault, start_method):
    options = {"timeout_s": 3} if fault == HANG else {}
    with restarting(start_method=start_method, **options) as envs:
        envs.reset(seed=0)
        envs.step([1, 2, 3, 4])
        reason = REASONS[fault].format("step", ", step 2")
        assert stepped(envs, [5, 6, fault, 8]) == lost(reason)
        assert envs.final_observations[2:].tolist() == [[2, 0, 1, 3], [3, 0, 1, 4]]
        assert envs.num_restarts == 1
        firsts = [[0, 0, 3, 7], [1, 0, 3, 7], [2, 0, 0, 0], [3, 0, 0, 0]]
        assert stepped(envs, [7] * 4) == nothing_happened(firsts, [7, 7, 0, 0])
        seconds = [[0, 0, 4, 8], [1, 0, 4, 8], [2, 0, 1, 8], [3, 0, 1, 8]]
        assert stepped(envs, [8] * 4) == nothing_happened(seconds, [8] * 4)


def test_rows_still_report_the_loss_if_the_replacement_is_ready_before_the_other_workers():
    with restarting() as envs:
        envs.reset(seed=0)
        envs.step([1, 2, 3, 4])
        seen = stepped(envs, [DAWDLE, 6, RAISE, 8])
        assert seen.pop("infos")[0]["worker"] == 1
        assert seen == WORKER_1_IS_LOST | {
            "observations": [[0, 0, 2, DAWDLE], [1, 0, 2, 6], [0] * 4, [0] * 4],
            "rewards": [DAWDLE, 6, 0, 0],
        }
        firsts = [[0, 0, 3, 7], [1, 0, 3, 7], [2, 0, 0, 0], [3, 0, 0, 0]]
        assert stepped(envs, [7] * 4) == nothing_happened(firsts, [7, 7, 0, 0])


def test_a_batch_with_lost_rows_stays_as_it_is_until_the_next_send():
    with restarting(num_workers=4, batch_size=1) as envs:
        envs.async_reset(seed=0)
        for _ in range(4):
            envs.recv()
            envs.send([DAWDLE])  # so that others keep the caller busy
        batch = envs.recv()
        envs.send([RAISE])
        env_id = int(batch.env_ids[0])
        while not envs.lost.any():
            batch = envs.recv()
            if not envs.lost.any():
                envs.send([DAWDLE])
        assert batch.env_ids.tolist() == [env_id]
        for _ in range(2):
            time.sleep(0.2)
            assert batch.observations.tolist() == [[0] * 4]
            assert (batch.truncations.tolist(), batch.masks.tolist()) == ([True], [False])
        envs.send([1])
        while True:
            batch = envs.recv()
            if batch.env_ids.tolist() == [env_id]:
                break
            envs.send([DAWDLE])
        assert batch.observations.tolist() == [[env_id, 0, 0, 0]]
        assert (batch.truncations.tolist(), batch.masks.tolist()) == ([False], [True])
        assert not envs.lost.any()


@pytest.mark.parametrize("zero_copy", [True, False])
@pytest.mark.parametrize("fault", [RAISE, DIE])
def test_in_a_pool_the_other_workers_continue(fault, zero_copy):
    with restarting(num_workers=4, batch_size=2, zero_copy=zero_copy) as envs:
        envs.async_reset(seed=0)
        steps, is_lost, lives = [-1] * 4, [False] * 4, [1] * 4
        while lives != [3] * 4 or min(steps) < 10:
            batch = envs.recv()
            actions = []
            for row, env_id in enumerate(batch.env_ids.tolist()):
                is_lost[env_id] = bool(envs.lost[row])
                steps[env_id] = -1 if is_lost[env_id] else steps[env_id] + 1
                expected = [0] * 4
                if not is_lost[env_id]:
                    expected = [env_id, 0, steps[env_id], 7 if steps[env_id] else 0]
                assert batch.observations[row].tolist() == expected
                assert batch.truncations[row] == is_lost[env_id]
                assert batch.masks[row] != is_lost[env_id]
                fails = steps[env_id] == 5 and lives[env_id] <= 2
                lives[env_id] += fails
                actions.append(fault if fails else 7)
            envs.send(actions)
        assert envs.num_restarts == 8


def test_agents_of_a_lost_environment_are_all_absent():
    class Mortal(Flock):
        def step(self, actions):
            if 666 in actions.values():
                raise_plain()
            return super().step(actions)

    with restarting([Mortal, Mortal]) as envs:
        envs.reset(seed=0)
        envs.step([1] * 6)
        seen = stepped(envs, [1, 1, 1, 1, 666, 1])
        assert seen["lost"] == seen["truncations"][:3] + [True] * 3 == [False] * 3 + [True] * 3
        assert seen["masks"] == [False, True, True] + [False] * 3
        assert seen["observations"] == [[0, 0], [2, 2], [3, 2]] + [[0, 0]] * 3
        assert envs.final_observations[3:].tolist() == [[11, 1], [12, 1], [0, 0]]
        assert seen["env_indices"] == [0, 1]
        seen = stepped(envs, [1] * 6)
        assert seen["observations"] == [[0, 0], [2, 3], [3, 3], [11, 0], [12, 0], [0, 0]]
        assert seen["masks"] == [False, True, True, True, True, False]


@pytest.mark.parametrize("fault", REASONS)
def test_a_failure_in_a_reset_loses_the_first_batch(fault):
    options = {"timeout_s": 3} if fault == HANG else {}
    with restarting(**options) as envs:
        envs.reset(seed=0)
        envs.step([1, 2, fault + AT_RESET, 4])
        envs.async_reset(seed=0)
        seen = received(envs)
        assert seen["infos"] == [
            {"restarted": REASONS[fault].format("reset", ""), "worker": 1},
        ]
        assert seen["observations"] == [[0] * 4, [1, 0, 0, 0], [0] * 4, [0] * 4]
        assert seen["lost"] == seen["truncations"] == [False, False, True, True]
        assert envs.final_observations[3].tolist() == [3, 0, 1, 4]
        firsts = [[0, 0, 1, 5], [1, 0, 1, 5], [2, 0, 0, 0], [3, 0, 0, 0]]
        assert stepped(envs, [5] * 4) == nothing_happened(firsts, [5, 5, 0, 0])


def test_a_failure_in_the_reset_between_two_episodes_loses_the_last_step():
    with restarting(env_args=[[tag, 2] for tag in range(4)]) as envs:
        envs.reset(seed=0)
        envs.step([1, 2, RAISE + AT_RESET, 4])
        seen = stepped(envs, [5] * 4)
        assert seen["observations"] == [[0, 1, 0, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]
        assert seen["terminals"] == [True, True, False, False]
        assert seen["truncations"] == seen["lost"] == [False, False, True, True]
        assert seen["env_indices"] == [0, 1, 2]


@pytest.mark.parametrize("batch_size", [4, 2])
def test_a_replacement_that_fails_is_replaced_without_another_lost_batch(batch_size, tmp_path):
    fates = ["", "__init__", "reset", "", "reset"]
    env_args = [[0], [1], [2, 2**40, tmp_path / "log", fates], [3]]
    with restarting(env_args=env_args, batch_size=batch_size) as envs:
        envs.async_reset(seed=0)
        rows = []
        while len(rows) < 8:
            batch = envs.recv()
            actions = []
            for row, env_id in enumerate(batch.env_ids.tolist()):
                if env_id == 2:
                    rows.append("lost" if envs.lost[row] else batch.observations[row].tolist())
                actions.append(RAISE if env_id == 2 and len(rows) == 2 else 5)
            envs.send(actions)
        assert rows[:5] == [[2, 0, 0, 0], [2, 0, 1, 5], "lost", [2, 0, 0, 0], [2, 0, 1, 5]]
        assert "lost" not in rows[5:]
        assert envs.num_restarts == 3
    assert (tmp_path / "log").read_text() == "made\n" * 4


def test_a_worker_killed_between_two_steps_loses_the_second():
    with restarting() as envs:
        envs.reset(seed=0)
        pids = envs.call("pid")
        envs.step([1, 2, 3, 4])
        os.kill(pids[2], signal.SIGKILL)
        seen = stepped(envs, [5, 6, 7, 8])
        assert seen == lost(REASONS[DIE].format("step"))
        after = envs.call("pid")
        assert after[:2] == pids[:2]
        assert pids[2] not in after


def seeds_after(restarts, seed):
    """Return the seeds that environments 2 and 3 had last, after each restart."""
    with restarting() as envs:
        envs.reset(seed=seed)
        seeds = []
        for _ in range(restarts):
            envs.step([1, 1, RAISE, 1])
            seeds.append(envs.get_attr("given_seed"))
            envs.step([1] * 4)
    return seeds


def test_new_episodes_have_new_seeds_that_are_the_same_in_every_run():
    seeds = seeds_after(3, seed=7)
    assert seeds == seeds_after(3, seed=7)
    assert [own[:2] for own in seeds] == [[7, 8]] * 3  # these workers have not failed
    firsts = [own[2] for own in seeds]
    assert [own[3] for own in seeds] == [first + 1 for first in firsts]
    everyone = {7, 8, 9, 10, *firsts, *(own[3] for own in seeds)}
    assert len(everyone) == 4 + 6
    assert firsts[0] != seeds_after(1, seed=8)[0][2]


def test_without_a_seed_new_episodes_have_none():
    assert seeds_after(1, seed=None) == [[None] * 4]


def test_a_replacement_can_be_called_before_its_first_batch():
    class Strict(Troubled):
        steps = None

        def steps_taken(self):
            return self.steps + 0  # fails before the first reset

    with restarting([Strict] * 4) as envs:
        envs.reset(seed=0)
        envs.step([1, 2, RAISE, 4])
        assert envs.call("steps_taken") == [1, 1, 0, 0]
        assert stepped(envs, [5] * 4)["observations"][2:] == [[2, 0, 0, 0], [3, 0, 0, 0]]
        assert envs.call("steps_taken") == [2, 2, 0, 0]


def test_a_call_leaves_a_batch_with_lost_rows_as_it_is():
    with restarting() as envs:
        envs.reset(seed=0)
        envs.step([1, 2, 3, 4])
        envs.send([5, 6, RAISE, 8])
        batch = envs.recv()
        before = [array.tolist() for array in (*batch[:4], batch.masks, envs.lost)]
        for _ in range(2):
            seeds = envs.get_attr("given_seed")
            now = [array.tolist() for array in (*batch[:4], batch.masks, envs.lost)]
            assert now == before
            assert envs.final_observations[2:].tolist() == [[2, 0, 1, 3], [3, 0, 1, 4]]
        firsts = [[0, 0, 3, 7], [1, 0, 3, 7], [2, 0, 0, 0], [3, 0, 0, 0]]
        assert stepped(envs, [7] * 4) == nothing_happened(firsts, [7, 7, 0, 0])
        assert envs.get_attr("given_seed") == seeds


def is_closed(envs):
    with pytest.raises(CallOrderError, match=r"after a failure\. Make a new"):
        envs.recv()
    return children() == set()


@pytest.mark.parametrize("batch_size", [4, 2])
def test_restarts_come_to_an_end(batch_size):
    with restarting(batch_size=batch_size, max_restarts=2) as envs:
        envs.async_reset(seed=0)

        def play():
            for _ in range(1000):
                envs.recv()
                envs.send([RAISE] * batch_size)

        with pytest.raises(WorkerError, match="ValueError: as ordered") as raised:
            play()
        assert raised.value.__notes__ == ["The worker was not replaced: max_restarts=2 is used up."]
        assert envs.num_restarts == 2
        assert is_closed(envs)


def test_a_limit_counts_replacements_that_fail_too(tmp_path):
    env_args = [[0], [1], [2, 2**40, tmp_path / "log", ["", *["__init__"] * 9]], [3]]
    with restarting(env_args=env_args, max_restarts=4) as envs:
        envs.reset(seed=0)
        envs.step([1, 1, RAISE, 1])
        with pytest.raises(WorkerError, match=r"failed in __init__\(\): ValueError: life 4 is not"):
            envs.step([1] * 4)
        assert is_closed(envs)


def test_there_may_be_no_limit():
    with restarting([Troubled], num_workers=1, max_restarts=None) as envs:
        envs.reset(seed=0)
        for _ in range(12):
            envs.step([RAISE])
            assert envs.lost.all()
            envs.step([1])
        assert envs.num_restarts == 12


def test_the_first_environments_must_be_made(tmp_path):
    env_args = [[0], [1], [2, 2**40, tmp_path / "log", ["__init__"]], [3]]
    with pytest.raises(WorkerError, match="life 0 is not to be"):
        restarting(env_args=env_args)
    assert children() == set()


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_call_that_fails_is_raised_because_a_replacement_cannot_answer_it(is_killed):
    with restarting() as envs:
        envs.reset(seed=0)
        if not is_killed:
            with pytest.raises(WorkerError, match=r"failed in greet\(\) \(seed 0\): TypeError"):
                envs.call("greet")
            assert envs.get_attr("tag") == [0, 1, 2, 3]  # no worker has ended
            assert envs.num_restarts == 0
            return
        os.kill(envs.call("pid")[2], signal.SIGKILL)
        match = r"Worker 1 \(environments 2-3\) was killed by SIGKILL.*in greet\(\)"
        with pytest.raises(WorkerError, match=match) as raised:
            envs.call("greet", "Hello")
        assert "a new one could not answer this call" in raised.value.__notes__[0]
        assert is_closed(envs)


def test_a_replacement_with_other_agents_is_refused_and_nothing_is_left(tmp_path):
    class Growing(Flock):
        def __init__(self):
            super().__init__()
            if (tmp_path / "grown").exists():
                self.possible_agents = [*self.possible_agents, "d"]
            (tmp_path / "grown").touch()

        def step(self, actions):
            raise_plain()

    with restarting([Growing], [[]], num_workers=1) as envs:
        envs.reset(seed=0)
        envs.step([0] * 3)
        with pytest.raises(ArgumentError, match=r"have \[4\] agents; the old ones had \[3\]"):
            envs.step([0] * 3)
        assert is_closed(envs)


@pytest.mark.parametrize("when", ["at once", "later"])
def test_everything_can_be_reset_while_a_worker_is_replaced(when):
    with restarting() as envs:
        envs.reset(seed=0)
        envs.step([1, 2, RAISE, 4])
        if when == "later":
            envs.send([1] * 4)
        envs.async_reset(seed=5)
        firsts = [[tag, 0, 0, 0] for tag in range(4)]
        assert received(envs) == nothing_happened(firsts, [0] * 4)
        assert envs.get_attr("given_seed") == [5, 6, 7, 8]


def test_each_restart_is_logged(caplog):
    with restarting() as envs:
        envs.reset(seed=0)
        envs.step([1, 2, RAISE, 4])
    [record] = caplog.records
    assert record.getMessage().startswith("Restart 1 of at most 10: Worker 1, environment 2 failed")
    assert "Traceback" in record.getMessage()
    assert record.name.startswith("pufferlib.")


def test_without_on_failure_restart_no_row_is_lost():
    envs = vector.make(Echo, backend=Multiprocessing, num_envs=4, num_workers=2)
    envs.reset(seed=0)
    envs.step([0] * 4)
    assert envs.lost.tolist() == [False] * 4
    assert envs.num_restarts == 0
    envs.close()
    assert isinstance(envs.lost, np.ndarray)
