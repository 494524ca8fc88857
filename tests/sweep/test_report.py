"""The report of a sweep: front, command lines that train the same, presets, importance."""

import dataclasses
import io
import json
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from rich.console import Console

from pufferlib import config as presets
from pufferlib.cli import train
from pufferlib.cli.parser import Parser, normalized
from pufferlib.runs import Run
from pufferlib.runs.settings import assemble
from pufferlib.sweep import report
from pufferlib.sweep.preset import write_preset

SPACE = {
    "train.learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "1 - train.gamma": FloatDistribution(0.001, 0.1, log=True),
    "log2(train.horizon)": IntDistribution(4, 7),
    "policy.memory": CategoricalDistribution(["none", "lstm"]),
}
SETTINGS = {
    "train.learning_rate": 3.0517578125e-05,
    "train.gamma": 0.98765432101234,
    "train.horizon": 64,
    "train.normalize_returns": True,
    "policy.memory": "lstm",
    "policy.rescale_actions": False,
    "env.kwargs.some_size": -1.5e-7,
    "env.kwargs.sparse": False,
    "train.target_kl": None,
}


def facts_of(env="CartPole-v1", overrides=None):
    """Return what sweep.json holds, as read from the file."""
    run = Run.configure(env, {"log.tensorboard": False, **(overrides or {})})
    return json.loads(json.dumps({"env": env, "config": presets.as_json(run.config)}))


def parsed(command):
    """Return the settings of a command line, as `puffer train` reads them."""
    words = normalized(shlex.split(command)[2:])
    parser = Parser(prog="puffer train")
    train.add_arguments(parser, words)
    arguments = parser.parse_args(words)
    return Run.configure(arguments.env, arguments.overrides).config


def study_of(rows):
    """Return a study of trials: (score, cost, params, attributes), or the reason of a failure."""
    study = optuna.create_study(directions=["maximize", "minimize"])
    for row in rows:
        if isinstance(row, str):
            attributes = {"state_reason": row, "cpu_s": 1.0}
            study.add_trial(create_trial(state=TrialState.FAIL, user_attrs=attributes))
            continue
        score, cost, params, attributes = row
        space = {name: SPACE[name] for name in params}
        study.add_trial(
            create_trial(
                values=(score, cost), params=params, distributions=space, user_attrs=attributes
            )
        )
    return study


def attributes(**settings):
    names = {name.replace("__", "."): value for name, value in settings.items()}
    return {
        "settings": names,
        "score_low": 1.5,
        "score_high": 2.5,
        "timesteps": 1000,
        "cpu_s": 10.0,
    }


@pytest.mark.parametrize("given", [{}, {"vec.num_envs": 16, "train.learning_rate": 1e-2}])
@pytest.mark.parametrize("names", [[], ["train.learning_rate"], list(SETTINGS)])
def test_a_command_line_trains_with_the_settings_of_the_trial(names, given):
    facts = facts_of(overrides=given)
    settings = {name: SETTINGS[name] for name in names}
    changes = report.changed_settings(facts, settings)
    preset = Run.configure("CartPole-v1", given)
    expected = assemble(preset.source, settings, preset.config)
    assert parsed(report.command("CartPole-v1", changes)) == expected


def test_a_command_line_names_another_algorithm():
    facts = facts_of(overrides={"algorithm": "vtrace"})
    changes = report.changed_settings(facts, {"train.learning_rate": 1e-5})
    command = report.command("CartPole-v1", changes)
    assert command == "puffer train CartPole-v1 --algorithm vtrace --train.learning-rate 1e-05"
    config = parsed(command)
    assert (config.algorithm, config.train.learning_rate) == ("vtrace", 1e-5)


def test_the_preset_needs_no_flag():
    preset = Path(presets.__file__).with_name("CartPole-v1.toml")
    gamma = tomllib.loads(preset.read_text())["train"]["gamma"]
    assert report.changed_settings(facts_of(), {"train.gamma": gamma}) == {}


def test_a_point_is_written_into_a_preset_and_comments_stay(tmp_path):
    path = tmp_path / "task.toml"
    path.write_text(
        "# Tuned.\n[train]\nlearning_rate = 1e-3 # fast\ntarget_kl = 0.02\ngamma = 1.0\n"
    )
    write_preset(path, SETTINGS)
    text = path.read_text()
    assert text.startswith("# Tuned.\n[train]\nlearning_rate = 3.0517578125e-05 # fast\ngamma = ")
    written = tomllib.loads(text)
    assert written == {
        "train": {
            "learning_rate": 3.0517578125e-05,
            "gamma": 0.98765432101234,
            "horizon": 64,
            "normalize_returns": True,
        },
        "policy": {"memory": "lstm", "rescale_actions": False},
        "env": {"kwargs": {"some_size": -1.5e-7, "sparse": False}},
    }
    write_preset(path, {"train.gamma": 0.9, "env.kwargs.some_size": 2})
    assert tomllib.loads(path.read_text())["env"]["kwargs"] == {"some_size": 2, "sparse": False}
    config = presets.load(["task"], (tmp_path,))
    assert config.train == dataclasses.replace(
        config.train, gamma=0.9, horizon=64, learning_rate=3.0517578125e-05
    )


def test_points_are_the_front_with_what_was_confirmed():
    study = study_of(
        [
            (2.0, 10.0, {}, attributes()),
            (1.0, 20.0, {}, attributes(train__gamma=0.9)),
            (3.0, 30.0, {}, attributes(train__gamma=0.95)),
            "diverged",
        ]
    )
    study.set_user_attr("confirmed:2", {"scores": [1.0, 2.0, 3.0]})
    first, second = report.points(study, facts_of())
    assert (first.number, first.score, first.cost, first.confirmed) == (0, 2.0, 10.0, ())
    assert (first.command, first.interval) == ("puffer train CartPole-v1", (1.5, 2.5))
    assert (second.number, second.confirmed) == (2, (1.0, 2.0, 3.0))
    assert second.command == "puffer train CartPole-v1 --train.gamma 0.95"

    console = Console(file=io.StringIO(), width=150)
    report.print_report(study, facts_of(), console)
    text = console.file.getvalue()
    assert "4 trials, 3 finished, 31 CPU s. The front has 2 of them" in text
    # 2 +- 4.303 * 1 / sqrt(3), by Student's t.
    assert re.search(r"3\.00 \[1\.50, 2\.50\] +2\.00 \[-0\.48, 4\.48\] +yes", text)
    assert re.search(r"setting +0 +2 *\ntrain.gamma +0\.95 *\n", text)
    assert "\nTrial 2: puffer train CartPole-v1 --train.gamma 0.95\n" in text
    assert "Failed trials: 1 diverged" in text


@pytest.mark.parametrize(("most", "shown"), [(1, [4]), (2, [0, 4]), (3, [0, 2, 4]), (9, range(5))])
def test_a_narrow_table_of_settings_shows_points_along_the_front(most, shown):
    found = report.points(study_of([(i, 1 + i, {}, {}) for i in range(5)]), facts_of())
    columns = [column.header for column in report.settings_table(found, most).columns]
    assert columns == ["setting", *map(str, shown)]


def test_a_point_that_was_lucky_does_not_hold_with_fresh_seeds():
    study = study_of([(1.0, 10.0, {}, {}), (2.0, 20.0, {}, {}), (3.0, 30.0, {}, {})])
    assert [point.holds for point in report.points(study, facts_of())] == [None] * 3
    for number, scores in enumerate(([1.0, 1.2], [0.5, 1.5], [1.0, 2.0])):
        study.set_user_attr(f"confirmed:{number}", {"scores": scores})
    # Means 1.1, 1.0 and 1.5: the second costs more than the first and scores less.
    assert [point.holds for point in report.points(study, facts_of())] == [True, False, True]


def test_a_sweep_without_a_score_says_so():
    console = Console(file=io.StringIO())
    report.print_report(study_of(["killed by signal 9"] * 2), facts_of(), console)
    assert "No trial has a score." in console.file.getvalue()


def test_failures_are_counted_by_reason():
    reasons = ["diverged", "infeasible: a", "out of memory", "infeasible: b", "diverged"]
    expected = {"diverged": 2, "infeasible": 2, "out of memory": 1}
    assert report.failures(study_of(reasons)) == expected


def test_importance_finds_the_setting_that_matters():
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(60):
        rate = float(10 ** rng.uniform(-5, -1))
        params = {"train.learning_rate": rate, "log2(train.horizon)": int(rng.integers(4, 8))}
        if rng.random() < 0.5:
            params["policy.memory"] = str(rng.choice(["none", "lstm"]))
        score = -((np.log10(rate) + 3) ** 2) + 0.1 * rng.standard_normal()
        rows.append((float(score), 1.0, params, {}))
    found = report.importance(study_of(rows))
    assert next(iter(found)) == "train.learning_rate"
    assert found["train.learning_rate"] > 0.7
    assert sum(found.values()) == pytest.approx(1.0)
    assert set(found) == {"train.learning_rate", "train.horizon", "policy.memory"}
    assert report.importance(study_of(rows[:9])) == {}
