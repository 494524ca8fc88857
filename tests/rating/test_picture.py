"""The picture shows ratings best first, and the payoff matrix."""

import re
import sys

import numpy as np
import pytest
from PIL import Image
from rating_games import meetings, round_robin

from pufferlib.exceptions import ArgumentError, NotInstalledError
from pufferlib.rating import draw, fit


def texts(path):
    found = re.findall(r"<text[^>]*>([^<]+)</text>", path.read_text())
    return [text.replace("&#8230;", "…") for text in found]


def test_names_ratings_and_results_are_drawn_best_first(tmp_path):
    games = meetings("a", "random", wins=70, ties=20, losses=10)
    games += meetings("a", "b", wins=26, losses=14) + meetings("b", "random", wins=30, losses=8)
    ratings = fit(games)
    draw(ratings, tmp_path / "picture.svg")
    shown = texts(tmp_path / "picture.svg")
    assert [text for text in shown if re.match(r"(a|b|random) ", text)] == [
        *("a   1", "b   2", "random   3"),
    ]
    for text in ("80", "20", "65", "35", "79", "21"):  # percent
        assert text in shown
    assert [shown.count(f"n={games}") for games in (100, 40, 38)] == [2, 2, 2]
    best = ratings.players[0]
    assert f"{best.rating:.0f}  [{best.low:.0f}, {best.high:.0f}]" in shown
    assert "Elo points (random = 0)" in shown
    assert sum("Advantage of side 0" in text for text in shown) == 1
    assert not any("cannot" in text for text in shown)


def test_what_ratings_cannot_say_is_written_below(tmp_path):
    games = meetings("c", "d", wins=4)
    for one, two in (("rock", "scissors"), ("scissors", "paper"), ("paper", "rock")):
        games += meetings(one, two, wins=150, losses=50)
    draw(fit(games), tmp_path / "new" / "picture.svg")
    shown = " ".join(texts(tmp_path / "new" / "picture.svg"))
    assert "Ratings cannot describe these games" in shown
    assert "No games connect the players above and below a dashed line" in shown
    assert "Elo points (mean = 0)" in shown


def test_long_names_are_shortened_where_they_stay_different(tmp_path):
    long, other = (
        "runs_of_a_very_long_name_indeed@1000000",
        "runs_of_a_very_long_name_indeed@2000000",
    )
    draw(fit(meetings(long, other, wins=6, losses=4)), tmp_path / "short.svg")
    assert "runs_of_a_ver…indeed@1000000   1" in texts(tmp_path / "short.svg")
    same = long.replace("_name_", "_word_")
    draw(fit(meetings(long, same, wins=6, losses=4)), tmp_path / "whole.svg")
    assert {f"{long}   1", f"{same}   2"} < set(texts(tmp_path / "whole.svg"))


@pytest.mark.parametrize("count", [2, 13])
def test_pictures_have_the_size_of_their_matrix(count, tmp_path):
    strengths = {f"player_{i}": 40.0 * i for i in range(count)}
    ratings = fit(round_robin(np.random.default_rng(0), strengths, 2))
    draw(ratings, tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as image:
        assert image.width > 900
        assert image.height > 40 * count
        corner = image.convert("RGB").crop((0, 0, image.width, 5))
        assert corner.getextrema() == ((255, 255),) * 3  # nothing is cut off at the top


def test_what_cannot_be_drawn_is_refused(tmp_path, monkeypatch):
    ratings = fit(meetings("a", "b", wins=6, losses=4))
    with pytest.raises(ArgumentError, match=r"must end in \.png, \.svg, \.pdf; got .*ratings\.txt"):
        draw(ratings, tmp_path / "ratings.txt")
    (tmp_path / "file").touch()
    with pytest.raises(ArgumentError, match=r"cannot be written: .*Name another file"):
        draw(ratings, tmp_path / "file" / "ratings.svg")
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not there
    with pytest.raises(NotInstalledError, match=r"matplotlib is not installed\. Run: puffer"):
        draw(ratings, tmp_path / "ratings.svg")
