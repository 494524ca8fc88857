"""`puffer autotune`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pufferlib import config as presets
from pufferlib import registry
from pufferlib.config import Config, editing
from pufferlib.exceptions import ArgumentError, SettingError
from pufferlib.vector import Tuning, usable_cores
from pufferlib.vector import autotune as tune
from pufferlib.vector.env_profile import EnvProfile
from pufferlib.vector.settings import Setting
from pufferlib.vector.tuning import choose

_CROWDED = 0.1  # of the time of a profile that other programs took


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the command line says of the trials; see `pufferlib.vector.autotune`."""

    max_envs: int | None
    batch_size: int | None
    max_memory_gib: float | None
    seconds: float
    rounds: int


def autotune(name: str, console: Console, limits: Limits, write: str | None) -> dict[str, str]:
    """Print what suits this machine; return what to put in the table of all.

    Args:
        name: a family or task.
        console: where to print.
        limits: of the trials.
        write: the file whose [vec] gets the fastest setting that trains; "" is the preset, None is
            no file.

    Raises:
        ArgumentError: an argument that cannot be, before anything starts; or, with `write`, none
            of the settings trains.
        SettingError: the file cannot be written, likewise.
    """
    module, task = registry.resolve(name)
    config = presets.load([module.FAMILY.name, task])
    path = None
    if write is not None:
        path = Path(write) if write else _preset_file(name, task)
    if path is not None:
        editing.check(path, "vec", _preset_values(Setting("Serial", 1)))
    creator = module.env_creator(task)

    def announce(env: EnvProfile, settings: Sequence[Setting]) -> None:
        console.print(f"[bold]{task}[/bold], {usable_cores()} cores")
        console.print(_profile(env))
        if env.queued_share > _CROWDED:
            console.print(
                f"[yellow]Other programs had the core for {env.queued_share:.0%} of that time: try "
                f"again when they are done.[/yellow]"
            )
        least_s = len(settings) * limits.rounds * limits.seconds * 1.25
        console.print(
            f"{len(settings)} settings, {limits.rounds} interleaved rounds of {limits.seconds:g} "
            f"s: {least_s:.0f} s, and what it takes to make the environments"
        )

    tuning = tune(
        creator,
        env_kwargs=config.env.kwargs,
        max_envs=limits.max_envs,
        batch_size=limits.batch_size,
        max_memory_bytes=_bytes(limits.max_memory_gib),
        seconds=limits.seconds,
        rounds=limits.rounds,
        announce=announce,
    )
    console.print(_table(tuning))
    console.print(f"[bold]Best: {tuning.best}[/bold]")
    trainable = best_to_train(tuning, config)
    if trainable != tuning.best:
        console.print(
            f"For training no pool is proposed, as its gain depends on the network, and nothing "
            f"with fewer rows than {config.train.minibatches} minibatches need. Best for it: "
            f"{trainable or 'none of these'}",
            soft_wrap=True,
        )
    if trainable is not None:
        console.print(f"  puffer train {name} {_flags(trainable, config)}", soft_wrap=True)
    if path is not None:
        if trainable is None:
            raise ArgumentError(f"{path} was left as it is. Try more: --max-envs N")
        editing.write(path, "vec", _preset_values(trainable))
        console.print(f"Wrote that into [vec] of {path}", markup=False, soft_wrap=True)
    fastest = next(trial for trial in tuning.trials if trial.setting == tuning.best)
    return {"best": str(tuning.best), "steps/s": f"{fastest.steps_per_second:,.0f}"}


def best_to_train(tuning: Tuning, config: Config) -> Setting | None:
    """Return the best of the settings that the trainer takes with the rest of `config`.

    No pools, whose gain depends on the network; and at least as many rows as there are minibatches.
    """
    trials = [
        trial
        for trial in tuning.trials
        if trial.error is None and _trains(trial.setting, tuning.profile.num_agents, config)
    ]
    if not trials:
        return None
    top = trials[0].ratio
    return choose([dataclasses.replace(trial, ratio=trial.ratio / top) for trial in trials])


def _trains(setting: Setting, agents: int, config: Config) -> bool:
    if setting.is_pool:
        return False
    try:
        config.train.check_rows(setting.num_envs * agents, config.policy.recurrent, is_pool=False)
    except SettingError:
        return False
    return True


def _preset_file(name: str, task: str) -> Path:
    """Return the preset that training `name` reads last, where this is a checkout.

    Raises:
        SettingError: it is an installation, whose files are not ours to change.
    """
    path = presets.preset_file(task, presets.PRESETS)
    if name != task and not path.exists():
        path = presets.preset_file(name, presets.PRESETS)
    if not (presets.PRESETS.parents[1] / "pyproject.toml").is_file():
        raise SettingError(
            f"--write changes the presets of a checkout, and {presets.PRESETS} is part of an "
            f"installation. Name a file: --write {path.name}"
        )
    return path


def _preset_values(setting: Setting) -> dict[str, editing.Value]:
    """Return what to write into [vec]; settings of failures and timeouts stay as they are."""
    return {
        "backend": setting.backend,
        "num_envs": setting.num_envs,
        "num_workers": None if setting.backend == "Serial" else setting.num_workers,
        "batch_size": None,  # no pool is proposed for training
        "caller_steps": True if setting.caller_steps else None,
    }


def _flags(setting: Setting, config: Config) -> str:
    """Return the flags of `puffer train` that turn the settings of `config` into `setting`."""
    flags = f"--vec.backend {setting.backend} --vec.num-envs {setting.num_envs}"
    if setting.backend != "Serial":
        flags += f" --vec.num-workers {setting.num_workers}"
    if config.vec.batch_size is not None:
        flags += " --vec.batch-size None"
    if setting.caller_steps:
        return f"{flags} --vec.caller-steps"
    return f"{flags} --vec.no-caller-steps" if config.vec.caller_steps else flags


def _bytes(gib: float | None) -> int | None:
    if gib is None:
        return None
    if not 0 < gib < float("inf"):
        raise ArgumentError(f"--max-memory must be above 0 GiB; got {gib:g}.")
    return max(1, int(gib * 2**30))


def _profile(env: EnvProfile) -> str:
    memory = "" if env.memory_bytes is None else f", {env.memory_bytes / 2**20:.1f} MiB each"
    return (
        f"One environment: {env.num_agents} agents, {env.steps_per_second:,.0f} steps/s, "
        f"{env.cpu_share:.0%} on the CPU{memory}\n"
        f"  a step {env.step_us:,.1f} us, deviation {env.step_cv:.0%}; a reset "
        f"{env.reset_us:,.1f} us, {env.reset_share:.0%} of the time\n"
        f"  {env.observation_bytes:,} bytes a step, {env.bandwidth_mb_s:,.1f} MB/s"
    )


def _table(tuning: Tuning) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("backend", "envs", "workers", "options", "steps/s", "ratio", "cores"):
        is_text = heading in ("backend", "options")
        table.add_column(
            heading, justify="left" if is_text else "right", no_wrap=heading != "options"
        )
    table.add_column("")
    for trial in tuning.trials:
        setting = trial.setting
        workers = "" if setting.backend == "Serial" else str(setting.num_workers)
        cells = [setting.backend, str(setting.num_envs), workers, setting.options]
        if trial.error is not None:
            table.add_row(*cells, "failed", "", "", escape(trial.error))
            continue
        busy = "" if trial.busy_cores is None else f"{trial.busy_cores:.1f}"
        cells += [f"{trial.steps_per_second:,.0f}", f"{trial.ratio:.2f}", busy]
        table.add_row(*cells, style="bold" if setting == tuning.best else None)
    return table
