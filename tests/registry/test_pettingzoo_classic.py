"""PettingZoo's classic games: played by turns as PettingZoo plays them."""

import os
import subprocess
import sys
from contextlib import closing

import numpy as np
import pettingzoo
import pytest

pytest.importorskip("rlcard")

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import pettingzoo_classic


def test_the_tasks_are_those_that_pettingzoo_registers():
    names = {name for name in pettingzoo.aec_registry if name.startswith("classic/")}
    tasks = pettingzoo_classic.FAMILY.tasks
    assert {pettingzoo.spec("aec", f"classic/{task}").id for task in tasks} == names


@pytest.mark.parametrize("task", ["connect_four_v3", "leduc_holdem_v4", "texas_holdem_v4"])
def test_legal_play_is_that_of_the_bare_game(task):
    bare = pettingzoo.make("aec", f"classic/{task}")
    with closing(pettingzoo_classic.make_env(task)) as env, closing(bare):
        choose = np.random.default_rng(0)
        for seed in range(10):
            env.reset(seed=seed)
            bare.reset(seed=seed)
            returns = dict.fromkeys(env.possible_agents, 0.0)
            expected = dict.fromkeys(env.possible_agents, 0.0)
            for agent in bare.agent_iter():
                shown, reward, terminated, truncated, _ = bare.last()
                expected[agent] += reward
                if terminated or truncated:
                    bare.step(None)
                    continue
                action = int(choose.choice(np.flatnonzero(shown["action_mask"])))
                bare.step(action)
                actions = dict.fromkeys(env.agents, 0) | {agent: action}
                _, rewards, _, _, infos = env.step(actions)
                for paid, amount in rewards.items():
                    returns[paid] += amount
            assert not env.agents
            assert returns == expected
            assert any(expected.values()) or task == "connect_four_v3"
            for agent, info in infos.items():
                assert info["episode_return"] == expected[agent]
                assert info["illegal_actions"] == 0


def test_only_the_agent_on_turn_may_move():
    with closing(pettingzoo_classic.make_env("tictactoe_v3")) as env:
        observations, _ = env.reset(seed=0)
        shown = {a: env.observation_layout.unflatten(o) for a, o in observations.items()}
        assert shown["player_1"]["action_mask"].tolist() == [1] * 9
        assert shown["player_2"]["action_mask"].tolist() == [1] + [0] * 8
        assert [int(shown[a]["turn"]) for a in ("player_1", "player_2")] == [1, 0]
        observations = env.step({"player_1": 4, "player_2": 8})[0]
        shown = env.observation_layout.unflatten(observations["player_2"])
        assert shown["action_mask"].tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1]


def test_hanabi_deals_again_and_the_same_again_under_a_seed():
    with closing(pettingzoo_classic.make_env("hanabi_v5", colors=2, ranks=2, hand_size=2)) as env:
        deals = [env.reset(seed=1)[0]["player_0"].tobytes()]
        deals += [env.reset()[0]["player_0"].tobytes() for _ in range(5)]
        again = [env.reset(seed=1)[0]["player_0"].tobytes()]
        again += [env.reset()[0]["player_0"].tobytes() for _ in range(5)]
    assert deals == again
    assert len(set(deals)) > 1


def test_it_renders_without_a_display():
    with closing(pettingzoo_classic.make_env(render_mode="rgb_array")) as env:
        env.reset(seed=0)
        assert env.render().std() > 0


def test_chess_alone_is_drawn_as_text():
    with closing(pettingzoo_classic.make_env("chess_v6", render_mode="ansi")) as env:
        env.reset(seed=0)
        assert str(env.render()).splitlines()[0] == "r n b q k b n r"
    with pytest.raises(
        ArgumentError, match="'ansi' is available for chess_v6 only; got it for go_v5"
    ):
        pettingzoo_classic.make_env("go_v5", render_mode="ansi")


def test_hanabi_is_made_without_a_warning_where_there_is_no_display():
    pytest.importorskip("dm_control")  # it is what asks for one
    # Of a fresh process: what warns is an import. What is made an error in there would be caught.
    script = """
import warnings
with warnings.catch_warnings(record=True) as given:
    warnings.simplefilter("always")
    from pufferlib.registry import pettingzoo_classic
    pettingzoo_classic.make_env("hanabi_v5").close()
assert not given, [str(warning.message) for warning in given]
"""
    env = {
        name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MUJOCO_GL")
    }
    subprocess.run([sys.executable, "-c", script], env=env, timeout=240, check=True)
