"""The pages of families show agents that were trained, where there is one, and say so."""

import importlib
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from pufferlib import registry

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools" / "docs"
IMAGES = ROOT / "docs" / "images" / "trained"
RECORDS = sorted((ROOT / "docs" / "records" / "trained").glob("*.json"))


@pytest.fixture
def tool(monkeypatch):
    """Return a function that imports a module of tools/docs."""
    monkeypatch.syspath_prepend(str(TOOLS))
    yield importlib.import_module
    for path in TOOLS.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_has_its_pictures_and_a_page(path, tool):
    image = pytest.importorskip("PIL.Image")
    record, family = json.loads(path.read_text()), path.stem
    assert record["task"] in registry.load(family).FAMILY.tasks
    assert record["command"].startswith(("puffer train", "python examples/"))
    film = image.open(IMAGES / f"{family}.webp")
    assert 2 <= film.n_frames <= 150
    assert (IMAGES / f"{family}.webp").stat().st_size <= 300_000
    first = np.asarray(film.convert("RGB"))
    film.seek(film.n_frames - 1)
    assert (np.asarray(film.convert("RGB")) != first).any()
    still = np.asarray(image.open(IMAGES / f"{family}.png").convert("RGB"))
    assert still.shape == first.shape
    page = tool("family_pages").page(registry.load(family))
    for expected in (record["command"], f"trained/{family}.webp", f"trained/{family}.svg"):
        assert expected in page
    assert "at random" not in page


def test_the_pages_of_the_other_families_show_random_play(tool):
    pages = tool("trained_pages")
    others = set(registry.builtin_families()) - {path.stem for path in RECORDS}
    for family in others | {"a-new-family"}:
        picture = pages.picture(family, "Task-v0")
        assert f"environments/{family}.png" in picture
        assert "`Task-v0`, played at random" in picture
        assert pages.section(family) == ""


def test_every_family_has_its_speeds(tool):
    speed = tool("family_pages")._speed
    for family in registry.builtin_families():
        assert "| Multiprocessing | " in speed(family, "Task-v0")
    assert re.search(r"\| bare \| [\d,]+ \(1\.00\) \|", speed("atari", "Task-v0"))
    assert "| bare |" not in speed("magent", "Task-v0")
    assert speed("no-family", "Task-v0") == ""


def test_a_table_compares_each_seed_with_random_play(tool):
    def result(mean):
        return {"mean": mean, "interval": [mean - 1, mean + 1], "length": 5.0}

    scores = {
        "seed-1": {"random": result(3), "sampled": result(10), "greedy": result(11)},
        "seed-2": {"random": result(3), "sampled": result(20), "greedy": result(21)},
    }
    assert tool("trained_pages")._table(scores).splitlines()[2:] == [
        "| random actions | 3.00 | 2.00, 4.00 |",
        "| trained, sampled actions, seed 1 | 10.00 | 9.00, 11.00 |",
        "| trained, most probable actions, seed 1 | 11.00 | 10.00, 12.00 |",
        "| trained, sampled actions, seed 2 | 20.00 | 19.00, 21.00 |",
        "| trained, most probable actions, seed 2 | 21.00 | 20.00, 22.00 |",
    ]


@pytest.mark.parametrize(
    ("curve", "scores", "starts"),
    [
        (
            "episode/episode_return",
            {"random": [0, 2], "greedy": [1, 3], "sampled": [3, 4]},
            "It is",
        ),
        ("episode/episode_return", {"random": [0, 2], "greedy": [1, 3], "sampled": [2, 4]}, "**By"),
        ("selfplay/score_random", {"greedy": [0.51, 0.6], "sampled": [0.4, 0.6]}, "It is"),
        ("selfplay/score_random", {"greedy": [0.5, 0.6], "sampled": [0.4, 0.6]}, "**By"),
    ],
)
def test_a_page_says_whether_the_agent_is_better_than_random_play(curve, scores, starts, tool):
    intervals = {name: {"interval": ends} for name, ends in scores.items()}
    found = {"curve": curve, "scores": {"seed-1": intervals}}
    assert tool("trained_pages").verdict(found).startswith(starts)
    assert tool("trained_pages").verdict(found | {"note": "A note."}).endswith(" A note.")


FACTS = {
    "scores": {"seed-1": {}},
    "cpu_seconds": [],
    "timesteps": 1000,
    "date": "2026-11-30",
    "machine": "a processor",
    "commit": "0123456789abcdef",
    "command": "puffer train squared",
    "is_dirty": False,
}


@pytest.mark.parametrize(
    ("changed", "says_commit", "says_time"),
    [
        ({}, True, False),
        ({"is_dirty": True}, False, False),  # no commit has the code that trained it
        ({"commit": None, "is_dirty": None}, False, False),
        ({"command": "python examples/demo.py --seconds 600"}, True, True),
    ],
)
def test_a_page_says_which_commit_trained_it_and_whether_its_time_was_limited(
    changed, says_commit, says_time, tool
):
    facts = tool("trained_pages")._facts("squared", FACTS | changed)
    assert ("commit 01234567" in facts) == says_commit
    assert ("depends on the machine" in facts) == says_time


@pytest.mark.parametrize(
    ("steps", "fps", "frames", "first_ms"),
    [
        (9, 30, 9, 333),  # three seconds for nine frames, not a third of one
        (2, 30, 2, 400),
        (100, 20, 100, 50),  # as fast as the environment says
        (1000, 20, 125, 96),  # every eighth, in twelve seconds and not in fifty
    ],
)
def test_a_film_is_neither_too_long_nor_too_short(steps, fps, frames, first_ms, tool, tmp_path):
    image = pytest.importorskip("PIL.Image")
    shown = (np.full((8, 700, 3), 255 * index // steps, np.uint8) for index in range(steps))
    still = tool("animation").write_animation(tmp_path / "film.webp", shown, fps)
    assert still.size == (480, 6)
    film = image.open(io.BytesIO((tmp_path / "film.webp").read_bytes()))
    durations = []
    for index in range(film.n_frames):
        film.seek(index)
        film.load()
        durations.append(film.info["duration"])
    assert len(durations) == frames
    assert durations[0] == first_ms
    assert durations[-1] == 1500


def test_the_empty_margins_of_text_are_cut(tool, tmp_path):
    pytest.importorskip("PIL.Image")
    screens = np.zeros((4, 200, 800, 3), np.uint8)
    for index, screen in enumerate(screens):  # letters in rows 50 to 99, columns 300 to 399
        screen[50:100, 300 + 25 * index : 325 + 25 * index] = 255
    still = tool("animation").write_animation(tmp_path / "film.webp", screens, 4, is_text=True)
    assert still.size == (2 * (100 + 16), 2 * (50 + 16))


def test_noise_is_compressed_until_it_fits(tool, tmp_path):
    pytest.importorskip("PIL.Image")
    generator = np.random.default_rng(0)
    noise = [generator.integers(0, 256, (120, 160, 3), np.uint8) for _ in range(16)]
    animation = tool("animation")
    animation.write_animation(tmp_path / "film.webp", noise, 4)
    assert (tmp_path / "film.webp").stat().st_size <= animation.MOST_BYTES
    assert sum(frame.nbytes for frame in noise) > 3 * animation.MOST_BYTES


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (
            ["-m", "pufferlib.cli", "train", "squared", "--run", "a run", "--env.kwargs.a", "(1,)"],
            "puffer train squared --env.kwargs.a '(1,)'",
        ),
        (
            ["examples/demo.py", "--seconds", "600", "--run", "/tmp/demo"],
            "python examples/demo.py --seconds 600",
        ),
    ],
)
def test_the_command_of_a_record_has_no_paths_of_this_machine(words, command, tool):
    assert tool("trained_agents").command_of(["/usr/bin/python3", *words]) == command
