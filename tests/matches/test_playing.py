"""Games are credited to who played them: in all seats, with early deaths, for sides and teams."""

import numpy as np
import pytest
from match_games import PAID, lifetimes

from pufferlib.exceptions import ActionError
from pufferlib.matches import play, score
from pufferlib.matches.match import open_arena
from pufferlib.matches.playing import play_games
from pufferlib.matches.schedule import Fixture
from pufferlib.selfplay.sides import sides_of

TWO = ["player_0", "player_1"]
THREE = ["north", "east", "south"]
FOUR = ["p_0", "p_1", "p_2", "p_3"]
TEAMS = ["red_0", "blue_0", "red_1", "blue_1", "blue_2"]
PLAYERS = list(PAID)


def games_of(players, agents=TWO, **options):
    given = {"env.kwargs.agents": agents, **options.pop("overrides", {})}
    return play(players, env="match_games:Lives", overrides=given, **options)


def expected_returns(game, agents):
    """Return the mean of (action x steps of its life) over the agents of each side."""
    sides, lives = sides_of(agents), lifetimes(game.seed, agents)
    paid = [
        PAID[game.players[side]] * lives[agent] for side, agent in zip(sides, agents, strict=True)
    ]
    return tuple(
        float(np.mean([p for p, s in zip(paid, sides, strict=True) if s == side]))
        for side in range(max(sides) + 1)
    )


@pytest.mark.parametrize("num_envs", [1, 3, 16])
@pytest.mark.parametrize("agents", [TWO, THREE, FOUR, TEAMS], ids=["2", "3", "4", "teams"])
def test_every_result_goes_to_who_played_it(agents, num_envs):
    games = games_of(PLAYERS, agents, games=12, num_envs=num_envs)
    num_sides = max(sides_of(agents)) + 1
    assert len(games) == 6 * 12  # pairings
    for game in games:
        assert game.returns == pytest.approx(expected_returns(game, agents))
        best = sorted(game.returns, reverse=True)
        assert game.ranks == tuple(best.index(each) + 1 for each in game.returns)
        assert game.steps == len(agents)  # the longest life
        assert len(set(game.players)) == num_sides
    for player in PLAYERS:
        seats = [sum(game.players[side] == player for game in games) for side in range(num_sides)]
        assert seats == [seats[0]] * num_sides


def test_what_an_agent_wins_after_its_own_episode_does_not_count():
    games = games_of(PLAYERS, FOUR, games=4, overrides={"env.kwargs.returning": True})
    for game in games:
        assert game.returns == pytest.approx(expected_returns(game, FOUR))
        assert game.steps == 4


@pytest.mark.parametrize(("leaver", "turns"), [(False, (2, 2)), (True, (3, 1))])
def test_a_game_goes_on_while_one_who_waits_has_not_ended(leaver, turns):
    # Who acts leaves, or ends, while the other has no row.
    games = play(
        ["match_games:one", "match_games:five"],
        env="match_games:Waiting",
        overrides={"env.kwargs.leaver": leaver},
        games=20,
        num_envs=3,
    )
    for game in games:
        paid = [PAID[name] * count for name, count in zip(game.players, turns, strict=True)]
        assert (game.returns, game.steps) == (tuple(paid), 4)


def test_who_waits_without_a_row_remembers_its_game():
    for game in play(["match_games:Counting", "random"], env="match_games:Waiting", games=6):
        assert game.returns[game.players.index("match_games:Counting")] == 1 + 2


def test_agents_that_take_no_part_do_not_count_in_the_mean_of_their_side():
    options = {"env.kwargs.agents": TEAMS, "env.kwargs.absent": "blue_1"}
    for game in play(PLAYERS, env="match_games:Lives", overrides=options, games=4):
        lives, paid = lifetimes(game.seed, TEAMS), [PAID[name] for name in game.players]
        reds, blues = lives["red_0"] + lives["red_1"], lives["blue_0"] + lives["blue_2"]
        assert game.returns == pytest.approx((paid[0] * reds / 2, paid[1] * blues / 2))


@pytest.mark.parametrize("agents", [TWO, THREE, FOUR, TEAMS], ids=["2", "3", "4", "teams"])
def test_two_players_share_all_sides(agents):
    games = games_of(PLAYERS[:2], agents, games=24)
    for game in games:
        assert game.returns == pytest.approx(expected_returns(game, agents))
        assert set(game.players) == set(PLAYERS[:2])
    num_sides = max(sides_of(agents)) + 1
    first = [sum(game.players[side] == PLAYERS[0] for game in games) for side in range(num_sides)]
    assert first == [len(games) / 2] * num_sides


def test_who_always_wins_scores_1_on_both_sides():
    # 5 for one step or two beats 1 for two or one.
    games = games_of(["match_games:five", "match_games:one"], games=50)
    for side in (None, 0, 1):
        own = score(games, "match_games:five", "match_games:one", side)
        assert own.mean == 1
        assert own.games == (50 if side is None else 25)
    lost = score(games, "match_games:one", "match_games:five")
    assert (lost.wins, lost.ties, lost.losses) == (0, 0, 50)


def test_the_same_returns_tie():
    # 1 for two steps, 2 for one; or 1 for one step, 2 for two.
    games = games_of(["match_games:one", "match_games:two"], games=100)
    own = score(games, "match_games:one", "match_games:two")
    assert own.wins == 0
    assert own.ties == sum(
        lifetimes(game.seed, TWO)[TWO[game.players.index("match_games:one")]] == 2 for game in games
    )
    assert 0 < own.ties < 100


def test_sides_swap_on_the_same_seeds():
    games = games_of(PLAYERS[:2], games=20)
    by_seed = {}
    for game in games:
        by_seed.setdefault(game.seed, set()).add(game.players)
    one, two = PLAYERS[:2]
    assert len(by_seed) == 10
    assert all(players == {(one, two), (two, one)} for players in by_seed.values())


def test_the_same_seed_gives_the_same_games():
    names = ["random", "match_games:three"]
    first = games_of(names, games=70)
    assert games_of(names, games=70) == first
    assert games_of(names[::-1], games=70) == first
    assert games_of(names, games=70, seed=1) != first


@pytest.mark.parametrize("agents", [TWO, FOUR], ids=["2", "4"])
def test_each_agent_has_its_own_script_which_is_reset_with_the_game(agents):
    games = games_of(["match_games:Counting", "match_games:one"], agents, games=40, num_envs=3)
    for game in games:
        lives = lifetimes(game.seed, agents)
        for player, total, agent in zip(game.players, game.returns, agents, strict=True):
            n = lives[agent]
            assert total == (n * (n + 1) / 2 if player.endswith("Counting") else n)


def test_agents_can_be_sides_of_their_own():
    names = ["match_games:one", "match_games:five"]
    games = games_of(names, ["red_0", "red_1", "blue_0", "blue_1"], games=4, sides="agents")
    assert {len(game.players) for game in games} == {4}


@pytest.mark.parametrize(
    ("player", "forbidden", "message"),
    [
        ("failing", None, r"The player match_games:failing failed as side [01] \(agent [01]\) of "
         r"the game with seed \d+, in step 1: RuntimeError: no idea"),
        ("too_high", None, r"it chose 8, which is not in Discrete\(8\)"),
        ("three", 3, r"it chose 3, which is not legal. Legal are \[0, 1, 2, 4, 5, 6, 7\]"),
    ],
)  # fmt: skip
def test_a_player_that_fails_is_named_with_its_seat_and_game(player, forbidden, message):
    with pytest.raises(ActionError, match=message):
        games_of([f"match_games:{player}", "random"], overrides={"env.kwargs.forbidden": forbidden})


def test_games_before_a_failure_are_recorded(monkeypatch):
    import match_games

    monkeypatch.setattr(match_games.FailsLater, "calls", 0)
    kept = []
    with pytest.raises(ActionError, match="RuntimeError: tired"):
        games_of(["match_games:FailsLater", "match_games:one"], num_envs=2, record=kept.extend)
    # 40 calls: of 1 or 2 steps a game, of two games at once.
    assert 20 <= len(kept) <= 40


def test_a_masked_random_player_plays_what_is_legal():
    games = games_of(
        ["random", "match_games:five"], overrides={"env.kwargs.forbidden": 7}, games=60
    )
    highest = max(
        game.returns[game.players.index("random")]
        / lifetimes(game.seed, TWO)[TWO[game.players.index("random")]]
        for game in games
    )
    assert highest <= 6


class Noting:
    """Notes which rows it acts for, and which of them start."""

    def __init__(self, name):
        self.name, self.seen = name, []

    def act(self, observations, starts, rows):
        self.seen.append((observations.ravel().tolist(), starts.tolist(), rows.tolist()))
        return np.ones(len(rows), np.int64)


def test_players_act_once_a_step_for_all_their_rows_and_see_where_games_start():
    with open_arena(["match_games:one", "random"], env="match_games:Lives", num_envs=2) as arena:
        seeds = [
            next(s for s in range(99) if lifetimes(s, TWO) == dict(zip(TWO, order, strict=True)))
            for order in ((1, 2), (2, 1))
        ]
        a, b = Noting("a"), Noting("b")
        fixtures = [
            Fixture(("a", "b"), seeds[0], (0, 1)),
            Fixture(("b", "a"), seeds[1], (0, 1)),
            Fixture(("a", "a"), seeds[1], (0, 1)),
        ]
        games = []
        play_games(arena.vecenv, fixtures, {"a": a, "b": b}, arena.sides, "lives", games.extend)
    assert [game.players for game in games] == [("a", "b"), ("b", "a"), ("a", "a")]
    # Observations are the step. Two games of two steps, in the rows 0 and 1, and 2 and 3; then one.
    assert a.seen == [
        ([0, 0], [True, True], [0, 3]),
        # The agent in row 0 has died, and that in row 3.
        ([0, 0], [True, True], [0, 1]),
        ([1], [False], [0]),
    ]
    assert b.seen == [
        ([0, 0], [True, True], [1, 2]),
        ([1, 1], [False, False], [1, 2]),
    ]
