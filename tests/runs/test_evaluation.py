"""`puffer eval` of unusual environments: many agents, or one environment per process."""

import io
import re

from rich.console import Console

from pufferlib.cli.main import main
from pufferlib.registry.ocean.squared import Squared
from pufferlib.runs import Run
from pufferlib.runs.terminal import replay


def test_environments_that_allow_one_per_process_have_one_each(capsys):
    flags = ["--env.kwargs.max-episode-steps", "8", "--episodes", "2"]
    assert main(["eval", "stable_retro", *flags]) == 0
    assert "return of 2 episodes, seeds from 1000000" in capsys.readouterr().out


def test_agents_of_one_game_are_counted_by_game(capsys):
    # Two games at least, of three agents each.
    assert main(["eval", "simple_spread_v3", "--episodes", "3"]) == 0
    assert "return of 6 episodes of agents in 2 games" in capsys.readouterr().out


def replayed(max_steps, monkeypatch):
    """Return titles and screens of a replay of Squared, whose screens show their step; and a line.

    The line is the last, after the replay.
    """
    monkeypatch.setattr(Squared, "render", lambda self: f"screen {self._tick}")
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    run = Run.configure("squared", {"env.kwargs.num_agents": 1})
    replay(console, run, None, 7, max_steps, steps_per_second=1e6)
    text = console.file.getvalue()
    titles, screens = re.findall(r"step (\d+)  ", text), re.findall(r"screen (\d+)", text)
    return list(dict.fromkeys(zip(titles, screens, strict=True))), text.splitlines()[-1]


def test_the_title_of_a_replay_fits_the_screen_below_it(monkeypatch):
    # An episode of Squared has three steps; after the third the next episode's screen is there.
    shown, line = replayed(200, monkeypatch)
    assert shown == [("0", "0"), ("1", "1"), ("2", "2")]
    assert re.search(r"Replayed 3 steps; return -?\d\.\d\d$", line)
    shown, line = replayed(2, monkeypatch)
    assert shown == [("0", "0"), ("1", "1"), ("2", "2")]
    assert re.search(r"Replayed 2 steps; return .* \(episode not finished\)$", line)
