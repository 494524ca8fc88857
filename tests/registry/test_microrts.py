"""MicroRTS: the package's own game with its last observation, and Java started where it may be."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
from gym_microrts import microrts_ai

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import microrts

RUSH = "MicroRTS-8x8-workerRushAI"
NOTHING = np.zeros(448, int)


def test_the_tasks_are_the_bots_of_the_package():
    bots = {name for name, _ in inspect.getmembers(microrts_ai, inspect.isfunction)}
    sizes = ("8x8", "16x16")
    assert set(microrts.FAMILY.tasks) == {f"MicroRTS-{s}-{bot}" for s in sizes for bot in bots}


@pytest.mark.filterwarnings("ignore")  # gym's, on import
def test_the_game_is_that_of_the_package():
    ours = microrts.make_env(RUSH)
    from gym_microrts.envs.vec_env import MicroRTSGridModeVecEnv
    from jpype.imports import registerDomain

    registerDomain("ts", alias="tests")  # as it does when it starts Java itself
    theirs = MicroRTSGridModeVecEnv(
        num_selfplay_envs=0,
        num_bot_envs=1,
        ai2s=[microrts_ai.workerRushAI],
        map_paths=["maps/8x8/basesWorkers8x8.xml"],
        reward_weight=np.array([10.0, 1.0, 1.0, 0.2, 1.0, 4.0]),
    )
    random = np.random.default_rng(1)
    ours.reset(seed=0)
    expected, row = theirs.reset()[0], ours.reset()[0]
    some_allowed = False
    ended = 0
    for _ in range(400):
        found = ours.observation_layout.unflatten(row)
        mask = theirs.get_action_mask()[0]
        np.testing.assert_array_equal(found["observation"], expected)
        np.testing.assert_array_equal(found["action_mask"], mask)
        some_allowed |= bool(mask.any())
        action = random.integers(ours.single_action_space.nvec)
        row, reward, terminated, _, _ = ours.step(action)
        expected, rewards, dones, _ = theirs.step(action[None])
        expected = expected[0]
        assert reward == pytest.approx(float(rewards[0]))
        assert terminated == bool(dones[0])
        if terminated:
            ended += 1
            last = ours.observation_layout.unflatten(row)["observation"]
            assert not last[..., 11].any()  # own units: lost, which theirs does not show
            assert expected[..., 11].any()  # it has begun the next game
            row = ours.reset()[0]
    assert some_allowed
    assert ended > 0
    theirs.vec_client.close()


def test_time_truncates_and_a_loss_terminates():
    env = microrts.make_env(RUSH, max_steps=5)
    env.reset(seed=0)
    steps = [env.step(NOTHING) for _ in range(5)]
    assert [step[2:4] for step in steps] == [(False, False)] * 4 + [(False, True)]
    assert [step[4] for step in steps[:4]] == [{}] * 4
    assert (steps[4][4]["win"], steps[4][4]["episode_length"]) == (False, 5)

    env = microrts.make_env(RUSH)
    env.reset(seed=0)
    rewards = []
    for _ in range(2000):  # of doing nothing while workers come
        _, reward, terminated, truncated, info = env.step(NOTHING)
        rewards.append(reward)
        if terminated or truncated:
            break
    assert (terminated, truncated, rewards[-1]) == (True, False, -10.0)
    assert info["win"] is False
    assert info["episode_return"] == pytest.approx(sum(rewards))


def test_weights_make_the_reward():
    env = microrts.make_env(RUSH, reward_weight=(3, 0, 0, 0, 0, 0))
    env.reset(seed=0)
    rewards = set()
    for _ in range(2000):
        _, reward, terminated, _, _ = env.step(NOTHING)
        rewards.add(reward)
        if terminated:
            break
    assert rewards == {0.0, -3.0}


def test_a_picture_shows_both_sides():
    env = microrts.make_env(RUSH)
    env.reset(seed=0)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((128, 128, 3), np.uint8)
    colors = set(map(tuple, picture.reshape(-1, 3).tolist()))
    assert colors == {(40, 40, 40), (64, 160, 64), (64, 96, 255), (255, 64, 64)}
    assert microrts.make_env(RUSH, render_mode=None).render() is None


def test_a_wrong_map_and_wrong_weights_are_refused():
    with pytest.raises(ArgumentError, match=r"no map 'maps/none\.xml'\. Name one below"):
        microrts.make_env(map_path="maps/none.xml")
    with pytest.raises(ArgumentError, match=r"reward_weight must be 6 numbers, for WinLoss"):
        microrts.make_env(reward_weight=(1, 2))


@pytest.mark.timeout(60)
def test_java_started_before_a_fork_is_an_error_and_no_hang():
    script = """
import multiprocessing, sys
from pufferlib.registry import microrts

def child():
    try:
        microrts.make_env()
    except Exception as error:
        print(type(error).__name__, error)
        sys.exit(3)

microrts.make_env().close()
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(30)
print("exit", process.exitcode)
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=True
    )
    assert "CallOrderError A MicroRTS environment was made in the parent" in run.stdout
    assert "exit 3" in run.stdout
    assert run.stderr == ""  # of Java and its libraries neither


@pytest.mark.timeout(60)
def test_a_forked_child_that_collects_its_garbage_waits_for_no_java():
    script = """
import gc, multiprocessing
from pufferlib.registry import microrts

def child():
    held = []
    for _ in range(60):
        held.append(b"x" * 20_000_000)
        gc.collect()

env = microrts.make_env()
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(30)
print("exit", process.exitcode)
process.kill()
env.close()
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=True
    )
    assert run.stdout == "exit 0\n"
