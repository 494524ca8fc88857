"""A table of a preset is changed, and nothing else in the file is."""

import os
import tomllib

import pytest

from pufferlib import config as presets
from pufferlib.config import editing
from pufferlib.exceptions import SettingError

VALUES = {"backend": "Multiprocessing", "num_envs": 24, "num_workers": 3, "caller_steps": None}
PRESET = """\
# Tuned by hand.
[env.kwargs]
names = [
    "a", # not ]
]

[ vec ]    # who steps
num_envs = 32    # a power of two

caller_steps = true
timeout_s = 5.0
# That was all.

[train]
num_envs = 7 # of another table
"""
EDITED = """\
# Tuned by hand.
[env.kwargs]
names = [
    "a", # not ]
]

[ vec ]    # who steps
num_envs = 24    # a power of two

timeout_s = 5.0
backend = "Multiprocessing"
num_workers = 3
# That was all.

[train]
num_envs = 7 # of another table
"""


def edited(text):
    return editing.edited(text, "vec", VALUES, "here.toml")


def test_comments_other_keys_and_other_tables_stay():
    assert edited(PRESET) == EDITED
    assert edited(EDITED) == EDITED
    assert edited(PRESET.replace("\n", "\r\n")) == EDITED.replace("\n", "\r\n")


def test_a_table_that_is_not_there_is_added():
    table = '[vec]\nbackend = "Multiprocessing"\nnum_envs = 24\nnum_workers = 3\n'
    assert edited("") == table
    assert edited("[train]\nseed = 1 # first\n") == f"[train]\nseed = 1 # first\n\n{table}"
    assert edited("[train]\nseed = 1") == f"[train]\nseed = 1\n\n{table}"
    assert edited("[vec]\n[train]\n") == f"{table}[train]\n"


@pytest.mark.parametrize("path", sorted(presets.PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_preset_can_be_edited(path):
    text = path.read_text()
    before, after = tomllib.loads(text), tomllib.loads(edited(text))
    vec = {**before.pop("vec", {}), **VALUES}
    assert after.pop("vec") == {key: value for key, value in vec.items() if value is not None}
    assert after == before
    comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    kept = [line.partition("#")[2] for line in edited(text).splitlines() if "#" in line]
    assert kept == comments


@pytest.mark.parametrize(
    "text",
    [
        "vec.num_envs = 3\n",
        "vec = {num_envs = 3}\n",
        "vec = 3\n",
        '[vec]\n"num_envs" = 3\n',
        '[vec]\nnum_envs = """\n3"""\n',
        "[vec]\nother = [\n[1],\n]\nnum_envs = 3\n",
        '[train]\ndevice = """\n[vec]\n"""\n',
    ],
)
def test_an_unsupported_form_is_refused_with_the_lines_to_write(tmp_path, text):
    path = tmp_path / "odd.toml"
    path.write_text(text)
    wanted = r'odd.toml .* by hand: backend = "Multiprocessing", num_envs = 24, num_workers = 3\.'
    for act in (editing.check, editing.write):
        with pytest.raises(SettingError, match=wanted):
            act(path, "vec", VALUES)
    assert path.read_text() == text


def test_a_file_is_written_whole_with_its_rights_through_a_link(tmp_path):
    path, link = tmp_path / "preset.toml", tmp_path / "link.toml"
    path.write_text(PRESET)
    path.chmod(0o640)
    link.symlink_to(path)
    editing.write(link, "vec", VALUES)
    assert path.read_text() == EDITED
    assert path.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert set(tmp_path.iterdir()) == {path, link}


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "preset.toml"
    path.write_text(PRESET)

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        editing.write(path, "vec", VALUES)
    assert path.read_text() == PRESET
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_is_a_preset_that_loads(tmp_path):
    editing.write(tmp_path / "new.toml", "vec", VALUES)
    vec = presets.load(["new"], [tmp_path]).vec
    assert (vec.backend, vec.num_envs, vec.num_workers) == ("Multiprocessing", 24, 3)


def test_an_unwritable_preset_is_refused_in_advance(tmp_path):
    (tmp_path / "broken.toml").write_text("[vec")
    (tmp_path / "binary.toml").write_bytes(b"\xff")
    for path, match in (
        (tmp_path / "none" / "a.toml", "there is no folder .*none. Create it first"),
        (tmp_path, "is a folder. Name a file in it"),
        (tmp_path / "broken.toml", "broken.toml is not valid TOML: .*Fix it, or name another"),
        (tmp_path / "binary.toml", "cannot be read as a preset"),
    ):
        with pytest.raises(SettingError, match=match):
            editing.check(path, "vec", VALUES)


def test_floats_and_tables_within_tables_are_written():
    text = "[env]\ncurriculum = 'a:b'\n\n[env.kwargs]\nsize = 5 # cells\n"
    for values in ({"size": 1e-05, "speed": 2.0}, {"size": None, "speed": -0.1}):
        text = editing.edited(text, "env.kwargs", values, "here.toml")
        written = tomllib.loads(text)["env"]
        kept = {name: value for name, value in values.items() if value is not None}
        assert written == {"curriculum": "a:b", "kwargs": kept}
    added = editing.edited("[env]\n", "env.kwargs", {"size": 3}, "here.toml")
    assert tomllib.loads(added) == {"env": {"kwargs": {"size": 3}}}
    with pytest.raises(SettingError, match=r"'env\.kwargs' in a form that is not edited"):
        editing.edited("[env]\nkwargs = {size = 5}\n", "env.kwargs", {"size": 3}, "here.toml")


def test_lists_tables_and_any_text_are_written_as_toml():
    values = {
        "names": ["a", 'b "c" \\ d', "é\n"],
        "nested": {"x y": [1, [2.5, True]], "z": {}},
        "path": "C:\\new",
    }
    for text in ("", "[vec]\nnames = [1, 2] # two\n"):
        result = editing.edited(text, "vec", values, "here.toml")
        assert tomllib.loads(result) == {"vec": values}
        assert ("# two" in result) == bool(text)
    with pytest.raises(SettingError):
        editing.edited("", "vec", {"names": ["a", None]}, "here.toml")
