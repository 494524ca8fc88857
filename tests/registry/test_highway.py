"""highway-env: drivers that keep to their own environment, agents that leave, what is reported."""

import gymnasium
import highway_env  # registers the tasks
import numpy as np
import pytest
from highway_env.vehicle.behavior import IDMVehicle

from pufferlib.registry import highway

IDLE = 1
FEW = {"vehicles_count": 3, "duration": 3, "simulation_frequency": 5}


def test_the_tasks_are_the_packages():
    listed = [
        name
        for name, spec in gymnasium.registry.items()
        if str(spec.entry_point).startswith(highway_env.__name__)
    ]
    assert sorted(listed) == sorted(highway.FAMILY.tasks)


def test_an_intersection_does_not_change_the_drivers_of_others():
    before = (IDMVehicle.DISTANCE_WANTED, IDMVehicle.COMFORT_ACC_MAX, IDMVehicle.COMFORT_ACC_MIN)
    assert before == (10.0, 3.0, -5.0)  # as highway_env.vehicle.behavior has them
    env = highway.make_env("intersection-v2", config={"initial_vehicle_count": 1})
    env.reset(seed=0)
    env.step(IDLE)
    after = (IDMVehicle.DISTANCE_WANTED, IDMVehicle.COMFORT_ACC_MAX, IDMVehicle.COMFORT_ACC_MIN)
    assert after == before


def test_the_time_is_up_truncates_and_a_crash_terminates():
    env = highway.make_env(config=FEW)
    env.reset(seed=0)
    for step in range(1, 4):
        *_, terminated, truncated, info = env.step(IDLE)
        assert (terminated, truncated) == (False, step == 3)
    assert set(info) == {"episode_return", "episode_length", "crashed"}
    assert info["crashed"] == 0.0
    env.reset(seed=0)
    env.unwrapped.vehicle.crashed = True
    *_, terminated, _, info = env.step(IDLE)
    assert terminated
    assert info["crashed"] == 1.0


def test_a_parked_car_is_a_success():
    env = highway.make_env("parking-v0", config={"simulation_frequency": 5})
    env.reset(seed=0)
    world = env.unwrapped
    vehicle, goal = world.vehicle, world.vehicle.goal
    vehicle.position, vehicle.heading, vehicle.speed = goal.position.copy(), goal.heading, 0.0
    *_, terminated, _, info = env.step(np.zeros(2, np.float32))
    assert terminated
    assert info["success"] == 1.0


@pytest.mark.parametrize("name", ["intersection-multi-agent-v0", "intersection-multi-agent-v2"])
def test_two_cars_have_their_own_rewards_and_ends(name):
    env = highway.make_env(name, config={"initial_vehicle_count": 1, "duration": 4})
    observations, _ = env.reset(seed=0)
    assert set(observations) == {"agent_0", "agent_1"}
    steps = 0
    while env.agents:
        alive = list(env.agents)
        _, rewards, terminations, truncations, infos = env.step(dict.fromkeys(alive, IDLE))
        assert set(rewards) == set(terminations) == set(alive)
        for agent in alive:
            assert ("episode_return" in infos[agent]) == (agent not in env.agents)
        steps += 1
    assert 1 <= steps <= 4
    assert all(terminations.values()) or all(truncations.values())


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("highway-fast-v0", (150, 600, 3)),
        ("lane-keeping-v0", (250, 600, 3)),
        ("parking-ActionRepeat-v0", (300, 600, 3)),
        ("parking-parked-v0", (300, 600, 3)),
    ],
)
@pytest.mark.parametrize("driver", [None, "dummy"])
def test_it_renders_without_a_display(name, shape, driver, monkeypatch):
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    if driver is not None:  # another environment, or the system, may have said so
        monkeypatch.setenv("SDL_VIDEODRIVER", driver)
    env = highway.make_env(name)
    env.reset(seed=0)
    assert env.render().shape == shape
    assert env.render().std() > 1
