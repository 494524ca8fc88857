"""Ray on one machine: the rows, pools and errors of the other backends, from actors."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import gymnasium
import numpy as np
import pytest
from environments import Careless, Countdown, Population, Sampler, Stepped, SteppedPair
from gymnasium.spaces import Box
from gymnasium_parity import ENVIRONMENTS as OF_GYMNASIUM
from gymnasium_parity import assert_equal, of_gymnasium, steps_of
from ray_clusters import FILTERS, importable, local_ray, wait_until
from spaces_cases import SPACES
from vector_environments import (
    Asked,
    Echo,
    Faulty,
    Flock,
    Fragile,
    Parent,
    Troubled,
    Unclosable,
    be_killed,
    exit_at_once,
    hang,
    raise_mute,
    raise_plain,
    raise_two_arguments,
    raise_unpicklable,
)
from vector_processes import living_after

from pufferlib import vector
from pufferlib.cores import usable_threads
from pufferlib.exceptions import (
    ActionError,
    ArgumentError,
    CallOrderError,
    MissingAttributeError,
    WorkerError,
)
from pufferlib.registry import ocean
from pufferlib.testing import check_vector
from pufferlib.vector import Multiprocessing, Ray, Serial, to_gymnasium

ray = pytest.importorskip("ray")
pytestmark = [*FILTERS, pytest.mark.long]
WHERE = ["__init__", "reset", "step"]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    with local_ray(num_cpus=4):
        yield


@pytest.fixture(autouse=True)
def nothing_left(cluster):
    """After every test here, no actor may be left: each takes a CPU."""
    yield
    assert wait_until(lambda: ray.available_resources().get("CPU") == 4)


def opened(env_creators, env_args=None, **kwargs):
    num_envs = len(env_creators) if isinstance(env_creators, list) else kwargs.pop("num_envs", 1)
    kwargs = {"backend": Ray, **kwargs}
    return contextlib.closing(vector.make(env_creators, env_args, num_envs=num_envs, **kwargs))


def ids(batch):
    return [int(env_id) for env_id in batch.env_ids]


def wait_until_ready(envs):
    """Return when all workers have answered."""
    tasks = list(envs._workers._tasks.values())
    _, left = ray.wait(tasks, num_returns=len(tasks), timeout=120)
    assert not left


def played(steps, env_creators, env_args=None, **kwargs):
    """Return all that is known after the reset and after each step, of random actions."""
    with opened(env_creators, env_args, **kwargs) as envs:
        envs.action_space.seed(3)
        envs.async_reset(seed=7)
        seen = []
        for _ in range(steps):
            batch = envs.recv()
            has_ended = batch.terminals | batch.truncations
            finals = envs.final_observations[has_ended].tobytes()
            arrays = [(a.dtype, a.tobytes()) for a in (*batch[:4], *batch[5:], envs.lost)]
            seen.append((arrays, finals, list(batch.infos), batch.infos.env_indices))
            envs.send(envs.action_space.sample())
        envs.recv()
    return seen


ENVIRONMENTS = {
    "a spec of Gymnasium": ([gymnasium.make] * 4, [["CartPole-v1"]] * 4),
    "integers": ([Echo] * 4, [[tag, 3 + tag] for tag in range(4)]),
    "truncated": ([Countdown] * 4, [[2 + tag, "truncated"] for tag in range(4)]),
    "many agents": ([Flock] * 4, [[tag] for tag in range(4)]),
    "a structured population": ([Population] * 4, None),
    "structured, and without end": (
        [Sampler] * 4,
        [[SPACES["dict of mixed dtypes"], SPACES["multi-discrete"]]] * 4,
    ),
    "native": ([ocean.env_creator("squared")] * 4, None),
}


@pytest.mark.parametrize(
    ("which", "num_workers"),
    [("integers", 1), *[(which, 2) for which in ENVIRONMENTS], ("many agents", 4)],
)
def test_rows_are_those_of_serial_byte_for_byte(which, num_workers):
    env_creators, env_args = ENVIRONMENTS[which]
    expected = played(200, env_creators, env_args, backend=Serial)
    assert played(200, env_creators, env_args, num_workers=num_workers) == expected
    assert any(finals for _, finals, *_ in expected) == ("without end" not in which)


def test_it_keeps_the_contract_of_a_vectorizer():
    with opened([Echo] * 4, [[tag, 5] for tag in range(4)], num_workers=2) as envs:
        check_vector(envs)
    options = {"num_workers": 4, "batch_size": 2, "zero_copy": False}
    with opened([Flock] * 4, [[tag] for tag in range(4)], **options) as envs:
        check_vector(envs, is_copied=True)


@pytest.mark.parametrize("autoreset", ["same_step", "next_step", "disabled"])
def test_episodes_follow_each_other_as_gymnasium_s(autoreset):
    creators = OF_GYMNASIUM["infos of all kinds"]
    with opened(creators, num_workers=2, autoreset=autoreset) as envs:
        ours, theirs = to_gymnasium(envs), of_gymnasium(creators, autoreset)
        actions = [theirs.action_space.sample() for _ in range(1000)]
        mine, others = (steps_of(each, actions, 3, autoreset) for each in (ours, theirs))
        for result, expected in zip(mine, others, strict=True):
            assert_equal(result, expected)


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
def test_every_autoreset_mode_keeps_the_contract(autoreset):
    options = {"num_workers": 4, "batch_size": 2, "autoreset": autoreset}
    with opened([Flock] * 4, [[tag] for tag in range(4)], **options) as envs:
        check_vector(envs)


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
def test_a_lost_worker_ends_the_episodes_of_its_rows(autoreset):
    options = {"num_workers": 2, "on_failure": "restart", "autoreset": autoreset}
    with opened([Troubled] * 2, [[5]] * 2, **options) as envs:
        envs.reset(seed=0)
        envs.step([1, 2])
        envs.send([3, Troubled.RAISE])
        batch = envs.recv()
        assert batch.observations.tolist() == [[5, 0, 2, 3], [5, 0, 1, 2]]
        assert batch.truncations.tolist() == batch.lost.tolist() == [False, True]
        if autoreset == "disabled":
            envs.async_reset(options={"reset_mask": ~batch.masks})
        else:
            envs.send([4, 999])
        assert envs.recv().observations[1].tolist() == [5, 0, 0, 0]


def test_creators_may_be_closures_and_infos_may_be_large():
    size = 10**6

    class Talker(Echo):
        def step(self, action):
            *rest, _ = super().step(action)
            return *rest, {"picture": np.full(size, action, np.uint8)}

    with opened([Talker, lambda: Talker(9)], num_workers=2) as envs:
        envs.reset(seed=0)
        *_, infos = envs.step([3, 4])
        assert infos.env_indices == [0, 1]
        assert [info["picture"].tolist() for info in infos] == [[3] * size, [4] * size]


def test_observations_may_be_larger_than_what_ray_sends_inline():
    class Big(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, 255, (400, 400, 3), np.uint8)
        action_space = gymnasium.spaces.Discrete(256)

        def reset(self, *, seed=None, options=None):
            return np.full((400, 400, 3), seed, np.uint8), {}

        def step(self, action):
            return np.full((400, 400, 3), action, np.uint8), 0.0, False, False, {}

    with opened([Big] * 2, num_workers=2) as envs:
        observations, _ = envs.reset(seed=4)
        assert [set(row.ravel().tolist()) for row in observations] == [{4}, {5}]
        for action in range(50):
            observations = envs.step([action, 99])[0]
            assert [set(row.ravel().tolist()) for row in observations] == [{action}, {99}]


def test_calls_and_attributes_reach_every_environment():
    with opened([Echo] * 4, [[tag] for tag in range(4)], num_workers=2) as envs:
        assert envs.call("greet", "hi", mark="!") == [f"hi {tag}!" for tag in range(4)]
        envs.set_attr("skill", [5, 6, 7, 8])
        assert envs.get_attr("skill") == [5, 6, 7, 8]
        envs.set_attr("skill", 1)
        assert envs.get_attr("skill") == [1] * 4
        assert envs.render() == [f"picture of {tag}" for tag in range(4)]
        pids = envs.call("pid")
        assert pids[::2] == pids[1::2]
        assert len({*pids, os.getpid()}) == 3
        assert envs.call("has_loaded", "torch") == [False] * 4
        with pytest.raises(WorkerError, match=r"Worker 0, environment 0 failed in greet\(\): Type"):
            envs.call("greet")
        with pytest.raises(WorkerError, match=r"environment 0 failed in has_loaded\(\): TypeError"):
            envs.call("has_loaded")
        with pytest.raises(MissingAttributeError, match=r"environment 0 failed in .*'nonsense'"):
            envs.get_attr("nonsense")
        assert envs.has_attr("tag") is True
        assert envs.has_attr("nonsense") is False
        assert envs.call("tag") == [0, 1, 2, 3]
        envs.reset(seed=0)
        assert envs.step([4, 3, 2, 1])[1].tolist() == [4, 3, 2, 1]


def test_a_result_that_cannot_be_sent_names_its_environment():
    class Unsendable(Echo):
        def lock(self):
            return threading.Lock() if self.tag == 1 else self.tag

    with opened([Unsendable] * 2, [[0], [1]], num_workers=1) as envs:
        with pytest.raises(WorkerError, match=r"environment 1 failed in lock\(\): TypeError"):
            envs.call("lock")
        assert envs.get_attr("tag") == [0, 1]


def test_what_cannot_be_unpickled_leaves_the_vectorizer_usable():
    class Unreadable:
        def __reduce__(self):
            return raise_plain, ()

    class Returning(Echo):
        def unreadable(self):
            return Unreadable()

    with contextlib.closing(vector.make(Returning, backend=Ray, num_workers=1)) as envs:
        envs.reset(seed=0)
        with pytest.raises(WorkerError, match=r"environment 0 failed in unreadable\(\).*unpickled"):
            envs.call("unreadable")
        with pytest.raises(WorkerError, match=r"environment 0 failed in set_attr\(\).*unpickled"):
            envs.set_attr("skill", Unreadable())
        assert envs.step([1])[1].tolist() == [1]


def test_one_instance_for_all_rows_of_a_worker_is_refused():
    one = Echo()
    with pytest.raises(ArgumentError, match="must be a new object; environments 0 and 1 are the"):
        opened([lambda: one] * 4, num_workers=2)


def test_a_worker_computes_with_one_thread():
    class Counter(Echo):
        def threads(self):
            import threadpoolctl

            pools = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
            return [*pools, usable_threads()]

    with opened([Counter]) as envs:
        [threads] = envs.call("threads")
        assert set(threads) == {1}


def test_calls_out_of_order_and_actions_that_do_not_fit_are_refused():
    with opened([Echo] * 2, num_workers=2) as envs:
        with pytest.raises(CallOrderError, match="step before reset"):
            envs.step([0, 0])
        envs.reset(seed=0)
        with pytest.raises(ActionError, match=r"shape \(3,\)"):
            envs.step([0, 0, 0])
        envs.send([1, 2])
        with pytest.raises(CallOrderError, match="send after send"):
            envs.send([1, 2])
        assert envs.recv().rewards.tolist() == [1, 2]
    with pytest.raises(CallOrderError, match="reset after close"):
        envs.reset()
    envs.close()


# num_envs, num_workers, batch_size, zero_copy
POOLS = [(4, 4, 1, True), (4, 4, 3, False), (8, 4, 4, True), (8, 4, 6, False), (6, 2, "auto", True)]


@pytest.mark.parametrize(("num_envs", "num_workers", "batch_size", "zero_copy"), POOLS)
def test_rows_and_actions_of_a_pool_belong_to_their_environments(
    num_envs, num_workers, batch_size, zero_copy
):
    env_args = [[tag, 2**40] for tag in range(num_envs)]
    options = {"num_workers": num_workers, "batch_size": batch_size, "zero_copy": zero_copy}
    actions = np.random.default_rng(0).integers(1000, size=(200, num_envs))
    shown = {tag: [tag, 0, 0, 0] for tag in range(num_envs)}  # tag, episode, step, last action
    with opened([Echo] * num_envs, env_args, **options) as envs:
        envs.async_reset(seed=0)
        for choices in actions[:, : envs.batch_size]:
            batch = envs.recv()
            assert len(set(ids(batch))) == envs.batch_size
            assert batch.observations.tolist() == [shown[tag] for tag in ids(batch)]
            assert batch.rewards.tolist() == [shown[tag][3] for tag in ids(batch)]
            envs.send(choices)
            for tag, action in zip(ids(batch), choices.tolist(), strict=True):
                shown[tag] = [tag, 0, shown[tag][2] + 1, action]


# batch_size, zero_copy, which environments wait for environment 0
@pytest.mark.parametrize(
    ("batch_size", "zero_copy", "bound"),
    [
        (1, True, {0}),
        pytest.param(2, True, {0, 1}, marks=pytest.mark.long),
        pytest.param(3, False, {0}, marks=pytest.mark.long),
    ],
)
def test_a_slow_environment_holds_up_only_its_own_batch(batch_size, zero_copy, bound, tmp_path):
    gate = tmp_path / "gate"
    options = {"num_workers": 4, "batch_size": batch_size, "zero_copy": zero_copy}
    with opened([Echo] * 4, [[0, 9, gate], [1], [2], [3]], **options) as envs:
        envs.async_reset(seed=0)
        steps_of = dict.fromkeys(range(4), 0)

        def cycle():
            batch = envs.recv()
            for env_id, steps in zip(ids(batch), batch.observations[:, 2].tolist(), strict=True):
                steps_of[env_id] = steps
            envs.send(np.zeros(batch_size, np.int64))

        while min(steps_of[env_id] for env_id in set(range(4)) - bound) < 50:
            cycle()
        assert {env_id for env_id in range(4) if steps_of[env_id] == 0} == bound
        gate.touch()
        while steps_of[0] < 1:
            cycle()


def test_a_worker_left_out_of_a_batch_is_in_the_next():
    options = {"num_workers": 4, "batch_size": 3, "zero_copy": False}
    with opened([Echo] * 4, **options) as envs:
        envs.async_reset(seed=0)
        wait_until_ready(envs)
        for _ in range(5):
            left_out = {0, 1, 2, 3} - set(ids(envs.recv()))
            envs.send([1, 1, 1])
            wait_until_ready(envs)
            received = set(ids(envs.recv()))
            assert left_out < received
            envs.send([1, 1, 1])
            wait_until_ready(envs)


def test_a_pool_can_be_reset_while_it_steps_and_is_not_reached_into():
    with opened([Echo] * 4, [[tag] for tag in range(4)], num_workers=4, batch_size=1) as envs:
        for _ in range(3):
            envs.async_reset(seed=0)
            steps_of = {}
            for _ in range(20):
                batch = envs.recv()
                [env_id], [observation] = ids(batch), batch.observations.tolist()
                steps_of[env_id] = steps_of.get(env_id, -1) + 1
                assert observation == [env_id, 0, steps_of[env_id], 7 if steps_of[env_id] else 0]
                envs.send([7])
        envs.recv()
        with pytest.raises(ArgumentError, match=r"get_attr reaches all .*Use batch_size=None"):
            envs.get_attr("tag")


def failure(where, fault, **options):
    """Return the WorkerError when environment 2 of four fails `where`; check what it leaves."""
    made = []

    def play():
        env_args = [[0], [1], [where, fault, 2], [3]]
        made.append(
            vector.make(
                [Echo, Echo, Faulty, Echo], env_args, None, Ray, 4, num_workers=2, **options
            )
        )
        made[0].reset(seed=100)
        for _ in range(20):
            made[0].step([0, 1, 2, 3])

    with pytest.raises(WorkerError) as raised:
        play()
    for envs in made:
        with pytest.raises(CallOrderError, match=r"after a failure\. Make a new"):
            envs.reset()
        envs.close()
    return raised.value


@pytest.mark.parametrize(
    ("fault", "original_type", "message", "where"),
    [
        *[(raise_plain, "ValueError", "negative energy", where) for where in WHERE],
        (raise_two_arguments, "TwoArgumentsError", "energy is -1", "step"),
        (raise_unpicklable, "UnpicklableError", "negative energy", "reset"),
        (raise_mute, "MuteError", "(its message could not be read)", "__init__"),
    ],
)
def test_an_exception_arrives_with_its_circumstances(where, fault, original_type, message):
    error = failure(where, fault)
    assert str(error).startswith(f"Worker 1, environment 2 failed in {where}()")
    assert f"{original_type}: {message}" in str(error)
    assert error.original_type == original_type
    assert f"in {fault.__name__}\n" in error.original_traceback
    assert (error.worker, error.env_index) == (1, 2)
    assert (error.seed, error.step) == {
        "__init__": (None, None),
        "reset": (102, 0),
        "step": (102, 3),
    }[where]
    if fault is raise_plain:
        assert type(error.__cause__) is ValueError


class Unloadable:
    """A creator that can be sent, but not received."""

    def __call__(self):
        return Echo()

    def __reduce__(self):
        return exec, ("raise ImportError('no such game')",)


@pytest.mark.parametrize(
    ("bare", "given", "said"),
    [
        (Stepped, [1.0], r"ObservationError: .* must have shape \(2,\), got \(\)"),
        (SteppedPair, [np.zeros(2), None], "RewardError: The reward .* NoneType .* agent 'b'"),
    ],
)
def test_later_results_that_do_not_fit_are_refused(bare, given, said):
    space, first = Box(0, 1, (2,)), np.zeros(2, np.float32)
    with opened([bare] * 2, [[space, first], [space, first, *given]], num_workers=2) as envs:
        envs.reset(seed=0)
        with pytest.raises(WorkerError, match=rf"environment 1 failed in step\(\) .*{said}"):
            envs.step(np.zeros(envs.num_agents, np.int64))


def test_an_object_that_cannot_be_pickled_is_an_error_that_says_so():
    class Secretive(Echo):
        def step(self, action):
            *rest, _ = super().step(action)
            return *rest, {"lock": (each for each in ())}

    with pytest.raises(WorkerError, match=r"Worker 0, environment 0 .*ImportError: no such game"):
        vector.make(Unloadable(), backend=Ray)
    with pytest.raises(ArgumentError, match=r"env_args and env_kwargs must be picklable"):
        vector.make(Echo, [(each for each in ())], backend=Ray)
    with opened([Secretive] * 2, num_workers=1) as envs:
        envs.reset(seed=0)
        with pytest.raises(WorkerError, match=r"failed in step.*: TypeError: cannot pickle"):
            envs.step([0, 1])


@pytest.mark.parametrize(
    ("fault", "where"), [*[(be_killed, where) for where in WHERE], (exit_at_once, "step")]
)
def test_a_death_is_named(fault, where):
    error = failure(where, fault)
    assert str(error).startswith(
        "Worker 1 (environments 2-3) was lost: its process or its node died (ActorDiedError). "
        f"It was in {where}()."
    )
    assert (error.worker, error.original_type) == (1, None)


@pytest.mark.parametrize(
    "where", ["step", *(pytest.param(name, marks=pytest.mark.long) for name in WHERE[:2])]
)
def test_a_worker_that_hangs_is_stopped_and_named(where):
    timeout_s = 30 if where == "__init__" else 10  # the other worker may be slow to start
    error = failure(where, hang, timeout_s=timeout_s)
    assert str(error).startswith(
        f"Worker 1 (environments 2-3) has not finished {where}() within timeout_s={timeout_s}."
    )
    assert error.worker == 1


def test_a_worker_without_a_place_is_named_and_the_cpus_that_are_free():
    taken = [ray.remote(Echo).options(num_cpus=1).remote() for _ in range(3)]
    ray.get([each.pid.remote() for each in taken])
    with pytest.raises(WorkerError, match=r"not finished __init__\(\) within timeout_s=5") as info:
        vector.make(Echo, num_envs=2, backend=Ray, num_workers=2, timeout_s=5)
    for actor in taken:
        ray.kill(actor)
    assert info.value.__notes__ == [
        "Ray may have found no place for it: 0 of the cluster's CPUs are free now."
    ]


def test_a_restart_gives_the_rows_that_multiprocessing_gives():
    creators, env_args = [Fragile] * 4, [[0], [0], [20], [0]]
    options = {"num_workers": 2, "on_failure": "restart", "max_restarts": None}
    workers = {"backend": Multiprocessing, "start_method": "forkserver", **options}
    expected = played(100, creators, env_args, **workers)
    assert played(100, creators, env_args, **options) == expected
    restarts = [info for _, _, infos, _ in expected for info in infos if "restarted" in info]
    assert len(restarts) >= 4


@pytest.mark.parametrize(
    ("how", "fault"),
    [("program", raise_plain), ("program", None), ("orphan", None)],
    ids=["failed", "closed", "orphan"],
)
def test_programs_that_an_environment_starts_end_with_its_actor(how, fault):
    args = [[how, "step" if fault else "", fault]] * 2
    with opened([Parent] * 2, args, num_workers=2, on_failure="restart") as envs:
        envs.reset(seed=0)
        started = set(envs.call("child_pid"))
        for _ in range(3):
            envs.step([0, 0])
        assert envs.num_restarts == (2 if fault else 0)
    assert living_after(started, deadline_s=60) == set()


def test_an_actor_that_is_killed_is_replaced_and_its_rows_are_lost_once():
    options = {"num_workers": 2, "on_failure": "restart"}
    with opened([Echo] * 4, [[tag] for tag in range(4)], **options) as envs:
        envs.reset(seed=0)
        envs.step([1, 2, 3, 4])
        before = envs.call("pid")
        os.kill(before[2], signal.SIGKILL)
        assert living_after({before[2]}, 60) == set()
        envs.send([1, 2, 3, 4])
        batch = envs.recv()
        assert batch.observations.tolist() == [[0, 0, 2, 1], [1, 0, 2, 2], [0] * 4, [0] * 4]
        assert batch.rewards.tolist() == [1, 2, 0, 0]
        assert batch.terminals.tolist() == [False] * 4
        assert batch.truncations.tolist() == batch.env_ids.__gt__(1).tolist()
        assert envs.lost.tolist() == [False, False, True, True]
        assert batch.masks.tolist() == [True, True, False, False]
        assert envs.final_observations[2:].tolist() == [[2, 0, 1, 3], [3, 0, 1, 4]]
        [info], [env_index] = batch.infos, batch.infos.env_indices
        assert (info["worker"], env_index, envs.num_restarts) == (1, 2, 1)
        assert info["restarted"].startswith("Worker 1 (environments 2-3) was lost")
        envs.send([5, 6, 7, 8])
        batch = envs.recv()
        assert batch.observations.tolist()[2:] == [[2, 0, 0, 0], [3, 0, 0, 0]]
        assert not envs.lost.any()
        assert not batch.truncations.any()
        assert batch.masks.all()
        assert envs.step([5, 6, 7, 8])[1].tolist() == [5, 6, 7, 8]
        after = envs.call("pid")
        assert after[:2] == before[:2]
        assert after[2] != before[2]


@pytest.mark.long
def test_a_worker_that_hangs_is_replaced_while_a_pool_continues():
    class Sleepy(Echo):
        def step(self, action):
            if self.tag == 3 and action == 9:
                hang()
            return super().step(action)

    # Enough for a worker to begin in, too, on a machine that is busy.
    options = {"num_workers": 4, "batch_size": 1, "timeout_s": 20, "on_failure": "restart"}
    with opened([Sleepy] * 4, [[tag] for tag in range(4)], **options) as envs:
        envs.async_reset(seed=0)
        lost, steps_after = [], 0
        while steps_after < 3:
            batch = envs.recv()
            [env_id] = ids(batch)
            lost += [env_id] if envs.lost.any() else []
            steps_after += env_id == 3 and bool(lost)
            envs.send([1 if lost else 9])
        assert lost == [3]
        assert envs.num_restarts == 1


def test_restarts_come_to_an_end():
    error = failure("step", raise_plain, on_failure="restart", max_restarts=2)
    assert error.__notes__ == ["The worker was not replaced: max_restarts=2 is used up."]


@pytest.mark.usefixtures("_patient")
def test_close_leaves_no_process_and_closes_the_environments(tmp_path):
    graves = [tmp_path / name for name in "abcd"]
    with opened([Echo] * 4, [[0, 9, None, grave] for grave in graves], num_workers=2) as envs:
        pids = set(envs.call("pid"))
    assert all(grave.exists() for grave in graves)
    assert living_after(pids, 60) == set()


def test_close_does_not_wait_for_environments_that_hang_in_it():
    with opened([Unclosable] * 2, num_workers=2) as envs:
        envs.reset(seed=0)
        workers = envs.call("pid")
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 30  # a second, on a machine that does nothing else
    assert living_after(workers, 60) == set()


def test_a_vectorizer_that_is_collected_leaves_no_process():
    envs = vector.make(Echo, backend=Ray)
    pids = set(envs.call("pid"))
    del envs
    assert living_after(pids, 60) == set()


def test_auto_takes_the_places_of_the_cluster():
    with opened([Echo] * 6) as envs:
        assert envs.num_workers == 3  # of 4 CPUs, and divides 6
    with opened([Echo] * 6, num_workers="auto", num_cpus=0.5, batch_size="auto") as envs:
        assert (envs.num_workers, envs.batch_size) == (6, 3)


def test_options_reach_ray():
    def bound():
        class Bound(Echo):
            def resources(self):
                import ray

                return ray.get_runtime_context().get_assigned_resources()

        return Bound()

    with opened(
        [bound], num_cpus=2, ray_options={"resources": {"node:__internal_head__": 0.5}}
    ) as e:
        assert e.call("resources") == [{"CPU": 2.0, "node:__internal_head__": 0.5}]


def creator(*args, **kwargs):
    pytest.fail("an environment was made")


BAD = {
    "too many workers": (
        {"num_workers": 8, "num_envs": 8},
        r"num_workers=8 of num_cpus=1 each do not fit .* 4 CPUs, which has places for 4\. Use",
    ),
    "too large workers": (
        {"num_workers": 2, "num_envs": 2, "num_cpus": 3},
        r"num_workers=2 of num_cpus=3 each do not fit .* places for 1\.",
    ),
    "nothing has room": ({"num_cpus": 5}, r"num_workers=1 of num_cpus=5 .* places for 0\."),
    "no CPU": ({"num_cpus": 0}, "num_cpus must be above 0, .*; got 0"),
    "a part of a CPU too many": ({"num_cpus": 1.5}, "num_cpus must be .* whole .*; got 1.5"),
    "a word": ({"num_cpus": "all"}, "num_cpus must be .*; got 'all'"),
    "no mapping": ({"ray_options": 3}, "ray_options must be a dict or None; got 3"),
    "an own option": ({"ray_options": {"num_cpus": 2}}, "Use the argument num_cpus"),
    "restarts by Ray": ({"ray_options": {"max_restarts": 2}}, "must not have 'max_restarts'"),
    "an unknown option": ({"ray_options": {"color": 2}}, r"refuses ray_options=.*color"),
    "a start method": ({"start_method": "teleport"}, "start_method must be one of"),
    "a flag": ({"caller_steps": "no"}, "caller_steps must be True or False"),
    "a policy": ({"on_failure": "ignore"}, "on_failure must be 'raise' or 'restart'"),
    "a timeout": ({"timeout_s": 0}, "timeout_s must be above 0"),
    "views of a batch that does not divide": (
        {"num_envs": 4, "num_workers": 4, "batch_size": 3},
        "zero_copy needs batches that split the workers evenly",
    ),
    "a share": ({"num_envs": 4, "num_workers": 3}, "num_envs must be a multiple of num_workers"),
    "an unknown argument": ({"num_cpu": 1}, "Ray takes no argument 'num_cpu'. Did you mean 'num_c"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD.keys())
def test_an_argument_is_refused_before_any_actor_starts(options, message, monkeypatch):
    monkeypatch.setattr(vector.ray.workers.RayWorkers, "_start", creator)
    with pytest.raises(ArgumentError, match=message):
        vector.make(creator, backend="Ray", **options)


def test_the_arguments_of_multiprocessing_have_no_effect():
    with opened([Echo] * 2, num_workers=2, start_method="spawn", caller_steps=True) as envs:
        assert os.getpid() not in envs.call("pid")


def run(script, **environ):
    with importable():
        return subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            timeout=240,
            env={**os.environ, **environ},
        )


def test_without_ray_the_error_says_how_to_install_it():
    result = run(
        "import sys; sys.modules['ray'] = None\n"
        "from pufferlib import vector\n"
        "from pufferlib.exceptions import NotInstalledError\n"
        "try: vector.make(print, backend='Ray')\n"
        "except NotInstalledError as error: print(error)\n"
    )
    assert result.stdout == (
        'ray is not installed. Run: make install ENV=ray   (or: pip install "pufferlib[ray]")\n'
    ), result.stderr


@pytest.mark.long
def test_ray_is_shut_down_with_the_last_vectorizer_that_uses_it():
    result = run(
        "import ray\n"
        "from pufferlib import vector\n"
        "from vector_environments import Echo\n"
        "one = vector.make(Echo, backend='Ray', num_cpus=0.5)\n"
        "two = vector.make(Echo, backend='Ray', num_cpus=0.5)\n"
        "one.close(); one.close()\n"
        "print(two.get_attr('tag'), ray.is_initialized())\n"
        "two.close()\n"
        "print(ray.is_initialized())\n"
        "try: vector.make(Echo, backend='Ray', num_workers=1, num_cpus=999)\n"
        "except ValueError: print(ray.is_initialized())\n"
    )
    assert result.stdout == "[0] True\nFalse\nFalse\n", result.stderr


def test_a_ray_that_the_program_initialized_is_not_shut_down():
    with opened([Echo]) as envs:
        envs.reset(seed=0)
    assert ray.is_initialized()


def test_actors_draw_different_global_random_numbers_and_the_same_for_a_seed():
    with opened(Careless, num_envs=2, num_workers=2) as envs:
        first, other, again = (envs.reset(seed)[0].copy() for seed in (1, 9, 1))
    assert np.array_equal(first, again)
    drawn = np.stack([first, other])
    assert len(np.unique(drawn)) == drawn.size


def test_seeds_and_options_reach_environments_and_their_replacements():
    with opened(Asked, num_envs=2, num_workers=2, on_failure="restart") as envs:
        envs.reset(seed=[5, None], options={"level": 3})
        assert envs.get_attr("asked") == [[(5, {"level": 3})], [(None, {"level": 3})]]
        envs.step([2, 0])
        envs.step([0, 0])
        ((seed, options),), _ = envs.get_attr("asked")
    assert seed not in (5, None)
    assert options == {"level": 3}
