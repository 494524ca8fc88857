"""`puffer eval` of environments that are not the usual: many agents, or one to a process."""

import io
import re

import pytest
from rich.console import Console

from pufferlib.cli import evaluation
from pufferlib.cli.main import main
from pufferlib.config import Config, EnvConfig
from pufferlib.registry.ocean.squared import Squared


@pytest.mark.timeout(90)
def test_environments_that_allow_one_a_process_have_one_each(capsys):
    flags = ["--env.kwargs.max-episode-steps", "8", "--episodes", "2"]
    assert main(["eval", "stable_retro", *flags]) == 0
    assert "return of 2 episodes, seeds from 1000000" in capsys.readouterr().out


@pytest.mark.timeout(90)
def test_agents_of_one_game_are_counted_by_their_games(capsys):
    # Two games at least, of three agents each.
    assert main(["eval", "simple_spread_v3", "--episodes", "3"]) == 0
    assert "return of 6 episodes of agents in 2 games" in capsys.readouterr().out


def replayed(max_steps, monkeypatch):
    """Return the titles and screens of a replay of Squared, whose screen tells its own step."""
    monkeypatch.setattr(Squared, "render", lambda self: f"screen {self._tick}")
    monkeypatch.setattr(evaluation.time, "sleep", lambda _: None)
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    config = Config(env=EnvConfig("squared", {"num_agents": 1}))
    evaluation.replay(console, config, None, 7, max_steps)
    text = console.file.getvalue()
    titles, screens = re.findall(r"step (\d+)  ", text), re.findall(r"screen (\d+)", text)
    return list(dict.fromkeys(zip(titles, screens, strict=True))), text.splitlines()[-1]


def test_the_title_of_a_replay_is_of_the_screen_below_it(monkeypatch):
    # An episode of Squared has three steps; after the third the next episode's screen is there.
    shown, told = replayed(200, monkeypatch)
    assert shown == [("0", "0"), ("1", "1"), ("2", "2")]
    assert re.search(r"Replayed 3 steps; return -?\d\.\d\d$", told)
    shown, told = replayed(2, monkeypatch)
    assert shown == [("0", "0"), ("1", "1"), ("2", "2")]
    assert re.search(r"Replayed 2 steps; return .*, the episode not over$", told)
