"""Learning curves show what the runs logged."""

import json
import re
import shutil
import sys

import pytest
from PIL import Image

from pufferlib.cli.main import main
from pufferlib.config import Config, EnvConfig, as_json
from pufferlib.runs.curves import curve


@pytest.fixture
def runs(tmp_path):
    """Return folders of three runs of two tasks, each of three updates."""
    folders = []
    for name, task in (("one", "squared"), ("two", "squared"), ("three", "CartPole-v1")):
        folder = tmp_path / name
        folder.mkdir()
        config = as_json(Config(env=EnvConfig(task)))
        (folder / "config.json").write_text(json.dumps(config))
        with (folder / "metrics.jsonl").open("w") as file:
            for update in range(3):
                line = {"timesteps": 1000 * update, "seconds": 2.0 * update}
                if update:
                    line["episode/episode_return"] = update**2
                file.write(json.dumps(line) + "\n")
        folders.append(str(folder))
    return folders


def test_a_curve_has_the_points_where_the_run_logged_the_metric(runs, tmp_path):
    points = curve(tmp_path / "one", "episode/episode_return", "timesteps")
    assert points == ([1000, 2000], [1, 4])
    assert curve(tmp_path / "one", "episode/episode_return", "seconds")[0] == [2, 4]


def test_a_panel_for_each_task_and_a_name_for_each_run(runs, tmp_path, capsys):
    out = tmp_path / "curve.svg"
    assert main(["plot", *runs, "--x", "seconds", "--out", str(out)]) == 0
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", out.read_text())
    for text in ("squared", "CartPole-v1", "one", "two", "three"):
        assert texts.count(text) == 1
    assert texts.count("seconds") == texts.count("episode/episode_return") == 2
    assert "Drawn" in capsys.readouterr().out


def labels(out):
    """Return the texts of a picture but for the numbers of its axes."""
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", out.read_text())
    return [text for text in texts if not re.fullmatch(r".?[\d.]+[km]?", text)]


def test_runs_of_one_name_have_a_curve_each(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for group in ("a", "b"):
        shutil.copytree("one", f"{group}/one")
    out = tmp_path / "curve.svg"
    assert main(["plot", "a/one", "b/one", "two", "./two", "--out", str(out)]) == 0
    assert labels(out) == [
        "timesteps",
        "episode/episode_return",
        "squared",
        "a/one",
        "b/one",
        "two",
    ]


def test_the_current_directory_has_its_own_name_in_the_legend(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "one")
    out = tmp_path / "curve.svg"
    assert main(["plot", ".", "--out", str(out)]) == 0
    assert labels(out) == ["timesteps", "episode/episode_return", "squared", "one"]


def test_an_incomplete_last_line_is_left_out(runs, tmp_path):
    with (tmp_path / "one" / "metrics.jsonl").open("a") as file:
        file.write('{"timesteps": 3000, "episode/epi')
    points = curve(tmp_path / "one", "episode/episode_return", "timesteps")
    assert points == ([1000, 2000], [1, 4])


@pytest.mark.parametrize("line", ["{", "3", "\xff"])
def test_damaged_metrics_are_named(runs, tmp_path, capsys, line):
    path = tmp_path / "one" / "metrics.jsonl"
    path.write_bytes(f"{line}\n".encode("latin-1") + path.read_bytes())
    assert main(["plot", *runs]) == 2
    error = capsys.readouterr().err
    assert f"{path} cannot be read as metrics" in error
    assert error.count("\n") == 1


def test_a_picture_that_cannot_be_written_is_one_clear_line(runs, tmp_path, capsys):
    (tmp_path / "file").touch()
    for ending in (".png", ".svg"):
        folder = tmp_path / f"folder{ending}"
        folder.mkdir()
        for out in (tmp_path / "file" / f"x{ending}", folder):
            assert main(["plot", *runs, "--out", str(out)]) == 2
            error = capsys.readouterr().err
            assert f"{out} cannot be written: " in error
            assert error.count("\n") == 1


def test_a_picture_has_the_colors_of_its_curves(runs, tmp_path):
    out = tmp_path / "deep" / "curve.png"
    assert main(["plot", *runs[:2], "--out", str(out)]) == 0
    colors = {color for _, color in Image.open(out).convert("RGB").getcolors(1 << 20)}
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (255, 255, 255)} <= colors


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--metric", "episode/episode_retrn"], "Did you mean 'episode/episode_return'"),
        (["--out", "curve.bmp"], "--out must end in .png, .svg, .pdf; got curve.bmp"),
    ],
)
def test_a_mistake_is_one_clear_line(runs, capsys, flags, expected):
    assert main(["plot", *runs, *flags]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_a_folder_that_is_not_a_run_is_refused(tmp_path, capsys):
    assert main(["plot", str(tmp_path)]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err


def test_a_missing_matplotlib_is_named(runs, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not there
    assert main(["plot", *runs]) == 2
    assert "matplotlib is not installed. Run: puffer install plot" in capsys.readouterr().err
