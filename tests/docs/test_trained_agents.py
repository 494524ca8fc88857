"""The pages of families show agents that were trained, where there is one, and say so."""

import importlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pufferlib import registry
from pufferlib.config import Config, EnvConfig, as_json
from pufferlib.training import Evaluation

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
    assert f"    {record['command']}\n" in re.sub(r" \\\n +", " ", page)
    assert f"trained/{family}.webp" in page
    assert "at random" not in page
    drawing = IMAGES / f"{family}.svg"
    assert drawing.exists() == record["has_curve"] == (f"trained/{family}.svg" in page)
    if record["has_curve"]:
        assert ">seed 1</text>" in drawing.read_text()


def test_the_pages_of_the_other_families_show_random_play(tool):
    pages = tool("trained_pages")
    others = set(registry.builtin_families()) - {path.stem for path in RECORDS}
    for family in others | {"a-new-family"}:
        picture = pages.picture(family, "Task-v0")
        assert f"environments/{family}.png" in picture
        assert "`Task-v0`, played at random" in picture
        assert pages.section(family) == ""


@pytest.mark.long
@pytest.mark.parametrize("family", ["classic_control", "stable_retro"])
def test_the_code_of_a_page_runs(family, tool, tmp_path):
    """Also where a process can have one environment only."""
    module = registry.load(family)
    if not module.FAMILY.is_installed:
        pytest.skip(f"the packages of {family} are missing")
    code = re.search(r"```python\n(.*?)```", tool("family_pages").page(module), re.DOTALL)[1]
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


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


RETURN, SCORE = "episode/episode_return", "selfplay/score_random"
APART, OVERLAP = "the intervals do not overlap", "the intervals overlap"


@pytest.mark.parametrize(
    ("curve", "scores", "said"),
    [
        (
            RETURN,
            {"random": [0, 2], "sampled": [3, 4], "greedy": [0, 1]},
            f"With sampled actions it is better than random play: {APART}. With its most probable "
            f"actions it is not shown to be better than random play: {OVERLAP}.",
        ),
        (
            RETURN,
            {"random": [1, 2], "sampled": [3, 4], "greedy": [0, 0]},
            f"With sampled actions it is better than random play: {APART}. With its most probable "
            f"actions it is worse than random play: {APART}.",
        ),
        (
            RETURN,
            {"random": [0, 2], "sampled": [3, 4], "greedy": [5, 6]},
            f"It is better than random play: {APART}.",
        ),
        (
            RETURN,
            {"random": [0, 2], "sampled": [1, 3], "greedy": [2, 4]},
            f"**It is not shown to be better than random play: {OVERLAP}.**",
        ),
        (
            RETURN,
            {"random": None, "sampled": None, "greedy": None},
            "**It is not shown to be better than random play: the games are too few for "
            "intervals.**",
        ),
        (
            SCORE,
            {"sampled": [0.4, 0.6], "greedy": [0.51, 0.6]},
            "With sampled actions it is not shown to be better than random play: its interval "
            "includes 0.5. With its most probable actions it is better than random play: its "
            "interval is above 0.5.",
        ),
        (
            SCORE,
            {"sampled": [0.5, 0.6], "greedy": [0.1, 0.4]},
            "**With sampled actions it is not shown to be better than random play: its interval "
            "includes 0.5. With its most probable actions it is worse than random play: its "
            "interval is below 0.5.**",
        ),
    ],
)
def test_a_page_says_with_which_actions_the_agent_is_better_than_random_play(
    curve, scores, said, tool
):
    found = {"curve": curve, "scores": {"seed-1": intervals(scores)}}
    assert tool("trained_pages").verdict(found) == said
    assert tool("trained_pages").verdict(found | {"note": "A note."}) == f"{said} A note."


def intervals(scores):
    return {name: {"mean": 0.0, "interval": ends} for name, ends in scores.items()}


def test_a_page_counts_the_agents_that_are_better(tool):
    runs = {
        "seed-1": {"random": [0, 2], "sampled": [3, 4], "greedy": [3, 4]},
        "seed-2": {"random": [0, 2], "sampled": [1, 4], "greedy": [3, 4]},
    }
    found = {"curve": RETURN, "scores": {run: intervals(runs[run]) for run in runs}}
    assert tool("trained_pages").verdict(found) == (
        "With sampled actions 1 of 2 agents are shown to be better than random play. With its most "
        f"probable actions it is better than random play: {APART}."
    )


@pytest.mark.parametrize(
    ("filmed", "is_cautious"), [("sampled", False), ("greedy", True)], ids=["better", "worse"]
)
def test_the_caption_of_a_film_is_about_the_actions_that_it_shows(
    filmed, is_cautious, tool, monkeypatch
):
    pages = tool("trained_pages")
    first = intervals({"random": [1, 2], "sampled": [3, 4], "greedy": [0, 0]})
    second = intervals({"random": [1, 2], "sampled": [0, 0], "greedy": [3, 4]})
    film = {"actions": filmed, "steps": 5, "return": 1.0, "has_ended": True}
    found = {"task": "squared", "scores": {"seed-1": first, "seed-2": second}, "film": film}
    monkeypatch.setattr(pages, "record", lambda family: found)
    caption = pages.picture("ocean", "squared")
    assert ("do not show" in caption) == is_cautious
    assert "5 steps, a return of\n1.00." in caption
    first["random"]["agents"] = 6
    assert "5 steps, the first agent's return was\n1.00." in pages.picture("ocean", "squared")


@pytest.mark.parametrize(
    ("games", "agents", "counted", "has_interval"),
    [
        (2, 162, "2 games of 162 agents", False),
        (7, 1, "7 episodes", False),
        (8, 3, "8 games of 3 agents", True),
        (32, 1, "32 episodes", True),
    ],
)
def test_games_are_counted_and_not_their_agents(games, agents, counted, has_interval, tool):
    rows = games * agents
    of_row = np.repeat(np.arange(games), agents)
    result = Evaluation(of_row.astype(float), np.full(rows, 5), of_row)
    trained_agents = tool("trained_agents")
    summary = trained_agents.summary(result)
    assert trained_agents.counted(summary) == counted
    assert summary["mean"] == (games - 1) / 2
    assert (summary["interval"] is not None) == has_interval
    table = tool("trained_pages")._table({"seed-1": {"random": summary}})
    assert ("too few games" in table) != has_interval


@pytest.mark.parametrize(("levels", "has_curve"), [(4, False), (5, True)])
def test_a_curve_of_few_values_is_not_drawn(levels, has_curve, tool, tmp_path):
    pytest.importorskip("matplotlib")
    run = tmp_path / "a-folder"
    run.mkdir()
    (run / "config.json").write_text(json.dumps(as_json(Config(env=EnvConfig("squared")))))
    lines = [{"timesteps": step, RETURN: float(step % levels)} for step in range(20)]
    (run / "metrics.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    out = tmp_path / "curve.svg"
    out.write_text("that of an earlier training")
    assert tool("trained_agents").draw_curve(run, RETURN, out) == has_curve
    assert out.exists() == has_curve
    if has_curve:
        assert ">seed 1</text>" in out.read_text()


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
    ("changed", "says"),
    [
        ({}, "a processor, commit 01234567. {download}"),
        ({"is_dirty": True}, "commit 01234567 with changes not committed then. {download}"),
        ({"commit": None, "is_dirty": None}, "a processor. {download}"),
        (
            {"command": "python examples/demo.py --seconds 600"},
            "depends on the machine. {download}",
        ),
        ({"cpu_seconds": [7, 8]}, " took 7 and 8 CPU seconds;"),
        ({"cpu_seconds": [7], "is_cpu_estimated": True}, " took about 7 CPU seconds;"),
    ],
)
def test_a_page_says_what_the_training_took_and_which_commit_it_was(changed, says, tool):
    assert says in tool("trained_pages")._facts("squared", FACTS | changed)


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


def test_a_film_that_cannot_fit_is_refused(tool, tmp_path, monkeypatch):
    pytest.importorskip("PIL.Image")
    animation = tool("animation")
    monkeypatch.setattr(animation, "MOST_BYTES", 20)
    frames = [np.full((8, 8, 3), value, np.uint8) for value in (0, 255)]
    with pytest.raises(ValueError, match="more than 20 bytes"):
        animation.write_animation(tmp_path / "film.webp", frames, 4)
    assert not (tmp_path / "film.webp").exists()


def test_small_things_keep_their_color_in_a_still(tool):
    image = pytest.importorskip("PIL.Image")
    rows, columns = np.mgrid[0:200, 0:200]
    dark = np.stack([20 + rows // 8, 15 + columns // 8, 10 + (rows + columns) // 16], -1)
    dark[50:52, 50:53] = 255, 30, 30  # shots, of six pixels
    dark[90:92, 20:23] = 40, 80, 255
    shown = image.fromarray(dark.astype(np.uint8))
    still = np.asarray(tool("trained_agents").few_colors(shown).convert("RGB")).astype(int)
    for row, column in ((50, 50), (90, 20)):
        assert np.abs(still[row, column] - dark[row, column]).max() < 32


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


def test_a_run_without_metrics_is_refused(tool, tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(ValueError, match="has no metrics"):
        tool("trained_agents").metrics(tmp_path)


def test_cpu_seconds_are_those_logged_or_follow_from_the_share_of_the_cores(tool):
    used = [{"seconds": 10.0}, {"seconds": 30.0}]
    shares = [line | {"utilization/cpu_percent": 25.0 * (i + 1)} for i, line in enumerate(used)]
    cpu_seconds = tool("trained_agents").cpu_seconds
    assert cpu_seconds([used[0], used[1] | {"cpu_seconds": 7.0}], 2) == 7
    assert cpu_seconds(shares, 2) == 2 * (0.25 * 10 + 0.5 * 20)
