"""References of the form `package.module:attribute` or `path/to/file.py:attribute`."""

import json
import os
import pickle
import subprocess
import sys

import pytest

from pufferlib.exceptions import ArgumentError, NotInstalledError, UnknownNameError
from pufferlib.references import Reference, is_reference, load_attribute, load_file


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture(autouse=True)
def _restored(monkeypatch):
    """Undo a test's changes to `sys.path`, and remove the modules that it loads."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_module_and_a_dotted_attribute_are_loaded():
    assert load_attribute("json:dumps") is json.dumps
    assert load_attribute("json:JSONEncoder.encode") is json.JSONEncoder.encode
    assert load_attribute("os.path:join") is os.path.join


def test_a_module_of_the_current_directory_is_found_after_those_of_sys_path(
    write, tmp_path, monkeypatch
):
    write("my_local_module.py", "answer = 42\n")
    write("json.py", "dumps = None\n")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    monkeypatch.chdir(tmp_path)
    assert load_attribute("my_local_module:answer") == 42
    assert load_attribute("json:dumps") is not None


def test_a_file_is_loaded_once(write):
    path = write("mine.py", "class Thing: pass\n")
    assert load_attribute(f"{path}:Thing") is load_attribute(f"{path}:Thing")
    assert load_file(path).Thing is load_attribute(f"{path}:Thing")


def test_files_of_one_name_in_two_folders_are_two_modules(write):
    one, two = write("one/env.py", "value = 1\n"), write("two/env.py", "value = 2\n")
    assert [load_attribute(f"{path}:value") for path in (one, two)] == [1, 2]
    assert load_file(one).__name__ != load_file(two).__name__


def test_a_relative_path_and_a_home_directory_are_made_absolute(write, tmp_path, monkeypatch):
    path = write("mine.py", "value = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in ("mine.py:value", "./mine.py:value", "~/mine.py:value"):
        assert Reference.parse(text).name == f"{path}:value"
        assert load_attribute(text) == 3


def test_a_file_imports_its_neighbors(write):
    write("neighbor_of_mine.py", "value = 4\n")
    path = write("mine.py", "from neighbor_of_mine import value\n")
    assert load_attribute(f"{path}:value") == 4


def test_a_reference_pickles_and_loads_in_another_process_and_directory(write, tmp_path):
    write("folder/my_local_module.py", "value = 5\n")
    path = write("mine.py", "value = 6\n")
    script = "import pickle, sys; print(pickle.load(sys.stdin.buffer).load())"
    local = Reference("my_local_module", None, "value", str(tmp_path / "folder"))
    for reference, expected in ((local, "5"), (Reference.parse(f"{path}:value"), "6")):
        result = subprocess.run(
            [sys.executable, "-c", script],
            input=pickle.dumps(reference),
            capture_output=True,
            cwd="/",
            timeout=240,
            check=True,
        )
        assert result.stdout.decode().strip() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a:b", True), ("a.py", True), ("./a.py:b", True), ("CartPole-v1", False), ("a.b", False)],
)
def test_a_reference_has_a_colon_or_names_a_python_file(text, expected):
    assert is_reference(text) is expected


@pytest.mark.parametrize("text", ["a:", ":b", "my-package:make", "a b:c", "a:b-c", "a..b:c"])
def test_text_of_another_form_is_refused(text):
    with pytest.raises(ArgumentError, match=r"must have the form package\.module:attribute or"):
        Reference.parse(text)


def test_a_forgotten_file_ending_is_suggested(write, tmp_path, monkeypatch):
    write("mine.py", "value = 1\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=r"Did you mean '\./mine\.py:value'\?"):
        Reference.parse("./mine:value")


def test_a_file_without_an_attribute_names_what_it_defines(write):
    path = write("mine.py", "def make_env(): pass\nclass MyEnv: pass\ndef _private(): pass\n")
    with pytest.raises(ArgumentError, match=r"for example make_env or MyEnv\.$"):
        load_attribute(str(path))


def test_a_missing_attribute_suggests_the_nearest(write):
    path = write("mine.py", "import os\nfrom json import dumps\ndef make_env(): pass\n")
    with pytest.raises(UnknownNameError) as raised:
        load_attribute(f"{path}:make_enb")
    assert "Did you mean 'make_env'?" in str(raised.value)
    assert "It defines: make_env." in str(raised.value)  # and not what it imports


def test_a_missing_file_suggests_its_neighbors(write, tmp_path):
    write("my_env.py", "")
    with pytest.raises(UnknownNameError, match=r"no file .*/my_en\.py\. Did you mean 'my_env\.py'"):
        load_attribute(f"{tmp_path}/my_en.py:make")


def test_the_error_for_a_missing_module_names_the_searched_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError) as raised:
        load_attribute("not_here.envs:make")
    message = str(raised.value)
    assert f"no module 'not_here': sys.path and the directory {tmp_path} were searched" in message
    assert "name a file: path/to/envs.py:NAME" in message


def test_the_error_for_a_missing_submodule_names_the_packages_path():
    with pytest.raises(UnknownNameError, match=r"no module 'json\.envs'.*; json is .*__init__\.py"):
        load_attribute("json.envs:make")


@pytest.mark.parametrize("is_file", [True, False])
@pytest.mark.parametrize(
    ("text", "kind", "match"),
    [
        (
            "x = 1\nraise ValueError('bad size')",
            ArgumentError,
            r"ValueError: bad size \(.*line 2\)",
        ),
        ("x = (", ArgumentError, r"SyntaxError: .*\(.*broken_one\.py, line 1\)"),
        ("import not_here_at_all", NotInstalledError, "imports not_here_at_all, which is not inst"),
    ],
)
def test_a_module_that_fails_to_import_says_why_and_where(
    write, tmp_path, monkeypatch, is_file, text, kind, match
):
    write("broken_one.py", text)
    monkeypatch.chdir(tmp_path)
    reference = "./broken_one.py:x" if is_file else "broken_one:x"
    for _ in range(2):  # the second time it does not count as loaded
        with pytest.raises(kind, match=match):
            load_attribute(reference)


def test_a_failing_file_can_be_fixed_and_loaded_again(write):
    path = write("mine.py", "raise RuntimeError('no')")
    with pytest.raises(ArgumentError, match="RuntimeError: no"):
        load_attribute(f"{path}:value")
    path.write_text("value = 7  # fixed\n")
    assert load_attribute(f"{path}:value") == 7
