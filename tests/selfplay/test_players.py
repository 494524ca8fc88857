"""Players."""

import numpy as np

from pufferlib.registry import open_spiel
from pufferlib.selfplay import RandomPlayer


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
