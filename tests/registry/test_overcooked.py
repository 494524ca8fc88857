"""Overcooked: its kitchens, a soup served by hand, the time limit, a picture."""

import os
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from strict_python import STRICT_PYTHON

pytest.importorskip("overcooked_ai_py")

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import overcooked

STAY, INTERACT = 4, 5
NORTH, SOUTH, EAST, WEST = 0, 1, 2, 3


def test_the_tasks_are_the_kitchens_of_two_cooks_in_the_package():
    from overcooked_ai_py.mdp.overcooked_mdp import OvercookedGridworld
    from overcooked_ai_py.static import LAYOUTS_DIR

    layouts = [name.removesuffix(".layout") for name in os.listdir(LAYOUTS_DIR)]
    rules = {
        name: OvercookedGridworld.from_layout_name(name) for name in layouts if "." not in name
    }
    assert set(overcooked.FAMILY.tasks) == {
        f"overcooked/{name}" for name, kitchen in rules.items() if kitchen.num_players == 2
    }


@pytest.mark.parametrize("other", [None, "overcooked/long_cook_time"])
def test_a_soup_pays_both_who_serves_it_and_deeds_pay_their_own(other):
    # Agent 0 at (1, 2), next to the dishes; agent 1 at (3, 1), next to the onions; the pot is north
    # of (2, 1), the counter south of (3, 2). Agent 1 fills the pot, lights it and steps aside.
    onion = [INTERACT, WEST, NORTH, INTERACT, EAST]
    cook = [EAST, *onion, *onion, *onion[:-1], INTERACT, EAST]
    waiter = [SOUTH, INTERACT, NORTH, EAST, NORTH, *[STAY] * 20, INTERACT, SOUTH, EAST, SOUTH]
    moves = [(STAY, move) for move in cook] + [(move, STAY) for move in [*waiter, INTERACT]]
    with closing(overcooked.make_env(shaped_reward=1.0, horizon=len(moves))) as env:
        env.reset(seed=0)
        if other is not None:  # a soup there pays 10 and cooks for 100 steps
            overcooked.make_env(other).reset(seed=0)
        for first, second in moves:
            *_, infos = env.step({"agent_0": first, "agent_1": second})
    assert not env.agents
    # Carroll et al. 2019: 20 for a soup; 3 for an onion in the pot, 3 for a dish, 5 for the soup.
    assert infos["agent_0"]["episode_return"] == 20 + 3 + 5
    assert infos["agent_1"]["episode_return"] == 20 + 3 * 3
    assert infos["agent_0"]["sparse_return"] == 20
    assert infos["agent_1"]["soups"] == 1


def test_kitchens_in_turn_keep_their_own_recipes():
    from overcooked_ai_py.mdp.overcooked_mdp import SoupState

    # Cook times: the package's default; recipe_times of long_cook_time.layout; three onions of
    # onion_time 15 in pipeline.layout.
    cook_times = {"cramped_room": 20, "long_cook_time": 100, "pipeline": 3 * 15}
    kitchens = {name: overcooked.make_env(f"overcooked/{name}") for name in cook_times}
    for env in kitchens.values():
        env.reset(seed=0)
        kitchen = env.unwrapped
        pot = kitchen.rules.get_pot_locations()[0]
        kitchen._state.objects[pot] = SoupState.get_soup(pot, num_onions=3, cooking_tick=0)
    for step in range(1, 16):
        for name, env in kitchens.items():
            observations = env.step({"agent_0": STAY, "agent_1": STAY})[0]
            # The plane of steps left to cook is the only one with numbers above three.
            assert observations["agent_0"].max() == cook_times[name] - step
    for env in kitchens.values():
        env.close()


def test_a_kitchen_that_begins_with_a_soup_can_be_the_first_of_a_process():
    lines = [
        "from pufferlib.registry import overcooked",
        "env = overcooked.make_env('overcooked/tutorial_1')",
        "print(int(env.reset(seed=0)[0]['agent_0'].max()))",
    ]
    code = [*STRICT_PYTHON, "-c", "\n".join(lines)]
    result = subprocess.run(code, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "2\n"  # onions in the pot, in tutorial_1.layout


def test_the_time_limit_truncates_and_reports():
    with closing(overcooked.make_env(horizon=50)) as env:
        env.reset(seed=0)
        for step in range(1, 51):
            observations, rewards, terminations, truncations, infos = env.step(
                {"agent_0": STAY, "agent_1": STAY}
            )
            assert rewards == {"agent_0": 0, "agent_1": 0}
            assert not any(terminations.values())
            assert set(truncations.values()) == {step == 50}
            # Of the last 40 steps the last plane warns.
            assert (observations["agent_0"][..., -1] == (50 - step < 40)).all()
        assert infos["agent_1"] == {
            "soups": 0,
            "sparse_return": 0.0,
            "episode_return": 0.0,
            "episode_length": 50,
        }


def test_it_draws_without_a_display_and_leaves_no_stand_ins():
    with closing(overcooked.make_env(render_mode="rgb_array")) as env:
        env.reset(seed=0)
        picture = env.render()
        assert picture.ndim == 3
        assert picture.dtype == np.uint8
        assert picture.std() > 0
        for name in ("IPython", "ipywidgets"):
            assert name not in sys.modules or sys.modules[name].__spec__ is not None


@pytest.mark.parametrize("horizon", [0, -5, "400", True])
def test_an_episode_without_steps_is_refused(horizon):
    with pytest.raises(ArgumentError, match=rf"whole number of at least 1; got {horizon!r}\."):
        overcooked.make_env(horizon=horizon)


@pytest.mark.parametrize("shaped_reward", ["1", None, float("nan"), float("inf"), True])
def test_a_shaped_reward_that_is_no_number_is_refused(shaped_reward):
    with pytest.raises(ArgumentError, match=rf"finite number; got {shaped_reward!r}\."):
        overcooked.make_env(shaped_reward=shaped_reward)


def test_there_is_no_state_of_both_cooks():
    with closing(overcooked.make_env()) as env:
        env.reset(seed=0)
        with pytest.raises(NotImplementedError, match="state"):
            env.state()
