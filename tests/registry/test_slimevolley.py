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
    from pufferlib.registry._slimevolley_env import package

    return package


def test_the_tasks_are_those_that_the_package_registers():
    package()
    from gym.envs import registry

    theirs = sorted(n for n in registry if n.startswith("Slime"))
    assert [*theirs, "SlimeVolleyTwoPlayer-v0"] == list(slimevolley.FAMILY.tasks)


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


def test_survival_is_rewarded_until_games_are_long_and_not_again():
    chosen, attributes = [], {}
    for length, lives in ((None, None), (600, 0.0), (2499, 1.0), (2500, 1.0), (900, 0.0)):
        metrics = {"episode/episode_length": length, "episode/lives": lives} if length else {}
        attributes = slimevolley.survival_first(0.5, metrics, attributes)
        chosen.append(attributes["survival_reward"])
    assert chosen == [0.01, 0.01, 0.01, 0, 0]


@pytest.mark.parametrize(("lives", "expected"), [(3.9, 0.01), (4.0, 0)])
def test_survival_in_short_games_is_rewarded_until_few_lives_are_lost(lives, expected):
    metrics = {"episode/episode_length": 300, "episode/lives": lives}  # max_steps=300
    assert slimevolley.survival_first(0.5, metrics, {}) == {"survival_reward": expected}


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


def two_players(seed, steps, left, **arguments):
    """Yield the rows of both players, and the infos, in a game where the right moves at random."""
    env = slimevolley.make_env("SlimeVolleyTwoPlayer-v0", **arguments)
    observations, _ = env.reset(seed=seed)
    right = gymnasium.spaces.MultiBinary(3, seed=0)
    for _ in range(steps):
        actions = {"left": left(observations["left"]), "right": right.sample()}
        observations, rewards, terminations, truncations, infos = env.step(actions)
        yield observations, rewards, terminations, truncations, infos
        if not env.agents:
            return


def test_two_players_play_the_game_that_one_plays_against_the_baseline():
    # The baseline sees float32 here: it must choose the same, not be as close.
    from pufferlib.registry._slimevolley_env import Baseline

    baseline, alone = Baseline(), slimevolley.make_env()
    alone.reset(seed=3)
    right, count = gymnasium.spaces.MultiBinary(3, seed=0), 0
    for observations, rewards, *_ in two_players(3, 300, baseline):
        expected, reward, terminated, _, _ = alone.step(right.sample())
        np.testing.assert_array_equal(observations["right"], expected)
        assert (rewards["left"], rewards["right"]) == (-reward, reward)
        count += 1
    assert count == 300
    assert not terminated


def test_each_of_two_players_sees_the_court_as_its_own_half():
    steps = two_players(0, 20, lambda row: np.array([0, 0, 0], np.int8))
    for observations, *_ in steps:
        left, right = observations["left"], observations["right"]
        np.testing.assert_array_equal(left[:4], right[8:])
        np.testing.assert_array_equal(left[8:], right[:4])
        np.testing.assert_array_equal(left[[4, 6]], -right[[4, 6]])  # the ball, from left to right
        np.testing.assert_array_equal(left[[5, 7]], right[[5, 7]])


def test_a_game_of_two_players_ends_for_both():
    *_, (_, _, terminations, truncations, infos) = two_players(
        1, 3000, lambda row: np.zeros(3, np.int8)
    )
    assert terminations == {"left": True, "right": True}
    assert truncations == {"left": False, "right": False}
    one, other = infos["left"], infos["right"]
    assert (one["lives"], one["opponent_lives"]) == (other["opponent_lives"], other["lives"])
    assert min(one["lives"], other["lives"]) == 0
    assert one["episode_return"] == one["lives"] - other["lives"] == -other["episode_return"]
    *_, (*_, truncations, _) = two_players(1, 9, lambda row: np.zeros(3, np.int8), max_steps=9)
    assert truncations == {"left": True, "right": True}


def test_a_picture_needs_no_display_and_leaves_the_package_as_it_was():
    env = slimevolley.make_env(render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((336, 672, 3), np.uint8)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 4
    assert not package().PIXEL_MODE


@pytest.mark.parametrize(
    "name", ["SlimeVolley-v0", "SlimeVolleyPixel-v0", "SlimeVolleyTwoPlayer-v0"]
)
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
