"""Self-play in games of the registry: by turns, at once, of many sides, of teams, and together."""

import pytest
from rich.console import Console

from pufferlib import registry
from pufferlib.rating import read_games
from pufferlib.runs import Run

QUIET = Console(quiet=True)
SMALL = {
    "vec.backend": "Serial",
    "vec.num_envs": 2,
    "policy.hidden_size": 8,
    "train.horizon": 48,
    "train.minibatches": 1,
    "train.update_epochs": 1,
    "log.tensorboard": False,
    "train.total_timesteps": 288,
    "eval.share": 0.0,
    "selfplay.opponents": "uniform:0.5,random:0.5",
    "selfplay.self_share": 0.0,
    "selfplay.active": 8,
    "selfplay.snapshot_interval": 1,
}
KINDS = {  # task, settings, sides, what the returns of a game say
    "by turns": ("connect_four_v3", {}, 2, "zero sum"),
    "at once": ("open_spiel/matrix_rps", {}, 2, "zero sum"),
    "many sides": ("open_spiel/kuhn_poker", {"env.kwargs.players": 3}, 3, "zero sum"),
    "teams": ("battle_v4", {"env.kwargs.map_size": 12, "env.kwargs.max_cycles": 12}, 2, ""),
    "together": (
        *("overcooked", {"env.kwargs.horizon": 12, "env.kwargs.shaped_reward": 0.0}),
        *(2, "all alike"),
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_plays_each_side_against_its_past_and_random_play(kind, tmp_path):
    task, settings, sides, returns = KINDS[kind]
    source = registry.resolve(task)
    if not source.family.is_installed:
        pytest.skip(f"the package of {task} is missing")
    folder = tmp_path / "run"
    Run.configure(task, {**SMALL, **settings, "run": folder}).train(QUIET)
    games = read_games(folder / "games.jsonl")
    played = [[name.endswith("+") for name in game.players] for game in games]
    assert all(len(learner) == sides and sum(learner) == 1 for learner in played)
    assert {learner.index(True) for learner in played} == set(range(sides))
    others = {name.rstrip("+") for game in games for name in game.players}
    assert {"random", "learner@0"} <= others
    for game in games:
        if returns == "zero sum":
            assert sum(game.returns) == pytest.approx(0)
        elif returns == "all alike":
            assert game.ranks == (1,) * sides
