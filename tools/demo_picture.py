"""Draw the README's picture from a real run: its last dashboard, its evaluation, one game.

python tools/demo_picture.py runs/demo docs/images/demo.svg
"""

import io
import json
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from pufferlib.runs import Run
from pufferlib.runs.film import rendering
from pufferlib.runs.folder import CHECKPOINT
from pufferlib.runs.terminal import print_comparison
from pufferlib.training.dashboard import Dashboard
from pufferlib.training.evaluation import acting

SEED, EPISODES, GAMES = 1_000_000, 128, 16


def main(folder: Path, picture: Path) -> None:
    """Write the picture of the run in `folder`."""
    run = Run.open(folder)
    task, checkpoint = run.config.env.task, folder / CHECKPOINT
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True)
    metrics = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    shares = {name[5:]: metrics.pop(name) for name in list(metrics) if name.startswith("time/")}
    dashboard = Dashboard(task, console)
    console.print(dashboard.screen(metrics, shares, 1.0, metrics["seconds"]))
    plain = Console(width=80, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    print_comparison(plain, task, run.evaluate(checkpoint, EPISODES, SEED), SEED)
    console.print(Text.from_ansi(plain.file.getvalue().rstrip()))  # wrapped, as a terminal does
    title = f"the busiest of {GAMES} games of the trained policy"
    console.print(Panel(Text(busiest_map(run, checkpoint), no_wrap=True), title=title))
    seconds = run.config.train.max_seconds
    flags = "" if seconds == 120 else f" ARGS='--seconds {seconds:g}'"
    console.save_svg(str(picture), title=f"make demo{flags}")


def busiest_map(run: Run, checkpoint: Path) -> str:
    """Return the fullest map that any game shows on any of its steps."""
    run, _ = rendering(run, ("ansi",))
    fullest = ""
    with closing(run.make_vecenv(num_envs=GAMES)) as vecenv:
        policy = run.load_policy(vecenv, checkpoint)
        observations, _ = vecenv.reset(SEED)
        starts = np.ones(GAMES, np.bool_)
        with acting(vecenv, policy, SEED) as act:
            for _ in range(run.config.env.kwargs["max_episode_steps"] - 1):
                observations, _, terminals, truncations, _ = vecenv.step(act(observations, starts))
                starts = terminals | truncations
                for screen in vecenv.render():
                    fullest = max(fullest, screen, key=lambda text: len(text.replace(" ", "")))
    return fullest


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
