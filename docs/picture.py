"""Draw the README's picture from a real run: its last dashboard, its evaluation, one game.

python docs/picture.py runs/demo docs/images/demo.svg
"""

import io
import json
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from pufferlib.cli.evaluation import compare, print_comparison
from pufferlib.cli.run import load_policy, make_vecenv
from pufferlib.cli.run_folder import CHECKPOINT, read_config
from pufferlib.config import Config
from pufferlib.ppo.dashboard import Dashboard
from pufferlib.ppo.evaluate import Actor
from pufferlib.registry import resolve

SEED, EPISODES, GAMES = 1_000_000, 128, 16


def main(run: Path, picture: Path) -> None:
    """Write the picture of `run`."""
    config = read_config(run)
    checkpoint = run / CHECKPOINT
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True)
    metrics = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    shares = {name[5:]: metrics.pop(name) for name in list(metrics) if name.startswith("time/")}
    dashboard = Dashboard(config.env.task, console)
    console.print(dashboard.screen(metrics, shares, 1.0, metrics["seconds"]))
    print_comparison(console, config, compare(config, checkpoint, EPISODES, SEED), SEED)
    title = f"the busiest of {GAMES} games of the trained policy"
    console.print(Panel(Text(busiest_map(config, checkpoint), no_wrap=True), title=title))
    console.save_svg(str(picture), title="make demo")


def busiest_map(config: Config, checkpoint: Path) -> str:
    """Return the fullest map that any game shows on any of its steps."""
    module, _ = resolve(config.env.task)
    fullest = ""
    with closing(make_vecenv(config, module, num_envs=GAMES)) as vecenv:
        torch.manual_seed(SEED)
        act = Actor(vecenv, load_policy(config, vecenv, checkpoint), SEED)
        observations, _ = vecenv.reset(SEED)
        starts = np.ones(GAMES, np.bool_)
        for _ in range(config.env.kwargs["max_episode_steps"] - 1):
            observations, _, terminals, truncations, _ = vecenv.step(act(observations, starts))
            starts = terminals | truncations
            for screen in vecenv.render():
                fullest = max(fullest, screen, key=lambda text: len(text.replace(" ", "")))
    return fullest


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
