"""`puffer train`."""

import dataclasses
import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from pufferlib import config as presets
from pufferlib import registry
from pufferlib.cli.run import check_checkpoint, make_policy, make_vecenv, settings
from pufferlib.config import Config
from pufferlib.exceptions import ArgumentError, CheckpointError
from pufferlib.ppo import Trainer
from pufferlib.ppo.dashboard import Dashboard
from pufferlib.ppo.logger import METRICS, RunLog
from pufferlib.ppo.peers import started_by_torchrun

CHECKPOINT = "checkpoint.pt"


def train(env: str, console: Console, flags: Sequence[str], resume: Path | None) -> dict[str, str]:
    """Train `env` with the settings that `flags` override; return what to put in the table."""
    base = None if resume is None else read_config(resume)
    config = settings(env, flags, "train", base)
    if base is not None and config.run != base.run:
        raise ArgumentError(
            f"--resume {resume} goes on in its own folder; got --run {config.run}. Leave out --run."
        )
    path = run_training(config, resume=resume, console=console)
    last = json.loads((path.parent / METRICS).read_text().splitlines()[-1])
    returned = last.get("episode/episode_return")
    return {
        "timesteps": f"{last['timesteps']:,}",
        "steps/s": f"{last['steps_per_second']:,.0f}",
        "return": "" if returned is None else f"{returned:.2f}",
        "checkpoint": str(path),
    }


def run_training(
    config: Config, resume: Path | None = None, console: Console | None = None
) -> Path:
    """Train as `config` says; return the checkpoint's path.

    Ctrl+C and SIGTERM save the checkpoint before they end the program.

    Args:
        config: the settings; `env.task` is set.
        resume: folder of a run to go on with.
        console: where to tell how it goes; the terminal if None.
    """
    module, task = registry.resolve(config.env.task)
    console = console or Console()
    folder = resume or config.run or Path("runs") / f"{task}-{time.strftime('%Y%m%d-%H%M%S')}"
    path = folder / CHECKPOINT
    config.check()
    if resume is not None:
        check_checkpoint(config, path)
    elif (folder / "config.json").exists():
        raise ArgumentError(
            f"{folder} already holds a run. Go on with it by --resume {folder}, or name another "
            f"folder with --run."
        )
    config = dataclasses.replace(config, run=folder)
    with (
        started_by_torchrun(config.train.device) as peers,
        closing(make_vecenv(config, module)) as vecenv,
    ):
        policy = make_policy(config, module, vecenv)
        trainer = Trainer(config.train, vecenv, policy, peers)
        if resume is not None:
            trainer.load(path)
        if peers.is_first:
            _train_and_tell(trainer, config, path, console)
        while not trainer.is_done:  # the others, which neither write nor show
            trainer.step()
    return path


def _train_and_tell(trainer: Trainer, config: Config, path: Path, console: Console) -> None:
    """Train to the end; log and show how it goes, and save what came of it."""
    with closing(RunLog(path.parent, presets.as_json(config))) as log:
        try:
            with _sigterm_as_interrupt(), Dashboard(config.env.task, console) as dashboard:
                _loop(trainer, path, log, dashboard)
        finally:
            trainer.save(path)
            console.print(f"Saved {path}", highlight=False)


def read_config(folder: Path) -> Config:
    """Return the settings that a run was made with.

    Raises:
        CheckpointError: `folder` is not that of a run, or its settings are damaged.
        SettingError: another version wrote it.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{folder} is not the folder of a run: it has no config.json.")
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or not JSON
        raise CheckpointError(f"{path} cannot be read as settings: {error}.") from error
    if not isinstance(values, dict):
        raise CheckpointError(
            f"{path} cannot be read as settings: it holds no object but {type(values).__name__}."
        )
    return presets.from_json(values, str(path))


def _loop(trainer: Trainer, path: Path, log: RunLog, dashboard: Dashboard) -> None:
    while not trainer.is_done:
        metrics = trainer.step()
        shares = trainer.profile.shares()
        log.write({**metrics, **{f"time/{name}": share for name, share in shares.items()}})
        dashboard.show(metrics, shares, trainer.progress)
        if trainer.updates % trainer.config.checkpoint_interval == 0:
            trainer.save(path)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end the program as Ctrl+C does, through every `finally`."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
