"""Films of episodes, decoded again."""

import re
from contextlib import closing

import cv2
import gymnasium
import numpy as np
import pytest
import torch
from PIL import Image

from pufferlib.cli.main import main
from pufferlib.exceptions import ArgumentError
from pufferlib.runs.video import Letters, as_frames, write_video

pytestmark = pytest.mark.leaves_threads  # pygame's timer


def decoded(path):
    """Return frames (count, height, width, 3), and the seconds that each is shown."""
    if path.suffix == ".gif":
        frames, seconds = [], []
        with Image.open(path) as image:
            for index in range(image.n_frames):
                image.seek(index)
                frames.append(np.asarray(image.convert("RGB")))
                seconds.append(image.info["duration"] / 1000)
        return np.stack(frames), seconds
    video = cv2.VideoCapture(str(path))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1][..., ::-1])  # from blue, green, red
    return np.stack(frames), [1 / video.get(cv2.CAP_PROP_FPS)] * len(frames)


def printed(text):
    """Return frames, frames per second and return as `puffer eval` printed them."""
    found = re.search(r"Filmed .*: (\d+) frames at (\S+) per second, return (\S+)", text)
    return int(found[1]), float(found[2]), float(found[3].rstrip(","))


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
@pytest.mark.parametrize(
    ("task", "size", "fps"),
    # Of NetHack's map 21 lines of 79 letters are drawn; it asks for a frame in 24 ms, as a GIF
    # cannot have: 42 a second are 50.
    [("CartPole-v1", (400, 600), 50), ("NetHackScore-v0", None, 42)],
)
def test_a_film_has_a_frame_for_each_step(tmp_path, capsys, monkeypatch, task, size, fps, suffix):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    path = tmp_path / f"film{suffix}"
    flags = ["--vec.backend", "Serial", "--episodes", "2", "--video", str(path)]
    if task == "NetHackScore-v0":
        flags += ["--env.kwargs.max-episode-steps", "60"]
    assert main(["eval", task, *flags]) == 0
    count, printed_fps, total = printed(capsys.readouterr().out)
    frames, seconds = decoded(path)
    assert printed_fps == pytest.approx(fps if suffix == ".mp4" else 50)
    # A GIF shows one frame for longer where the next is the same.
    assert round(sum(seconds) * printed_fps) == count
    assert len(frames) == count or suffix == ".gif"
    if task == "CartPole-v1":
        assert total == count  # a reward of 1 in each step
    height, width = frames.shape[1:3]
    if size is None:
        assert 1.5 < width / height < 2.5
        assert (height // 2, width // 2) >= (21 * 8, 79 * 4)
    else:
        assert (height, width) == size
    assert all(len(np.unique(frame)) > 1 for frame in frames)  # something is drawn in each
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 100  # and something moves


@pytest.mark.parametrize("actions", ["sampled", "greedy"])
def test_the_film_is_of_the_policy_in_the_checkpoint(tmp_path, capsys, monkeypatch, actions):
    monkeypatch.chdir(tmp_path)
    small = ["--vec.backend", "Serial", "--vec.num-envs", "2", "--train.horizon", "8"]
    assert (
        main(["train", "CartPole-v1", "--run", "run", *small, "--train.total-timesteps", "64"]) == 0
    )
    path = tmp_path / "run" / "checkpoint.pt"
    state = torch.load(path)
    left = torch.tensor([1e4, 0.0]) if actions == "sampled" else torch.tensor([0.01, 0.0])
    state["policy"]["decoder.layer.weight"][:] = 0
    state["policy"]["decoder.layer.bias"][:] = left
    torch.save(state, path)
    with closing(gymnasium.make("CartPole-v1")) as env:
        env.reset(seed=7)
        count = 1 + next(step for step in range(500) if env.step(0)[2])
    flags = ["--checkpoint", str(path), "--episodes", "2", "--seed", "7", "--video", "film.mp4"]
    flags += ["--greedy"] if actions == "greedy" else []
    assert main(["eval", "CartPole-v1", *flags]) == 0
    assert printed(capsys.readouterr().out) == (count, 50, count)
    assert len(decoded(tmp_path / "film.mp4")[0]) == count


@pytest.mark.long
def test_one_game_of_a_native_family_is_filmed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ["--vec.backend", "Serial", "--episodes", "2", "--video", "film.mp4"]
    flags += ["--env.kwargs.num-threads", "1"]
    assert main(["eval", "ALE/Breakout-v5", *flags]) == 0  # 16 games, by its preset
    frames, _ = decoded(tmp_path / "film.mp4")
    assert frames.shape[1] * 160 == frames.shape[2] * 210  # the screen of an Atari, enlarged
    assert len(frames) == printed(capsys.readouterr().out)[0]


def test_native_environments_are_filmed_as_text(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "film.gif"
    flags = ["--vec.backend", "Serial", "--episodes", "2", "--video", str(path)]
    assert main(["eval", "squared", *flags]) == 0
    assert printed(capsys.readouterr().out)[0] == 3  # an episode of Squared has three steps
    frames, _ = decoded(path)
    assert len(frames) == 3
    assert (frames != frames[:1]).any((1, 2, 3)).tolist() == [False, True, True]


def test_each_letter_is_drawn_in_its_own_cell_and_color():
    letters = Letters("ab\ncd")
    picture = letters.draw("\x1b[31mM\x1b[0m \n \x1b[42mM")
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    cells = picture.reshape(2, height, 2, width, 3).swapaxes(1, 2)
    assert (cells[0, 1] == picture[0, -1]).all()  # a blank is the background
    assert (cells[1, 0] == picture[0, -1]).all()
    red = cells[0, 0].reshape(-1, 3).max(0)
    assert red[0] >= 128 > red[1]
    behind = np.median(cells[1, 1].reshape(-1, 3), 0)
    assert behind[1] >= 128 > behind[0]


def test_text_beyond_the_first_size_is_cut_off():
    letters = Letters("ab\ncd")
    assert letters.draw("abcdefg\n\n\nh").shape == letters.draw("ab").shape


def test_small_pictures_are_enlarged_to_even_sides():
    shades = np.arange(84 * 85, dtype=np.uint16).reshape(84, 85).astype(np.uint8)
    (frame,) = as_frames([shades])
    assert frame.shape == (336, 340, 3)
    assert (frame[::4, ::4, 1] == shades).all()
    odd = np.zeros((301, 303, 4), np.uint8)
    assert next(as_frames([odd])).shape == (302, 304, 3)


def test_frames_that_cannot_be_filmed_are_refused(tmp_path, capsys):
    with pytest.raises(ArgumentError, match=r"render\(\) returned NoneType"):
        list(as_frames([None]))
    different = [np.zeros((300, 300, 3), np.uint8), np.zeros((300, 400, 3), np.uint8)]
    with pytest.raises(ArgumentError, match="frame 1 is"):
        write_video(tmp_path / "film.gif", different, 10)
    (tmp_path / "folder.gif").mkdir()
    for path, expected in (
        (tmp_path / "film.avi", "--video must end in .mp4 or .gif"),
        (tmp_path / "no" / "film.gif", "there is no folder"),
        (tmp_path / "folder.gif", "folder.gif is a folder. Name a file"),
    ):
        assert main(["eval", "squared", "--video", str(path)]) == 2
        captured = capsys.readouterr()
        assert expected in captured.err
        assert "steps per episode" not in captured.out  # before anything was played
