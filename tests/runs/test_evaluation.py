"""`puffer eval` of unusual environments: many agents, or one environment per process."""

import io
import re
from contextlib import closing

import numpy as np
import pytest
from rich.console import Console

from pufferlib.cli.main import main
from pufferlib.registry.ocean.squared import Squared
from pufferlib.runs import Run
from pufferlib.runs.terminal import print_comparison, replay
from pufferlib.training import Evaluation


def test_environments_that_allow_one_per_process_have_one_each(capsys):
    flags = ["--env.kwargs.max-episode-steps", "8", "--episodes", "2"]
    assert main(["eval", "stable_retro", *flags]) == 0
    assert "return of 2 episodes, seeds from 1000000" in capsys.readouterr().out


def test_a_run_whose_caller_steps_is_evaluated_on_any_number_of_environments():
    vec = {"backend": "Multiprocessing", "num_envs": 2, "num_workers": 2, "caller_steps": True}
    run = Run.configure("CartPole-v1", {f"vec.{name}": value for name, value in vec.items()})
    for episodes in (2, 3):
        assert len(run.evaluate(None, episodes)["random"].returns) == episodes
    with closing(run.make_vecenv(1)) as vecenv:
        assert vecenv.num_envs == 1


def test_agents_of_one_game_are_counted_by_game(capsys):
    # Two games at least, of three agents each.
    assert main(["eval", "simple_spread_v3", "--episodes", "3"]) == 0
    assert "return of 6 episodes of agents in 2 games" in capsys.readouterr().out


def evaluation(*returns):
    return Evaluation(np.array(returns), np.ones(len(returns), np.int64), np.arange(len(returns)))


GOOD, BAD, UNSURE = evaluation(*[0.9, 1.0] * 8), evaluation(*[0.0, 0.1] * 8), evaluation(1.0)


@pytest.mark.parametrize(
    ("sampled", "greedy", "expected"),
    [
        (GOOD, BAD, "better with sampled actions than with greedy ones"),
        (BAD, GOOD, "better with greedy actions than with sampled ones"),
        (GOOD, GOOD, None),
        (BAD, UNSURE, None),  # of one game there is no interval
    ],
)
def test_a_sentence_says_which_actions_are_better(sampled, greedy, expected):
    console = Console(file=io.StringIO(), width=300)
    results = {"random": BAD, "sampled": sampled, "greedy": greedy}
    print_comparison(console, "squared", results, 0)
    text = console.file.getvalue()
    assert [line.split()[0] for line in text.splitlines()[1:4]] == list(results)
    assert ("This policy is better" in text) == (expected is not None)
    assert expected is None or expected in text


def test_the_device_that_was_asked_for_must_be_there(tmp_path, capsys):
    small = ["--vec.backend", "Serial", "--vec.num-envs", "2", "--train.horizon", "8"]
    total = ["--train.total-timesteps", "16", "--run", str(tmp_path)]
    assert main(["train", "squared", *small, *total]) == 0
    flags = ["--checkpoint", str(tmp_path), "--episodes", "2", "--train.device"]
    assert main(["eval", "squared", *flags, "cpu"]) == 0
    assert main(["eval", "squared", *flags, "cuda:99"]) == 2
    assert "train.device must be one of auto, cpu" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], "--greedy has no effect without --render or --video"),
        (["--render"], "--greedy has no effect without a checkpoint"),
    ],
)
def test_greedy_without_effect_is_refused(tmp_path, monkeypatch, capsys, flags, expected):
    monkeypatch.chdir(tmp_path)
    assert main(["eval", "squared", "--greedy", *flags]) == 2
    assert expected in capsys.readouterr().err


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
