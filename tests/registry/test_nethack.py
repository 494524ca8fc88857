"""NetHack: seeds reach the game, its time limit truncates, its statistics are its own."""

import functools
import gc
import weakref
from contextlib import closing

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit
from nethack_records import check_that_records_are_emptied, check_that_records_differ

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import _nethack_env, minihack, nethack
from pufferlib.testing import check_env


def screens(seed, steps=60, env=None):
    """Return the map after each step of a fixed walk, over a reset in the middle."""
    env = env or nethack.make_env()
    found = [env.reset(seed=seed)[0]]
    for step in range(steps):
        observation, _, terminated, truncated, _ = env.step(1 + step % 8)
        if terminated or truncated or step == steps // 2:
            observation, _ = env.reset()
        found.append(observation)
    return np.stack(found)


def test_the_tasks_are_those_that_the_package_registers():
    nethack.make_env().close()  # imports the package
    registered = {task for task in gymnasium.registry if task.startswith("NetHack")}
    assert set(nethack.FAMILY.tasks) == registered - {"NetHack-v0"}  # which pays for nothing


def test_a_seed_gives_its_game_and_the_games_after_it():
    first, again, other = screens(7), screens(7), screens(8)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], first[31])  # the second game is another one


def test_one_instance_seeded_again_plays_again():
    env = nethack.make_env()
    np.testing.assert_array_equal(screens(7, env=env), screens(7, env=env))


def test_the_last_screen_of_a_game_does_not_report_of_games_before_it():
    check_env(nethack.env_creator(), steps=500)  # several games; the last screen ranks them


@pytest.mark.parametrize("family", [nethack, minihack], ids=["nethack", "minihack"])
def test_empty_options_start_the_same_game_as_none(family):
    env = family.make_env()
    np.testing.assert_array_equal(env.reset(seed=7)[0], env.reset(seed=7, options={})[0])


@pytest.mark.parametrize("family", [nethack, minihack], ids=["nethack", "minihack"])
def test_options_reach_the_game(family):
    with pytest.raises(ValueError, match="wizard=True to use the wizkit"):
        family.make_env().reset(options={"wizkit_items": ["meatball"]})


@pytest.mark.parametrize("is_own", [False, True], ids=["gymnasium's", "nle's"])
def test_the_time_limit_truncates_and_does_not_terminate(is_own):
    env = nethack.make_env(**({} if is_own else {"max_episode_steps": 10}))
    if is_own:
        env.unwrapped._max_episode_steps = 10
    env.reset(seed=0)
    for step in range(1, 11):
        _, _, terminated, truncated, info = env.step(0)
        assert (terminated, truncated) == (False, step == 10)
    assert info["episode_length"] == 10


@pytest.mark.parametrize("family", [nethack, minihack], ids=["nethack", "minihack"])
def test_the_last_screen_of_a_time_limit_is_that_of_the_game_going_on(family):
    def play(limit):
        env = family.make_env()
        env.unwrapped._max_episode_steps = limit  # NLE's own, at which it leaves the game
        env.reset(seed=3)
        for step in range(20):
            observation, _, _, truncated, info = env.step(step % 8)
        assert truncated == (limit == 20)
        return env.observation_layout.unflatten(observation)["blstats"], observation, info

    blstats, cut, info = play(20)
    np.testing.assert_array_equal(cut, play(21)[1])
    assert info["turns"] == blstats[20] > 0  # NLE_BL_TIME


def test_a_death_on_the_last_step_terminates():
    env = nethack.make_env()
    actions = np.random.default_rng(0).integers(23, size=5000)

    def play(env):
        env.reset(seed=0)
        for step, action in enumerate(actions, 1):
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                return step, terminated, truncated
        return None

    steps, terminated, truncated = play(env)
    assert (terminated, truncated) == (True, False)  # of its death, long before the limit
    assert play(nethack.make_env(max_episode_steps=steps)) == (steps, True, False)
    assert play(nethack.make_env(max_episode_steps=steps - 1)) == (steps - 1, False, True)


def test_an_episode_reports_the_game_and_other_steps_report_nothing():
    env = nethack.make_env(max_episode_steps=30)
    observation, info = env.reset(seed=3)
    rewards = []
    for step in range(30):
        assert info == {}
        last = env.observation_layout.unflatten(observation)["blstats"]
        observation, reward, _, _, info = env.step(1 + step % 8)
        rewards.append(reward)
    last = env.observation_layout.unflatten(observation)["blstats"]
    assert info["episode_return"] == pytest.approx(sum(rewards))
    # Positions as documented by nle.nethack.
    import nle.nethack as game

    assert info["depth"] == last[game.NLE_BL_DEPTH] == 1
    assert info["turns"] == last[game.NLE_BL_TIME] > 1
    assert info["score"] == last[game.NLE_BL_SCORE]
    assert info["experience_level"] == last[game.NLE_BL_XP] == 1


@pytest.mark.parametrize(("limit", "is_reached"), [(11, True), (10, False)])
def test_stepping_on_the_stairs_is_a_success_of_the_tasks_that_ask_for_it(limit, is_reached):
    env = nethack.make_env("NetHackStaircase-v0", max_episode_steps=limit)
    observation, info = env.reset(seed=1672)
    screen = env.observation_layout.unflatten(observation)["chars"]
    ((row, here),) = np.argwhere(screen == ord("@"))
    assert chr(screen[row, here - 11]) == ">"  # in the next room, which is lit
    for _ in range(limit):
        assert info == {}
        _, reward, terminated, truncated, info = env.step(env.unwrapped.actions.index(ord("h")))
    assert (terminated, truncated, info["success"]) == (is_reached, not is_reached, is_reached)
    assert (reward > 0.9) == is_reached


def test_an_environment_is_made_again_from_its_spec():
    env = nethack.make_env(max_episode_steps=20)
    again = gymnasium.make(env.spec, disable_env_checker=True)
    np.testing.assert_array_equal(again.reset(seed=4)[0], env.reset(seed=4)[0])


def test_the_map_renders_as_text():
    env = nethack.make_env(render_mode="ansi")
    env.reset(seed=0)
    assert "@" in env.render()


@pytest.mark.parametrize("family", [nethack, minihack], ids=["nethack", "minihack"])
def test_a_map_needs_a_reset_and_a_render_mode(family):
    env = family.make_env(render_mode="ansi")
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"call reset\(\) before render\(\)"):
        env.render()
    env.reset(seed=0)
    assert "@" in env.render()
    env = family.make_env(render_mode=None)
    assert env.render() is None
    env.reset(seed=0)
    assert env.render() is None


@pytest.mark.parametrize("keys", [("glyphs",), ("chars", "colors", "blstats", "message")])
def test_the_map_is_drawn_whatever_is_observed(keys, capsys):
    env = nethack.make_env(observation_keys=keys, render_mode="ansi")
    env.reset(seed=0)
    assert "@" in env.render()
    other = nethack.make_env(observation_keys=keys, render_mode="human")
    other.reset(seed=0)
    assert capsys.readouterr().out == ""
    assert other.render() is None
    assert "@" in capsys.readouterr().out
    for each in (env, other, gymnasium.make(other.spec, disable_env_checker=True)):
        assert set(each.observation_layout.structure.spaces) == set(keys)
    check_env(functools.partial(nethack.make_env, observation_keys=keys), steps=20)


def role_of(character):
    env = nethack.make_env(character=character)
    title = env.observation_layout.unflatten(env.reset(seed=3)[0])["tty_chars"][22]
    return title.tobytes().decode().split()[2]


def test_a_character_is_known_by_the_beginnings_of_its_names():
    assert role_of("val-dwa") == role_of("Valkyrie-Dwarf-lawful-fem") == "Stripling"
    assert role_of("tou") == "Rambler"
    for character in ("@", "random", "mon-hum-neu-mal", "arc", "fem-gnome"):
        nethack.make_env(character=character).close()


@pytest.mark.parametrize("family", [nethack, minihack], ids=["nethack", "minihack"])
@pytest.mark.parametrize(
    ("character", "message"),
    [
        ("foo", "knows no 'foo' in character='foo'"),
        ("monk-humman", r"knows no 'humman' .*'human'"),
        ("mon--mal", "knows no ''"),
        ("", "knows no ''"),
        ("mon hum", "knows no 'mon hum'"),
        ("archeologist-human-neutral-female", "first 25 characters of .*; got 33"),
    ],
)
def test_a_character_that_nethack_does_not_know_is_refused(family, character, message):
    with pytest.raises(ArgumentError, match=message):
        family.make_env(character=character)


def test_the_default_leaves_out_what_is_a_hundred_kilobytes_a_step():
    env = nethack.make_env()
    assert set(env.observation_layout.structure.spaces) == set(nethack.OBSERVATION_KEYS)
    assert env.observation_space.shape[0] < 20_000


def test_a_game_that_is_dropped_is_freed_at_once():
    env = nethack.make_env()
    env.reset(seed=0)
    env.step(0)
    game = weakref.ref(env.unwrapped)
    gc.disable()
    try:
        del env
        assert game() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("family", [nethack, minihack], ids=["nethack", "minihack"])
def test_what_games_recorded_is_emptied_before_the_next(family):
    with closing(family.make_env()) as env:
        check_that_records_are_emptied(env, env.unwrapped.nethack)


def test_a_game_recorded_elsewhere_can_be_reset(tmp_path):
    with closing(nethack.make_env(save_ttyrec_every=1, savedir=str(tmp_path))) as env:
        for seed in range(2):
            env.reset(seed=seed)
            env.step(0)


def test_a_reset_that_fails_can_be_repeated(monkeypatch):
    def fail(directory):
        raise OSError("no space left")

    with closing(nethack.make_env()) as env:
        expected = env.reset(seed=0)[0].copy()
        env.step(0)
        with monkeypatch.context() as patch:
            patch.setattr(_nethack_env, "empty_records", fail)
            with pytest.raises(OSError, match="no space left"):
                env.reset()
        np.testing.assert_array_equal(env.reset(seed=0)[0], expected)


def test_two_instances_share_no_records():
    # NetHack locks these files by fcntl as a game ends, and sleeps for a second where it must wait.
    with closing(nethack.make_env()) as one, closing(minihack.make_env()) as other:
        check_that_records_differ(one.unwrapped.nethack, other.unwrapped.nethack)


def test_a_limit_above_nles_own_reaches_it():
    env = nethack.make_env(max_episode_steps=5002)
    env.reset(seed=0)
    limited = next(each for each in wrapped(env) if isinstance(each, TimeLimit))
    limited._elapsed_steps = env.unwrapped._steps = 4998  # as if it had taken so many
    ends = [env.step(0)[3] for _ in range(4)]
    assert ends == [False, False, False, True]
    env.close()


def wrapped(env):
    """Return `env` and the environments inside it, the outermost first."""
    return [env] + (wrapped(env.env) if isinstance(env, gymnasium.Wrapper) else [])
