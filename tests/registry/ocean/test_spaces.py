"""Spaces by hand, bare and flat: what is right, and that every part counts."""

import numpy as np
import pytest
from ocean_games import at_random, mean_score, play

from pufferlib.emulation import native
from pufferlib.registry.ocean import make_env
from pufferlib.registry.ocean.spaces import Spaces


def answers(observation):
    """Return the right answers to (image, rest[0], rest[1]), found another way than by the env."""
    right_half = observation["image"][:, 2:].sum() > 0
    positive = observation["rest"]["numbers"][1] > 0
    place = [2, 3, 4].index(int(observation["rest"]["symbol"]))
    return [int(right_half), int(positive), place]


@pytest.mark.parametrize("wrong", [(), (0,), (1,), (2,), (0, 1, 2)])
def test_every_right_answer_earns_a_third_and_only_all_of_them_score(wrong):
    env = Spaces()
    observation, _ = env.reset(seed=0)
    given = answers(observation)
    for part in wrong:
        given[part] = 1 - given[part] if part < 2 else (given[part] + 1) % 3
    action = {"image": given[0], "rest": np.array(given[1:])}
    _, reward, terminated, truncated, info = env.step(action)
    assert reward == pytest.approx((3 - len(wrong)) / 3)
    assert (terminated, truncated) == (True, False)
    assert info == {"score": 0 if wrong else 1}


def test_questions_are_drawn_again_and_clear():
    env = Spaces()
    seen = []
    for game in range(300):
        observation, _ = env.reset(seed=0 if game == 0 else None)
        assert observation in env.observation_space
        assert sorted(observation["image"].ravel().tolist()) == [0] * 15 + [255]
        assert (np.abs(observation["rest"]["numbers"]) >= 0.199).all()
        seen.append(tuple(answers(observation)))
    assert len(set(seen)) == 12  # every combination: 2 * 2 * 3
    # Each of three parts alone: 150 +- 9 of 300, 150 +- 9, 100 +- 8.
    assert np.mean([s[0] for s in seen]) == pytest.approx(0.5, abs=0.1)
    assert np.mean([s[1] for s in seen]) == pytest.approx(0.5, abs=0.1)
    assert np.mean([s[2] == 1 for s in seen]) == pytest.approx(1 / 3, abs=0.1)


def reading(env, ignored=None):
    """Return what reads flat rows and answers in flat columns; right but for a part it ignores."""

    def choose(rows):
        given = np.array([answers(env.observation_layout.unflatten(row)) for row in rows])
        if ignored is not None:
            given[:, ignored] = 0
        return given

    return choose


def test_flat_rows_hold_what_it_takes_to_score_one():
    env = native(make_env("spaces"))
    infos = play(env, reading(env), 200)
    assert [info["score"] for info in infos] == [1] * 200
    assert infos[0] == {"episode_return": 1.0, "episode_length": 1, "score": 1}


@pytest.mark.parametrize(("ignored", "score"), [(0, 1 / 2), (1, 1 / 2), (2, 1 / 3)])
def test_ignoring_a_part_costs_half_the_score_or_more(ignored, score):
    env = native(make_env("spaces"))
    # A standard error of 0.5 / sqrt(2,000) = 0.011.
    assert mean_score(play(env, reading(env, ignored), 2000)) == pytest.approx(score, abs=0.035)


def test_a_random_policy_scores_one_in_twelve():
    env = native(make_env("spaces"))
    # A standard error of 0.28 / sqrt(5,000) = 0.004.
    assert mean_score(play(env, at_random(env), 5000)) == pytest.approx(1 / 12, abs=0.013)


def test_text_shows_every_part():
    env = Spaces()
    observation, _ = env.reset(seed=0)
    *image, numbers, symbol = env.render().splitlines()
    row, column = divmod(int(observation["image"].argmax()), 4)
    assert image[row][column] == "x"
    assert "".join(image).count(".") == 15
    assert len(numbers.split()) == 4
    assert int(symbol) == observation["rest"]["symbol"]
