"""The network for connect four: what it sees, and what it treats alike."""

from contextlib import closing
from itertools import product

import numpy as np
import pytest
import torch

pytest.importorskip("pyspiel")

import pyspiel

from pufferlib import vector
from pufferlib.emulation.description import describe
from pufferlib.exceptions import ArgumentError
from pufferlib.normalization import NormalizedObservations
from pufferlib.policies.connect_four import ConnectFour, _seen_by_mover
from pufferlib.ppo import PPOConfig, Trainer
from pufferlib.pytorch import unflatten
from pufferlib.registry import open_spiel

OPENING = [3, 3, 2, 3, 3, 3, 3, 0, 6]  # the middle column is full; the second player is to move


@pytest.fixture(scope="module")
def env():
    with closing(open_spiel.make_env("open_spiel/connect_four")) as env:
        yield env


def rows_after(env, moves):
    """Return what the two players observe after these moves, float32 (2, n)."""
    observations, _ = env.reset(seed=0)
    for move in moves:
        observations = env.step(dict.fromkeys(env.agents, move))[0]
    return torch.tensor(np.stack(list(observations.values())))


def test_it_sees_the_stones_of_the_player_to_move_and_where_the_next_can_fall(env):
    for moves in (OPENING, OPENING[:-1], []):
        seen = describe(env).observation_layout.unflatten(rows_after(env, moves).numpy())
        planes = _seen_by_mover(torch.tensor(seen["observation"]).float())
        assert torch.equal(planes[0], planes[1])  # for both players
        state = pyspiel.load_game("connect_four").new_initial_state()
        for move in moves:
            state.apply_action(move)
        board = np.array([list(line) for line in str(state).split()])[::-1]  # the lowest row first
        own, other = "xo"[state.current_player()], "xo"[1 - state.current_player()]
        assert np.array_equal(planes[0, 0], board == own)
        assert np.array_equal(planes[0, 1], board == other)
        filled = (board != ".").sum(0)
        falls = {(int(filled[column]), column) for column in state.legal_actions()}
        assert {(int(row), int(column)) for row, column in planes[0, 2].nonzero()} == falls


def test_a_position_and_its_mirror_image_are_played_alike(env):
    torch.manual_seed(0)
    policy = ConnectFour(env, hidden_size=16, channels=8)
    with torch.no_grad():
        logits, value = policy(rows_after(env, OPENING))
        mirrored, same = policy(rows_after(env, [6 - move for move in OPENING]))
    assert torch.equal(mirrored[1], logits[1].flip(0))  # of the player to move
    assert torch.equal(same, value)
    assert logits[1].unique().numel() == 7


def test_a_position_that_is_its_own_mirror_image_is_seen_as_it_is(env):
    rows = [
        rows_after(env, [a, b, 6 - a, 6 - b, c, d, 6 - c, 6 - d])
        for a, b, c, d in product(range(3), repeat=4)
        if a != b and c != d
    ]
    seen = describe(env).observation_layout.unflatten(torch.cat(rows).numpy())["observation"]
    assert np.array_equal(seen, seen[..., ::-1])
    assert not ConnectFour(env, hidden_size=8).encode_observations(torch.cat(rows))[1][1].any()


def test_the_value_of_the_player_who_waits_is_the_negative_of_the_other_s(env):
    torch.manual_seed(0)
    waiting, moving = ConnectFour(env)(rows_after(env, OPENING))[1].flatten().tolist()
    assert waiting == -moving != 0


def test_full_columns_are_never_chosen(env):
    probabilities = ConnectFour(env)(rows_after(env, OPENING))[0].softmax(1)
    assert probabilities[1, 3] == 0
    assert (probabilities[1, [0, 1, 2, 4, 5, 6]] > 0).all()
    assert probabilities[0].tolist() == [1, 0, 0, 0, 0, 0, 0]  # who waits


@pytest.mark.parametrize(
    ("task", "parameters", "got"),
    [
        ("tic_tac_toe", {}, r"\(3, 3, 3\) and 9"),
        ("connect_four", {"rows": 3}, r"\(3, 3, 7\) and 7"),
    ],
)
def test_other_boards_are_refused(task, parameters, got):
    with (
        closing(open_spiel.make_env(f"open_spiel/{task}", **parameters)) as other,
        pytest.raises(ArgumentError, match=got),
    ):
        ConnectFour(other)


@pytest.mark.parametrize("is_vectorized", [True, False])
def test_planes_that_are_not_those_of_the_first_player_are_refused(is_vectorized):
    name = "open_spiel/connect_four"
    parameters = {"egocentric_obs_tensor": True}
    make = open_spiel.env_creator(name)
    other = (
        vector.make(make, num_envs=1, env_kwargs=parameters)
        if is_vectorized
        else open_spiel.make_env(name, **parameters)
    )
    with closing(other), pytest.raises(ArgumentError, match="egocentric_obs_tensor"):
        ConnectFour(other)


def test_normalized_planes_are_refused(env):
    with pytest.raises(ArgumentError, match="normalize_observations"):
        NormalizedObservations(env, ConnectFour(env, hidden_size=8))


def plain(_, policy):
    return policy


def turns_in_learning(num_envs, wrap, **settings):
    """Return "turn" in the rows that a policy learns from in one update."""
    make = open_spiel.env_creator("open_spiel/connect_four")
    with closing(vector.make(make, num_envs=num_envs)) as env:
        policy, turns = wrap(env, ConnectFour(env, hidden_size=8, channels=4)), []
        trainer = Trainer(PPOConfig(update_epochs=1, **settings), env, policy)

        def note(_, seen):
            if torch.is_grad_enabled():
                turns.extend(unflatten(seen[0], env.observation_layout)["turn"].flatten().tolist())

        policy.register_forward_pre_hook(note)
        trainer.step()
    return turns


@pytest.mark.parametrize(("skips", "is_normalized"), [(True, False), (True, True), (False, False)])
def test_rows_of_players_who_wait_are_left_out_of_minibatches(monkeypatch, skips, is_normalized):
    monkeypatch.setattr(ConnectFour, "skips_waiting", skips)
    monkeypatch.setattr(ConnectFour, "normalize_observations", is_normalized)
    wrap = NormalizedObservations if is_normalized else plain
    turns = turns_in_learning(4, wrap, horizon=8, minibatches=2)
    assert len(turns) == (32 if skips else 64)
    assert sum(turns) == 32  # one of the two moves in each step of each game


def test_all_rows_are_learned_from_where_the_movers_do_not_fill_the_minibatches():
    assert sorted(turns_in_learning(1, plain, horizon=4, minibatches=5)) == [0] * 4 + [1] * 4
