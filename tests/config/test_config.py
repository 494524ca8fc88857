"""Settings: defaults, presets on top, and clear errors for what does not exist."""

import json

import pytest

from pufferlib import config as presets
from pufferlib import registry
from pufferlib.config import Config
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
    ],
)
def test_a_preset_that_cannot_be_names_the_file_the_setting_and_the_mend(tmp_path, text, match):
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(SettingError, match=match) as raised:
        presets.load(["broken"], tmp_path)
    assert str(path) in str(raised.value)


def test_settings_survive_the_way_through_json():
    config = presets.load(["nethack"])
    written = json.loads(json.dumps(presets.as_json(config)))
    assert presets.from_json(written, "here") == config


@pytest.mark.parametrize("path", sorted(presets.PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_preset_is_of_something_registered_and_loads(path):
    assert registry.resolve(path.stem)
    assert presets.load([path.stem]) != Config()


def test_every_family_has_a_preset_or_each_of_its_tasks_to_learn_has():
    there = {path.stem for path in presets.PRESETS.glob("*.toml")}
    # Ocean's tasks have little in common; those that measure speed have nothing to learn.
    unlike = set(ocean.FAMILY.tasks) - {"performance", "performance_empiric"}
    assert set(registry.families()) - {"ocean"} | unlike <= there
