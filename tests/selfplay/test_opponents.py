"""Every game is recorded for those who played it, and only the learner's rows count."""

from collections import Counter
from contextlib import closing

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from selfplay_games import LIVES, MIXED, Always, Ledger, expected_returns
from training_environments import collector_of

from pufferlib import vector
from pufferlib.environment import PufferEnv
from pufferlib.rating import Game, read_games
from pufferlib.selfplay.config import SelfPlayConfig
from pufferlib.selfplay.opponents import PoolOpponents
from pufferlib.selfplay.record import GameRecord
from pufferlib.selfplay.sides import sides_of
from pufferlib.training.statistics import RewardScale

CONSTANTS = "selfplay_games:three:0.5,selfplay_games:seven:0.5,random:0"
ACTIONS = {"learner@0+": 0, "selfplay_games:three": 3, "selfplay_games:seven": 7}
FORMS = {
    "serial": {"backend": "Serial", "num_envs": 4},
    "processes": {"backend": "Multiprocessing", "num_envs": 4, "num_workers": 2},
    "pool": {"backend": "Multiprocessing", "num_envs": 4, "num_workers": 2, "batch_size": 2},
    "serial pool": {"backend": "Serial", "num_envs": 4, "batch_size": 2},
}


def made(vecenv, folder, policy=None, scale=None, sides=(0, 1, 2), **settings):
    """Return a collector with opponents, which have begun."""
    policy = policy or Always()
    config = SelfPlayConfig(**{"opponents": CONSTANTS, **settings})
    opponents = PoolOpponents(config, vecenv, sides, policy, folder, "ledger")
    opponents.advance(0, 0)
    collector = collector_of(vecenv, policy, 7, scale, opponents=opponents)
    torch.manual_seed(0)
    collector.begin(1)
    return collector, opponents


def recorded(collector, opponents, folder, rollouts):
    for update in range(1, rollouts + 1):
        collector.collect()
        opponents.advance(update, 0)
    opponents.save_files()
    return read_games(folder / "games.jsonl")


@pytest.mark.parametrize("form", FORMS)
def test_every_game_is_recorded_for_those_who_played_it(form, tmp_path):
    with closing(vector.make(Ledger, **FORMS[form])) as vecenv:
        collector, opponents = made(vecenv, tmp_path, snapshot_interval=1000)
        games = recorded(collector, opponents, tmp_path, 96)
    assert len(games) > 240  # enough that no order is left out by chance: a pool's draws vary
    for game in games:
        assert list(game.returns) == expected_returns(ACTIONS[name] for name in game.players)
        assert game.ranks == (3, 2, 1)  # whoever has a later seat wins
        assert game.steps == max(LIVES)
        assert game.players.count("learner@0+") == 1
    assert len({game.players for game in games}) == 3 * 4  # in all orders


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_share_of_the_games_is_against_itself_and_seats_are_equally_often_its(share, tmp_path):
    with closing(vector.make(Ledger, **FORMS["serial"])) as vecenv:
        collector, opponents = made(vecenv, tmp_path, self_share=share)
        games = recorded(collector, opponents, tmp_path, 24)
        counts = opponents._seats.counts
    assert (counts.max(1) - counts.min(1)).max() <= 1
    seats = Counter(game.players.index("learner@0+") for game in games)
    assert counts.sum(0).tolist() == [seats[seat] for seat in range(3)]
    metrics = opponents.metrics()
    assert metrics["selfplay/seat_imbalance"] <= 2
    total = metrics["selfplay/games"]  # 4 * 24 * 7 / 4
    assert total == 168
    deviation = (total * share * (1 - share)) ** 0.5
    assert len(games) == pytest.approx(total * (1 - share), abs=3 * deviation)


def test_a_game_that_a_worker_loses_is_not_recorded(tmp_path):
    creators = [Ledger] * 4
    kwargs = [{"crash": str(tmp_path / "crashed")}] + [{}] * 3
    with closing(
        vector.make(creators, env_kwargs=kwargs, on_failure="restart", **FORMS["processes"])
    ) as vecenv:
        collector, opponents = made(vecenv, tmp_path, snapshot_interval=1000, self_share=0.0)
        games = recorded(collector, opponents, tmp_path, 12)
        assert vecenv.num_restarts == 1
        counts = opponents._seats.counts
    for game in games:
        assert list(game.returns) == expected_returns(ACTIONS[name] for name in game.players)
        assert game.steps == max(LIVES)
    assert counts.sum() == len(games)
    # 84 steps are 21 games of 4 steps; the worker's two environments lost one, and began again.
    assert counts.sum(1).tolist()[2:] == [21, 21]
    assert all(19 <= count <= 20 for count in counts.sum(1)[:2])


def test_the_learner_learns_from_its_own_actions_only(tmp_path):
    with closing(vector.make(Ledger, **FORMS["serial"])) as vecenv:
        collector, _ = made(vecenv, tmp_path, Always(spread=True))
        played = Counter()
        for _ in range(12):
            [rollout] = collector.collect()
            looks, valid = rollout.observations, rollout.valid
            steps = looks[..., 0]
            assert torch.equal(rollout.starts[valid], (steps == 0)[valid])
            ends = (rollout.terminals | rollout.truncations)[:-1]
            own = valid[:-1] & ~ends
            assert torch.equal(looks[1:, ..., 2][own].long(), rollout.actions[:-1][own])
            others = ~valid[:-1] & (steps[1:] > 0)  # absent agents observe zeros
            played.update(looks[1:, ..., 2][others].tolist())
    assert set(played) == {3.0, 7.0}
    assert collector.timesteps > 100


def test_statistics_and_the_scale_of_rewards_are_the_learners(tmp_path):
    with closing(vector.make(Ledger, **FORMS["serial"])) as vecenv:
        scale = RewardScale(vecenv.num_agents, gamma=0.9)
        collector, _ = made(vecenv, tmp_path, scale=scale, self_share=0.0)
        valid = sum(int(collector.collect()[0].valid.sum()) for _ in range(20))
        assert collector.timesteps == valid
        assert scale.state_dict()["count"] == pytest.approx(1e-4 + valid)
        means = collector.episodes.means()
    # The learner plays 0 in each seat equally often; opponents' 3 and 7 are in no mean.
    possible = expected_returns([0, 0, 0])
    assert means["episode_return"] == pytest.approx(np.mean(possible), abs=2)
    assert means["episode_length"] == pytest.approx(np.mean(LIVES), abs=0.2)
    assert "share" not in means  # of games with others
    assert MIXED not in means.values()


def test_opponents_are_drawn_for_the_side_that_the_learner_has(tmp_path):
    with closing(vector.make(Ledger, **FORMS["serial"])) as vecenv:
        settings = {"opponents": "pfsp-hard,random:0", "active": 8, "snapshot_interval": 1}
        _, opponents = made(vecenv, tmp_path, self_share=0.0, **settings)
        opponents.advance(1, 100)
        for side in range(3):  # it loses to the first on side 0, and to the second on the others
            others = [1, 3] if side == 0 else [3, 1]
            players, ranks = ["learner@0", "learner@100"], list(others)
            players.insert(side, "learner"), ranks.insert(side, 2)
            game = Game("ledger", tuple(players), (0.0,) * 3, tuple(ranks), 1)
            for _ in range(100):
                opponents._record.add(game, "learner@100+")
        for side in range(3):
            lost = opponents._record.scores.win_rate("learner@0", side) < 0.5
            assert lost == (side == 0)
        met = Counter()
        for update in range(2, 30):
            opponents._choose_active()
            opponents.begin(update)
            for lineup in opponents._seats.lineups:
                side = lineup.index("learner")
                met.update((side, name) for name in lineup if name != "learner")
        metrics = opponents.metrics()
    for side, name in ((0, "learner@0"), (1, "learner@100"), (2, "learner@100")):
        assert met[side, name] > 0.9 * sum(met[side, each] for each in ("learner@0", "learner@100"))
    assert [metrics[f"selfplay/score_side_{side}"] for side in range(3)] == [0.5] * 3


def test_a_random_player_that_is_met_again_draws_other_numbers(tmp_path):
    streams = []
    with closing(vector.make(Ledger, **FORMS["serial"])) as vecenv:
        settings = {"opponents": "selfplay_games:three,random", "active": 1, "self_share": 0.0}
        collector, opponents = made(vecenv, tmp_path, **settings)
        known = None
        for update in range(1, 25):
            collector.collect()
            opponents.advance(update, 0)
            player = opponents._players.get("random")
            if player is not None and player is not known:
                looks = np.zeros((20, 3), np.float32)
                streams.append(tuple(player.act(looks, np.zeros(20, np.bool_), np.arange(20))))
            known = player
    assert len(set(streams)) == len(streams) > 2


def test_a_process_that_does_not_save_keeps_no_games_to_save(tmp_path):
    game = Game("ledger", ("learner", "random"), (1.0, 0.0), (1, 2), 1)
    records = [GameRecord(tmp_path / str(saved), 4, saved) for saved in (True, False)]
    for record, saved in zip(records, (True, False), strict=True):
        record.add(game, "learner@0+")
        record.rate("learner@0+")
        assert len(record._unsaved) == saved
    assert records[0].rating == records[1].rating > 0


def test_infos_count_where_the_learner_plays_all_sides(tmp_path):
    with closing(vector.make(Ledger, **FORMS["serial"])) as vecenv:
        collector, _ = made(vecenv, tmp_path, self_share=1.0)
        valid = collector.collect()[0].valid.float().mean()
        assert collector.episodes.means()["share"] == 1
    assert valid == pytest.approx(np.mean(LIVES) / max(LIVES), abs=0.1)


def test_opponents_of_the_pool_are_the_policy_as_it_was(tmp_path):
    with closing(vector.make(Ledger, **FORMS["serial"])) as vecenv:
        policy = Always()
        collector, opponents = made(
            vecenv, tmp_path, policy, opponents="latest,random:0", snapshot_interval=1
        )
        for update in range(1, 9):
            with torch.no_grad():  # from here on the learner plays another action
                policy.logits[:] = torch.nn.functional.one_hot(torch.tensor(update), 10) * 1e6
            if update > 1:
                collector.collect()
                collector.begin(update)  # every game ends with the update
            opponents.advance(update, 100 * update)
            collector.begin(update)
        opponents.save_files()
    games = read_games(tmp_path / "games.jsonl")
    assert len({name for game in games for name in game.players}) > 8
    for game in games:
        # A name is that of a snapshot, by its timesteps; the learner's has changed once since.
        times = [int(name.removeprefix("learner@").rstrip("+")) for name in game.players]
        actions = [
            time // 100 + name.endswith("+") for time, name in zip(times, game.players, strict=True)
        ]
        assert list(game.returns) == expected_returns(actions)


class Masked(PufferEnv):
    """Two agents act by turns, masked while they wait; the return of each is that of its actions.

    The first ends with its second action, the second with its own, a step later.
    """

    num_agents = 2

    def __init__(self, buffers=None):
        self.single_observation_space = Box(-1, 100, (3,), np.float32)
        self.single_action_space = Discrete(10)
        super().__init__(buffers)

    def reset(self, seed=None):
        self.rewards[:] = 0
        self.terminals[:] = self.truncations[:] = False
        self._show(0)
        return self.observations, []

    def step(self, actions):
        mover = self.now % 2
        self.rewards[:] = self.terminals[:] = 0
        self.rewards[mover] = actions[mover] + 10 * mover
        self.terminals[mover] = self.now >= 2
        if self.now == 3:
            self.final_observations[:] = 1
        self._show((self.now + 1) % 4)
        return self.observations, self.rewards, self.terminals, self.truncations, []

    def _show(self, now):
        self.now = now
        self.masks[:] = [now % 2 == 0, now % 2 == 1]
        self.observations[:] = 0
        self.observations[now % 2] = [now // 2, now, 1]  # 0 where the game of the agent begins


def test_a_game_goes_on_while_an_agent_that_waits_has_not_ended(tmp_path):
    with closing(vector.make(Masked, num_envs=2)) as vecenv:
        settings = {"snapshot_interval": 1000, "self_share": 0.0}
        collector, opponents = made(vecenv, tmp_path, sides=(0, 1), **settings)
        games = recorded(collector, opponents, tmp_path, 12)
    assert len(games) == 2 * (12 * 7 // 4)
    for game in games:
        one, two = (ACTIONS[name] for name in game.players)
        assert (game.returns, game.steps) == ((2.0 * one, 20 + 2.0 * two), 4)


class Teams(Ledger):
    """Two agents against one; the second of the team leaves first."""

    possible_agents = ("red_0", "red_1", "blue_0")


def test_games_of_teams_are_recorded_for_their_players(tmp_path):
    sides = sides_of(Teams.possible_agents)
    with closing(vector.make(Teams, **FORMS["pool"])) as vecenv:
        settings = {"snapshot_interval": 1000, "self_share": 0.0}
        collector, opponents = made(vecenv, tmp_path, sides=sides, **settings)
        games = recorded(collector, opponents, tmp_path, 24)
    assert len(games) > 60
    assert {game.players.index("learner@0+") for game in games} == {0, 1}
    for game in games:
        red, blue = (ACTIONS[name] for name in game.players)
        first, second, third = expected_returns([red, red, blue])
        assert game.returns == ((first + second) / 2, third)  # the mean of a team
        assert game.ranks == (2, 1)


class Steps(torch.nn.Module):
    """A policy with memory, which plays how many steps it remembers."""

    state_batch_dim = 0

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1e6))

    def initial_state(self, rows, device=None):
        return torch.zeros(rows, 1, device=device)

    def forward(self, observations, state=None, starts=None):
        state = self.initial_state(len(observations)) if state is None else state
        if starts is not None:
            state = torch.where(starts.unsqueeze(1), 0, state)
        steps = state[:, 0].long().clamp(max=9)
        return torch.nn.functional.one_hot(steps, 10) * self.scale, 0 * state, state + 1


def test_an_opponent_forgets_the_games_that_it_has_left(tmp_path):
    with closing(vector.make(Ledger, **FORMS["serial"])) as vecenv:
        settings = {"opponents": "latest,random:0", "self_share": 0.5, "snapshot_interval": 1000}
        collector, _ = made(vecenv, tmp_path, Steps(), **settings)
        met = 0
        for _ in range(12):
            [rollout] = collector.collect()
            now, _, last = rollout.observations.unbind(-1)
            later = now > 0
            assert torch.equal(last[later], now[later] - 1)  # it had forgotten all before step 0
            met += int((later & ~rollout.valid).sum())
        assert met > 50


def test_an_opponent_acts_in_one_forward_for_all_its_rows(tmp_path):
    with closing(vector.make(Ledger, **FORMS["serial"])) as vecenv:
        settings = {"opponents": "latest,random:0", "self_share": 0.0, "snapshot_interval": 1000}
        collector, opponents = made(vecenv, tmp_path, **settings)
        forwards = []
        network = opponents._players["learner@0"].policy
        network.register_forward_hook(lambda _, seen, __: forwards.append(len(seen[0])))
        collector.collect()
    assert forwards == [4 * 2] * 7  # two of three sides in each of four environments, each step
