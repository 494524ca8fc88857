"""OpenSpiel: its list of games, chance under a seed, and rewards that add up to returns."""

import copy
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("pyspiel")

import pyspiel

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, WorkerError
from pufferlib.registry import open_spiel

# Of the games that have tensors and load by themselves: crossword's file of words is not there.
WITHOUT_TENSORS = {"crossword"}


def test_the_tasks_are_the_games_of_the_package_that_can_be_played_again():
    games = {
        f"open_spiel/{game.short_name}"
        for game in pyspiel.registered_games()
        if game.default_loadable
        and game.dynamics != pyspiel.GameType.Dynamics.MEAN_FIELD
        and game.chance_mode != pyspiel.GameType.ChanceMode.SAMPLED_STOCHASTIC
        and (game.provides_observation_tensor or game.provides_information_state_tensor)
        and game.short_name not in WITHOUT_TENSORS
    }
    assert set(open_spiel.FAMILY.tasks) == games


def play(task, seed, episodes, **kwargs):
    """Return what episodes of random actions brought: returns that were added up here, infos."""
    reported = []
    with closing(open_spiel.make_env(task, **kwargs)) as env:
        choose = np.random.default_rng(0)
        env.reset(seed=seed)
        for _ in range(episodes):
            returns = dict.fromkeys(env.agents, 0.0)
            while env.agents:
                actions = {a: choose.integers(env.single_action_space.n) for a in env.agents}
                _, rewards, _, _, infos = env.step(actions)
                for agent, reward in rewards.items():
                    returns[agent] += reward
            reported.append((returns, env.unwrapped._state.returns(), infos))
            env.reset()
    return reported


# laser_tag's and 2048's own rewards() mention a move again after chance has moved.
@pytest.mark.parametrize("task", ["kuhn_poker", "goofspiel", "laser_tag", "2048", "hanabi"])
def test_rewards_add_up_to_the_game_s_returns(task):
    for returns, expected, infos in play(f"open_spiel/{task}", seed=0, episodes=3):
        assert list(returns.values()) == pytest.approx(expected)
        for agent, info in infos.items():
            assert info["episode_return"] == pytest.approx(returns[agent])


def test_chance_is_the_seed_s():
    first, again, other = (
        [list(returns.values()) for returns, _, _ in play("open_spiel/kuhn_poker", seed, 30)]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_chance_draws_what_numpy_s_choice_draws():
    generator, deck = np.random.default_rng(3), pyspiel.load_game("leduc_poker")
    with closing(open_spiel.make_env("open_spiel/leduc_poker")) as env:
        env.reset(seed=3)
        for _ in range(20):
            state = deck.new_initial_state()
            while not state.is_terminal():
                if state.is_chance_node():
                    outcomes, chances = zip(*state.chance_outcomes(), strict=True)
                    state.apply_action(int(generator.choice(outcomes, p=chances)))
                else:
                    assert str(env.unwrapped.spiel_state) == str(state)
                    state.apply_action(1)  # call
                    env.step(dict.fromkeys(env.agents, 1))
            assert env.unwrapped.spiel_state.is_terminal()
            env.reset()


SHOWN = ["kuhn_poker", "connect_four", "backgammon", "goofspiel", "hanabi"]


@pytest.mark.parametrize("is_information_state", [False, True])
@pytest.mark.parametrize("game", SHOWN)
def test_players_observe_what_the_state_of_the_game_says(game, is_information_state):
    task, choose = f"open_spiel/{game}", np.random.default_rng(1)
    with closing(open_spiel.make_env(task, is_information_state=is_information_state)) as made:
        env = copy.deepcopy(made.unwrapped)
    has_history = env.game.get_type().provides_information_state_tensor
    observations, _ = env.reset(seed=1)
    is_over = False
    while not is_over:
        state, is_over = env.spiel_state, not env.agents
        for player, seen in enumerate(observations.values()):
            read = (
                state.information_state_tensor
                if is_information_state and has_history
                else state.observation_tensor
            )
            assert seen["observation"].ravel().tolist() == np.float32(read(player)).tolist()
            legal = [] if is_over else state.legal_actions(player)
            assert np.flatnonzero(seen["action_mask"]).tolist() == (legal or [0])
            assert seen["turn"] == bool(legal)
        if not is_over:
            masks = {agent: observations[agent]["action_mask"] for agent in env.agents}
            moves = {agent: choose.choice(np.flatnonzero(mask)) for agent, mask in masks.items()}
            observations = env.step(moves)[0]


def test_all_players_move_at_once_where_the_game_says_so():
    with closing(open_spiel.make_env("open_spiel/matrix_rps")) as env:
        observations, _ = env.reset(seed=0)
        shown = [env.observation_layout.unflatten(o) for o in observations.values()]
        assert [int(o["turn"]) for o in shown] == [1, 1]
        _, rewards, terminations, _, infos = env.step({"player_0": 0, "player_1": 1})
        assert rewards == {"player_0": -1, "player_1": 1}  # paper beats rock
        assert all(terminations.values())
        assert infos["player_0"]["illegal_actions"] == 0


@pytest.mark.parametrize("task", ["tic_tac_toe", "leduc_poker", "goofspiel"])
def test_random_openings_have_all_lengths_and_leave_a_game_to_play(task):
    lengths = []
    with closing(open_spiel.make_env(f"open_spiel/{task}")) as env:
        game = env.unwrapped
        game.random_moves = 9
        for seed in range(60):
            env.reset(seed=seed)
            opening = game.spiel_state.history()
            lengths.append(len(opening))
            assert not game.spiel_state.is_terminal()
            env.reset(seed=seed)
            assert game.spiel_state.history() == opening
        game.random_moves = 0
        env.reset(seed=1)
        shortest = len(game.spiel_state.history())  # chance's moves
    assert min(lengths) == shortest
    assert len(set(lengths)) > 2


@pytest.mark.parametrize("wrong", [-1, "3", 4.7, True])
def test_a_number_of_random_moves_that_cannot_be_played_is_refused(wrong):
    make = open_spiel.env_creator("open_spiel/tic_tac_toe")
    with (
        closing(vector.make(make, num_envs=1)) as vecenv,
        pytest.raises(WorkerError, match=f"random_moves must be .* got {wrong!r}"),
    ):
        vecenv.set_attr("random_moves", [wrong])


def test_random_moves_set_through_a_vectorizer_are_played_after_a_reset():
    make = open_spiel.env_creator("open_spiel/connect_four")
    with closing(vector.make(make, num_envs=8)) as vecenv:
        stones = []
        for moves in (0, 6):
            vecenv.set_attr("random_moves", [moves] * 8)
            observations, _ = vecenv.reset(seed=0)
            planes = vecenv.observation_layout.unflatten(observations)["observation"]
            stones.append(planes[::2, :2].sum((1, 2, 3)))  # of the first player of each game
    assert not stones[0].any()
    assert len(set(stones[1].tolist())) > 1
    assert stones[1].max() <= 6


def test_random_openings_get_shorter_as_training_advances():
    found = [open_spiel.random_openings(share, {}, {})["random_moves"] for share in (0, 0.5, 1)]
    assert found == [16, 8, 4]


def test_illegal_actions_are_replaced_and_counted():
    with closing(open_spiel.make_env("open_spiel/tic_tac_toe", render_mode="ansi")) as env:
        env.reset(seed=0)
        env.step({"player_0": 4, "player_1": 0})
        while env.agents:
            *_, infos = env.step(dict.fromkeys(env.agents, 4))  # taken
        marks = env.render().count("x"), env.render().count("o")
        counts = [infos[agent]["illegal_actions"] for agent in ("player_0", "player_1")]
        assert counts == [marks[0] - 1, marks[1]]


def test_parameters_reach_the_game_and_wrong_ones_are_refused():
    with closing(open_spiel.make_env("open_spiel/kuhn_poker", players=3)) as env:
        assert len(env.possible_agents) == 3
    with pytest.raises(ArgumentError, match="Its parameters are"):
        open_spiel.make_env("open_spiel/kuhn_poker", cards=3)


@pytest.mark.parametrize(
    ("task", "parameters", "message"),
    [
        ("hanabi", {"players": 9}, "players must be 2 to 5"),  # and C++ ends the process
        ("universal_poker", {"numPlayers": 9}, "ends the process. only read 2 stack sizes, need 9"),
        (
            "catch",
            {"rows": 0},
            r"ends the process. Its parameters are \{'columns': 5, 'rows': 10\}",
        ),
        ("go", {"board_size": 1}, "unsupported board size"),
        ("go", {"board_size": 100}, "board size up to 19"),
        ("breakthrough", {"rows": 1}, "rows_ = 1"),
        ("dots_and_boxes", {"num_rows": 0}, "num_rows_ = 0"),
        ("hex", {"board_size": 0}, "have to be positive"),
        ("go", {"board_size": "9"}, "Expected type: kInt, got kString"),
        ("go", {"board_size": None}, "board_size"),
        ("go", {"komi": {7.5}}, "they must be numbers, texts, or games"),
        ("kuhn_poker", {"players": 3.0}, r"got kDouble with 3\.0\. Its parameters"),
    ],
)
def test_parameters_with_which_a_game_cannot_begin_are_refused(task, parameters, message):
    with pytest.raises(ArgumentError, match=message):
        open_spiel.make_env(f"open_spiel/{task}", **parameters)


def test_a_game_that_does_not_begin_in_time_is_refused(monkeypatch):
    with monkeypatch.context() as hurried:
        hurried.setattr("pufferlib.registry._open_spiel_env._TRIAL_TIMEOUT_S", 0.001)
        with pytest.raises(ArgumentError, match=r"it does not start within 0\.001 s"):
            open_spiel.make_env("open_spiel/go", komi=0.5)
    open_spiel.make_env("open_spiel/go", komi=0.5).close()  # that time was short reports nothing


def test_parameters_with_which_a_game_can_begin_are_taken():
    table = {"numPlayers": np.int64(3), "stack": "1200 1200 1200", "blind": "100 100 100"}
    with closing(open_spiel.make_env("open_spiel/universal_poker", **table)) as env:
        assert len(env.reset(seed=0)[0]) == 3


def test_there_is_no_state_of_all_players():
    with closing(open_spiel.make_env()) as env:
        env.reset(seed=0)
        with pytest.raises(NotImplementedError, match="state"):
            env.state()


def test_the_information_state_is_shown_where_it_is_asked_for():
    with closing(open_spiel.make_env("open_spiel/kuhn_poker", is_information_state=True)) as env:
        shape = env.observation_layout.structure["observation"].shape
        assert shape == tuple(pyspiel.load_game("kuhn_poker").information_state_tensor_shape())
