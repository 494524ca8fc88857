"""Gymnasium's wrappers that render show around our vectorizers what they show around its own."""

import sys

import numpy as np
import pytest
from gymnasium.wrappers import vector as wrappers
from gymnasium_parity import MODES, Wave, of_gymnasium, steps_of

from pufferlib import vector
from pufferlib.vector import to_gymnasium

pytestmark = pytest.mark.leaves_threads  # of pygame


@pytest.fixture(autouse=True, scope="module")
def close_what_earlier_tests_opened():
    """End pygame, whose descriptors would be closed with the first window."""
    if "pygame" in sys.modules:
        sys.modules["pygame"].quit()


def both(autoreset):
    """Return our vectorizer and Gymnasium's of three environments."""
    ours = vector.make(Wave, num_envs=3, autoreset=autoreset)
    return to_gymnasium(ours), of_gymnasium([Wave] * 3, autoreset)


@pytest.mark.parametrize("autoreset", MODES)
def test_a_window_shows_the_pictures_that_gymnasium_shows(autoreset, monkeypatch):
    pygame = pytest.importorskip("pygame")
    pytest.importorskip("cv2")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pictures = []
    for envs in both(autoreset):
        window, seen = wrappers.HumanRendering(envs), []
        assert window.render_mode == "human"
        for _ in steps_of(window, [np.zeros((3, 2), np.float32)] * 20, 7, autoreset):
            seen.append(pygame.surfarray.array3d(window.window).tobytes())
        pictures.append(seen)
        window.close()
    assert pictures[0] == pictures[1]
    assert len(set(pictures[0])) > 10


@pytest.mark.filterwarnings("ignore:.*same-step:UserWarning")
@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # moviepy's, if not compiled yet
@pytest.mark.parametrize("autoreset", MODES)
def test_videos_have_the_frames_that_gymnasium_s_have(autoreset, tmp_path, monkeypatch):
    pytest.importorskip("moviepy")
    videos = []
    for which, envs in enumerate(both(autoreset)):
        recorder = wrappers.RecordVideo(
            envs, str(tmp_path / str(which)), episode_trigger=lambda episode: episode % 2 == 0
        )
        frames = []

        def stop(recorder=recorder, frames=frames):  # moviepy would start a program for each video
            frames.append([frame.tobytes() for frame in recorder.recorded_frames])
            recorder.recorded_frames, recorder.recording = [], False

        monkeypatch.setattr(recorder, "stop_recording", stop)
        for _ in steps_of(recorder, [np.zeros((3, 2), np.float32)] * 60, 7, autoreset):
            pass
        recorder.close()
        videos.append(frames)
    assert videos[0] == videos[1]
    assert len(videos[0]) > 1
