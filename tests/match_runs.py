"""Short runs of games."""

import io
from pathlib import Path

from rich.console import Console

from pufferlib.runs import Run

TASK = "open_spiel/tic_tac_toe"
SIZES = {"vec.num_envs": 2, "train.horizon": 16, "train.minibatches": 2, "vec.backend": "Serial"}
SIZES["selfplay.opponents"] = "none"


def trained(folder: Path, task: str = TASK, **settings: object) -> Path:
    """Return the folder of a short run."""
    given = {name.replace("__", "."): value for name, value in settings.items()}
    run = Run.configure(task, {**SIZES, "train.total_timesteps": 64, "run": folder, **given})
    return run.train(Console(file=io.StringIO())).parent
