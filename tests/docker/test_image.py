"""The contents of the image."""

import json
import os
import re
import tarfile
import time

import pytest
from docker_engine import IMAGE, ROOT, docker, in_image

from pufferlib import registry

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
GB, MB = 10**9, 10**6
QUIET = ("--env", "PUFFERLIB_QUIET=1")


def test_every_environment_is_installed():
    table = in_image("puffer", "envs", flags=("--env", "COLUMNS=200"))
    rows = {line.split()[0]: line.split()[1] for line in table.splitlines() if line.split()[1:]}
    assert {rows[name] for name in registry.builtin_families()} == {"yes"}


def test_every_learning_library_is_installed():
    modules = [f"pufferlib.frameworks.{name}" for name in ("cleanrl", "rllib", "sb3", "torchrl")]
    assert in_image("python", "-c", f"import {', '.join(modules)}; print('all')").endswith("all\n")


def test_an_environment_passes_its_smoke_test():
    text = in_image("puffer", "test", "nethack")
    assert "passed" in text


def test_the_entrypoint_prints_the_versions_and_becomes_the_command():
    text = in_image("sh", "-c", "echo I am $$; ps -o pid=,args= -p 1")
    assert "pufferlib" in text  # the doctor's line
    assert re.search(r"1 tini -g --", text)


def test_a_problem_is_reported_and_never_prevents_the_start():
    flags = ("--cpus", "1", "--env", "OMP_NUM_THREADS=2")
    assert "Set OMP_NUM_THREADS=1" in in_image("true", flags=flags)
    assert "mount a tmpfs on /tmp" in in_image("true", flags=("--read-only",))


def test_preparing_twice_changes_nothing():
    script = """
    . /usr/local/bin/prepare.sh; env | grep -v '^_=' | sort > /tmp/1; cp /etc/environment /tmp/e1
    . /usr/local/bin/prepare.sh; env | grep -v '^_=' | sort > /tmp/2
    diff /tmp/1 /tmp/2 && diff /tmp/e1 /etc/environment && echo same"""
    for flags in (("--user", "0"), ("--user", "4242:4242")):
        text = in_image("bash", "-c", script, flags=(*flags, *QUIET))
        assert text.strip().endswith("same")


def test_labels_and_the_image_itself_name_version_and_revision():
    labels = json.loads(docker("image", "inspect", IMAGE))[0]["Config"]["Labels"]
    version = labels["org.opencontainers.image.version"]
    program = "import pufferlib; print(pufferlib.__version__)"
    assert in_image("python", "-c", program, flags=QUIET).strip() == version
    assert re.fullmatch(r"[0-9a-f]{7,}", labels["org.opencontainers.image.revision"])
    assert labels["org.opencontainers.image.revision"] in in_image("puffer", "doctor")


def test_the_user_is_not_root_and_nothing_is_open_to_all():
    assert in_image("id", "-u", flags=QUIET).strip() == "1000"
    find = "find / -xdev -perm -0002 ! -type l ! -perm -1000 -print"
    assert in_image("bash", "-c", find, flags=("--user", "0", *QUIET)).strip() == ""


def test_the_image_contains_no_secret():
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", IMAGE)
    config = json.dumps(json.loads(docker("image", "inspect", IMAGE))[0]["Config"])
    for text in (history, config, in_image("env")):
        assert not re.search(r"(?i)(token|passw|secret|api_?key)[a-z_]*=\S", text)
        assert not re.search(r"://[^/\s]+:[^/\s]+@", text)


def test_the_bill_of_materials_lists_the_installed_packages():
    bill = json.loads(in_image("cat", "/usr/share/pufferlib/python.cdx.json", flags=QUIET))
    assert bill["bomFormat"] == "CycloneDX"
    listed = {part["name"].lower().replace("_", "-") for part in bill["components"]}
    frozen = in_image("pip", "list", "--format=freeze", flags=QUIET).split()
    assert {line.partition("==")[0].lower().replace("_", "-") for line in frozen} <= listed


def test_the_cpu_image_and_the_layer_of_the_package_are_small():
    lines = docker(
        "history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", IMAGE
    )
    sizes = [(int(size), by) for size, by in (line.split(" ", 1) for line in lines.splitlines())]
    package = [size for size, by in sizes if "/tmp/wheels" in by and "--ignore" not in by]
    assert len(package) == 1
    assert package[0] < 20 * MB
    torch = in_image("python", "-c", "import torch; print(torch.version.cuda)").split()[-1]
    if torch == "None":
        own = sum(size for size, _ in sizes[:-1])  # the last is the base: 0.13 GB if it is Debian's
        assert own + 0.13 * GB < 4 * GB


def test_a_login_shell_finds_the_installed_commands():
    flags = ("--user", "0", *QUIET)
    assert in_image("env", "-i", "bash", "-lc", "command -v puffer", flags=flags).strip()


def test_each_worker_computes_with_one_thread():
    program = """
import gymnasium, threadpoolctl
from pufferlib.vector import make
class Env(gymnasium.Wrapper):
    def threads(self):
        return max(pool["num_threads"] for pool in threadpoolctl.threadpool_info())
creator = lambda: Env(gymnasium.make("CartPole-v1"))
envs = make(creator, backend="Multiprocessing", num_envs=2, num_workers=2)
print(envs.call("threads"))
envs.close()"""
    assert in_image("python", "-c", program, flags=QUIET).strip() == "[1, 1]"


def test_an_edit_of_the_package_rebuilds_the_package_only(tmp_path):
    context = tmp_path / "context"
    archive = tmp_path / "context.tar"
    names = [line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines()]
    with tarfile.open(archive, "w") as tar:
        for name in names:
            if name and not name.startswith(("#", "*")):
                tar.add(ROOT / name, name)
    with tarfile.open(archive) as tar:
        tar.extractall(context, filter="data")
    module = context / "pufferlib" / "exceptions.py"
    module.write_text(module.read_text() + f"\n# edited {time.time()}\n")
    arguments = build_arguments()
    file = ["--file", str(context / "docker/Dockerfile")]
    log = docker("build", "--progress", "plain", *file, *arguments, str(context), timeout=550)
    steps = dict(re.findall(r"^#(\d+) \[(.+?)\]", log, re.MULTILINE))
    bases = set(re.findall(r"^#(\d+) \[.+?\] FROM", log, re.MULTILINE))
    cached = set(re.findall(r"^#(\d+) CACHED", log, re.MULTILINE))
    fresh = {name.split()[0] for number, name in steps.items() if number not in cached | bases}
    assert fresh - {"internal"} <= {"package", "installed", "bill", "tank"}
    assert any(name.startswith("envs") for number, name in steps.items() if number in cached)


def build_arguments():
    """Return the build arguments that rebuild the image from the cache."""
    torch = in_image("python", "-c", "import torch; print(torch.__version__)").split()[-1]
    given = os.environ.get("BUILD_ARGS", "").split()
    if torch.endswith("+cpu"):  # as `make image-cpu` has it
        index = os.environ.get("TORCH_CPU_INDEX", "https://download.pytorch.org/whl/cpu")
        given += ["--build-arg", f"TORCH_INDEX={index}"]
    return [*given, "--build-arg", f"TORCH_VERSION={torch.partition('+')[0]}"]
