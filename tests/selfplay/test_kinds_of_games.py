"""Self-play in games of the registry: by turns, at once, of many sides, of teams, and together."""

from contextlib import closing

import pytest
import torch
from rich.console import Console
from training_environments import collector_of

from pufferlib import registry, vector
from pufferlib.rating import read_games
from pufferlib.registry import magent
from pufferlib.runs import Run
from pufferlib.selfplay.config import SelfPlayConfig
from pufferlib.selfplay.opponents import PoolOpponents
from pufferlib.selfplay.sides import agent_names, sides_of

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


BATTLE = {"map_size": 12, "max_cycles": 12}


class Stays(torch.nn.Module):
    """A policy for battle_v4 that neither moves nor attacks."""

    def __init__(self):
        super().__init__()
        self.logits = torch.nn.Parameter(1e6 * torch.eye(21)[6])

    def forward(self, observations):
        rows = len(observations)
        return self.logits.expand(rows, 21), torch.zeros(rows, 1) + 0 * self.logits[:1]


def battle_returns(actions):
    """Return the mean return of each team of the package's own game, by the action it repeats."""
    from magent2.environments import battle_v4

    env = battle_v4.parallel_env(**BATTLE)
    env.reset(seed=0)
    returns = dict.fromkeys(env.agents, 0.0)
    while env.agents:
        chosen = {agent: actions[agent.partition("_")[0]] for agent in env.agents}
        for agent, reward in env.step(chosen)[1].items():
            returns[agent] += reward
    teams = {name.partition("_")[0]: [] for name in returns}
    for agent, returned in returns.items():
        teams[agent.partition("_")[0]].append(returned)
    return [sum(team) / len(team) for team in teams.values()]


@pytest.mark.long
def test_the_return_of_a_team_goes_to_who_played_it(tmp_path):
    if not magent.FAMILY.is_installed:
        pytest.skip("magent2 is missing")
    creator = magent.env_creator("battle_v4")
    with closing(vector.make(creator, env_kwargs=BATTLE, num_envs=2)) as envs:
        config = SelfPlayConfig(opponents="selfplay_games:attacks,random:0", self_share=0.0)
        sides = sides_of(agent_names(envs))
        others = PoolOpponents(config, envs, sides, Stays(), tmp_path, "battle_v4")
        others.advance(0, 0)
        collector = collector_of(envs, Stays(), 24, opponents=others)
        collector.begin(1)
        for update in (1, 2):
            collector.collect()
            others.advance(update, 0)
        others.save_files()
    games = read_games(tmp_path / "games.jsonl")
    expected = {
        ("learner@0+", "selfplay_games:attacks"): battle_returns({"red": 6, "blue": 13}),
        ("selfplay_games:attacks", "learner@0+"): battle_returns({"red": 13, "blue": 6}),
    }
    assert {game.players for game in games} == expected.keys()
    for game in games:
        assert game.returns == pytest.approx(expected[game.players], abs=1e-5)
        assert game.ranks[game.players.index("learner@0+")] == 1  # an attack on nothing costs
