"""MiniHack: every task is listed, seeds reach the rooms, success is reported."""

import subprocess
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import _minihack_levels, minihack
from pufferlib.testing import check_env

# A level of one row: the hero at the left end, the stairs down three steps to the east.
CORRIDOR = """
MAZE: "mylevel", ' '
FLAGS:premapped
GEOMETRY:center,center
MAP
-----
|...|
-----
ENDMAP
BRANCH:(1,1,1,1),(2,2,2,2)
STAIR:(3,1),down
"""
CUSTOM = "MiniHack-Navigation-Custom-v0"
EAST = 1  # of nle.nethack.CompassDirection: N, E, S, W, then between


@pytest.fixture
def corridor():
    env = minihack.make_env(CUSTOM, des_file=CORRIDOR)
    yield env
    env.close()


def test_the_tasks_are_those_that_the_package_registers():
    minihack.make_env().close()  # imports the package, quietly
    registered = {task for task in gymnasium.registry if task.startswith("MiniHack-")}
    boxoban = {task for task in registered if "Boxoban" in task}
    assert len(boxoban) == 3
    assert set(minihack.FAMILY.tasks) == registered - boxoban


@pytest.mark.parametrize("task", minihack.FAMILY.samples)
def test_a_seed_gives_its_level_and_the_next_one(task):
    def levels(env, seed):
        return [env.reset(seed=seed)[0].copy(), env.reset()[0].copy()]

    env = minihack.make_env(task)
    first, again = levels(env, 7), levels(minihack.make_env(task), 7)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, levels(env, 7))  # the same instance, seeded again
    assert any(not np.array_equal(first[0], levels(env, seed)[0]) for seed in (8, 9, 10))


@pytest.mark.parametrize("task", minihack.FAMILY.samples[1:])
def test_a_sample_keeps_the_contract(task):
    check_env(minihack.env_creator(task))


def test_reaching_the_stairs_is_a_success(corridor):
    corridor.reset(seed=0)
    assert corridor.step(EAST)[1:] == (0.0, False, False, {})
    _, reward, terminated, truncated, info = corridor.step(EAST)
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["success"] is True
    assert (info["episode_return"], info["episode_length"]) == (1.0, 2)


def test_the_time_limit_truncates_and_is_no_success():
    env = minihack.make_env(CUSTOM, des_file=CORRIDOR, max_episode_steps=2)
    env.reset(seed=0)
    env.step(EAST)
    _, reward, terminated, truncated, info = env.step(EAST)  # on the stairs, too late
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info["success"] is False


def test_an_event_does_not_look_at_the_action_before_a_reset():
    minihack.make_env().close()  # imports the package, quietly
    from minihack import RewardManager

    rewards = RewardManager()
    rewards.add_positional_event("throne", "search")  # never seen, so the hero stands there
    env = minihack.make_env("MiniHack-Skill-Custom-v0", des_file=CORRIDOR, reward_manager=rewards)
    search, north_west = (env.env.unwrapped.actions.index(ord(key)) for key in "sy")
    env.reset(seed=0)
    env.step(search)
    assert env.step(north_west)[1:3] == (pytest.approx(0.99), True)  # less a step without time
    env.reset(seed=0)
    env.step(search)
    env.reset(seed=0)
    assert env.step(north_west)[1:3] == (pytest.approx(-0.01), False)
    env.close()


def test_a_crossing_has_the_size_in_its_name():
    env = minihack.make_env("MiniHack-LavaCrossingS9N1-v0", render_mode="ansi")
    env.reset(seed=0)
    rows = [line.strip() for line in env.render().splitlines() if line.strip()]
    assert [len(row) for row in rows] == [9] * 9  # of MiniGrid's 9 x 9, walls and all
    assert sum(row.count("}") for row in rows) == 6  # one wall of lava with a gap


def by_script(directory):
    """Return what compiles a level as MiniHack does."""

    from minihack import base

    def compile_level(des_file):
        path = Path(directory, "mylevel.des")
        path.write_text(des_file)
        script = [base.PATCH_SCRIPT, directory, base.HACKDIR, base.LIB_DIR, str(path)]
        subprocess.run(script, check=True)

    return compile_level


@pytest.mark.parametrize("task", ["MiniHack-MultiRoom-N4-v0", "MiniHack-LavaCrossingS9N1-v0"])
def test_rooms_of_minigrid_are_those_of_minihacks_script(task, monkeypatch):
    def played(env):
        seen = [env.reset(seed=5)[0]]
        for step in range(60):
            observation, _, terminated, truncated, _ = env.step(step % 8)
            if terminated or truncated or step % 10 == 9:
                observation, _ = env.reset()
            seen.append(observation)
        env.close()
        return np.stack(seen)

    found = played(minihack.make_env(task))
    monkeypatch.setattr(_minihack_levels, "compile_levels_alone", by_script)
    np.testing.assert_array_equal(found, played(minihack.make_env(task)))
    assert len(np.unique(found[::10], axis=0)) > 4  # the levels differ


@pytest.mark.parametrize("form", [{}, {"num_envs": 2}])
def test_a_drawn_level_that_does_not_compile_is_an_error(form, monkeypatch):
    env = minihack.make_env("MiniHack-MultiRoom-N2-v0", **form)
    env.reset(seed=0)
    game = type(env._rooms[0]._game if form else env.env.unwrapped)
    monkeypatch.setattr(game, "get_env_desc", lambda self: "rubbish")
    # NetHack would find no level, and play another game.
    with pytest.raises(RuntimeError, match=r"line 1, pos 0: syntax error at .rubbish."):
        env.reset(seed=1)
    env.close()


def test_other_observations_can_be_chosen_and_statistics_need_none_of_them():
    env = minihack.make_env(observation_keys=("chars_crop", "inv_letters"), max_episode_steps=3)
    env.reset(seed=0)
    assert {key: leaf.shape for key, leaf in env.observation_layout.structure.spaces.items()} == {
        "chars_crop": (9, 9),
        "inv_letters": (55,),
    }
    infos = [env.step(2)[-1] for _ in range(3)]
    assert infos[:2] == [{}, {}]
    assert (infos[2]["depth"], infos[2]["experience_level"]) == (1, 1)


def test_a_level_may_be_a_file_of_ones_own_or_the_packages(tmp_path, monkeypatch):
    path = tmp_path / "my levels" / "corridor.des"
    path.parent.mkdir()
    path.write_text(CORRIDOR)
    monkeypatch.chdir(path.parent)
    for des_file in ("corridor.des", str(path), path):
        env = minihack.make_env(CUSTOM, des_file=des_file, render_mode="ansi")
        env.reset(seed=0)
        assert "@.>" in env.render() or "@.." in env.render()
        env.step(EAST)
        assert env.step(EAST)[2]
    minihack.make_env(CUSTOM, des_file="chest.des").close()


@pytest.mark.parametrize(
    ("des_file", "message"),
    [
        ("no.des", r"no file 'no\.des'"),
        ("rubbish", 'syntax error at "rubbish"'),
        (CORRIDOR.replace("mylevel", "other"), 'no level named "mylevel"'),
        (CORRIDOR + "MONSTER: ('Z', \"no such\"), random\n", "Unknown monster"),
    ],
)
def test_what_is_no_level_is_refused(des_file, message, capfd):
    with pytest.raises(ArgumentError, match=message):
        minihack.make_env(CUSTOM, des_file=des_file)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("task", [CUSTOM, "MiniHack-Skill-Custom-v0"])
def test_a_custom_task_asks_for_its_level(task):
    with pytest.raises(ArgumentError, match=r"got no des_file\. Give one: the text of a level"):
        minihack.make_env(task)
