"""MiniHack's native form plays as emulated environments of one game do."""

import functools

import numpy as np
import pytest
from nethack_parity import play_both, walks

from pufferlib import vector
from pufferlib.exceptions import ArgumentError
from pufferlib.registry import minihack
from pufferlib.testing import check_env

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
NATIVE = [
    task
    for task in minihack.FAMILY.tasks
    if task not in minihack.FAMILY.single_tasks and "Custom" not in task
]


def play_task(name, num_envs, steps, resets, actions=None, **kwargs):
    """Play a task in both forms, see `play_both`."""
    creator = functools.partial(minihack.make_env, name, **kwargs)
    ones = vector.make(creator, num_envs=num_envs, backend="Serial")
    many = minihack.make_env(name, num_envs=num_envs, **kwargs)
    assert many.single_action_space == ones.single_action_space
    try:
        if actions is None:
            actions = walks(num_envs, steps, num_actions=many.single_action_space.n)
        return play_both(ones, many, actions, resets)
    finally:
        ones.close()
        many.close()


@pytest.mark.parametrize(
    ("name", "ends"),  # at least so many deaths, successes and truncations
    [
        ("MiniHack-Room-Random-5x5-v0", (0, 2, 0)),  # bare
        ("MiniHack-HideNSeek-Lava-v0", (2, 0, 0)),
        ("MiniHack-WoD-Hard-Full-v0", (0, 0, 0)),  # all prompts are the agent's
    ],
)
def test_many_games_play_as_as_many_environments(name, ends):
    found = play_task(name, 3, 100, {0: 42, 60: 7})
    assert (found >= ends).all()


@pytest.mark.long
@pytest.mark.parametrize("name", NATIVE)
def test_every_task_with_a_native_form_plays_as_in_one_game(name):
    play_task(name, 4, 300, {0: 42, 170: 7})


@pytest.mark.long
def test_twenty_rooms_play_as_twenty_environments():
    found = play_task("MiniHack-Room-Random-5x5-v0", 20, 500, {0: 42, 250: 7})
    assert found[1] > 100
    found = play_task("MiniHack-Room-Ultimate-15x15-v0", 20, 500, {0: 42}, max_episode_steps=30)
    assert found[0] > 10
    assert found[2] > 100


@pytest.mark.parametrize(("limit", "ends"), [(2, (0, 0, 2)), (3, (0, 2, 0))])
def test_the_goal_on_the_last_step_allowed_does_not_count(limit, ends):
    name, kwargs = "MiniHack-Navigation-Custom-v0", {"des_file": CORRIDOR, "pet": True}
    east = np.ones((2, 2), int)
    found = play_task(name, 2, 2, {0: 1}, east, max_episode_steps=limit, **kwargs)
    assert tuple(found) == ends


def test_many_games_keep_the_contract():
    check_env(functools.partial(minihack.make_env, num_envs=2, max_episode_steps=15), steps=40)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"name": "MiniHack-Eat-v0"}, "it has another reward_manager. Use num_envs=None"),
        ({"name": "MiniHack-KeyRoom-S5-v0"}, r"it has its own step\(\). Use num_envs=None"),
        ({"name": "MiniHack-MultiRoom-N2-v0"}, r"it has its own reset\(\)"),
        ({"observation_keys": ["chars_crop"]}, "it observes 'chars_crop', which MiniHack makes"),
        ({"render_mode": "ansi"}, "got render_mode='ansi'. Use num_envs=None"),
        ({"reward_win": 2}, "got reward_win=2. Use num_envs=None"),
        ({"num_envs": 0}, r"num_envs must .* at least 1; got 0\."),
    ],
)
def test_what_native_games_cannot_do_is_refused(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        minihack.make_env(**{"num_envs": 2, **kwargs})


@pytest.mark.long
@pytest.mark.parametrize("name", minihack.FAMILY.single_tasks)
def test_tasks_that_are_said_to_have_no_native_form_have_none(name):
    with pytest.raises(ArgumentError, match="has no native form"):
        minihack.make_env(name, num_envs=2)
