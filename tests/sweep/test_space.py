import dataclasses
import json
import math
import shutil

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from pufferlib import config as presets
from pufferlib.config import PRESETS, load, load_sweep
from pufferlib.exceptions import ArgumentError, SettingError
from pufferlib.sweep.config import NO_LIMIT
from pufferlib.sweep.default_space import default_space
from pufferlib.sweep.space import Space, setting_of
from pufferlib.sweep.sweep import Sweep

CONFIG = load(("bandit",))  # horizon 16, learning rate 3e-3, gamma 0.95, memory none


def one(name, line):
    (dimension,) = Space.parse({name: line}, CONFIG, "here")
    return dimension


@pytest.mark.parametrize(
    ("name", "line", "parameter", "distribution"),
    [
        ("train.value_coefficient", "uniform 0 1", None, FloatDistribution(0, 1)),
        ("train.learning_rate", "log 1e-4 1e-2", None, FloatDistribution(1e-4, 1e-2, log=True)),
        ("train.update_epochs", "integer 1 8", None, IntDistribution(1, 8)),
        ("train.total_timesteps", "log 1000 90000", None, IntDistribution(1000, 90000, log=True)),
        ("train.horizon", "power2 8 100", "log2(train.horizon)", IntDistribution(3, 6)),
        (
            "train.gamma",
            "logit 0.9 0.99",
            "1 - train.gamma",
            FloatDistribution(1 - 0.99, 1 - 0.9, log=True),
        ),
        ("policy.memory", "choices none lstm", None, CategoricalDistribution(("none", "lstm"))),
        ("policy.memory", ["none", "gru"], None, CategoricalDistribution(("none", "gru"))),
        ("train.normalize_rewards", "choices true false", None,
         CategoricalDistribution((True, False))),
        ("train.target_kl", "choices None 0.02", None, CategoricalDistribution((None, 0.02))),
        ("env.kwargs.num_agents", "power2 16 64", "log2(env.kwargs.num_agents)",
         IntDistribution(4, 6)),
        ("vec.backend", "choices Serial Multiprocessing", None,
         CategoricalDistribution(("Serial", "Multiprocessing"))),
    ],
)  # fmt: skip
def test_a_line_gives_the_distribution_of_its_scale(name, line, parameter, distribution):
    dimension = one(name, line)
    assert dimension.parameter == (parameter or name)
    assert dimension.distribution() == distribution
    assert setting_of(dimension.parameter) == name


def test_values_come_back_on_the_scale_of_the_setting():
    assert one("train.horizon", "power2 8 128").to_value(5) == 32
    assert one("train.gamma", "logit 0.9 0.999").to_value(0.0123456) == 0.98765  # four digits
    assert one("train.learning_rate", "log 1e-4 1e-2").to_value(0.00123456) == 0.001235
    assert one("train.update_epochs", "integer 1 8").to_value(4) == 4
    # Never out of the range by rounding.
    assert one("train.learning_rate", "log 1.00004e-4 1e-2").to_value(1.00004e-4) == 1.00004e-4


@pytest.mark.parametrize(("value", "exponent"), [(8, 3), (48, 6), (40, 5), (128, 7)])
def test_a_preset_off_the_grid_has_the_nearest_parameter(value, exponent):
    assert one("train.horizon", "power2 8 128").to_parameter(value) == exponent


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ({"train.horizont": "power2 8 32"}, "Did you mean 'train.horizon'"),
        ({"train.horizon": "power 8 32"}, "Did you mean 'power2'"),
        ({"train.horizon": "power2 8"}, "must be power2 LOW HIGH"),
        ({"train.horizon": "power2 33 63"}, "two powers of two"),
        ({"train.horizon": "integer 1.5 32"}, "whole numbers"),
        ({"train.learning_rate": "integer 0 1"}, "uniform or log"),
        ({"train.learning_rate": "log 0 1"}, "above 0"),
        ({"train.learning_rate": "log 1e-2 1e-4"}, "LOW < HIGH"),
        ({"train.learning_rate": "log 1e-5 1e-4"}, "preset's value 0.003 lies outside"),
        ({"train.gamma": "logit 0.9 1"}, "LOW < HIGH < 1"),
        ({"train.minibatches": "logit 0.1 0.9"}, "whole numbers"),
        ({"policy.memory": "choices none rnn"}, "policy.memory must be 'none' or 'lstm'"),
        ({"policy.memory": "choices none"}, "two or more"),
        ({"policy.memory": "log 1 2"}, "choices VALUE"),
        ({"train.seed": "integer 1 9"}, "their own seeds"),
        ({"log.wandb": "choices a b"}, "nothing that is learned"),
        ({"eval.share": "uniform 0.05 0.2"}, "eval.share cannot be searched"),
        ({"train.checkpoint_interval": "integer 1 200"}, "nothing that is learned"),
        ({"train.horizon": "fixed"}, "no setting is searched"),
        ({"train.horizon": 8}, "text or a list"),
        ({"train.horizon": "power2 8 32 if policy.memory = lstm"}, "no setting is searched"),
        ({"policy.memory": "choices none gru",
          "train.horizon": "power2 8 32 if policy.memory = lstm"}, "no trial has"),
        ({"train.horizon": "power2 8 32 if policy.memory"}, "if SETTING = VALUE"),
    ],
)  # fmt: skip
def test_a_wrong_space_is_refused(lines, match):
    with pytest.raises(SettingError, match=match):
        Space.parse(lines, CONFIG, "here")


def test_a_condition_leaves_a_setting_out_where_it_does_not_hold():
    lines = {
        "train.horizon": "power2 32 128 if policy.memory = lstm gru",
        "policy.memory": "choices none lstm gru",
    }
    space = Space.parse(lines, CONFIG, "here")  # the preset's horizon 16 is not in question
    assert [d.setting for d in space] == ["policy.memory", "train.horizon"]
    assert [d.setting for d in space.active({"policy.memory": "none"})] == ["policy.memory"]
    assert len(list(space.active({"policy.memory": "gru"}))) == 2


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ("none", {"train.gamma": "logit 0.9 0.99"}),
        (
            "lstm",
            {
                "train.gamma": "logit 0.9 0.99",
                "train.horizon": "power2 8 128",
                "train.update_epochs": "integer 1 9 if train.horizon = 16 32",
            },
        ),
    ],
)
def test_a_condition_on_a_setting_that_is_not_searched_holds_or_not(memory, expected):
    lines = {
        "train.gamma": "logit 0.9 0.99",
        "policy.memory": "fixed",
        "train.horizon": "power2 8 128 if policy.memory = lstm gru",
        "train.update_epochs": "integer 1 9 if train.horizon = 16 32",
    }
    config = dataclasses.replace(CONFIG, policy=dataclasses.replace(CONFIG.policy, memory=memory))
    if memory == "none":  # then the horizon is the preset's 16 in every trial
        expected = {**expected, "train.update_epochs": "integer 1 9"}
    space = Space.parse(lines, config, "here")
    assert space.lines() == expected
    assert len(list(space.active({"train.horizon": 16}))) == len(expected)


def test_conditions_in_a_circle_are_refused():
    lines = {
        "policy.memory": "choices none lstm if vec.backend = Serial",
        "vec.backend": "choices Serial Multiprocessing if policy.memory = none",
    }
    with pytest.raises(SettingError, match="depend on each other"):
        Space.parse(lines, CONFIG, "here")


def test_the_default_space_holds_every_preset():
    tasks = {path.stem.split(".")[0] for path in PRESETS.glob("*.toml")}
    for task in sorted(tasks):
        lines, config = default_space(load((task,)), rows=64, is_recurrent=False)
        space = Space.parse(lines, config, task)
        assert len(space.dimensions) >= 8
        for dimension in space:
            low, high = dimension.samples()
            assert math.isfinite(low)
            assert low < high


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, None),
        ({"initial_std": 0.5}, "log 0.1 1.0"),
        ({"initial_std": 0.05}, "log 0.05 1.0"),
        ({"initial_std": 2.0, "name": "mlp"}, "log 0.1 2.0"),
        ({"initial_std": 0.5, "name": "mine.py:Net"}, None),  # may have no Gaussians of ours
    ],
)
def test_the_default_space_has_an_initial_standard_deviation_if_the_preset_has(given, line):
    policy = dataclasses.replace(CONFIG.policy, **given)
    config = dataclasses.replace(CONFIG, policy=policy)
    lines, _ = default_space(config, rows=64, is_recurrent=False)
    assert lines.get("policy.initial_std") == line


def test_sweep_tables_of_presets_are_read(tmp_path):
    (tmp_path / "bandit.toml").write_text(
        '[sweep]\ntrials = 7\n[sweep.space]\ntrain.gamma = "logit 0.9 0.99"\n'
        'policy.memory = ["none", "lstm"]\n[train]\nhorizon = 32\n'
    )
    (source, table), = load_sweep(("bandit",), (PRESETS, tmp_path))  # fmt: skip
    assert source == str(tmp_path / "bandit.toml")
    assert table["trials"] == 7
    assert load(("bandit",), (PRESETS, tmp_path)).train.horizon == 32
    assert load_sweep(("bandit",), (PRESETS, tmp_path), "vtrace") == []  # of another algorithm


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        ({"sweep.trails": 3}, "Did you mean 'sweep.trials'"),
        ({"sweep.trials": 0}, "at least 1"),
        ({"sweep.jobs": 10_000}, "usable cores"),
        ({"sweep.sampler": "bayes"}, "'tpe' or 'random'"),
        ({"sweep.hours": -1}, "above 0"),
        ({"sweep.early_stop": 1.0}, "between 0 and 1"),
        ({"train.gamma": 0.7, "sweep.space.train.gamma": "logit 0.8 0.99"}, "value 0.7 lies out"),
        ({"sweep.space.vec.timeout_s": "uniform 1 300"}, "no effect with vec.backend"),
        ({"sweep.space.vec.caller_steps": "choices True False"}, "no effect with vec.backend"),
        ({"sweep.space.policy.kwargs.width": "choices 1 2"}, "preset's value None lies outside"),
        ({"policy.kwargs.width": 1}, "not an argument"),
    ],
)
def test_a_sweep_is_checked_before_anything_starts(overrides, match, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=match):
        Sweep.configure("bandit", overrides)
    assert list(tmp_path.iterdir()) == []


def test_a_setting_that_is_given_is_not_searched():
    settings = {d.setting for d in Sweep.configure("bandit").space}
    assert {"train.gamma", "train.learning_rate", "vec.num_envs"} <= settings
    given = {d.setting for d in Sweep.configure("bandit", {"train.gamma": 0.9}).space}
    assert given == settings - {"train.gamma"}
    fixed = Sweep.configure("bandit", {"sweep.space.train.gamma": "fixed"}).space
    assert {d.setting for d in fixed} == settings - {"train.gamma"}
    only = Sweep.configure("bandit", {"sweep.space.train.gamma": "logit 0.9 0.99"}).space
    assert [d.setting for d in only] == ["train.gamma"]
    both = {"train.gamma": 0.92, "sweep.space.train.gamma": "logit 0.9 0.99"}
    sweep = Sweep.configure("bandit", both)
    assert sweep.space.values(sweep.preset.config) == {"train.gamma": 0.92}


@pytest.mark.parametrize(
    ("given", "trials"),
    [({}, 30), ({"hours": 8}, NO_LIMIT), ({"hours": 8, "trials": 5}, 5), ({"trials": 5}, 5)],
)
@pytest.mark.parametrize("where", ["preset", "flags"])
def test_a_sweep_ends_after_its_trials_or_its_hours(given, trials, where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = {f"sweep.{name}": value for name, value in given.items()}
    if where == "preset":
        shutil.copy(PRESETS / "bandit.toml", tmp_path)
        with (tmp_path / "bandit.toml").open("a") as file:
            file.write("\n[sweep]\n" + "".join(f"{k} = {v}\n" for k, v in given.items()))
        monkeypatch.setattr(presets, "PRESETS", tmp_path)
        flags = {}
    config = Sweep.configure("bandit", flags).config
    assert (config.trials, config.hours) == (trials, given.get("hours"))


def stored(sweep):
    """Write the `sweep.json` of a sweep, as its start does."""
    sweep.folder.mkdir(parents=True)
    (sweep.folder / "sweep.json").write_text(json.dumps(sweep.facts()))
    return sweep


def test_a_sweep_in_the_folder_takes_the_place_of_presets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(PRESETS / "bandit.toml", tmp_path)
    monkeypatch.setattr(presets, "PRESETS", tmp_path)
    flags = {"train.gamma": 0.9, "sweep.trials": 7, "algorithm": "vtrace"}
    flags["sweep.space.train.learning_rate"] = "log 1e-4 1e-2"
    first = stored(Sweep.configure("bandit", flags))
    # As if --write had changed the presets.
    (tmp_path / "bandit.vtrace.toml").write_text("[train]\nlearning_rate = 1e-5\n")
    (tmp_path / "bandit.toml").write_text("[sweep]\ntrials = 3\n")
    for again in ({}, flags, {"algorithm": "vtrace"}):
        sweep = Sweep.configure("bandit", again)
        assert sweep.facts() == first.facts()
        sweep._check_folder()
    assert Sweep.configure("bandit", {"sweep.trials": 9}).config.trials == 9
    for other in ({"train.gamma": 0.8}, {"algorithm": "ppo"}, {"sweep.seed": 2}):
        with pytest.raises(ArgumentError, match="holds another sweep"):
            Sweep.configure("bandit", other)._check_folder()


def test_the_folder_of_a_run_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    sweep = Sweep.configure("bandit", {"run": str(tmp_path)})
    with pytest.raises(ArgumentError, match="is the folder of a run"):
        sweep.run()
    assert not (tmp_path / "sweep.json").exists()
