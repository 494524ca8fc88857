"""Butterfly: the tasks of PettingZoo, and their pixels made small."""

from contextlib import closing

import numpy as np
import pettingzoo
import pytest

pytest.importorskip("pymunk")

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import butterfly
from pufferlib.registry._butterfly_pixels import AreaMean, PixelAgents, brightness


def test_the_tasks_are_those_that_pettingzoo_registers():
    ids = {name for name in pettingzoo.parallel_registry if name.startswith("butterfly/")}
    ours = {pettingzoo.spec("parallel", f"butterfly/{task}").id for task in butterfly.FAMILY.tasks}
    assert ours == ids


def test_brightness_is_the_rounded_weighted_sum():
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    for row, column in np.ndindex(9, 7):
        red, green, blue = image[row, column].tolist()
        expected = (299 * red + 587 * green + 114 * blue + 500) // 1000
        assert brightness(image)[row, column] == expected


@pytest.mark.parametrize(
    ("size", "target"),
    [((6, 8), (3, 2)), ((5, 7), (3, 4)), ((4, 4), (4, 4)), ((457, 120), (84, 84))],
)
def test_a_pixel_is_the_mean_over_the_area_it_covers(size, target):
    plane = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    # Each old pixel as new pixels' number of cells, so that a mean is over whole cells; the rows
    # first, then the columns.
    rows = plane.repeat(target[0], 0).reshape(target[0], *size).mean(1)
    means = rows.repeat(target[1], 1).reshape(target[0], target[1], size[1]).mean(2)
    assert np.abs(AreaMean(size, target)(plane[None])[0] - means).max() <= 0.5 + 1e-4


def test_frames_are_the_last_ones_in_order_and_begin_with_the_first():
    inside = pettingzoo.make("parallel", "butterfly/cooperative_pong_v6", render_mode="rgb_array")
    with closing(PixelAgents(inside, size=None, grey=False, frames=2)) as env:
        observations, _ = env.reset(seed=0)
        assert env.observation_space("paddle_0").shape == (6, 280, 480)
        first = np.moveaxis(inside.aec_env.observe("paddle_0"), -1, 0)
        assert (observations["paddle_0"] == np.concatenate([first, first])).all()
        observations = env.step({"paddle_0": 1, "paddle_1": 2})[0]
        second = np.moveaxis(inside.aec_env.observe("paddle_0"), -1, 0)
        assert (first != second).any()
        assert (observations["paddle_0"] == np.concatenate([first, second])).all()


def test_vectors_stay_as_they_are():
    with closing(butterfly.make_env("knights_archers_zombies_v11")) as env:
        assert env.single_observation_space.shape == (27, 5)


def test_the_first_zombie_comes_after_a_whole_interval_of_each_episode():
    def play():
        """Return what all agents see of 12 steps under a seed, and when there first is a zombie."""
        seen, first = [env.reset(seed=3)[0]], None
        for step in range(1, 13):
            seen.append(env.step(dict.fromkeys(env.agents, 5))[0])  # 5 stands still
            if first is None and env.unwrapped.zombie_list:
                first = step
        return seen, first

    with closing(butterfly.make_env("knights_archers_zombies_v11", spawn_delay=10)) as env:
        found, first = play()
        assert first == 10
        again, first = play()  # the reset is in the middle of an episode
        assert first == 10
        np.testing.assert_equal(again, found)


@pytest.mark.parametrize("size", [[60, 84], np.array([60, 84])])
def test_a_size_may_be_of_any_sequence(size):
    with closing(butterfly.make_env(size=size)) as env:
        assert env.single_observation_space.shape == (4, 60, 84)


def test_an_episode_that_ends_reports_its_return():
    with closing(butterfly.make_env("cooperative_pong_v6", max_cycles=3)) as env:
        env.reset(seed=0)
        for step in (1, 2, 3):
            *_, truncations, infos = env.step({"paddle_0": 0, "paddle_1": 0})
            assert truncations == dict.fromkeys(["paddle_0", "paddle_1"], step == 3)
        # 100 over an episode of max_cycles steps is what the game's docs promise.
        assert infos["paddle_1"]["episode_return"] == pytest.approx(100)
        assert infos["paddle_1"]["episode_length"] == 3


def test_an_environment_plays_on_when_another_is_closed():
    with closing(butterfly.make_env()) as env, closing(butterfly.make_env()) as other:
        env.reset(seed=0)
        other.close()
        observations = env.step({"paddle_0": 0, "paddle_1": 0})[0]
        assert observations["paddle_0"].any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"render_mode": None}, "would be black"),
        ({"size": (300, 84)}, "height from 1 to 280"),
        ({"size": 84}, "height from 1 to 280"),
        ({"size": (84.0, 84.0)}, r"height from 1 to 280 .* got \(84\.0, 84\.0\)"),
        ({"size": (True, True)}, "height from 1 to 280"),
        ({"size": (84, True)}, "height from 1 to 280"),
        ({"size": "84"}, "height from 1 to 280"),
        ({"size": (84, 84, 3)}, "height from 1 to 280"),
        ({"frames": 0}, "at least 1"),
    ],
)
def test_wrong_options_are_refused(options, said):
    with pytest.raises(ArgumentError, match=said):
        butterfly.make_env(**options)
