"""MiniGrid: missions bounded or left out, success reported from failure, no chatter."""

import functools
import subprocess
import sys
from contextlib import closing

import gymnasium
import minigrid as package  # registers the tasks
import numpy as np
import pytest
import torch
from minigrid.core import constants
from minigrid.envs.babyai.core import verifier

from pufferlib import vector
from pufferlib.registry import minigrid
from pufferlib.testing import check_env

LEFT, RIGHT, FORWARD = 0, 1, 2  # minigrid.core.actions


def test_the_tasks_are_the_packages_whose_files_are_there():
    script = "import gymnasium, minigrid; print(*gymnasium.registry)"  # other packages add more
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    listed = [name for name in found.stdout.split() if name.startswith(("MiniGrid-", "BabyAI-"))]
    assert sorted(n for n in listed if "-WFC-" not in n) == sorted(minigrid.FAMILY.tasks)
    with pytest.raises(FileNotFoundError):  # once this one is there, they belong to the tasks
        gymnasium.make("MiniGrid-WFC-MazeSimple-v0").reset()


def test_the_goal_is_a_success():
    env = minigrid.make_env("MiniGrid-Empty-5x5-v0")
    env.reset(seed=0)
    for action in (FORWARD, FORWARD, RIGHT, FORWARD):
        _, _, terminated, truncated, info = env.step(action)
        assert (terminated, truncated, info) == (False, False, {})
    _, reward, terminated, truncated, info = env.step(FORWARD)
    assert (terminated, truncated) == (True, False)
    assert reward == pytest.approx(1 - 0.9 * 5 / 100)  # of 4 * 5 * 5 steps
    assert info == {"success": 1.0, "episode_return": reward, "episode_length": 5}


def test_lava_and_the_time_limit_are_none():
    env = minigrid.make_env("MiniGrid-LavaGapS5-v0")
    env.reset(seed=0)
    world = env.unwrapped
    world.grid.set(*world.front_pos, package.core.world_object.Lava())
    _, reward, terminated, truncated, info = env.step(FORWARD)
    assert (reward, terminated, truncated, info["success"]) == (0, True, False, 0.0)

    env = minigrid.make_env("MiniGrid-Empty-5x5-v0", max_steps=3)
    env.reset(seed=0)
    *_, terminated, truncated, info = [env.step(LEFT) for _ in range(3)][-1]
    assert (terminated, truncated, info["success"]) == (False, True, 0.0)


def test_the_mission_is_read_as_it_stands():
    env = minigrid.make_env("BabyAI-GoToLocal-v0", mission=True)
    bare = gymnasium.make("BabyAI-GoToLocal-v0", disable_env_checker=True)
    observation, _ = env.reset(seed=1)
    expected, _ = bare.reset(seed=1)
    codes = env.observation_layout.unflatten(observation)["mission"]
    letters = sorted(minigrid.MISSION_CHARACTERS)
    assert "".join(letters[code - 1] for code in np.ravel(codes) if code) == expected["mission"]


def test_the_longest_mission_fits():
    color, kind = longest(constants.COLOR_NAMES), longest(verifier.OBJ_TYPES)
    assert (color, kind) == (6, 4)  # purple or yellow; ball or door
    assert verifier.LOC_NAMES == ["left", "right", "front", "behind"]
    place = longest(["on your left", "on your right", "in front of you", "behind you"])
    thing = len("the ") + color + 1 + kind + 1 + place
    put = len("put ") + thing + len(" next to ") + thing
    clause = put + len(" and ") + put
    assert clause + len(" after you ") + clause == minigrid.MISSION_LENGTH


def longest(words):
    return max(map(len, words))


@pytest.mark.parametrize("name", ["MiniGrid-Playground-v0", "BabyAI-MiniBossLevel-v0"])
def test_the_shortest_and_the_longest_missions_keep_the_contract(name):
    check_env(functools.partial(minigrid.make_env, name, mission=True), steps=30)


def test_a_mission_that_is_drawn_again_is_not_printed(capfd):
    env = minigrid.make_env("BabyAI-MiniBossLevel-v0")
    bare = gymnasium.make("BabyAI-MiniBossLevel-v0", disable_env_checker=True)
    for seed in range(5):
        env.reset(seed=seed)
    assert capfd.readouterr() == ("", "")
    for seed in range(5):
        bare.reset(seed=seed)
    assert "Sampling rejected" in capfd.readouterr().out


def test_the_policy_embeds_cells_however_few_are_seen():
    env = minigrid.make_env("MiniGrid-Empty-5x5-v0", agent_view_size=3)
    cells = minigrid.Policy(env).cells
    image = torch.zeros(1, 3, 3, 3, dtype=torch.uint8)  # column, row; object, color, state
    other = image.clone()
    other[0, 2, 1] = torch.tensor([4, 3, 2])  # a locked door, minigrid.core.constants
    changed = (cells(image) != cells(other)).any(1)[0]
    assert changed.nonzero().tolist() == [[2, 1]]


def test_rooms_grow_as_training_advances():
    make = minigrid.env_creator("MiniGrid-DoorKey-8x8-v0")
    found = []
    with closing(vector.make(make, num_envs=2)) as vecenv:
        for progress in (0.0, 0.29, 0.3, 0.49, 0.5, 1.0):
            for name, value in minigrid.growing_rooms(progress, {}, {}).items():
                vecenv.set_attr(name, [value] * 2)
            vecenv.reset(seed=0)
            found.append([(grid.width, grid.height) for grid in vecenv.get_attr("grid")])
            assert vecenv.get_attr("max_steps") == [640, 640]  # that of 8x8, 10 * 8 * 8
    assert found == [[(size, size)] * 2 for size in (5, 5, 6, 6, 8, 8)]


def test_it_renders_without_a_display():
    env = minigrid.make_env(render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (160, 160, 3)  # 5 by 5 cells of 32 by 32 pixels
    assert env.render().std() > 1
