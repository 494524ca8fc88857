"""Players."""

from contextlib import closing

import gymnasium
import numpy as np
import pytest
import selfplay_games
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from selfplay_games import Ledger

from pufferlib import vector
from pufferlib.exceptions import ActionError, ArgumentError
from pufferlib.registry import open_spiel
from pufferlib.selfplay import RandomPlayer
from pufferlib.selfplay.players import CheckedPlayer


def test_a_random_player_draws_each_legal_action_equally_often():
    env = open_spiel.make_env("open_spiel/tic_tac_toe")
    env.reset(seed=0)
    layout = env.observation_layout
    rows = np.zeros((6000, *env.single_observation_space.shape), env.single_observation_space.dtype)
    legal = np.array([0, 1, 0, 0, 1, 0, 0, 0, 1], np.int8)
    shown = {"observation": np.zeros((3, 3, 3), np.float32), "action_mask": legal, "turn": 1}
    shown["observation"] = shown["observation"].reshape(
        env.env.observation_space(env.possible_agents[0])["observation"].shape
    )
    rows[:] = layout.flatten(shown)
    player = RandomPlayer(env, seed=0)
    actions = player.act(rows, np.zeros(6000, np.bool_), np.arange(6000))
    counts = np.bincount(actions, minlength=9)
    assert set(np.flatnonzero(counts)) == {1, 4, 8}
    assert np.all(np.abs(counts[[1, 4, 8]] - 2000) < 5 * np.sqrt(6000 * 2 / 9))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("illegal", r"player illegal failed: it chose 10, which is not in Discrete\(10\)"),
        ("fails", "player fails failed: KeyError: 'a position it does not know'"),
    ],
)
def test_a_player_that_raises_or_plays_what_is_not_legal_is_named(name, message):
    player = CheckedPlayer(name, getattr(selfplay_games, name), vector.make(Ledger), 0)
    with pytest.raises(ActionError, match=message):
        player.act(np.ones((2, 3), np.float32), np.zeros(2, np.bool_), np.arange(2))


class Masked(gymnasium.Env):
    """Actions of two columns, of which the mask forbids some; the agent may wait for its turn."""

    action_space = MultiDiscrete([2, 3])
    observation_space = Dict(action_mask=Box(0, 1, (5,), np.int8), turn=Discrete(2))

    def reset(self, *, seed=None, options=None):
        return {"action_mask": np.array([0, 1, 1, 0, 1], np.int8), "turn": 1}, {}

    def step(self, action):
        return self.reset()[0], 0.0, False, False, {}


def shown(vecenv, masks, turns):
    layout = vecenv.observation_layout
    parts = [
        {"action_mask": np.array(m, np.int8), "turn": t} for m, t in zip(masks, turns, strict=True)
    ]
    return np.stack([layout.flatten(part) for part in parts])


def test_a_random_player_draws_legal_choices_of_each_column():
    with closing(vector.make(Masked, num_envs=1)) as vecenv:
        looks = shown(vecenv, [[0, 1, 1, 0, 1], [0] * 5], [1, 1])
        looks = looks[np.repeat([0, 1], 3000)]
        player = RandomPlayer(vecenv, seed=0)
        actions = player.act(looks, np.zeros(6000, np.bool_), np.arange(6000))
    assert actions.shape == (6000, 2)
    pairs, counts = np.unique(actions[:3000], axis=0, return_counts=True)
    assert pairs.tolist() == [[1, 0], [1, 2]]
    assert abs(counts[0] - 1500) < 5 * np.sqrt(3000 / 4)
    assert len(np.unique(actions[3000:], axis=0)) == 6  # an absent agent's


def test_a_player_that_cannot_be_called_is_named():
    with pytest.raises(ArgumentError, match="player own cannot be called with an observation"):
        CheckedPlayer("own", lambda env, seed: 3, vector.make(Ledger), 0)


def test_what_a_player_draws_has_its_own_seed():
    def draws(observation):
        return np.random.randint(10)

    def drawn(seed):
        player = CheckedPlayer("own", draws, vector.make(Ledger), seed)
        looks, starts = np.ones((20, 3), np.float32), np.zeros(20, np.bool_)
        return player.act(looks, starts, np.arange(20)).tolist()

    np.random.seed(0)
    state = np.random.get_state()[1].tolist()
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert np.random.get_state()[1].tolist() == state
