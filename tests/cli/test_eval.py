"""`puffer eval` of environments that are not the usual: many agents, or one to a process."""

import pytest

from pufferlib.cli.main import main


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
