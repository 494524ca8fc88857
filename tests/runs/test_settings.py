"""The settings of a run: defaults, presets, overrides; and errors for what has no effect."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from pufferlib import config as presets
from pufferlib import registry
from pufferlib.config import Config
from pufferlib.exceptions import ArgumentError, SettingError, UnknownNameError
from pufferlib.ppo import PPOConfig
from pufferlib.runs.settings import assemble, find_setting, names_of, parse

ALGORITHM = """
from dataclasses import dataclass
from pufferlib.training import LoopConfig

@dataclass(frozen=True)
class Mine(LoopConfig):
    algorithm = "mine"
    trace_decay: float = 0.5

    def make_algorithm(self, runner, context, generator):
        raise AssertionError
"""


@pytest.fixture
def bsuite(tmp_path, monkeypatch):
    """Return a function that assembles settings of a task, and write presets of its family."""
    monkeypatch.setattr(presets, "PRESETS", tmp_path)
    (tmp_path / "bsuite.toml").write_text(
        "[train]\nseed = 2\nhorizon = 2\ngamma = 0.2\n[vec]\nnum_envs = 2\n"
        "[env.kwargs]\nname = 'maze'\ntable = {part = 1, other = 'a'}\nsizes = [1, 2]\n"
    )
    (tmp_path / "bsuite-catch-v0.toml").write_text("[train]\nhorizon = 3\ngamma = 0.3\n")
    source = registry.resolve("bsuite/catch-v0")

    def settings(overrides=None, base=None):
        return assemble(source, overrides or {}, base)

    return settings


def test_overrides_precede_the_task_the_task_its_family_and_that_the_defaults(bsuite):
    config = bsuite({"train.gamma": 0.4})
    assert config.train.update_epochs == PPOConfig().update_epochs
    assert (config.train.seed, config.train.horizon, config.train.gamma) == (2, 3, 0.4)
    assert config.env.task == "bsuite/catch-v0"


def test_a_resumed_run_keeps_its_settings_but_for_overrides(bsuite):
    base = bsuite({"train.gamma": 0.4, "train.seed": 9})
    resumed = bsuite({"train.seed": "10"}, base)
    assert (resumed.train.gamma, resumed.train.seed) == (0.4, 10)
    assert dataclasses.replace(resumed, train=base.train) == base


def test_a_run_is_of_one_environment(bsuite):
    base = dataclasses.replace(Config(), env=presets.EnvConfig("squared"))
    with pytest.raises(ArgumentError, match=r"made with squared, the environment given is bsuite/"):
        bsuite({}, base)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("train.learning_rate", "1e-3", 1e-3),
        ("train.learning_rate", "1", 1.0),
        ("train.learning_rate", 1, 1.0),
        ("train.seed", "12", 12),
        ("train.max_seconds", "None", None),
        ("train.max_seconds", None, None),
        ("train.max_seconds", "2.5", 2.5),
        ("vec.num_workers", "2", 2),
        ("vec.backend", "Serial", "Serial"),
        ("log.wandb", "None", None),
        ("log.wandb", "fish", "fish"),
        ("log.wandb", "3", "3"),
        ("train.normalize_rewards", "True", True),
        ("train.normalize_rewards", "true", True),  # as in a preset
        ("train.normalize_rewards", "false", False),
        ("train.normalize_rewards", False, False),
        ("run", "here", Path("here")),
        ("run", Path("here"), Path("here")),
        ("policy.memory", "gru", "gru"),
        ("env.kwargs", {"a": 1}, {"a": 1}),
    ],
)
def test_a_setting_is_converted_to_its_type(bsuite, name, text, value):
    found = find_setting(name, bsuite({name: text})).value
    assert found == value
    assert type(found) is type(value) or isinstance(value, Path)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("train.learning_rte", 1, r"no setting 'train.learning_rte'. Did you mean 'train.learning"),
        ("trian.seed", 1, "There is no setting 'trian.seed'. Did you mean 'train.seed'"),
        ("seed", 1, "There is no setting 'seed'"),
        ("train", {}, "There is no setting 'train'"),
        ("env.task", "squared", "env.task is the name of the environment"),
        ("policy.recurrent", True, r"policy.recurrent is now policy.memory \(none, lstm or gru\)"),
        ("train.seed", "1.5", "train.seed must be int; got '1.5'"),
        ("train.seed", 1.5, "train.seed must be int; got 1.5"),
        ("train.seed", True, "train.seed must be int; got True"),
        ("train.seed", "", "train.seed must be int; got ''"),
        ("train.seed", None, "train.seed must be int; got None"),
        ("train.gamma", "high", "train.gamma must be float; got 'high'"),
        ("train.gamma", True, "train.gamma must be float; got True"),
        ("train.max_seconds", "long", "train.max_seconds must be float or None; got 'long'"),
        ("train.normalize_rewards", "yes", "normalize_rewards must be true or false; got 'yes'"),
        ("policy.normalize_observations", 1, "must be true or false or None; got 1"),
        ("train.normalize_rewards", 1, "train.normalize_rewards must be true or false; got 1"),
        ("train.normalize_rewards", [], r"train.normalize_rewards must be true or false; got \[\]"),
        ("vec.backend", "serial", "vec.backend must be 'Serial' or 'Multiprocessing' or 'Ray'; go"),
        ("policy.memory", "rnn", "policy.memory must be 'none' or 'lstm' or 'gru'; got 'rnn'"),
        ("run", 3, "run must be Path or None; got 3"),
        ("env.kwargs", 3, "env.kwargs must be .*dict.*; got 3"),
        ("algorithm", 3, "algorithm must be str; got 3"),
        (
            "env.kwargs.",
            "3",
            "env.kwargs. cannot be the name of an argument: '' is not a Python id",
        ),
        ("env.kwargs.a b", 3, "'a b' is not a Python identifier. Use --env.kwargs.KEY VALUE"),
        (
            "vec.autoreset",
            "next_step",
            "There is no setting 'vec.autoreset'",
        ),  # training's is fixed
        ("policy.kwargs.a..b", 3, "policy.kwargs.a..b cannot be the name of an argument: ''"),
    ],
)
def test_a_setting_that_does_not_exist_or_fit_says_what_does(bsuite, name, value, match):
    with pytest.raises(SettingError, match=match):
        bsuite({name: value})


def test_an_algorithm_that_does_not_exist_suggests_the_nearest(bsuite):
    with pytest.raises(UnknownNameError, match=r"no algorithm 'pp'. Did you mean 'ppo'"):
        bsuite({"algorithm": "pp"})


def test_the_algorithm_decides_which_settings_there_are(bsuite, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "algorithm_of_runs.py").write_text(ALGORITHM)
    mine = {"algorithm": "algorithm_of_runs.py:Mine"}
    config = bsuite({**mine, "train.trace_decay": "0.3", "train.gamma": "0.4"})
    assert (config.train.trace_decay, config.train.gamma, config.train.seed) == (0.3, 0.4, 2)
    assert config.algorithm == f"{tmp_path}/algorithm_of_runs.py:Mine"  # from any directory
    with pytest.raises(
        SettingError,
        match=r"train.minibatches has no effect: it is a setting of ppo and vtrace, and this "
        r"run uses .*:Mine. Leave it out, or use --algorithm ppo",
    ):
        bsuite({**mine, "train.minibatches": 2})
    with pytest.raises(SettingError, match=r"There is no setting 'train.trace_decay'"):
        bsuite({"train.trace_decay": 0.3})


def test_a_run_keeps_its_algorithm(bsuite, tmp_path):
    path = tmp_path / "algorithm_of_resume.py"
    path.write_text(ALGORITHM)
    base = bsuite()
    assert bsuite({"algorithm": "ppo"}, base) == base
    with pytest.raises(SettingError, match=r"algorithm cannot change within a run; got .*:Mine'"):
        bsuite({"algorithm": f"{path}:Mine"}, base)
    mine = bsuite({"algorithm": f"{path}:Mine"})
    assert (
        bsuite({"algorithm": f"{path}:Mine", "train.trace_decay": 1}, mine).train.trace_decay == 1
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vec.num_workers", "5"),
        ("vec.num_workers", 0),
        ("vec.batch_size", 2),
        ("vec.timeout_s", "5"),
        ("vec.on_failure", "restart"),
        ("vec.caller_steps", True),
    ],
)
def test_settings_of_workers_are_refused_where_there_are_none(bsuite, name, value):
    match = f"{name} has no effect with vec.backend 'Serial'.* add --vec.backend Multiprocessing"
    with pytest.raises(SettingError, match=match):
        bsuite({"vec.backend": "Serial", name: value})
    with pytest.raises(SettingError, match=match):
        bsuite({name: value}, bsuite({"vec.backend": "Serial"}))
    bsuite({name: value, "vec.backend": "Multiprocessing"}, bsuite({"vec.backend": "Serial"}))


@pytest.mark.parametrize("value", [None, "None"])
def test_taking_workers_back_is_allowed_where_there_are_none(bsuite, value):
    bsuite({"vec.backend": "Serial", "vec.num_workers": value, "vec.caller_steps": False})


@pytest.mark.parametrize(
    ("name", "text", "kwargs"),
    [
        ("max_steps", "20", {"max_steps": 20}),
        ("max_steps", "-3", {"max_steps": -3}),
        ("low", "-0.5", {"low": -0.5}),
        ("is_on", "True", {"is_on": True}),
        ("size", "None", {"size": None}),
        ("size", "(40,60)", {"size": [40, 60]}),
        ("keys", "('a', 1)", {"keys": ["a", 1]}),
        ("map", "maze", {"map": "maze"}),
        ("map", "'3'", {"map": "3"}),
        ("keys", "{[]: 1}", {"keys": "{[]: 1}"}),
        ("is_wide", "true", {"is_wide": True}),  # as in the TOML of presets
        ("is_wide", "False", {"is_wide": False}),
        ("is_wide", "false", {"is_wide": False}),
        ("size", 40, {"size": 40}),
        ("size", [1], {"size": [1]}),
        # Text in the preset stays text, but for None.
        ("name", "3", {"name": "3"}),
        ("name", "None", {"name": None}),
        ("name", 3, {"name": 3}),
        ("sizes", "['a']", {"sizes": ["a"]}),
        # Dotted keys reach into dictionaries.
        ("table.part", "3", {"table": {"part": 3, "other": "a"}}),
        ("table.other", "3", {"table": {"part": 1, "other": "3"}}),
        ("table.new", "3", {"table": {"part": 1, "other": "a", "new": 3}}),
        ("table", "{'a': 1}", {"table": {"a": 1}}),
        ("fresh.a.b", "3", {"fresh": {"a": {"b": 3}}}),
        ("sizes.a", "3", {"sizes": {"a": 3}}),
    ],
)
def test_arguments_are_python_literals_or_text(bsuite, name, text, kwargs):
    before = bsuite().env.kwargs
    assert bsuite({f"env.kwargs.{name}": text}).env.kwargs == {**before, **kwargs}
    assert bsuite().env.kwargs == before


def test_arguments_of_policies_too(bsuite):
    kwargs = bsuite({"policy.kwargs.sizes": "[1]", "policy.kwargs.a.b": "x"}).policy.kwargs
    assert kwargs == {"sizes": [1], "a": {"b": "x"}}


def test_arguments_that_json_cannot_keep_are_refused(bsuite):
    with pytest.raises(SettingError, match=r"env.kwargs.size must be a JSON value"):
        bsuite({"env.kwargs.size": "{1, 2}"}).check()
    config = bsuite({"env.kwargs.size": "(1, 2)"})
    config.check()
    read = presets.from_json(json.loads(json.dumps(presets.as_json(config))), "here")
    assert read.env.kwargs["size"] == [1, 2]


def test_the_file_of_a_policy_is_found_from_other_directories(bsuite, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bsuite({"policy.name": "mine.py:Mine"}).policy.name == f"{tmp_path}/mine.py:Mine"
    assert bsuite({"policy.name": "package.mine:Mine"}).policy.name == "package.mine:Mine"
    assert bsuite({"policy.name": "mlp"}).policy.name == "mlp"
    with pytest.raises(ArgumentError, match="names a file but nothing in it"):
        bsuite({"policy.name": "mine.py"})


def test_every_setting_has_a_dotted_name():
    names = names_of(Config())
    assert {"run", "algorithm", "train.seed", "vec.num_envs", "env.kwargs", "log.wandb"} <= {*names}
    assert "env.task" not in names
    for name in names:
        setting = find_setting(name, Config())
        assert name.rpartition(".")[2] in {
            field.name for field in dataclasses.fields(setting.owner)
        }


def test_text_none_is_a_string_where_none_is_not_allowed():
    assert parse("name", "None", str) == "None"
    assert parse("name", "None", str | None) is None


def test_values_of_numpy_are_taken_as_pythons_own():
    overrides = {
        "train.seed": np.int64(3),
        "train.gamma": np.float32(0.5),
        "policy.normalize_observations": np.True_,
        "env.kwargs.size": np.int32(4),
    }
    config = assemble(registry.resolve("squared"), overrides)
    assert (config.train.seed, config.train.gamma) == (3, 0.5)
    assert config.policy.normalize_observations is True
    assert type(config.env.kwargs["size"]) is int


def test_a_tuple_is_a_list_from_the_start_as_config_json_gives_it_back():
    config = assemble(registry.resolve("squared"), {"env.kwargs.size": "(1, (2, 3))"})
    assert config.env.kwargs["size"] == [1, [2, 3]]


def test_max_restarts_without_restarts_is_refused():
    overrides = {"vec.backend": "Multiprocessing", "vec.max_restarts": 5}
    with pytest.raises(SettingError, match="max_restarts has no effect with "):
        assemble(registry.resolve("squared"), overrides)
    config = assemble(registry.resolve("squared"), {**overrides, "vec.on_failure": "restart"})
    assert config.vec.max_restarts == 5


def test_annealing_and_adapting_the_learning_rate_exclude_each_other():
    overrides = {"train.kl_adaptive": "0.01"}
    source = registry.resolve("squared")
    config = assemble(source, overrides)  # annealing is the default, and gives way
    assert (config.train.kl_adaptive, config.train.anneal_learning_rate) == (0.01, True)
    assemble(source, {**overrides, "train.anneal_learning_rate": False})
    for base, more in ((None, overrides), (config, {})):
        with pytest.raises(SettingError, match=r"anneal_learning_rate has no effect with train.kl"):
            assemble(source, {**more, "train.anneal_learning_rate": True}, base)
