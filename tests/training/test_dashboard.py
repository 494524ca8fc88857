"""The dashboard shows all metrics within 80 columns, or plain lines without a terminal."""

import io

from rich.console import Console

from pufferlib.training.dashboard import Dashboard

METRICS = {"timesteps": 123456, "loss/policy": -0.01234, "episode/fish_caught": 7.0}
SHARES = {"environment": 0.5, "copy": 0.0, "forward": 0.1, "train": 0.2, "other": 0.2}
NETHACK = ("episode_return", "episode_length", "depth", "experience_level", "turns")


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
        "fish_caught",
        "25%",
        "environment",
        "50%",
        "elapsed 0:30, remaining 1:30",
    ):
        assert expected in text


def test_the_remaining_time_of_a_resumed_run_follows_the_speed_of_this_process():
    console = Console(width=80, record=True, file=io.StringIO())
    dashboard = Dashboard("a run", console, progress=0.9)
    console.print(dashboard.screen(METRICS, SHARES, 0.92, elapsed_s=10))
    # A hundredth in five seconds, and eight of them to go.
    assert "92%  elapsed 0:10, remaining 0:40" in console.export_text()


def test_a_terminal_gets_a_screen_and_a_pipe_a_line():
    assert "╭" in drawn(is_terminal=True)
    line = drawn(is_terminal=False)
    assert line.count("\n") == 1
    assert " 25%  timesteps 123,456  loss/policy -0.01234  episode/fish_caught 7" in line


def test_every_number_of_a_real_run_is_readable_in_a_terminal_of_80_by_24():
    losses = ("total", "policy", "value", "entropy", "approximate_kl", "clip_fraction")
    losses += ("gradient_norm", "explained_variance")
    load = ("cpu_percent", "memory_gib", "gpu_percent", "gpu_memory_gib")
    metrics = {"timesteps": 1_234_567_890, "updates": 9, "seconds": 99.9}
    metrics |= {"steps_per_second": 1_234_567.8, "learning_rate": 1e-4}
    metrics |= {f"loss/{name}": -0.00012345 for name in losses}
    metrics |= {f"episode/{name}": 12345.6 for name in NETHACK}
    metrics |= {f"utilization/{name}": 98.76 for name in load}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(Dashboard("a run", console).screen(metrics, SHARES, 0.25, elapsed_s=7200))
    text = console.export_text()
    assert "…" not in text  # nothing is cut short
    assert text.count("\n") <= 23  # and a line for the cursor
    words = " ".join(text.replace("│", " ").split())
    for expected in (
        "timesteps 1,234,567,890",
        "steps_per_second 1,234,568",
        "approximate_kl -0.0001234",
        "episode_return 12,346",
        "utilization",
        "cpu_percent 98.76",
        "gpu_memory_gib 98.76",
        "elapsed 2:00:00, remaining 6:00:00",
    ):
        assert expected in words


def test_a_warning_is_shown_and_metrics_of_the_doctor_are_not():
    metrics = {**METRICS, "rollout/reward_mean": 1.0, "policy/dead_units": 0.5}
    for is_terminal in (True, False):
        text = io.StringIO()
        console = Console(file=text, force_terminal=is_terminal, width=80, color_system=None)
        with Dashboard("a run", console) as dashboard:
            dashboard.show(metrics, SHARES, 0.25, "No reward: all rewards [of it] are 0")
        assert "! No reward: all rewards [of it] are 0" in text.getvalue()
        assert "reward_mean" not in text.getvalue()
        assert "dead_units" not in text.getvalue()


def test_a_long_warning_takes_no_second_line():
    console = Console(width=80, record=True, file=io.StringIO())
    dashboard = Dashboard("a run", console)
    console.print(dashboard.screen(METRICS, SHARES, 0.25, 30, "long " * 30))
    console.print(dashboard.screen(METRICS, SHARES, 0.25, 30))
    lines = console.export_text().splitlines()
    assert max(len(line) for line in lines) == 80
    assert len(lines) % 2 == 0
    assert lines[len(lines) // 2 - 1].startswith("╰─")
