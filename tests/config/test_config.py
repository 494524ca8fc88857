"""Settings: defaults, presets on top, and clear errors for what does not exist."""

import datetime
import json

import pytest

from pufferlib import config as presets
from pufferlib import registry
from pufferlib.config import Config, EnvConfig
from pufferlib.exceptions import SettingError
from pufferlib.registry import ocean


def test_a_preset_overrides_defaults_and_a_later_one_the_earlier(tmp_path):
    (tmp_path / "family.toml").write_text(
        "[train]\nlearning_rate = 1\nhorizon = 7\n[env.kwargs]\na = [1]\n"
    )
    (tmp_path / "task.toml").write_text("[train]\nhorizon = 9\n")
    config = presets.load(["family", "task", "no-such-preset"], tmp_path)
    assert (config.train.learning_rate, config.train.horizon) == (1, 9)
    assert config.env.kwargs == {"a": [1]}
    assert config.train.gamma == Config().train.gamma


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[train]\nlearning_rte = 1", r"no setting 'train.learning_rte'. Did you mean 'learning_r"),
        ("[trian]\ngamma = 1", "no setting 'trian'. Did you mean 'train'"),
        ("[train]\nhorizon = 1.5", "train.horizon must be int; got 1.5"),
        ("[train]\nseed = true", "train.seed must be int; got True"),
        ("[train]\ndevice = 3", "train.device must be str; got 3"),
        ("[vec]\nbackend = 'Thread'", "vec.backend must be .*Serial.*; got 'Thread'"),
        ("run = 'here'", "run must be .*Path.*; got 'here'"),
        ("train = 3", "train must be TrainConfig; got 3"),
        ("[train]\nseed = 3 4", "is no TOML: .*line 2.*Mend it"),
        ("[train]\n# \udcff", "cannot be read as a preset: 'utf-8' codec can't decode"),
    ],
)
def test_a_preset_that_cannot_be_names_the_file_the_setting_and_the_mend(tmp_path, text, match):
    path = tmp_path / "broken.toml"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(SettingError, match=match) as raised:
        presets.load(["broken"], tmp_path)
    assert str(path) in str(raised.value)


def test_the_preset_of_a_task_with_a_slash_is_in_no_folder(tmp_path):
    (tmp_path / "ALE-Breakout-v5.toml").write_text("[train]\nhorizon = 9\n")
    assert presets.load(["atari", "ALE/Breakout-v5"], tmp_path).train.horizon == 9


@pytest.mark.parametrize(
    "value", [{1, 2}, {1: 2}, {"a": [{1: 2}]}, b"a", datetime.date(2026, 1, 1)]
)
def test_arguments_that_json_cannot_say_are_refused(value):
    with pytest.raises(SettingError, match=r"env\.kwargs\.size must be what JSON can say"):
        EnvConfig(kwargs={"fine": 1, "size": value}).check()


@pytest.mark.parametrize("value", [None, True, 3, 0.1, "a", [1], (40, 60), {"a": ({"b": (1,)},)}])
def test_arguments_that_json_can_say_are_not(value):
    EnvConfig(kwargs={"size": value}).check()


def test_settings_survive_the_way_through_json():
    config = presets.load(["nethack"])
    written = json.loads(json.dumps(presets.as_json(config)))
    assert presets.from_json(written, "here") == config


@pytest.mark.parametrize("path", sorted(presets.PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_preset_is_of_something_registered_and_loads(path):
    known = [*registry.families(), *registry.tasks()]
    assert path.stem in {name.replace("/", "-") for name in known}
    assert presets.load([path.stem]) != Config()


def test_every_family_has_a_preset_or_each_of_its_tasks_to_learn_has():
    there = {path.stem for path in presets.PRESETS.glob("*.toml")}
    # Ocean's tasks have little in common; those that measure speed have nothing to learn.
    unlike = set(ocean.FAMILY.tasks) - {"performance", "performance_empiric"}
    assert set(registry.families()) - {"ocean"} | unlike <= there
