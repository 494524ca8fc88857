"""Every game that actors of Ray play is recorded for those who played it."""

from contextlib import closing

import pytest
from ray_clusters import FILTERS, local_ray
from selfplay_games import LIVES, Always, Ledger, expected_returns
from training_environments import collector_of

from pufferlib import vector
from pufferlib.rating import read_games
from pufferlib.selfplay.config import SelfPlayConfig
from pufferlib.selfplay.opponents import PoolOpponents

pytest.importorskip("ray")
pytestmark = [*FILTERS, pytest.mark.long]
ACTIONS = {"learner@0+": 0, "selfplay_games:three": 3, "selfplay_games:seven": 7}


@pytest.mark.parametrize("batch_size", [None, 2], ids=["synchronous", "pool"])
def test_every_game_is_recorded_for_those_who_played_it(batch_size, tmp_path):
    opponents = "selfplay_games:three,selfplay_games:seven,random:0"
    config = SelfPlayConfig(opponents=opponents, snapshot_interval=1000)
    policy = Always()
    with (
        local_ray(num_cpus=2),
        closing(
            vector.make(Ledger, backend="Ray", num_envs=4, num_workers=2, batch_size=batch_size)
        ) as vecenv,
    ):
        others = PoolOpponents(config, vecenv, (0, 1, 2), policy, tmp_path, "ledger")
        others.advance(0, 0)
        collector = collector_of(vecenv, policy, 7, opponents=others)
        collector.begin(1)
        for update in range(1, 13):
            collector.collect()
            others.advance(update, 0)
        others.save_files()
    games = read_games(tmp_path / "games.jsonl")
    assert len(games) > 30
    for game in games:
        assert list(game.returns) == expected_returns(ACTIONS[name] for name in game.players)
        assert game.steps == max(LIVES)
