"""The pool keeps members spread over the run, and its files are those of the last checkpoint."""

import itertools

import pytest
import torch

from pufferlib.exceptions import CheckpointError
from pufferlib.selfplay.pool import Pool, read_member
from pufferlib.training import checkpoint


def linear(value, outputs=1):
    layer = torch.nn.Linear(2, outputs)
    torch.nn.init.constant_(layer.weight, value)
    return layer


def filled(pool, times):
    for time in times:
        pool.add(f"learner@{time}", time, linear(float(time)))
    return pool


def times_of(pool):
    return [member.timesteps for member in pool.members.values()]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        ([0, 1, 2, 3, 4], [0, 2, 3, 4]),
        ([0, 1, 2, 3, 4, 5], [0, 2, 4, 5]),
        ([0, 1, 10, 11, 20], [0, 10, 11, 20]),
        ([0, 10, 11, 20, 30], [0, 10, 20, 30]),
    ],
)
def test_a_full_pool_drops_the_member_that_leaves_the_smallest_gap(tmp_path, times, expected):
    assert times_of(filled(Pool(tmp_path, 4), times)) == expected


def test_members_stay_spread_over_a_long_run(tmp_path):
    pool = filled(Pool(tmp_path, 10), range(200))
    times = times_of(pool)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert (times[0], times[-1]) == (0, 199)
    assert max(gaps) <= 32  # 199 / 9 = 22


def test_a_member_has_the_weights_of_its_time(tmp_path):
    policy = linear(1.0)
    pool = Pool(tmp_path, 4)
    pool.add("learner@1", 1, policy)
    with torch.no_grad():
        policy.weight += 1
    assert pool.members["learner@1"].weights["weight"].tolist() == [[1.0, 1.0]]


def test_files_are_those_of_the_members(tmp_path):
    pool = filled(Pool(tmp_path, 3, {"config": {"a": 1}}), [0, 1, 2])
    pool.save_files()
    filled(pool, [3])
    (tmp_path / "pool" / ".learner@9.pt.123").touch()  # of a process that was killed
    for users in ("notes.txt", "learner@copy.pt"):
        (tmp_path / "pool" / users).touch()
    (tmp_path / "pool" / "learner@7.pt").mkdir()
    pool.save_files()
    found = {path.name for path in (tmp_path / "pool").iterdir()}
    assert {"learner@1.pt", "learner@3.pt"} < found  # until the checkpoint is written
    pool.remove_files()
    found = {path.name for path in (tmp_path / "pool").iterdir()}
    users_files = {"notes.txt", "learner@copy.pt", "learner@7.pt"}
    assert found == {"learner@0.pt", "learner@2.pt", "learner@3.pt"} | users_files
    assert checkpoint.load(tmp_path / "pool" / "learner@2.pt")["config"] == {"a": 1}

    again = Pool(tmp_path, 3)
    again.load_state_dict(pool.state_dict(), linear(0.0))
    assert times_of(again) == [0, 2, 3]
    assert again.members["learner@2"].weights["weight"].tolist() == [[2.0, 2.0]]


def test_a_file_that_a_killed_process_left_is_written_again(tmp_path):
    filled(Pool(tmp_path, 3), [0]).save_files()
    pool = Pool(tmp_path, 3)
    pool.add("learner@0", 0, linear(5.0))
    pool.save_files()
    member = read_member(tmp_path / "pool" / "learner@0.pt", linear(0.0))
    assert member.weights["weight"].tolist() == [[5.0, 5.0]]


def test_a_member_of_another_architecture_or_without_its_file_is_refused(tmp_path):
    pool = filled(Pool(tmp_path, 3), [0])
    pool.save_files()
    with pytest.raises(CheckpointError, match=r"another architecture: weight is \(1, 2\) there"):
        Pool(tmp_path, 3).load_state_dict(pool.state_dict(), linear(0.0, outputs=2))
    (tmp_path / "pool" / "learner@0.pt").unlink()
    with pytest.raises(CheckpointError, match=r"no checkpoint .*learner@0\.pt"):
        Pool(tmp_path, 3).load_state_dict(pool.state_dict(), linear(0.0))
