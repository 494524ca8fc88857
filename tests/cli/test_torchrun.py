"""`puffer train` in two processes, as torchrun starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pufferlib.rating import read_games

SMALL = ["--vec.backend", "Serial", "--vec.num-envs", "1", "--env.kwargs.num-agents", "16"]
SMALL += ["--train.horizon", "8", "--train.device", "cpu", "--train.checkpoint-interval", "1"]
SMALL += ["--eval.share", "0.2"]  # an evaluation is 16 agents, 3 steps, with two kinds of actions
SMALL += ["--policy.memory", "lstm", "--policy.normalize-observations", "--train.normalize-rewards"]


def torchrun(folder, *flags, words=("train", "squared", *SMALL)):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    return subprocess.run(
        [*command, "2", "-m", "--", "pufferlib.cli", *words, *flags],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
    )


# Runs the command line, then prints which C++ threads of the process group still exist.
LEFT = """
import contextlib, glob, os, sys, time
from pathlib import Path
from pufferlib.cli.main import main

def threads():
    names = []
    for task in glob.glob("/proc/self/task/*/comm"):
        with contextlib.suppress(OSError):  # it has ended since
            names.append(Path(task).read_text().strip())
    return sorted({name for name in names if "gloo" in name})

code = main(sys.argv[1:])
end_s = time.monotonic() + 30
while (left := threads()) and time.monotonic() < end_s:
    time.sleep(0.05)  # the kernel still lists a thread that was joined a moment ago
os.write(1, " ".join(["left:", *left, "\\n"]).encode())  # in one piece: both write here
sys.exit(code)
"""


@pytest.mark.long
def test_no_thread_of_the_group_outlives_the_run(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(LEFT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    command += ["2", "--", str(script), "train", "squared", *SMALL, "--run", "mine"]
    result = subprocess.run(
        [*command, "--train.total-timesteps", "512"],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    lines = [line for line in result.stdout.splitlines() if line.startswith("left:")]
    assert [line.split() for line in lines] == [["left:"]] * 2


@pytest.mark.long
def test_two_processes_make_one_run_and_resume_it(tmp_path):
    for total, flags in ((1024, ["--run", "runs/mine"]), (2048, ["--resume"])):
        result = torchrun(tmp_path, "--train.total-timesteps", str(total), *flags)
        assert result.returncode == 0, result.stderr[-3000:]
        (run,) = (tmp_path / "runs").iterdir()
        assert result.stdout.count("Saved") == 1  # one of them prints
        lines = (run / "metrics.jsonl").read_text().splitlines()
        # Each of two processes takes 128 timesteps an update.
        timesteps = [json.loads(line)["timesteps"] for line in lines]
        assert timesteps == list(range(256, total + 1, 256))
        results = [json.loads(line).get("eval/greedy_return") for line in lines]
        assert sum(result is not None for result in results) == total * 0.2 // 96
    assert len(list(run.glob("events*"))) == 2
    assert {path.name for path in run.glob("*.pt")} == {"checkpoint.pt", "best.pt"}


ROLES = f"{Path(__file__).parent.parent / 'role_environments.py'}:Roles"
SEVERAL = ["--vec.backend", "Serial", "--vec.num-envs", "2", "--train.horizon", "8"]
SEVERAL += ["--train.device", "cpu", "--policy.agents", "by-name", "--policy.critic", "central"]
SEVERAL += ["--policy.normalize-observations", "--train.checkpoint-interval", "1"]


@pytest.mark.long
def test_several_policies_learn_in_two_processes(tmp_path):
    for total, flags in ((96, ["--run", "mine"]), (192, ["--resume", "mine"])):
        flags += ["--train.total-timesteps", str(total)]
        result = torchrun(tmp_path, *flags, words=("train", ROLES, *SEVERAL))
        assert result.returncode == 0, result.stderr[-3000:]
    lines = (tmp_path / "mine" / "metrics.jsonl").read_text().splitlines()
    # Each of two processes has two environments of three agents, and 8 steps an update.
    assert [json.loads(line)["timesteps"] for line in lines] == [96, 192]
    assert {"loss/giver/value", "loss/taker/value"} <= json.loads(lines[-1]).keys()


@pytest.mark.long
def test_two_processes_have_one_pool_and_one_record_of_games(tmp_path):
    task = f"{Path(__file__).parents[1] / 'selfplay_games.py'}:Ledger"
    flags = ["--vec.backend", "Serial", "--vec.num-envs", "4", "--train.horizon", "8"]
    flags += ["--train.device", "cpu", "--train.checkpoint-interval", "2", "--eval.share", "0"]
    flags += ["--selfplay.opponents", "pfsp-hard:0.5,random:0.5", "--selfplay.self-share", "0"]
    flags += ["--selfplay.snapshot-interval", "1", "--selfplay.pool-size", "3"]
    for total, run in ((400, ["--run", "mine"]), (800, ["--resume", "mine"])):
        total_flags = ["--train.total-timesteps", str(total)]
        result = torchrun(tmp_path, *flags, *total_flags, *run, words=("train", task))
        assert result.returncode == 0, result.stderr[-3000:]
        lines = (tmp_path / "mine" / "metrics.jsonl").read_text().splitlines()
        last = json.loads(lines[-1])
        games = read_games(tmp_path / "mine" / "games.jsonl")
        # The main process counts its own games, of two that play as many.
        assert len(games) > 1.5 * last["selfplay/games"] * (total / 800)
        assert len(list((tmp_path / "mine" / "pool").iterdir())) == last["selfplay/pool"] == 3
    names = {name for game in games for name in game.players}
    assert {"random", "learner@0", "learner@0+"} < names
