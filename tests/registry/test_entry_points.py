"""Families of other distributions, installed for real and found by their entry points."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pufferlib
from pufferlib import registry
from pufferlib.exceptions import NotInstalledError
from pufferlib.registry import Family, _entry_points

ROOT = Path(pufferlib.__file__).parents[1]
FAMILY = (
    'from pufferlib.registry import Family\nFAMILY = Family("{name}", None, "a-{name}", {tasks})\n'
)
MAKE_ENV = "def make_env(name): pass\n"


def blocks():
    """Return the files of the family in CONTRIBUTING.md, by name."""
    found = re.findall(
        r"```(?:toml|python)\n# (\S+)\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL
    )
    return dict(found)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Return a folder that the family of CONTRIBUTING.md is installed into, without a network."""
    project = tmp_path_factory.mktemp("project")
    for name, text in blocks().items():
        (project / name).write_text(text)
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(site), str(project)]
    subprocess.run(pip, check=True, timeout=240, capture_output=True)
    return site


def run(site, *command, folder=None, check=True):
    """Run Python with the installed family, far from this repository; return the result."""
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=240,
        check=check,
        cwd=folder or site,
    )


def puffer(site, *arguments, **kwargs):
    return run(site, "-m", "pufferlib.cli", *arguments, **kwargs)


def test_the_family_in_contributing_is_shorter_than_forty_lines():
    assert set(blocks()) == {"pyproject.toml", "puffer_corridor.py"}
    text = "".join(blocks().values())
    assert text.count("\n") + 2 < 40  # with the lines that name the files
    assert all(len(line) <= 100 for line in text.splitlines())


def test_an_installed_family_is_listed_like_ours(site):
    listed = puffer(site, "envs")
    assert re.search(r"^corridor +yes +corridor-8 +2 *$", listed.stdout, re.MULTILINE)
    assert listed.stderr == ""
    described = puffer(site, "envs", "corridor-32").stdout.split("\n")
    assert described[0].startswith("Corridor: walk right")
    assert described[-3:] == ["corridor-8", "corridor-32", ""]
    assert "corridor" in puffer(site, "install", "--help").stdout
    assert puffer(site, "install", "corridor").stdout == "Nothing more is needed.\n"
    refused = puffer(site, "envs", "coridor", check=False)
    assert "Did you mean 'corridor'" in refused.stderr


SCRIPT = """
from contextlib import closing
import numpy as np
from pufferlib import registry
from pufferlib.testing import check_env
from pufferlib.vector import make

if __name__ == "__main__":
    source = registry.resolve("corridor")
    assert source == registry.resolve("corridor-8")
    check_env(source.creator())
    assert registry.tasks()["corridor-32"] == "corridor"
    registry.load("corridor").env_creator("corridor-32")().close()
    print(source.preset_names, source.origin()["distribution"], source.origin()["version"])
    kinds = {"Serial": {}, "fork": {"num_workers": 2}, "spawn": {"num_workers": 2}}
    for kind, arguments in kinds.items():
        backend = "Serial" if kind == "Serial" else "Multiprocessing"
        if backend != "Serial":
            arguments["start_method"] = kind
        arguments |= {"env_kwargs": {"length": 5}, "num_envs": 2, "backend": backend}
        with closing(make(source.creator(), **arguments)) as vecenv:
            vecenv.reset(0)
            infos = [vecenv.step(np.ones(2, int))[4] for _ in range(5)][-1]
            print(kind, [(round(i["episode_return"], 6), i["episode_length"]) for i in infos])
"""


def test_an_installed_family_is_stepped_in_this_process_and_in_workers(site, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    result = run(site, "-W", "error", str(tmp_path / "script.py"))
    # Five steps right: 5 * -0.01, and 1 at the end.
    assert result.stdout.splitlines() == [
        "('corridor', 'corridor-8') puffer-corridor 0.1.0",
        *(f"{kind} [(0.95, 5), (0.95, 5)]" for kind in ("Serial", "fork", "spawn")),
    ]


@pytest.mark.long
def test_an_installed_family_is_trained_on(site, tmp_path):
    flags = ["--vec.backend", "Serial", "--vec.num-envs", "8", "--train.total-timesteps", "2048"]
    flags += ["--train.device", "cpu", "--log.no-tensorboard", "--run", str(tmp_path / "run")]
    puffer(site, "train", "corridor", *flags)
    assert (tmp_path / "run" / "checkpoint.pt").is_file()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that writes a distribution as pip does: its module and its metadata."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(distribution, name, text=None, value=None):
        module = f"{distribution.replace('-', '_')}_module"
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n"
        )
        (info / "entry_points.txt").write_text(
            f"[{_entry_points.GROUP}]\n{name} = {value or module}\n"
        )
        if text is not None:
            (tmp_path / f"{module}.py").write_text(text)

    yield install
    for name in [name for name in sys.modules if name.endswith("_dist_module")]:
        del sys.modules[name]


def family(name, *tasks):
    return FAMILY.format(name=name, tasks=(f"a-{name}", *tasks))


def found():
    families = tuple(registry.builtin_families())
    builtin = {task: name for task, name in registry.tasks().items() if name in families}
    return _entry_points.find(families, lambda: builtin)


PROBLEMS = {
    "import": ("raise ValueError('no engine')", "cannot be imported: ValueError: no engine"),
    "missing import": ("import not_here_at_all", "ModuleNotFoundError: .*import that in make_env"),
    "no FAMILY": (MAKE_ENV, "has no FAMILY. Set it to a pufferlib.registry.Family"),
    "another FAMILY": (f"FAMILY = 'mine'\n{MAKE_ENV}", "has no FAMILY"),
    "another name": (family("other") + MAKE_ENV, "FAMILY.name is 'other', the entry point 'mine'"),
    "no make_env": (family("mine"), "has no make_env"),
    "no default": (
        family("mine").replace("None, 'a-mine'", "None, 'b'").replace('"a-mine"', '"b"') + MAKE_ENV,
        "FAMILY.default, 'b', is none of FAMILY.tasks",
    ),
    "no install": (family("mine").replace("None", "'engine'") + MAKE_ENV, "install is empty"),
}


@pytest.mark.parametrize(("text", "match"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_family_that_cannot_be_used_is_a_warning_and_leaves_out_no_other(install, text, match):
    install("bad-dist", "mine", text)
    install("good-dist", "fine", family("fine") + MAKE_ENV)
    with pytest.warns(UserWarning, match=f"family 'mine' of bad-dist 1.2 is left out: .*{match}"):
        third_party = found()
    assert [*third_party.modules] == ["fine"]
    assert third_party.tasks == {"a-fine": "fine"}
    assert "bad-dist 1.2" in third_party.problems["mine"]


@pytest.mark.parametrize("value", ["json:dumps", "not_here_at_all", "json:not_here"])
def test_an_entry_point_of_something_else_is_left_out(install, value):
    install("bad-dist", "mine", value=value)
    with pytest.warns(UserWarning, match="of bad-dist 1.2 is left out: .*(not a module|imported)"):
        assert not found().modules


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("atari", "pufferlib has a family of this name"),
        ("squared", "ocean has a task of this name"),
        ("all", "the name is reserved"),
    ],
)
def test_a_name_of_ours_is_not_taken(install, name, match):
    install("bad-dist", name, family(name) + MAKE_ENV)
    with pytest.warns(UserWarning, match=f"of bad-dist 1.2 is left out: {match}"):
        assert not found().modules


def test_of_two_distributions_with_one_family_the_first_is_kept(install):
    install("b-dist", "mine", family("mine", "of-b") + MAKE_ENV)
    install("a-dist", "mine", family("mine", "of-a") + MAKE_ENV)
    with pytest.warns(UserWarning, match="of b-dist 1.2 is left out: a-dist 1.2 brings a family"):
        third_party = found()
    assert third_party.tasks == {"a-mine": "mine", "of-a": "mine"}


def test_a_task_whose_name_is_taken_means_what_it_meant_before(install):
    install("bad-dist", "mine", family("mine", "CartPole-v1") + MAKE_ENV)
    with pytest.warns(
        UserWarning, match="of bad-dist 1.2 has tasks whose names are taken: CartPole"
    ):
        third_party = found()
    assert third_party.tasks == {"a-mine": "mine"}
    assert [*third_party.modules] == ["mine"]


def test_a_broken_family_breaks_no_command(install, tmp_path):
    install("bad-dist", "mine", "raise ValueError('no engine')")
    listed = puffer(tmp_path, "envs")
    assert "atari" in listed.stdout
    assert listed.stderr.count("family 'mine' of bad-dist 1.2 is left out") == 1
    refused = puffer(tmp_path, "envs", "mine", check=False)
    assert refused.returncode == 2
    assert "puffer envs: The environment family 'mine' of bad-dist 1.2 is left" in refused.stderr


def test_puffer_install_shows_the_command_of_a_family_whose_engine_is_missing(install, tmp_path):
    text = family("mine").replace("None", "'engine'")[:-2] + ", install='pip install engine')\n"
    text += MAKE_ENV
    install("good-dist", "mine", text)
    assert re.search(r"^mine +no +a-mine", puffer(tmp_path, "envs").stdout, re.MULTILINE)
    refused = puffer(tmp_path, "install", "mine", check=False)
    assert refused.returncode == 2
    assert "family of another distribution. Run: pip install engine" in refused.stderr


def test_a_family_says_how_its_own_engine_is_installed():
    family = Family("mine", "not_here_at_all", "a", ("a",), install="pip install my-engine")
    with pytest.raises(NotInstalledError, match=r"mine is not installed\. Run: pip install my-eng"):
        family.check("a")


def test_presets_of_a_family_are_found_in_its_folder(tmp_path):
    source = registry._source.of_family(
        "json", Family("mine", None, "a", ("a",), presets=tmp_path), "a"
    )
    assert source.preset_folders == (tmp_path,)
    assert source.preset_names == ("mine", "a")
