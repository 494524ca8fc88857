"""Presets in TOML files over the defaults, and settings as JSON in the folder of a run."""

import json
from pathlib import Path

import pytest

from pufferlib import config as presets
from pufferlib import registry
from pufferlib.config import ALGORITHMS, Config
from pufferlib.exceptions import ArgumentError, SettingError
from pufferlib.registry import ocean

ALGORITHM = """
from dataclasses import dataclass
from pufferlib.training import LoopConfig

@dataclass(frozen=True)
class Mine(LoopConfig):
    algorithm = "mine"
    rate: float = 0.5

    def make_algorithm(self, runner, context, generator):
        raise AssertionError
"""


def load(folder, *names, **options):
    return presets.load(names, [folder], **options)


def test_a_preset_overrides_defaults_and_a_later_one_the_earlier(tmp_path):
    (tmp_path / "family.toml").write_text(
        "[train]\nlearning_rate = 1\nhorizon = 7\n[env.kwargs]\na = [1]\n"
    )
    (tmp_path / "task.toml").write_text("[train]\nhorizon = 9\n")
    config = load(tmp_path, "family", "task", "no-such-preset")
    assert (config.train.learning_rate, config.train.horizon) == (1, 9)
    assert config.env.kwargs == {"a": [1]}
    assert config.train.gamma == Config().train.gamma


def test_presets_of_a_later_folder_override_those_of_an_earlier(tmp_path):
    for name, horizon in (("ours", 7), ("theirs", 9)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "family.toml").write_text(f"[train]\nhorizon = {horizon}\n")
    config = presets.load(["family"], [tmp_path / "ours", tmp_path / "theirs"])
    assert config.train.horizon == 9


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[train]\nlearning_rte = 1", r"no setting 'train.learning_rte'. Did you mean 'learning_r"),
        ("[trian]\ngamma = 1", "no setting 'trian'. Did you mean 'train'"),
        ("[train]\nhorizon = 1.5", "train.horizon must be int; got 1.5"),
        ("[train]\nseed = true", "train.seed must be int; got True"),
        ("[train]\ndevice = 3", "train.device must be str; got 3"),
        ("[train]\nnormalize_rewards = 1", "normalize_rewards must be true or false; got 1"),
        ("[train]\nhorizon = '7'", "train.horizon must be int; got '7'"),
        ("[train]\nmax_seconds = 'long'", "train.max_seconds must be float or None; got 'long'"),
        ("[vec]\nbackend = 'Thread'", "vec.backend must be 'Serial' or .*; got 'Thread'"),
        ("run = 'here'", "run must be .*Path.*; got 'here'"),
        ("train = 3", "train must be LoopConfig; got 3"),
        ("[policy]\nrecurrent = true", r"policy.recurrent is now policy.memory \(none, lstm or gr"),
        ("[train]\nseed = 3 4", "is not valid TOML: .*line 2.*Fix it"),
        ("[train]\n# \udcff", "cannot be read as a preset: 'utf-8' codec can't decode"),
    ],
)
def test_an_impossible_preset_names_the_file_the_setting_and_the_fix(tmp_path, text, match):
    path = tmp_path / "broken.toml"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(SettingError, match=match) as raised:
        load(tmp_path, "broken")
    assert str(path) in str(raised.value)


def test_the_preset_of_a_task_with_a_slash_has_a_dash_in_its_name(tmp_path):
    (tmp_path / "ALE-Breakout-v5.toml").write_text("[train]\nhorizon = 9\n")
    assert load(tmp_path, "atari", "ALE/Breakout-v5").train.horizon == 9


@pytest.fixture
def mine(tmp_path):
    """Return the name of an algorithm that is not PPO."""
    path = tmp_path / "algorithm_of_presets.py"
    path.write_text(ALGORITHM)
    return f"{path}:Mine"


def test_another_algorithm_takes_the_settings_of_the_loop_and_its_own_presets(tmp_path, mine):
    (tmp_path / "family.toml").write_text(
        "[train]\nhorizon = 7\nminibatches = 2\n[policy]\nhidden_size = 9\n"
    )
    (tmp_path / "family.mine.toml").write_text("[train]\nrate = 0.25\nseed = 3\n")
    (tmp_path / "task.mine.toml").write_text("[train]\nseed = 4\n")  # there is no task.toml
    config = load(tmp_path, "family", "task", algorithm=mine)
    assert config.algorithm == mine
    assert (config.train.algorithm, config.train.rate, config.train.seed) == ("mine", 0.25, 4)
    assert (config.train.horizon, config.policy.hidden_size) == (7, 9)
    ppo = load(tmp_path, "family", "task")
    assert (ppo.algorithm, ppo.train.minibatches, ppo.train.seed) == ("ppo", 2, Config().train.seed)


def test_a_preset_can_name_the_algorithm_of_its_settings(tmp_path, mine):
    (tmp_path / "family.toml").write_text("[train]\nhorizon = 7\n")
    (tmp_path / "task.toml").write_text(f"algorithm = '{mine}'\n[train]\nrate = 0.25\n")
    config = load(tmp_path, "family", "task")
    assert (config.train.algorithm, config.train.rate) == ("mine", 0.25)
    assert config.train.horizon == 7
    ppo = load(tmp_path, "family", "task", algorithm="ppo")
    assert (ppo.train.algorithm, ppo.train.horizon) == ("ppo", 7)


def test_override_leaves_the_settings_it_was_given_unchanged():
    config = Config()
    changed = presets.override(config, {"env": {"kwargs": {"a": 1}}, "train": {"seed": 9}}, "here")
    assert (changed.env.kwargs, changed.train.seed) == ({"a": 1}, 9)
    assert config == Config()


def test_settings_survive_the_way_through_json(mine):
    for config in (
        presets.load(["nethack"]),
        presets.load(["nethack"], algorithm=mine),
        presets.override(Config(), {"run": Path("runs/mine")}, "here"),
    ):
        written = json.loads(json.dumps(presets.as_json(config)))
        assert presets.from_json(written, "here") == config


@pytest.mark.parametrize(("recurrent", "memory"), [(True, "lstm"), (False, "none")])
def test_settings_of_before_policy_memory_are_read(recurrent, memory):
    written = presets.as_json(Config())
    del written["policy"]["memory"], written["algorithm"], written["policy"]["kwargs"]
    written["policy"]["recurrent"] = recurrent
    config = presets.from_json(written, "here")
    assert (config.policy.memory, config.algorithm) == (memory, "ppo")


@pytest.mark.parametrize(
    ("name", "value"), [("rescale_actions", False), ("critic", "shared"), ("uint8", "scaled")]
)
def test_the_policy_of_before_a_setting_is_what_it_was(name, value):
    written = presets.as_json(Config())
    assert written["policy"].pop(name) != value
    assert getattr(presets.from_json(written, "here").policy, name) == value


def test_settings_of_before_evaluations_in_training_have_none():
    written = presets.as_json(Config())
    del written["eval"]
    assert presets.from_json(written, "here").eval.share == 0


def test_settings_of_another_version_name_their_file():
    written = presets.as_json(Config())
    written["train"]["learning_rte"] = 1
    with pytest.raises(SettingError, match=r"there: there is no setting 'train.learning_rte'"):
        presets.from_json(written, "there")


@pytest.mark.parametrize("name", sorted(presets.as_json(Config())))
@pytest.mark.parametrize("value", [3, None, [], "text", {"text": 3}])
def test_damaged_settings_are_refused_with_their_name(name, value):
    written = {**presets.as_json(Config()), name: value}
    if (name, value) in (("run", "text"), ("run", None)):  # a folder, or none
        assert str(presets.from_json(written, "there").run) == str(value)
        return
    with pytest.raises(ArgumentError, match=rf"there: .*{name}|no algorithm 'text'"):
        presets.from_json(written, "there")


@pytest.mark.parametrize("path", sorted(presets.PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_preset_belongs_to_something_registered_and_loads(path):
    known = [*registry.builtin_families(), *registry.tasks()]
    name, dot, algorithm = path.stem.rpartition(".")
    if not dot or algorithm not in ALGORITHMS:
        name, algorithm = path.stem, None
    assert name in {name.replace("/", "-") for name in known}
    assert presets.load([name], algorithm=algorithm) != presets.load([], algorithm=algorithm)


def test_every_family_or_each_of_its_tasks_to_learn_has_a_preset():
    there = {path.stem for path in presets.PRESETS.glob("*.toml")}
    # Ocean's tasks have little in common; those that measure speed have nothing to learn.
    unlike = set(ocean.FAMILY.tasks) - {"performance", "performance_empiric"}
    assert set(registry.builtin_families()) - {"ocean"} | unlike <= there
