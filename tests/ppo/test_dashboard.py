"""The dashboard shows whatever it is given, within 80 columns; plain lines without a terminal."""

import io

from rich.console import Console

from pufferlib.ppo.dashboard import Dashboard

METRICS = {"timesteps": 123456, "loss/policy": -0.01234, "episode/fish_caught": 7.0}
SHARES = {"environment": 0.5, "train": 0.3, "other": 0.2}


def drawn(is_terminal, width=80):
    text = io.StringIO()
    console = Console(file=text, force_terminal=is_terminal, width=width, color_system=None)
    with Dashboard("a run", console) as dashboard:
        dashboard.show(METRICS, SHARES, 0.25)
    return text.getvalue()


def test_the_screen_shows_every_number_within_80_columns():
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(Dashboard("a run", console).screen(METRICS, SHARES, 0.25, elapsed_s=30))
    lines = console.export_text().splitlines()
    assert max(len(line.rstrip()) for line in lines) == 80
    text = "\n".join(lines)
    for expected in (
        "a run",
        "123,456",
        "-0.01234",
        "fish caught",
        "25%",
        "environment",
        "50%",
        "0:30 gone, 1:30 left",
    ):
        assert expected in text


def test_a_terminal_gets_a_screen_and_a_pipe_a_line():
    assert "╭" in drawn(is_terminal=True)
    line = drawn(is_terminal=False)
    assert line.count("\n") == 1
    assert " 25%  timesteps 123,456  loss/policy -0.01234  episode/fish_caught 7" in line
