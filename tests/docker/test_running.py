"""The image runs under various limits of the host, and ends cleanly."""

import json
import os
import signal
import subprocess
import time

import pytest
from docker_engine import IMAGE, ROOT, STEPS, docker, in_image

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]
QUIET = ("--env", "PUFFERLIB_QUIET=1")
TRAIN = ["puffer", "train", "nethack", "--vec.num-envs", "8", "--train.horizon", "32"]
ENDLESS = [*TRAIN, "--train.total-timesteps", "100000000"]
LIMITS = {
    "little shared memory": ["--shm-size", "64m"],
    "one core": ["--cpus", "1"],
    "few processes": ["--pids-limit", "200"],
    "read-only": ["--read-only", "--tmpfs", "/tmp", "--tmpfs", "/workspace:mode=1777"],
    "no network": ["--network", "none"],
    "any user": ["--user", "4242:4242"],
}


@pytest.mark.slow
@pytest.mark.parametrize("flags", LIMITS.values(), ids=LIMITS)
def test_it_trains_within_limits(flags):
    text = in_image(*TRAIN, "--train.total-timesteps", STEPS, flags=tuple(flags), timeout=800)
    assert "Saved runs/" in text


def wait_for(condition, seconds=120.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)
    return found


def begin(container, flags, command):
    docker("run", "--detach", "--name", container, *flags, IMAGE, *command)


def updates(container, run):
    """Return how many updates are in the metrics of a run in a running container."""
    state = json.loads(docker("inspect", container))[0]["State"]
    assert state["Running"], docker("logs", container)
    text = docker("exec", container, "sh", "-c", f"cat {run}/metrics.jsonl || true", check=False)
    return sum(line.startswith("{") for line in text.splitlines())


def test_sigterm_saves_a_checkpoint_and_ends(container, volume):
    flags = ["--user", "0", "--volume", f"{volume}:/workspace/runs"]
    begin(container, flags, [*ENDLESS, "--run", "/workspace/runs/it"])
    wait_for(lambda: updates(container, "/workspace/runs/it") >= 1)
    top = docker("top", container, "-o", "pid,args")
    assert "puffer train" in top
    docker("stop", "--time", "60", container)
    state = json.loads(docker("inspect", container))[0]["State"]
    assert state["ExitCode"] == 130
    assert "Saved /workspace/runs/it/checkpoint.pt" in docker("logs", container)
    flags = ("--volume", f"{volume}:/workspace/runs", *QUIET)
    assert "checkpoint.pt" in in_image("ls", "/workspace/runs/it", flags=flags)


@pytest.mark.slow
def test_no_process_of_a_training_is_root(container):
    begin(container, [], ENDLESS)
    wait_for(lambda: updates(container, "runs/*") >= 1)
    rows = docker("top", container, "-o", "pid,uid").splitlines()[1:]
    users = [row.split()[1] for row in rows]
    assert len(users) >= 3  # tini, the trainer, workers
    assert set(users) == {"1000"}


def test_runs_land_on_the_host_with_the_hosts_owner(tmp_path):
    tmp_path.chmod(0o755)
    runs = tmp_path / "runs"
    runs.mkdir()
    os.chown(runs, 1234, 1234)
    flags = ("--user", "1234:1234", "--volume", f"{runs}:/workspace/runs")
    in_image("puffer", "train", "squared", "--train.total-timesteps", "4096", flags=flags)
    found = list(runs.rglob("*"))
    assert any(path.name == "checkpoint.pt" for path in found)
    assert {path.stat().st_uid for path in found} == {1234}


@pytest.mark.slow
def test_the_health_check_detects_a_training_that_makes_no_progress(container):
    flags = ["--health-interval", "2s", "--health-retries", "2", "--health-start-period", "1s"]
    begin(container, ["--env", "PUFFERLIB_HEALTH_S=40", *flags], ENDLESS)

    def health():
        return json.loads(docker("inspect", container))[0]["State"]["Health"]["Status"]

    wait_for(lambda: health() == "healthy")
    wait_for(lambda: updates(container, "runs/*") > 2)
    script = "for p in $(pgrep -f '[p]uffer train'); do kill -STOP $p; done"
    docker("exec", container, "sh", "-c", script)
    wait_for(lambda: health() == "unhealthy")


ONSTART = ["bash", "-c", "puffer-onstart && puffer-onstart"]


@pytest.mark.slow
def test_a_rented_machine_resumes_a_killed_run(container, volume):
    train = "nethack --vec.num-envs 8 --train.horizon 32 --train.checkpoint-interval 1"
    flags = ["--volume", f"{volume}:/workspace", "--user", "0", "--entrypoint", "sleep"]
    flags += ["--env", f"PUFFERLIB_TRAIN={train} --train.total-timesteps 100000000"]
    flags += ["--env", "WANDB_API_KEY=k3y-for-tests"]
    begin(container, flags, ["infinity"])  # as such hosts do
    run = "/workspace/runs/main"
    text = docker("exec", container, *ONSTART)
    assert text.count("puffer: training") == 1
    assert text.count("is being trained already") == 1
    wait_for(lambda: updates(container, run) >= 2)
    before = timesteps(container, run)
    docker("exec", container, "pkill", "--signal", str(int(signal.SIGKILL)), "-f", "puffer train")
    wait_for(lambda: "train" not in docker("top", container, "-o", "pid,args"))
    count = updates(container, run)
    text = docker("exec", container, *ONSTART)
    assert text.count("puffer: training") == 1
    wait_for(lambda: updates(container, run) > count)
    assert timesteps(container, run) > before  # it resumed, and did not start from scratch
    assert "PUFFERLIB_TRAIN" in docker("exec", container, "cat", "/etc/environment")
    docker("exec", container, "sh", "-c", "! grep -rsq k3y-for-tests /etc /workspace /root")


def test_in_the_foreground_it_ends_with_the_container_and_resumes_in_another(container, volume):
    """The line of docs/vast.md for any host."""
    train = "nethack --vec.num-envs 8 --train.horizon 32 --train.total-timesteps 100000000"
    flags = ["--volume", f"{volume}:/workspace/runs", "--env", f"PUFFERLIB_TRAIN={train}"]
    flags += ["--user", "0"]  # whose the volume is
    for start in ("first", "second"):
        begin(container, flags, ["puffer-onstart", "--foreground"])
        before = updates(container, "runs/main")
        assert (before > 0) == (start == "second")
        wait_for(lambda before=before: updates(container, "runs/main") > before)
        docker("stop", "--time", "60", container)
        assert "Saved /workspace/runs/main/checkpoint.pt" in docker("logs", container)
        docker("rm", container)


def timesteps(container, run):
    text = docker("exec", container, "tail", "-n", "1", f"{run}/metrics.jsonl")
    return json.loads(text)["timesteps"]


def compose(file, *arguments, runs="", timeout=600.0):
    command = ["docker", "compose", "--file", str(ROOT / "docker" / file), *arguments]
    environment = {
        **os.environ,
        "IMAGE": IMAGE,
        "PUFFER_USER": "1234:1234",
        "RUNS": str(runs),
        "ENV": "squared",
        "ARGS": "--train.total-timesteps 4096",
    }
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )


def test_compose_trains(tmp_path):
    tmp_path.chmod(0o755)
    runs = tmp_path / "runs"
    runs.mkdir()
    os.chown(runs, 1234, 1234)
    result = compose("compose.yaml", "run", "--rm", "train", runs=runs)
    assert result.returncode == 0, result.stdout + result.stderr
    (checkpoint,) = runs.rglob("checkpoint.pt")
    assert checkpoint.stat().st_uid == 1234


@pytest.mark.slow
def test_compose_rolls_out_over_a_ray_cluster():
    try:
        result = compose("compose.ray.yaml", "up", "--exit-code-from", "rollout")
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
        assert "3 nodes" in result.stdout
    finally:
        compose("compose.ray.yaml", "down", "--volumes")
