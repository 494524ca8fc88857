"""Images are shrunk by means, and a Dict keeps its other parts."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from pufferlib.exceptions import ArgumentError
from pufferlib.registry._images import Preprocessed, preprocessed


class Bright:
    """In place of a generator: draws nothing but the largest byte."""

    def integers(self, high, size, dtype):
        return np.full(size, high - 1, dtype)


class Pictures(gymnasium.Env):
    """Observes random images in a Dict; keeps them."""

    action_space = Discrete(2)

    def __init__(self, shape=(12, 8, 3)):
        self.observation_space = Dict(screen=Box(0, 255, shape, np.uint8), health=Box(0, 1, (2,)))
        self.shown = []

    def _observe(self):
        space = self.observation_space["screen"]
        image = self.np_random.integers(256, size=space.shape, dtype=np.uint8)
        self.shown.append(image)
        return {"screen": image, "health": np.full(2, 0.5, np.float32)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observe(), {}

    def step(self, action):
        return self._observe(), 1.0, False, False, {}


def test_a_pixel_is_the_mean_of_those_it_stands_for():
    inside = Pictures()
    env = Preprocessed(inside, shrink=4)
    observation, _ = env.reset(seed=0)
    (image,) = inside.shown
    expected = image.reshape(3, 4, 2, 4, 3).mean((1, 3))
    np.testing.assert_array_equal(observation["screen"], np.floor(expected))
    np.testing.assert_array_equal(observation["health"], [0.5, 0.5])
    assert observation in env.observation_space


@pytest.mark.parametrize("shrink", [16, 17, 34])
def test_the_mean_of_many_bright_pixels_is_bright(shrink):
    env = Preprocessed(Pictures((68 if shrink > 16 else 64, shrink, 3)), shrink=shrink)
    env.env.np_random = Bright()
    assert (env.reset()[0]["screen"] == 255).all()


def test_the_stack_starts_with_the_first_frame_and_what_was_returned_stays():
    inside = Pictures()
    env = Preprocessed(inside, frame_stack=3)
    found = [env.reset(seed=0)[0]["screen"]]
    found += [env.step(0)[0]["screen"] for _ in range(3)]
    for step, places in enumerate([(0, 0, 0), (0, 0, 1), (0, 1, 2), (1, 2, 3)]):
        expected = np.concatenate([inside.shown[place] for place in places], 2)
        np.testing.assert_array_equal(found[step], expected)
    again = env.reset(seed=0)[0]["screen"]
    np.testing.assert_array_equal(again, found[0])


def test_nothing_is_wrapped_where_nothing_is_asked():
    inside = Pictures()
    assert preprocessed(inside, shrink=1) is inside


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"shrink": 5}, "must divide the image's 12 rows and 8 columns; got 5"),
        ({"frame_stack": 0}, "frame_stack must be a whole number of at least 1; got 0"),
        ({"key": "picture", "gray": True}, "observe an image"),
    ],
)
def test_what_cannot_be_is_refused(how, said):
    with pytest.raises(ArgumentError, match=said):
        Preprocessed(Pictures(), **how)
