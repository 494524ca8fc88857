"""Slime Volleyball's native form plays as the package does, number by number."""

import numpy as np
import pytest

from pufferlib.exceptions import ArgumentError, CallOrderError
from pufferlib.registry import slimevolley

pytest.importorskip("slimevolleygym")


def presses(rows, steps, seed):
    """Yield int8 (rows, 3): each row plays at random, and holds what it presses for a while."""
    random = np.random.default_rng(seed)
    pressed = np.zeros((rows, 3), np.int8)
    for _ in range(steps):
        change = random.random(rows) < 0.2
        pressed[change] = random.integers(2, size=(int(change.sum()), 3))
        yield pressed.copy()


def same_bytes(one, other):
    one, other = np.asarray(one), np.asarray(other)
    assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())


@pytest.mark.parametrize(("seed", "max_steps"), [(0, 3000), (1, 300)])
def test_many_games_are_those_of_as_many_environments(seed, max_steps):
    rows, steps, ends = 4, 900, []
    many = slimevolley.make_env(num_envs=rows, max_steps=max_steps)
    games = [slimevolley.make_env(max_steps=max_steps) for _ in range(rows)]
    same_bytes(many.reset(seed)[0], [game.reset(seed=seed + i)[0] for i, game in enumerate(games)])
    for actions in presses(rows, steps, seed):
        observations, rewards, terminals, truncations, infos = many.step(actions)
        for row, game in enumerate(games):
            observation, reward, terminated, truncated, info = game.step(actions[row])
            assert (rewards[row], terminals[row]) == (reward, terminated)
            assert truncations[row] == truncated
            if terminated or truncated:
                same_bytes(many.final_observations[row], observation)
                assert infos.pop(0) == info
                observation, _ = game.reset()  # goes on with the random numbers of its seed
                ends.append("terminated" if terminated else "truncated")
            same_bytes(observations[row], observation)
        assert infos == []
    assert set(ends) == ({"terminated"} if max_steps == 3000 else {"truncated"})


def test_courts_of_two_players_are_the_packages_games():
    """Who plays: its author's player, on the right or on both sides, or both at random."""
    from pufferlib.registry._slimevolley_courts import Baselines, Courts, scaled
    from pufferlib.registry._slimevolley_env import package

    rows, steps = 6, 900
    courts, baselines = Courts(rows), [Baselines(rows), Baselines(rows)]
    courts.generators = [np.random.default_rng(seed) for seed in range(rows)]
    courts.reset(np.arange(rows))
    games = [package.Game(np_random=np.random.default_rng(seed)) for seed in range(rows)]
    players = [[package.BaselinePolicy() for _ in range(2)] for _ in range(rows)]
    is_baseline = np.arange(rows) % 3 >= np.array([[2], [1]])  # (2, rows)
    seen_balls = []
    for left, right in zip(presses(rows, steps, 0), presses(rows, steps, 1), strict=True):
        pressed = np.stack([left, right])
        chosen = [one.act(seen) for one, seen in zip(baselines, courts.seen, strict=True)]
        for row, game in enumerate(games):
            for side, agent in enumerate((game.agent_left, game.agent_right)):
                action = players[row][side].predict(agent.getObservation())
                assert chosen[side][:, row].tolist() == [each > 0 for each in action]
                agent.setAction(action if is_baseline[side, row] else pressed[side, row])
        sides = np.where(is_baseline[:, None], chosen, pressed.transpose(0, 2, 1) > 0)
        won = courts.step(*sides)
        for row, game in enumerate(games):
            assert won[row] == game.step()
            assert courts.lives[:, row].tolist() == [game.agent_left.life, game.agent_right.life]
        for side, name in enumerate(("agent_left", "agent_right")):
            same_bytes(
                scaled(courts.seen[side]), [getattr(game, name).getObservation() for game in games]
            )
        seen_balls.append(scaled(courts.seen[1])[:, 4:6])
    x, y = np.stack(seen_balls).transpose(2, 0, 1)
    assert ((np.abs(x) < 0.1) & (y < 0.45)).any()  # at the top of the fence
    assert (x > 2.34).any()  # at the right wall
    assert (x < -2.34).any()


def test_games_go_on_with_new_ones_where_reset_has_no_seed():
    env = slimevolley.make_env(num_envs=2)
    first = env.reset(seed=5)[0].copy()
    second = env.reset()[0].copy()
    assert (first[:, 6] != second[:, 6]).all()  # the serve
    np.testing.assert_array_equal(env.reset(seed=5)[0], first)
    np.testing.assert_array_equal(env.reset()[0], second)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"name": "SlimeVolleyPixel-v0"}, "no native form, .* Leave out num_envs, or use"),
        ({"name": "SlimeVolleyTwoPlayer-v0"}, "no native form, .* Leave out num_envs, or use"),
        ({"render_mode": "rgb_array"}, "draws nothing; got render_mode='rgb_array'. Leave out"),
        ({"num_envs": 0}, "num_envs must be a whole number of at least 1"),
        ({"max_steps": 0}, "max_steps must be a whole number of at least 1"),
    ],
)
def test_what_native_games_cannot_do_is_refused(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        slimevolley.make_env(**{"num_envs": 2, **kwargs})


def test_a_step_before_the_first_reset_is_refused():
    env = slimevolley.make_env(num_envs=2)
    with pytest.raises(CallOrderError, match="Call reset first"):
        env.step(np.zeros((2, 3), np.int8))
