"""MicroRTS: the package's own game with its last observation; many at once; where Java may be."""

import inspect
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from gym_microrts import microrts_ai

from pufferlib.emulation import native
from pufferlib.exceptions import ArgumentError
from pufferlib.registry import microrts
from pufferlib.testing import check_env

RUSH = "MicroRTS-8x8-workerRushAI"
NOTHING = np.zeros(448, int)
PARTS = (6, 4, 4, 4, 4, 7, 49)


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


def legal_actions(masks, random):
    """Return for masks (games, cells, 78) actions of which each part is allowed, where any is."""
    preference = masks * random.random(masks.shape)
    parts = np.split(preference, np.cumsum(PARTS)[:-1], axis=-1)
    return np.stack([part.argmax(-1) for part in parts], -1).reshape(len(masks), -1)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "kwargs", "steps", "least"),  # terminals and truncations
    [
        (RUSH, {}, 500, (2, 0)),
        (RUSH, {"max_steps": 30, "reward_weight": (3, 1, 0.5, 0.2, 2, 1)}, 75, (0, 6)),
        ("MicroRTS-16x16-workerRushAI", {"max_steps": 600}, 700, (1, 2)),
    ],
)
def test_many_games_play_as_one_does(name, kwargs, steps, least):
    """Each other actions, over ends of both kinds; and again after a reset in the middle."""
    ones = [microrts.make_env(name, **kwargs) for _ in range(3)]
    many = microrts.make_env(name, 3, **kwargs)
    random = np.random.default_rng(0)
    ends = np.zeros(2, int)
    for episode_steps in (17, steps):
        expected = np.stack([one.reset(seed=0)[0] for one in ones])
        np.testing.assert_array_equal(many.reset(seed=0)[0], expected)
        for _ in range(episode_steps):
            masks = many.observation_layout.unflatten(expected)["action_mask"]
            actions = legal_actions(masks, random)
            infos = many.step(actions)[4]
            reported = []
            for game, one in enumerate(ones):
                expected[game], reward, terminated, truncated, info = one.step(actions[game])
                assert many.rewards[game] == np.float32(reward)
                assert (many.terminals[game], many.truncations[game]) == (terminated, truncated)
                if terminated or truncated:
                    np.testing.assert_array_equal(many.final_observations[game], expected[game])
                    expected[game] = one.reset()[0]
                    reported.append(info)
            np.testing.assert_array_equal(many.observations, expected)
            assert infos == reported
            assert many.masks.all()
            ends += many.terminals.sum(), many.truncations.sum()
    assert (ends >= least).all()
    many.close()


@pytest.mark.parametrize("num_envs", [None, 2])
def test_a_loss_in_the_last_step_allowed_is_no_truncation(num_envs):
    def end_of_doing_nothing(max_steps):
        env = native(microrts.make_env(RUSH, num_envs, max_steps=max_steps))
        env.reset(seed=0)
        for step in range(1, 2001):
            env.step(np.tile(NOTHING, (env.num_agents, 1)))
            if (env.terminals | env.truncations).any():
                assert env.terminals.all() != env.truncations.all()
                return step, bool(env.terminals.all())
        raise AssertionError("no end")

    length, is_lost = end_of_doing_nothing(2000)
    assert is_lost
    assert end_of_doing_nothing(length) == (length, True)
    assert end_of_doing_nothing(length - 1) == (length - 1, False)


def test_many_games_keep_the_contract():
    check_env(partial(microrts.make_env, RUSH, num_envs=3, max_steps=70))


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
    env = microrts.make_env(RUSH, render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((128, 128, 3), np.uint8)
    colors = set(map(tuple, picture.reshape(-1, 3).tolist()))
    assert colors == {(40, 40, 40), (64, 160, 64), (64, 96, 255), (255, 64, 64)}
    assert microrts.make_env(RUSH, render_mode=None).render() is None


def test_the_picture_of_many_is_of_the_first():
    one, many = (
        microrts.make_env(RUSH, render_mode="rgb_array"),
        microrts.make_env(RUSH, 2, render_mode="rgb_array"),
    )
    one.reset(seed=0)
    many.reset(seed=0)
    actions = many.single_action_space.nvec * np.random.default_rng(0).random((60, 448))
    for action in actions.astype(int):
        one.step(action)
        many.step(np.stack([action, NOTHING]))
    assert many.render_mode == "rgb_array"
    np.testing.assert_array_equal(many.render(), one.render())
    assert (many.observations[0] != many.observations[1]).any()
    assert microrts.make_env(RUSH, 2, render_mode=None).render() is None


def test_a_wrong_map_and_wrong_weights_are_refused():
    with pytest.raises(ArgumentError, match=r"no map 'maps/none\.xml'\. Name one below"):
        microrts.make_env(map_path="maps/none.xml")
    with pytest.raises(ArgumentError, match=r"reward_weight must be 6 numbers, for WinLoss"):
        microrts.make_env(reward_weight=(1, 2))


@pytest.mark.parametrize("max_steps", [0, -1, 2.5])
def test_a_game_without_steps_is_refused(max_steps):
    with pytest.raises(ArgumentError, match=rf"whole number of at least 1; got {max_steps}\."):
        microrts.make_env(max_steps=max_steps)


@pytest.mark.parametrize("num_envs", [0, -3])
def test_fewer_than_one_game_is_refused(num_envs):
    with pytest.raises(ArgumentError, match=rf"num_envs must .* at least 1; got {num_envs}\."):
        microrts.make_env(num_envs=num_envs)


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
process.join(200)
print("exit", process.exitcode)
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=True
    )
    assert "CallOrderError A MicroRTS environment was made in the parent" in run.stdout
    assert "exit 3" in run.stdout
    assert run.stderr == ""  # of Java and its libraries neither


@pytest.mark.long
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
process.join(200)
print("exit", process.exitcode)
process.kill()
env.close()
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=True
    )
    assert run.stdout == "exit 0\n"
