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

from pufferlib.cli.evaluation import compare, load_policy, print_comparison
from pufferlib.cli.run import make_vecenv
from pufferlib.cli.train import CHECKPOINT, read_config
from pufferlib.ppo.dashboard import Dashboard
from pufferlib.ppo.evaluate import Actor
from pufferlib.registry import resolve

SEED, EPISODES, STEPS = 1_000_000, 128, 250


def main(run: Path, picture: Path) -> None:
    """Write the picture of `run`."""
    config = read_config(run)
    checkpoint = run / CHECKPOINT
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True)
    metrics = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    shares = {name[5:]: metrics.pop(name) for name in list(metrics) if name.startswith("time/")}
    console.print(Dashboard(config.env.task, console).screen(metrics, shares, 1.0))
    print_comparison(console, config, compare(config, checkpoint, EPISODES, SEED), SEED)
    module, _ = resolve(config.env.task)
    with closing(make_vecenv(config, module, num_envs=1)) as vecenv:
        torch.manual_seed(SEED)
        act = Actor(vecenv, load_policy(config, vecenv, checkpoint), SEED)
        observations, _ = vecenv.reset(SEED)
        starts = np.ones(1, np.bool_)
        for _ in range(STEPS):
            observations, _, terminals, truncations, _ = vecenv.step(act(observations, starts))
            starts = terminals | truncations
        screen = Text(vecenv.render()[0], no_wrap=True)
    console.print(Panel(screen, title=f"the trained policy after {STEPS} steps", padding=0))
    console.save_svg(str(picture), title="make demo")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
