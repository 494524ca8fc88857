"""Train a run in its folder: checkpoints, logs, dashboard, signals."""

import importlib.util
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table

from pufferlib import config as presets
from pufferlib.config import LogConfig
from pufferlib.exceptions import ArgumentError, NotFiniteError, NotInstalledError
from pufferlib.runs import opponents
from pufferlib.runs.checkpoints import CheckpointManager, task_of
from pufferlib.runs.diagnosis.watch import Watch
from pufferlib.runs.folder import (
    CHECKPOINT,
    CONFIG,
    defer_signals,
    locked,
    new_folder,
    read_facts,
    write_facts,
)
from pufferlib.runs.periodic import PeriodicEvaluation
from pufferlib.runs.provenance import facts, origin
from pufferlib.runs.run import Run
from pufferlib.training import Trainer, checkpoint
from pufferlib.training.config import choose_device
from pufferlib.training.dashboard import Dashboard
from pufferlib.training.distributed import distributed_context
from pufferlib.training.loggers import RunLog
from pufferlib.training.profile import Profile
from pufferlib.training.utilization import Utilization


def train(run: Run, console: Console | None = None, profile: bool = False) -> Path:
    """Train as the settings of `run` say; return the path of the latest checkpoint.

    Ctrl+C and SIGTERM save a checkpoint before they end the program. During an update they wait for
    its end.

    Args:
        run: a new run, or one to resume.
        console: where to print and draw; the terminal if None.
        profile: print at the end where the time went.

    Raises:
        ArgumentError: the folder holds a run already, or another process trains in it.
        CheckpointError: the checkpoint to resume does not fit, or the run's files are damaged; or
            a checkpoint could not be written.
        LogError: metrics or settings could not be written.
        NotFiniteError: see `Trainer.step`; names the checkpoint.
    """
    console = console or Console()
    run.config.check()
    run.check_policy()
    check_log(run.config.log)
    curriculum = run.curriculum()
    device = choose_device(run.config.train.device)
    with sigterm_as_interrupt(), distributed_context(device) as context:
        own = str(run.config.run or new_folder(run.source.label))
        folder = Path(context.broadcast_text(own, device))  # clocks of other processes differ
        path = folder / CHECKPOINT
        run = replace(run, config=replace(run.config, run=folder))
        with locked(folder) if context.is_main else nullcontext():
            if run.resumes:
                run.check_checkpoint(path)
                read_facts(folder)
            elif context.is_main and (folder / CONFIG).exists():
                raise ArgumentError(
                    f"{folder} already holds a run. Continue it with --resume {folder}, or name "
                    f"another folder with --run."
                )
            run.check_init()
            plan = opponents.plan_opponents(run)
            about = facts(run.source)
            if run.init is not None:
                about["init"] = origin(run.init)
            with closing(run.make_vecenv()) as vecenv, _naming_checkpoint(path):
                policy = run.make_first_policy(vecenv)
                run = run.settled(policy)
                others = opponents.make_opponents(run, vecenv, policy, context, plan)
                trainer = Trainer(run.config.train, vecenv, policy, context, curriculum, others)
                if run.init is not None:
                    trainer.start_from(run.init)
                if run.resumes:
                    trainer.load(path)
                    if _is_of_another_task(path, run):
                        trainer.episodes.load_state_dict({})
                if context.is_main:
                    run_id = write_facts(folder, about)
                    agents = vecenv.agents_per_env[0]
                    evaluation = PeriodicEvaluation(run, trainer, agents, console)
                    if run.resumes:
                        evaluation.resume(path)
                    with closing(evaluation):
                        _train_and_log(trainer, evaluation, run, folder, run_id, console)
                    if profile:
                        console.print(profile_table(trainer.profile))
                while not trainer.is_done:  # the other processes neither write nor print
                    rollout = trainer.collect()
                    with defer_signals():
                        trainer.update(rollout)
    return path


def check_log(log: LogConfig) -> None:
    """Refuse a logger that cannot work, and import slow modules, before anything starts.

    Raises:
        NotInstalledError: W&B is requested and not installed.
        ArgumentError: W&B has no key.
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
    is_offline = os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun")
    if not is_offline and not os.environ.get("WANDB_API_KEY"):
        raise ArgumentError(
            f"log.wandb={log.wandb!r} needs a key, and WANDB_API_KEY is not set. Set it, or "
            f"WANDB_MODE=offline to upload the run later."
        )


def profile_table(profile: Profile) -> Table:
    """Return a table of the seconds and share of each part; they add up to the wall time."""
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


def _is_of_another_task(path: Path, run: Run) -> bool:
    """Return whether a checkpoint was trained with other arguments of the environment."""
    before = checkpoint.load(path).get("config")
    now = presets.as_json(run.config)
    return before is not None and task_of(before, {}, False) != task_of(now, {}, False)


def _train_and_log(
    trainer: Trainer,
    evaluation: PeriodicEvaluation,
    run: Run,
    folder: Path,
    run_id: str,
    console: Console,
) -> None:
    """Train to the end; log and show the metrics, and save checkpoints."""
    config = run.config
    checkpoints = CheckpointManager(folder, trainer, config, evaluation)
    if trainer.updates == 0:
        checkpoints.save()  # before config.json makes it a run: one killed early can be resumed
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
                f"{folder} is done: {trainer.timesteps:,} timesteps. Continue it with more "
                f"--train.total-timesteps, or --train.max-seconds.",
                highlight=False,
                soft_wrap=True,
            )
            return
        try:
            with Dashboard(config.env.task, console, trainer.progress) as dashboard:
                watch = Watch(presets.as_json(config))
                _loop(trainer, evaluation, checkpoints, log, dashboard, watch)
        finally:
            is_saved = checkpoints.save_last()
            console.print(
                f"{'Saved' if is_saved else 'Kept'} {checkpoints.path}",
                highlight=False,
                soft_wrap=True,
            )


def _loop(
    trainer: Trainer,
    evaluation: PeriodicEvaluation,
    checkpoints: CheckpointManager,
    log: RunLog,
    dashboard: Dashboard,
    watch: Watch,
) -> None:
    utilization = Utilization(trainer.device)
    evaluated: dict[str, float] = {}  # shown until the next evaluation
    while not trainer.is_done:
        rollout = trainer.collect()
        with defer_signals() as signals:  # only complete updates are saved, each of them logged
            metrics = {**trainer.update(rollout), **utilization.read()}
            found: dict[str, float] = {}
            try:
                if evaluation.is_due:
                    with signals.suspended():
                        found = evaluation.run()
            finally:
                shares = trainer.profile.shares()
                times = {f"time/{name}": share for name, share in shares.items()}
                log.write({**metrics, **found, **times})
        evaluated = found or evaluated
        watch.add(metrics)
        fault = watch.finding
        warning = "" if fault is None else f"{fault.name}: {fault.evidence}"
        dashboard.show({**metrics, **evaluated}, shares, trainer.progress, warning)
        checkpoints.update()


@contextmanager
def _naming_checkpoint(checkpoint: Path) -> Iterator[None]:
    """Add the checkpoint to resume from, if there is one, to a `NotFiniteError`."""
    try:
        yield
    except NotFiniteError as error:
        if not checkpoint.exists():
            raise
        raise NotFiniteError(
            f"{error} {checkpoint} was saved before it. Resume from there with other settings: "
            f"--resume {checkpoint.parent}"
        ) from error


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM like Ctrl+C: every `finally` runs. In the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
