"""`puffer train`."""

import dataclasses
import importlib.util
import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from types import FrameType

import torch.distributed as dist
from rich.console import Console
from rich.table import Table

from pufferlib import config as presets
from pufferlib import registry
from pufferlib.cli.provenance import facts
from pufferlib.cli.run import check_checkpoint, make_policy, make_vecenv, settings
from pufferlib.cli.run_folder import (
    CHECKPOINT,
    CONFIG,
    Keeper,
    latest_run,
    locked,
    new_folder,
    read_config,
    read_facts,
    undisturbed,
    write_facts,
)
from pufferlib.config import Config, LogConfig
from pufferlib.exceptions import ArgumentError, NotFiniteError, NotInstalledError
from pufferlib.ppo import Trainer
from pufferlib.ppo.config import choose_device
from pufferlib.ppo.dashboard import Dashboard
from pufferlib.ppo.logger import METRICS, RunLog
from pufferlib.ppo.peers import Peers, started_by_torchrun
from pufferlib.ppo.profile import Profile
from pufferlib.ppo.utilisation import Utilisation


def train(
    env: str, console: Console, flags: Sequence[str], resume: str | None, profile: bool
) -> dict[str, str]:
    """Train `env` with the settings that `flags` override; return what to put in the table.

    Args:
        env: a family or a task.
        console: where to tell how it goes.
        flags: settings.
        resume: folder of the run to go on with; "" is the latest of the task.
        profile: print where the time went.
    """
    folder = None
    if resume is not None:
        folder = Path(resume) if resume else latest_run(registry.resolve(env)[1])
    base = None if folder is None else read_config(folder)
    config = settings(env, flags, "train", base)
    if base is not None and config.run != base.run:
        raise ArgumentError(
            f"--resume {folder} goes on in its own folder; got --run {config.run}. Leave out --run."
        )
    if folder is not None:
        console.print(f"Going on with {folder}", highlight=False, soft_wrap=True)
    path = run_training(config, folder, console, profile)
    if int(os.environ.get("RANK", "0")) > 0:
        return {}  # torchrun's first process tells
    told = (path.parent / METRICS).read_text().splitlines()
    if not told:
        return {"checkpoint": str(path)}
    last = json.loads(told[-1])
    returned = last.get("episode/episode_return")
    return {
        "timesteps": f"{last['timesteps']:,}",
        "steps/s": f"{last['steps_per_second']:,.0f}",
        "return": "" if returned is None else f"{returned:.2f}",
        "checkpoint": str(path),
    }


def run_training(
    config: Config,
    resume: Path | None = None,
    console: Console | None = None,
    profile: bool = False,
) -> Path:
    """Train as `config` says; return the latest checkpoint's path.

    Ctrl+C and SIGTERM save the checkpoint before they end the program; where an update has begun,
    they wait for its end.

    Args:
        config: the settings; `env.task` is set.
        resume: folder of a run to go on with.
        console: where to tell how it goes; the terminal if None.
        profile: print in the end where the time went.

    Raises:
        ArgumentError: the folder holds a run already, or another process trains in it.
        CheckpointError: the checkpoint to resume does not fit, or what it was made with is
            damaged; or one could not be written.
        LogError: metrics or settings could not be written.
        NotFiniteError: see `Trainer.step`; names the checkpoint.
    """
    module, task = registry.resolve(config.env.task)
    console = console or Console()
    config.check()
    prepare_log(config.log)
    with _sigterm_as_interrupt(), started_by_torchrun(config.train.device) as peers:
        folder = _agreed(resume or config.run or new_folder(task), peers, config)
        path = folder / CHECKPOINT
        config = dataclasses.replace(config, run=folder)
        with locked(folder) if peers.is_first else nullcontext():
            if resume is not None:
                check_checkpoint(config, path)
                read_facts(folder)
            elif peers.is_first and (folder / CONFIG).exists():
                raise ArgumentError(
                    f"{folder} already holds a run. Go on with it by --resume {folder}, or name "
                    f"another folder with --run."
                )
            about = facts(module.FAMILY)
            with closing(make_vecenv(config, module)) as vecenv, _naming(path):
                policy = make_policy(config, module, vecenv)
                trainer = Trainer(config.train, vecenv, policy, peers)
                if resume is not None:
                    trainer.load(path)
                if peers.is_first:
                    run_id = write_facts(folder, about)
                    _train_and_tell(trainer, config, folder, run_id, console)
                    if profile:
                        console.print(profile_table(trainer.profile))
                while not trainer.is_done:  # the others, which neither write nor show
                    rollout = trainer.collect()
                    with undisturbed():
                        trainer.update(rollout)
    return path


def prepare_log(log: LogConfig) -> None:
    """Refuse logging that cannot be, and load what takes its time, before anything starts.

    Raises:
        NotInstalledError: W&B is asked for and not there.
        ArgumentError: it has no key.
    """
    if log.tensorboard:
        import torch.utils.tensorboard  # noqa: F401
    if log.wandb is None:
        return
    if importlib.util.find_spec("wandb") is None:
        raise NotInstalledError(
            'wandb is not installed. Run: puffer install wandb   (or: pip install "pufferlib['
            'wandb]")'
        )
    is_away = os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun")
    if not is_away and not os.environ.get("WANDB_API_KEY"):
        raise ArgumentError(
            f"log.wandb={log.wandb!r} needs a key, and WANDB_API_KEY is not set. Set it, or "
            f"WANDB_MODE=offline to send the run later."
        )


def profile_table(profile: Profile) -> Table:
    """Return the seconds of each part and its share; they add up to the wall time."""
    elapsed_s = profile.elapsed_s
    parts = dict(profile.seconds)
    parts["other"] = elapsed_s - sum(parts.values())
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("wall time of")
    table.add_column("seconds", justify="right")
    table.add_column("share", justify="right")
    for name, seconds in sorted(parts.items(), key=lambda part: -part[1]):
        table.add_row(name, f"{seconds:.2f}", f"{seconds / elapsed_s:.1%}")
    table.add_row("all", f"{elapsed_s:.2f}", "100.0%", style="bold")
    return table


def _agreed(folder: Path, peers: Peers, config: Config) -> Path:
    """Return the folder that the first process named: the clocks of the others may differ."""
    if peers.count == 1:
        return folder
    named: list[str] = [str(folder)]
    dist.broadcast_object_list(named, 0, device=choose_device(config.train.device))
    return Path(named[0])


def _train_and_tell(
    trainer: Trainer, config: Config, folder: Path, run_id: str, console: Console
) -> None:
    """Train to the end; log and show how it goes, and save what came of it."""
    keeper = Keeper(folder, trainer, config)
    if trainer.updates == 0:
        keeper.save()  # before config.json makes it a run: one that is killed early can be resumed
    log = RunLog(
        folder,
        presets.as_json(config),
        updates=trainer.updates,
        timesteps=trainer.timesteps,
        tensorboard=config.log.tensorboard,
        wandb=config.log.wandb,
        run_id=run_id,
    )
    with closing(log):
        if trainer.is_done:
            console.print(
                f"{folder} is done: {trainer.timesteps:,} timesteps. Go on with more "
                f"--train.total-timesteps, or --train.max-seconds.",
                highlight=False,
                soft_wrap=True,
            )
            return
        try:
            with Dashboard(config.env.task, console, trainer.progress) as dashboard:
                _loop(trainer, keeper, log, dashboard)
        finally:
            is_saved = keeper.save_last()
            console.print(
                f"{'Saved' if is_saved else 'Left'} {keeper.path}", highlight=False, soft_wrap=True
            )


def _loop(trainer: Trainer, keeper: Keeper, log: RunLog, dashboard: Dashboard) -> None:
    utilisation = Utilisation(trainer.device)
    while not trainer.is_done:
        rollout = trainer.collect()
        with undisturbed():  # what is saved in the end are whole updates, each of them logged
            metrics = {**trainer.update(rollout), **utilisation.read()}
            shares = trainer.profile.shares()
            log.write({**metrics, **{f"time/{name}": share for name, share in shares.items()}})
        dashboard.show(metrics, shares, trainer.progress)
        if trainer.updates % trainer.config.checkpoint_interval == 0:
            keeper.save()


@contextmanager
def _naming(checkpoint: Path) -> Iterator[None]:
    """Let an error of what is NaN or infinite tell what to go on from, if there is one."""
    try:
        yield
    except NotFiniteError as error:
        if not checkpoint.exists():
            raise
        raise NotFiniteError(
            f"{error} {checkpoint} was saved before it: go on from there, with other settings, by "
            f"--resume {checkpoint.parent}."
        ) from error


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
