"""Matchmakers weigh members as their formulas say."""

import numpy as np
import pytest

from pufferlib.exceptions import SettingError
from pufferlib.rating import Game
from pufferlib.selfplay.config import SelfPlayConfig, load_players
from pufferlib.selfplay.matchmaking import MATCHMAKERS, Candidate
from pufferlib.selfplay.scores import Scores

POOL = [Candidate(300, 0.5, 100.0), Candidate(100, 0.9, -100.0), Candidate(200, 0.25, 500.0)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("latest", [1, 0, 0]),
        ("uniform", [1, 1, 1]),
        ("pfsp-hard", [0.25, 0.01, 0.5625]),
        ("pfsp-variance", [0.25, 0.09, 0.1875]),
        # exp(-d^2 / (4 * 200^2)) of the differences 0, 200 and 400
        ("near", [1, 0.7788007830714049, 0.36787944117144233]),
    ],
)
def test_weights_are_those_of_the_formula(name, expected):
    np.testing.assert_allclose(MATCHMAKERS[name](POOL, 100.0), expected)


def test_the_latest_member_is_one_of_the_runs_own_if_there_is_one():
    others = [Candidate(9000, 0.5, is_kept=True), Candidate(8000, 0.5, is_kept=True)]
    own = [Candidate(100, 0.5), Candidate(200, 0.5)]
    assert MATCHMAKERS["latest"](others + own, None).tolist() == [0, 0, 0, 1]
    assert MATCHMAKERS["latest"](others, None).tolist() == [1, 0]


def test_without_ratings_all_members_are_as_near():
    unrated = [Candidate(0, 0.5), Candidate(1, 0.5)]
    assert MATCHMAKERS["near"](unrated, None).tolist() == [1, 1]
    assert MATCHMAKERS["near"](unrated, 1000.0).tolist() == [1, 1]


def test_a_win_rate_is_over_the_latest_games_with_each_other_side_and_on_each_own():
    scores = Scores(window=4)
    for rank in (1, 1, 1, 2, 3, 2):  # of the learner, among three
        others = [other for other in (1, 2, 3) if other != rank]
        ranks = (others[0], rank, others[1])
        scores.add(Game("task", ("old", "learner", "older"), (0.0,) * 3, ranks, 1), "learner")
    scores.add(Game("task", ("learner", "tied"), (0.0, 0.0), (1, 1), 1), "learner")
    # Against "old" its latest four are a win, a loss, a loss, a loss; "older" is always behind
    # but where the learner was last.
    assert scores.win_rate("old", 1) == (1 + 1) / (4 + 2)
    assert scores.win_rate("older", 1) == (3 + 1) / (4 + 2)
    assert scores.win_rate("tied", 0) == (0.5 + 1) / (1 + 2)
    assert scores.win_rate("tied", 1) == scores.win_rate("unmet", 0) == 0.5
    assert scores.sides == [0, 1]
    assert scores.mean(["old", "tied"], 0) == 0.5
    assert scores.mean(["old", "tied"], 1) == 1 / 4
    assert scores.mean(["old", "older"]) == 4 / 8
    assert scores.mean(["unmet"]) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uniform", {"uniform": 0.95, "random": 0.05}),
        ("uniform,random:0", {"uniform": 1}),
        ("pfsp-hard:2, latest:1,random:1", {"pfsp-hard": 0.5, "latest": 0.25, "random": 0.25}),
        ("a.b:C:0.5,near:0.5,random:0", {"a.b:C": 0.5, "near": 0.5}),
        ("x.py:C,random:0", {"x.py:C": 1}),
    ],
)
def test_a_mixture_gives_each_kind_its_share(text, expected):
    assert SelfPlayConfig(opponents=text).mixture() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"opponents": "pfsp"}, "got 'pfsp'. Did you mean"),
        ({"opponents": "uniform:-1"}, "shares of at least 0; got -1.0 for uniform"),
        ({"opponents": "uniform:0"}, "above 0 to an opponent.*use none"),
        ({"opponents": "uniform:nan"}, "shares of at least 0"),
        ({"opponents": ""}, "got ''"),
        ({"opponents": "uniform,random,uniform:2"}, "once; got .* in which uniform occurs 2 times"),
        ({"opponents": "latest", "first": "runs/old"}, "first has no effect .*opponents latest"),
        ({"opponents": "random", "first": "runs/old"}, "first has no effect .*opponents random"),
        ({"self_share": 1.5}, r"self_share must lie within \[0, 1\); got 1.5"),
        ({"self_share": 1.0}, "no game against opponents"),
        ({"pool_size": 1}, "pool_size must be at least 2; got 1"),
        ({"active": 0}, "active must be at least 1; got 0"),
        ({"window": 0}, "window must be at least 1; got 0"),
        ({"snapshot_interval": 0}, "snapshot_interval must be at least 1; got 0"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        SelfPlayConfig(**settings).check()


def test_two_scripts_of_one_name_are_refused(tmp_path):
    names = []
    for folder in ("one", "two"):
        file = tmp_path / folder / "mine.py"
        file.parent.mkdir()
        file.write_text("def player(observation): return 0\n")
        names.append(f"{file}:player")
    assert list(load_players({names[0]: 1.0})) == ["mine.py:player"]
    with pytest.raises(SettingError, match=r"different names; two are mine\.py:player"):
        load_players(dict.fromkeys(names, 0.5))
