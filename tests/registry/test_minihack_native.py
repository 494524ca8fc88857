"""MiniHack's native form plays as emulated environments of one game do."""

import functools
from contextlib import closing

import numpy as np
import pytest
from nethack_parity import TWINS, play_both, walks

from pufferlib import vector
from pufferlib.exceptions import ArgumentError
from pufferlib.registry import _nethack_native, minihack
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
SAMPLES = (
    "MiniHack-Corridor-R3-v0",  # no judge
    "MiniHack-WoD-Pro-Full-v0",
    "MiniHack-Eat-Distr-v0",  # messages
    "MiniHack-Memento-Short-F2-v0",
    "MiniHack-Levitate-Random-Full-v0",
    "MiniHack-Pray-Distr-v0",  # an action at a place
    "MiniHack-ExploreMaze-Easy-Mapped-v0",  # a function
    "MiniHack-Sokoban1a-v1",  # methods
    "MiniHack-MultiRoom-N4-v0",  # rooms of MiniGrid
    "MiniHack-LavaCrossingS9N1-v0",
)
NATIVE = [
    task
    for task in minihack.FAMILY.tasks
    if task not in minihack.FAMILY.single_tasks and "Custom" not in task
]


def play_task(name, num_envs, steps, resets, actions=None, walk_seed=3, **kwargs):
    """Play a task in both forms, see `play_both`."""
    creator = functools.partial(minihack.make_env, name, **kwargs)
    ones = vector.make(creator, num_envs=num_envs, backend="Serial")
    many = minihack.make_env(name, num_envs=num_envs, **kwargs)
    assert many.single_action_space == ones.single_action_space
    try:
        if actions is None:
            actions = walks(num_envs, steps, walk_seed, many.single_action_space.n)
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
@pytest.mark.parametrize("name", SAMPLES)
def test_a_task_of_each_kind_plays_as_in_one_game(name):
    play_task(name, 4, 300, {0: 42, 170: 7})


@pytest.mark.tasks
@pytest.mark.slow
@pytest.mark.parametrize("name", NATIVE)
def test_every_task_with_a_native_form_plays_as_in_one_game(name):
    for seed in (0, 1000, 2000):
        play_task(name, 4, 400, {0: seed, 250: seed + 100}, walk_seed=seed)


EAT, PRAY = "y y e y", "y y M y"  # y goes to the north-west, and is the answer yes
DONE = {
    "MiniHack-Eat-Fixed-v0": EAT,
    "MiniHack-PutOn-Fixed-v0": "y y , P f",
    "MiniHack-Pray-Fixed-v0": PRAY,
    "MiniHack-WoD-Easy-Full-v0": ", z f l",  # may miss
}
MORE_DONE = {
    "MiniHack-Wield-Fixed-v0": "y y , w f",
    "MiniHack-Wear-Fixed-v0": "y y , W f",
    "MiniHack-Zap-Fixed-v0": "y y , z f",
    "MiniHack-Read-Fixed-v0": "y y , r f",
    "MiniHack-Sink-Fixed-v0": "y y q y",
}


def typed(name, text, num_envs, **kwargs):
    """Return the actions that press these keys, in all games; M is for M-p, to pray."""
    with closing(minihack.make_env(name, num_envs=1, **kwargs)) as env:
        keys = env._kind.actions
    row = [keys.index(ord("p") | 0x80 if key == "M" else ord(key)) for key in text.split()]
    return np.repeat(np.array(row)[:, None], num_envs, axis=1)


@pytest.mark.parametrize(
    ("name", "text"),
    [*DONE.items(), *(pytest.param(*each, marks=pytest.mark.long) for each in MORE_DONE.items())],
)
def test_a_task_that_is_done_is_rewarded_as_in_one_game(name, text):
    actions = np.concatenate([typed(name, text, 2)] * 3)  # an episode each
    assert play_task(name, 2, 0, {0: 1, len(actions) // 3 * 2: 8}, actions)[1] >= 5


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize(("limit", "ends"), [(4, (0, 0, 2)), (5, (0, 2, 0))])
def test_what_happens_on_the_last_step_allowed_is_not_rewarded(limit, ends, twin, monkeypatch):
    monkeypatch.setattr(_nethack_native, "Batch", TWINS[twin])
    name = "MiniHack-Eat-Fixed-v0"
    found = play_task(name, 2, 0, {0: 1}, typed(name, EAT, 2), max_episode_steps=limit)
    assert tuple(found) == ends


def test_a_pit_of_sokoban_is_a_death_and_time_costs():
    found = play_task("MiniHack-Sokoban4a-v1", 2, 0, {0: 3}, np.ones((20, 2), int))  # east
    assert found[0] >= 2


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


def manager(**parts):
    """Return a reward manager with an event of each kind that MiniHack has, and more if given."""
    minihack.make_env().close()  # imports the package, quietly
    from minihack import RewardManager

    rewards = RewardManager()
    often = {"repeatable": True, "terminal_required": False}
    rewards.add_message_event(["stairs", "solid"], reward=-0.125, **often)
    rewards.add_coordinate_event((37, 10), reward=0.25, **often)  # from where it begins, too
    rewards.add_positional_event("no such thing", "search", reward=4, **often)
    rewards.add_location_event("staircase down", reward=2, terminal_sufficient=True)
    for name, part in parts.items():
        getattr(rewards, name)(part)
    return rewards


def test_a_reward_manager_of_ones_own_and_penalties_are_those_of_one_game():
    kwargs = {"des_file": CORRIDOR, "penalty_mode": "linear", "penalty_time": 0.5}
    kwargs |= {"reward_manager": manager(), "max_episode_steps": 9}
    name = "MiniHack-Skill-Custom-v0"
    for text in ("h l s y l", "l l"):
        actions = np.concatenate([typed(name, text, 2, des_file=CORRIDOR)] * 4)
        assert play_task(name, 2, 0, {0: 3}, actions, **kwargs)[1] == 8
    kwargs = {"reward_win": 3, "reward_lose": -2, "penalty_step": -1, "penalty_mode": "exp"}
    found = play_task("MiniHack-Room-Random-5x5-v0", 3, 100, {0: 42, 60: 7}, **kwargs)
    assert found[1] > 2
    assert play_task("MiniHack-HideNSeek-Lava-v0", 3, 100, {0: 42}, **kwargs)[0] > 0


def test_what_is_described_on_the_screen_is_what_minihack_finds():
    minihack.make_env().close()
    from minihack import MiniHack

    from pufferlib.registry._minihack_judge import is_described

    texts = [b"altar", b"", b"an\0altar", b"sink" + b"\0" * 76, b"x" * 77 + b"al", b"tar"]
    screen = np.zeros((21, 79, 80), np.uint8)
    for column, text in enumerate(texts):
        screen[3, column, : len(text)] = np.frombuffer(text, np.uint8)
    game = MiniHack.__new__(MiniHack)
    game._scr_descr_index, game.last_observation = 0, (screen,)
    names = ("altar", "lta", "sink", "an", "nk", "xal", "altars", "altartar", "tar", "")
    found = [name for name in names if is_described(screen, name)]
    assert found == [name for name in names if game.screen_contains(name)]
    assert found == ["altar", "lta", "sink", "an", "nk", "xal", "tar", ""]
    screen[3, 0] = 0
    assert not is_described(screen, "altar")  # after the end of a text, or across two
    assert not game.screen_contains("altar")


@pytest.mark.long
def test_a_pit_of_sokoban_that_is_filled_is_rewarded():
    walk = walks(4, 1400, 0, 8)[:, :1]
    play_task("MiniHack-Sokoban2a-v1", 1, 0, {0: 0}, walk)
    with closing(minihack.make_env("MiniHack-Sokoban2a-v1", num_envs=1)) as env:
        env.reset(seed=0)
        assert max(env.step(row)[1][0] for row in walk) == np.float32(0.099)  # less the time's


def derive(part):
    """Make something an instance of a class of one's own."""
    kind = type(part)
    part.__class__ = type(f"Own{kind.__name__}", (kind,), {})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rewards: rewards.add_custom_reward_fn(print), "has a reward function, print"),
        (lambda rewards: derive(rewards.events[0]), "has an event of type OwnMessageEvent"),
        (lambda rewards: derive(rewards), "has a reward manager of type OwnRewardManager"),
    ],
)
def test_what_a_reward_manager_may_read_elsewhere_is_refused(change, reason):
    rewards = manager()
    change(rewards)
    with pytest.raises(ArgumentError, match=f"no native form.*: it {reason}"):
        minihack.make_env(num_envs=2, reward_manager=rewards)


def test_many_games_keep_the_contract():
    check_env(functools.partial(minihack.make_env, num_envs=2, max_episode_steps=15), steps=40)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"name": "MiniHack-KeyRoom-S5-v0"}, r"it has its own step\(\). Use num_envs=None"),
        ({"observation_keys": ["chars_crop"]}, "it observes 'chars_crop', which MiniHack makes"),
        ({"render_mode": "ansi"}, "got render_mode='ansi'. Use num_envs=None"),
        ({"use_wiki": True}, "got use_wiki=True. Use num_envs=None"),
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
