"""Foraging: two ends reported apart, episodes that forget, agents that are equal."""

import functools

import gymnasium
import lbforaging as package  # noqa: F401  (registers the tasks)
import numpy as np
import pytest

from pufferlib.registry import lbforaging
from pufferlib.testing import check_env

NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)  # lbforaging.foraging.environment.Action


def test_the_tasks_are_the_packages():
    ours = "lbforaging.foraging:ForagingEnv"
    specs = [spec for spec in gymnasium.registry.values() if spec.entry_point == ours]
    listed = {spec.id for spec in specs if not spec.kwargs["grid_observation"]}
    assert listed == set(lbforaging.FAMILY.tasks)


def everyone(env, action):
    return env.step(dict.fromkeys(env.agents, action))


def test_the_time_limit_truncates_with_food_left():
    env = lbforaging.make_env(max_episode_steps=4)
    env.reset(seed=0)
    for step in range(1, 5):
        _, rewards, terminations, truncations, infos = everyone(env, NONE)
        assert rewards == {"agent_0": 0.0, "agent_1": 0.0}
        assert not any(terminations.values())
        assert set(truncations.values()) == {step == 4}
    assert infos["agent_1"] == {"food_gathered": 0.0, "episode_return": 0.0, "episode_length": 4}
    assert env.agents == []


def test_the_last_food_terminates():
    env = lbforaging.make_env("Foraging-5x5-2p-1f-v3")
    env.reset(seed=0)
    world = env.unwrapped
    world.field[:] = 0
    world.field[2, 2] = world._food_spawned = world.players[0].level
    world.players[0].position, world.players[1].position = (2, 1), (0, 4)
    world._gen_valid_moves()
    _, rewards, terminations, truncations, infos = env.step({"agent_0": LOAD, "agent_1": NONE})
    assert rewards == {"agent_0": 1.0, "agent_1": 0.0}  # all of the food, whatever its level
    assert set(terminations.values()) == {True}
    assert set(truncations.values()) == {False}
    assert infos["agent_0"]["food_gathered"] == 1.0


def test_an_episode_forgets_where_agents_stood():
    name = "Foraging-5x5-9p-1f-v3"  # crowded: where no one stands is soon the question
    env, other = lbforaging.make_env(name), lbforaging.make_env(name)
    for seed in range(20):
        env.reset(seed=seed + 100)
        for direction in (NORTH, WEST, WEST):
            everyone(env, direction)
        found, expected = env.reset(seed=seed)[0], other.reset(seed=seed)[0]
        for agent in found:
            np.testing.assert_array_equal(found[agent], expected[agent])


@pytest.mark.parametrize("grid", [False, True])
def test_vectors_and_planes_keep_the_contract(grid):
    check_env(functools.partial(lbforaging.make_env, grid_observation=grid), steps=60)


def test_it_is_drawn_without_a_display():
    env = lbforaging.make_env(render_mode="rgb_array")
    env.reset(seed=0)
    cells = env.render()[12::24, 12::24].astype(int)
    assert cells.shape == (8, 8, 3)
    world = env.unwrapped
    is_green = (cells[..., 1] > cells[..., 2]) & (cells[..., 1] > cells[..., 0])
    np.testing.assert_array_equal(is_green, world.field > 0)
    is_blue = (cells[..., 2] > cells[..., 1]) & (cells[..., 2] > cells[..., 0])
    assert set(zip(*np.nonzero(is_blue), strict=True)) == {p.position for p in world.players}
