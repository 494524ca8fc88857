"""Slime Volleyball: the package's own game, its ends, and a clean start for the opponent."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import slimevolley

pytest.importorskip("slimevolleygym")


def package():
    from pufferlib.registry._slimevolley_env import _package

    return _package


def test_the_tasks_are_those_that_the_package_registers():
    package()
    from gym.envs import registry

    assert sorted(n for n in registry if n.startswith("Slime")) == list(slimevolley.FAMILY.tasks)


@pytest.mark.parametrize(
    ("name", "theirs_is"),
    [
        ("SlimeVolley-v0", "SlimeVolleyEnv"),
        ("SlimeVolleyPixel-v0", "SlimeVolleyPixelEnv"),
        ("SlimeVolleyNoFrameskip-v0", "SlimeVolleyAtariEnv"),
        ("SlimeVolleySurvivalNoFrameskip-v0", "SlimeVolleySurvivalAtariEnv"),
    ],
)
def test_a_game_is_the_packages_own(name, theirs_is):
    from pufferlib.registry._slimevolley_env import _as_pixels

    ours = slimevolley.make_env(name)
    with _as_pixels():  # whose settings theirs leaves behind
        if name == "SlimeVolley-v0":
            package().PIXEL_MODE = False
        theirs = getattr(package(), theirs_is)()
        theirs.game = package().Game(np_random=np.random.Generator(np.random.PCG64(3)))
        np.testing.assert_array_equal(
            ours.reset(seed=3)[0], np.asarray(theirs.getObs(), ours.observation_space.dtype)
        )
        ours.action_space.seed(0)
        for _ in range(300):
            action = ours.action_space.sample()
            observation, reward, _, _, _ = ours.step(action)
            expected, expected_reward, _, _ = theirs.step(action)
            np.testing.assert_array_equal(
                observation, np.asarray(expected, ours.observation_space.dtype)
            )
            assert reward == expected_reward


def test_who_has_lost_five_points_has_lost_the_game():
    env = slimevolley.make_env()
    env.reset(seed=0)
    rewards, info = [], {}
    while not info:
        _, reward, terminated, truncated, info = env.step(np.zeros(3, np.int8))
        rewards.append(reward)
        assert bool(info) == terminated
        assert not truncated
    assert min(info["lives"], info["opponent_lives"]) == 0
    assert sum(rewards) == info["episode_return"] == info["lives"] - info["opponent_lives"]


def test_a_long_game_is_cut_off():
    env = slimevolley.make_env(max_steps=3)
    env.reset(seed=0)
    reported = [env.step(np.zeros(3, np.int8))[2:4] for _ in range(3)]
    assert reported == [(False, False)] * 2 + [(False, True)]


def test_a_seed_plays_again_after_another_game():
    """The opponent remembers nothing of that."""

    def play(env):
        seen = [env.reset(seed=5)[0]]
        return np.stack(seen + [env.step(np.ones(3, np.int8))[0] for _ in range(200)])

    env = slimevolley.make_env()
    first = play(env)
    np.testing.assert_array_equal(play(env), first)
    np.testing.assert_array_equal(play(slimevolley.make_env()), first)


def test_a_picture_needs_no_display_and_leaves_the_package_as_it_was():
    env = slimevolley.make_env(render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((336, 672, 3), np.uint8)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 4
    assert not package().PIXEL_MODE


@pytest.mark.parametrize("name", ["SlimeVolley-v0", "SlimeVolleyPixel-v0"])
def test_a_picture_needs_a_reset_first(name):
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"call reset\(\) before render\(\)"):
        slimevolley.make_env(name, render_mode="rgb_array").render()
    assert slimevolley.make_env(name, render_mode=None).render() is None


def test_making_one_writes_nothing_and_changes_no_setting():
    script = (
        "import numpy as np\n"
        "before = np.get_printoptions()\n"
        "from pufferlib.registry import slimevolley\n"
        "slimevolley.make_env().reset(seed=0)\n"
        "assert np.get_printoptions() == before\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=240)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_game_without_steps_is_refused():
    with pytest.raises(ArgumentError, match="max_steps must be a whole number of at least 1"):
        slimevolley.make_env(max_steps=0)
