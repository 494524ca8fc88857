"""Slime Volleyball's native form plays as the package does, number by number."""

from contextlib import closing

import gymnasium
import numpy as np
import pytest

from pufferlib import vector
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


@pytest.mark.parametrize(
    ("seed", "max_steps", "expected"),
    [
        (0, 3000, {"terminated"}),
        (1, 300, {"truncated"}),
        (0, 429, {"terminated", "truncated"}),  # the last point is lost in the last step
    ],
)
def test_many_games_are_those_of_as_many_environments(seed, max_steps, expected):
    rows, steps, ends = 4, 900, []
    many = slimevolley.make_env(num_envs=rows, max_steps=max_steps)
    games = [slimevolley.make_env(max_steps=max_steps) for _ in range(rows)]
    same_bytes(many.reset(seed)[0], [game.reset(seed=seed + i)[0] for i, game in enumerate(games)])
    for step, actions in enumerate(presses(rows, steps, seed)):
        observations, rewards, terminals, truncations, infos = many.step(actions)
        for row, game in enumerate(games):
            observation, reward, terminated, truncated, info = game.step(actions[row])
            assert (rewards[row], terminals[row]) == (reward, terminated)
            assert truncations[row] == truncated
            if terminated or truncated:
                same_bytes(many.final_observations[row], observation)
                assert infos.pop(0) == info
                observation, _ = game.reset()  # goes on with the random numbers of its seed
                ends.append(("terminated" if terminated else "truncated", info["episode_length"]))
            same_bytes(observations[row], observation)
        assert infos == []
        if step in (50, 100):  # in the middle of games
            first = None if step == 50 else seed + 7
            seeds = [None if first is None else first + row for row in range(rows)]
            begun = [game.reset(seed=each)[0] for game, each in zip(games, seeds, strict=True)]
            same_bytes(many.reset(first)[0], begun)
    assert {kind for kind, _ in ends} == expected
    if len(expected) == 2:
        assert ("terminated", max_steps) in ends


def test_a_reward_for_survival_counts_from_the_next_game_on_as_in_one_environment():
    make, rows, current, num_ends = slimevolley.make_env, 4, 0.0, 0
    expected = np.zeros(rows, np.float32)  # of a step without a point, by game
    with (
        closing(vector.make(make, env_kwargs={"num_envs": rows})) as many,
        closing(vector.make(make, num_envs=rows)) as games,
    ):
        for vecenv in (many, games):
            vecenv.reset(seed=0)
        for step, actions in enumerate(presses(rows, 1300, 0)):
            if step in (50, 650):  # in the middle of games, which end one by one
                current = 0.01 if step == 50 else 0.0
                for vecenv in (many, games):
                    vecenv.set_attr("survival_reward", [current] * vecenv.num_envs)
            found, same = (vecenv.step(actions) for vecenv in (many, games))
            same_bytes(found[1], same[1])
            assert found[-1] == same[-1]
            is_quiet = np.abs(found[1]) < 0.5  # no point is won
            np.testing.assert_array_equal(found[1][is_quiet], expected[is_quiet])
            expected[found[2]] = current
            num_ends += int(found[2].sum())
    assert num_ends >= 2 * rows


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


def test_one_step_from_any_state_is_the_packages():
    """Balls at the walls, the ceiling, the fence, the ground and players; players that jump."""
    from pufferlib.registry._slimevolley_courts import Courts
    from pufferlib.registry._slimevolley_env import package

    rows, random = 2000, np.random.default_rng(0)
    courts = Courts(rows)
    courts.generators = [np.random.default_rng(row) for row in range(rows)]
    courts.reset(np.arange(rows))
    x = random.choice([-23.5, 23.5, -1, 1, 0, -12, 12], rows) + random.normal(0, 0.5, rows)
    y = random.choice([2, 3, 4, 47.5], rows) + random.normal(0, 0.5, rows)
    courts._ball[:] = x, y, *random.uniform(-30, 30, (2, rows))
    courts._delay[:] = random.integers(2, size=rows)  # half of them go
    # Grounded, a little above, or in the air.
    courts._y[:] += random.choice([0, 0.002, 0.005, 1], (2, rows))
    courts._vy[:] = random.uniform(-10, 10, (2, rows))
    pressed = random.integers(2, size=(2, 3, rows))
    games = []
    for row in range(rows):
        game = package.Game(np_random=np.random.default_rng(row))
        game.ball.x, game.ball.y, game.ball.vx, game.ball.vy = courts._ball[:, row].tolist()
        game.delayScreen.life = int(courts._delay[row])
        for side, agent in enumerate((game.agent_left, game.agent_right)):
            agent.y, agent.vy = float(courts._y[side, row]), float(courts._vy[side, row])
            agent.setAction(pressed[side, :, row])
        games.append(game)
    won = courts.step(*(pressed > 0))
    assert won.tolist() == [game.step() for game in games]
    for number, name in enumerate(("x", "y", "vx", "vy")):
        expected = [getattr(game.ball, name) for game in games]
        np.testing.assert_array_equal(courts._ball[number], expected)
        for side, agent in enumerate(("agent_left", "agent_right")):
            expected = [getattr(getattr(game, agent), name) for game in games]
            np.testing.assert_array_equal(courts._bodies[number, side], expected)


def test_reset_clears_what_the_last_step_left():
    env = slimevolley.make_env(num_envs=2)
    env.reset(seed=0)
    env.step(np.zeros((2, 3), np.int8))
    env.rewards[:], env.terminals[:], env.truncations[:], env.masks[:] = 1, True, True, False
    env.reset()
    for left in (env.rewards, env.terminals, env.truncations, ~env.masks):
        assert not left.any()


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


def test_a_negative_seed_is_refused_as_by_one_environment():
    for env in (slimevolley.make_env(num_envs=2), slimevolley.make_env()):
        with pytest.raises(gymnasium.error.Error, match="greater or equal to zero"):
            env.reset(seed=-1)


def test_a_step_before_the_first_reset_is_refused():
    env = slimevolley.make_env(num_envs=2)
    with pytest.raises(CallOrderError, match="Call reset first"):
        env.step(np.zeros((2, 3), np.int8))
