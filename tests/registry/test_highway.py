"""highway-env: drivers that keep to their own environment, agents that leave, what is reported."""

import gymnasium
import highway_env  # registers the tasks
import numpy as np
import pytest
from highway_env.vehicle.behavior import IDMVehicle, LinearVehicle

from pufferlib.registry import highway
from pufferlib.registry._highway_env import idle

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


def test_driver_behavior_of_an_intersection_does_not_leak_to_other_environments(monkeypatch):
    names = ("DISTANCE_WANTED", "COMFORT_ACC_MAX", "COMFORT_ACC_MIN")
    kind = "highway_env.vehicle.behavior.LinearVehicle"
    options = {"config": {"other_vehicles_type": kind, "initial_vehicle_count": 3}}

    def play(env):
        """Return what is seen of a few steps."""
        return [env.reset(seed=0)[0], *(env.step(IDLE)[0] for _ in range(4))]

    found = play(highway.make_env("intersection-v2", **options))
    assert [getattr(LinearVehicle, name) for name in names] == [10.0, 3.0, -5.0]
    assert not set(names) & set(vars(LinearVehicle))  # inherits them
    for name in names:  # so that what the package sets is undone
        monkeypatch.setattr(LinearVehicle, name, 0.0)
    bare = gymnasium.make("intersection-v2", disable_env_checker=True, **options)
    np.testing.assert_array_equal(found, play(bare))
    assert LinearVehicle.DISTANCE_WANTED == 7


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


@pytest.mark.parametrize("name", ["intersection-multi-agent-v0", "intersection-multi-agent-v2"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_crash_is_reported_to_the_car_that_had_it(name, number):
    env = highway.make_env(name, config={"initial_vehicle_count": 1, "duration": 2})
    env.reset(seed=0)
    env.unwrapped.controlled_vehicles[number].crashed = True
    reported = {}
    while env.agents:
        infos = env.step(dict.fromkeys(env.agents, IDLE))[-1]
        reported |= {agent: info["crashed"] for agent, info in infos.items() if "crashed" in info}
    assert reported == {"agent_0": float(number == 0), "agent_1": float(number == 1)}


@pytest.mark.parametrize(
    "actions",
    [{"type": "ContinuousAction"}, {"type": "DiscreteAction"}, {"type": "DiscreteMetaAction"}],
    ids=lambda actions: actions["type"],
)
def test_a_car_whose_drive_is_over_does_nothing(actions):
    config = {"action": {"type": "MultiAgentAction", "action_config": actions}}
    env = highway.make_env("intersection-multi-agent-v2", config={**config, "duration": 4})
    env.reset(seed=0)
    cars, kinds = env.unwrapped.controlled_vehicles, env.unwrapped.action_type.agents_action_types
    before = getattr(cars[0], "target_speed", None)
    kinds[0].act(idle(env.unwrapped))
    if before is None:
        assert cars[0].action == {"steering": 0.0, "acceleration": 0.0}
    else:
        assert cars[0].target_speed == before
    cars[0].crashed = True
    ends = []
    while env.agents:  # until the other's drive is over too
        ends.append(env.step({agent: env.action_space(agent).sample() for agent in env.agents}))
    assert ["agent_0" in rewards for _, rewards, *_ in ends] == [True] + [False] * (len(ends) - 1)


@pytest.mark.parametrize("driver", [None, "dummy"])
def test_an_observation_that_is_a_picture_is_drawn_without_a_display(driver, monkeypatch):
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    if driver:
        monkeypatch.setenv("SDL_VIDEODRIVER", driver)
    shades = {"weights": [0.3, 0.6, 0.1], "stack_size": 1, "observation_shape": (64, 32)}
    picture = {"observation": {"type": "GrayscaleObservation", **shades}}
    env = highway.make_env("highway-fast-v0", config={**FEW, **picture})
    for observation in (env.reset(seed=0)[0], env.step(IDLE)[0]):
        assert len(np.unique(observation)) > 2  # road, lines, cars
    env.close()


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
    env = highway.make_env(name, render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == shape
    assert env.render().std() > 1
