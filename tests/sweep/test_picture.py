"""The picture of a sweep shows every kind of trial, and says so in its legend."""

import xml.etree.ElementTree

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from pufferlib.exceptions import ArgumentError
from pufferlib.sweep.picture import draw_front


def a_study(confirmed=True):
    study = optuna.create_study(directions=["maximize", "minimize"])
    for score, cost in ((200, 30), (100, 10), (450, 40), (50, 90), (-1e9, 20)):
        curve = [[cost / 2, score / 3], [cost, score]]
        study.add_trial(create_trial(values=(score, cost), user_attrs={"curve": curve}))
    failed = {"cpu_s": 15.0}
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs=failed))
    study.add_trial(create_trial(state=TrialState.FAIL))  # never started
    if confirmed:
        study.set_user_attr("confirmed:1", {"scores": [90.0, 95.0, 99.0]})
        study.set_user_attr("confirmed:2", {"scores": [400.0, 300.0]})
        study.set_user_attr("confirmed:0", {"scores": []})
    return study


def texts(path):
    root = xml.etree.ElementTree.parse(path).getroot()
    return ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_everything_is_drawn_and_named(tmp_path):
    path = tmp_path / "new" / "front.svg"
    draw_front(a_study(), "CartPole-v1", path)
    found = texts(path)
    legend = ["trial", "learning curve", "front", "with fresh seeds", "preset", "failed"]
    assert set(legend) <= set(found)
    assert all(found.count(name) == 1 for name in legend)
    assert {"CartPole-v1", "CPU seconds of training", "score (mean return)"} <= set(found)
    assert {"0", "1", "2"} <= set(found)  # the front's trials
    assert "1e9" not in "".join(found)  # far below the others, and not what the axis is for
    before = path.read_bytes()
    draw_front(a_study(), "CartPole-v1", path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("study", [a_study(False), optuna.create_study()], ids=["plain", "empty"])
def test_what_is_not_there_is_not_named(study, tmp_path):
    draw_front(study, "a task", tmp_path / "front.svg")
    assert "with fresh seeds" not in texts(tmp_path / "front.svg")


@pytest.mark.parametrize(
    "costs", [(5.410338541002129, 5.41033854100213), (0.1, 0.1), (0.0, 0.1), (0.0, 0.0)]
)
def test_costs_that_are_equal_nearly_so_or_0_are_drawn(costs, tmp_path):
    study = optuna.create_study(directions=["maximize", "minimize"])
    for score, cost in enumerate(costs):
        study.add_trial(create_trial(values=(score, cost), user_attrs={"curve": [[cost, score]]}))
    draw_front(study, "a task", tmp_path / "front.svg")
    assert {"preset", "front"} <= set(texts(tmp_path / "front.svg"))
    failed = optuna.create_study(directions=["maximize", "minimize"])
    for cost in costs:
        failed.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"cpu_s": cost}))
    draw_front(failed, "a task", tmp_path / "failed.svg")
    assert "failed" in texts(tmp_path / "failed.svg")


def test_a_picture_in_an_unknown_format_or_place_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"must end in \.png, \.svg, \.pdf; got .*front\.gif"):
        draw_front(a_study(), "a task", tmp_path / "front.gif")
    (tmp_path / "file").touch()
    with pytest.raises(ArgumentError, match="cannot be written"):
        draw_front(a_study(), "a task", tmp_path / "file" / "front.svg")
