"""Pictures of families: each shows more than one color."""

from pathlib import Path

import numpy as np
import pytest

from pufferlib import registry
from pufferlib.cli import main

PICTURES = Path(__file__).parents[2] / "docs" / "images" / "environments"


@pytest.mark.long
def test_families_of_each_kind_are_drawn(tmp_path, capsys, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    samples = {"classic_control": "CartPole-v1", "ocean": "squared", "nethack": "NetHackScore-v0"}
    monkeypatch.setattr("pufferlib.registry.installed_samples", lambda: samples)
    assert main(["envs", "--gallery", str(tmp_path / "pictures")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == list(samples.values())
    for family in samples:
        picture = np.asarray(image.open(tmp_path / "pictures" / f"{family}.png").convert("RGB"))
        assert picture.shape[1] <= 480
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1


@pytest.mark.parametrize(
    ("name", "file", "task"),
    [
        ("classic_control", "classic_control.png", "CartPole-v1"),  # its first sample
        ("bsuite/catch-v0", "bsuite-catch-v0.png", "bsuite/catch-v0"),
    ],
)
def test_only_the_named_family_or_task_is_drawn(tmp_path, capsys, name, file, task):
    pytest.importorskip("PIL.Image")
    assert main(["envs", name, "--gallery", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert capsys.readouterr().out.split() == [f"{tmp_path / file}:", task]


@pytest.mark.parametrize("family", registry.builtin_families())
def test_the_picture_in_the_docs_shows_something(family):
    image = pytest.importorskip("PIL.Image")
    picture = np.asarray(image.open(PICTURES / f"{family}.png").convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1
