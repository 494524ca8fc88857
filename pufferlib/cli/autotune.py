"""`puffer autotune`."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pufferlib.cli.all import check_one_run, for_each
from pufferlib.cli.parser import ENV_OR_ALL_HELP, Parser, add_settings
from pufferlib.cli.preset import preset_to_write
from pufferlib.config import Config, editing
from pufferlib.exceptions import ArgumentError, SettingError
from pufferlib.runs import Run
from pufferlib.vector import Tuning, usable_cores
from pufferlib.vector import autotune as tune
from pufferlib.vector.tuning.autotune import choose
from pufferlib.vector.tuning.candidates import Candidate
from pufferlib.vector.tuning.env_profile import EnvProfile

_NAME_A_FILE = "Name a file: --write {path}"
_BUSY_SHARE = 0.1  # share of the time of a profile that other programs may take


def add_arguments(parser: Parser, words: Sequence[str]) -> None:
    """Add the options of the command."""
    parser.add_argument("env", help=ENV_OR_ALL_HELP)
    parser.add_argument("--max-envs", type=int, help="environments at most (default: 16 per core)")
    parser.add_argument("--batch-size", type=int, help="environments in a batch (default: any)")
    parser.add_argument(
        "--max-memory",
        type=float,
        metavar="GIB",
        help="memory of the environments (default: half the free)",
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="time of each trial (default 1)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument(
        "--write",
        nargs="?",
        const="",
        metavar="PATH",
        help="write the fastest for training into [vec] of a TOML file (default: the preset)",
    )
    add_settings(parser, words, ["env.kwargs"], Config())


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print a table if ENV is all; return the exit status."""
    check_one_run(arguments.env, {"--write": arguments.write})
    return for_each(arguments.env, lambda env, console: _autotune(env, console, arguments))


def _autotune(env: str, console: Console, limits: argparse.Namespace) -> dict[str, str]:
    """Print the fastest settings on this machine; return the cells of a row of a table.

    Raises:
        ArgumentError: an argument is impossible, before anything starts; or, with --write, none of
            the candidates can train.
        SettingError: the file cannot be written, before anything starts.
    """
    run = Run.configure(env, limits.overrides)
    config, task = run.config, run.source.name
    path = None
    if limits.write is not None:
        path = (
            Path(limits.write) if limits.write else preset_to_write(run.source, env, _NAME_A_FILE)
        )
        editing.check(path, "vec", _preset_values(Candidate("Serial", 1)))

    def announce(env: EnvProfile, candidates: Sequence[Candidate]) -> None:
        console.print(f"[bold]{task}[/bold], {usable_cores()} cores")
        console.print(_profile(env))
        if env.queued_fraction > _BUSY_SHARE:
            console.print(
                f"[yellow]Other programs used the core for {env.queued_fraction:.0%} of that time: "
                f"try again when they have ended.[/yellow]"
            )
        least_s = len(candidates) * limits.rounds * limits.seconds * 1.25
        console.print(
            f"{len(candidates)} candidates, {limits.rounds} interleaved rounds of "
            f"{limits.seconds:g} s: {least_s:.0f} s, and the time to make the environments"
        )

    tuning = tune(
        run.creator(),
        env_kwargs=config.env.kwargs,
        max_envs=limits.max_envs,
        batch_size=limits.batch_size,
        max_memory_bytes=_bytes(limits.max_memory),
        seconds=limits.seconds,
        rounds=limits.rounds,
        announce=announce,
    )
    console.print(_table(tuning))
    console.print(f"[bold]Best: {tuning.best}[/bold]")
    trainable = best_to_train(tuning, config, run.is_recurrent)
    if trainable != tuning.best:
        console.print(
            f"Pools are not proposed for training, as their gain depends on the network, nor fewer "
            f"rows than the minibatches need. Best for training: {trainable or 'none of these'}",
            soft_wrap=True,
        )
    if trainable is not None:
        console.print(f"  puffer train {env} {_flags(trainable, config)}", soft_wrap=True)
    if path is not None:
        if trainable is None:
            raise ArgumentError(
                f"None of the candidates can train; {path} is unchanged. Try more environments: "
                f"--max-envs N"
            )
        editing.write(path, "vec", _preset_values(trainable))
        console.print(f"Wrote that into [vec] of {path}", markup=False, soft_wrap=True)
    fastest = next(trial for trial in tuning.trials if trial.candidate == tuning.best)
    return {"best": str(tuning.best), "steps/s": f"{fastest.steps_per_second:,.0f}"}


def best_to_train(tuning: Tuning, config: Config, is_recurrent: bool) -> Candidate | None:
    """Return the best of the candidates that the trainer takes with the rest of `config`.

    No pools, whose gain depends on the network; and at least as many rows as there are minibatches.
    """
    agents = tuning.profile.num_agents
    trials = [
        trial
        for trial in tuning.trials
        if trial.error is None and _trains(trial.candidate, agents, config, is_recurrent)
    ]
    if not trials:
        return None
    top = trials[0].ratio
    return choose([dataclasses.replace(trial, ratio=trial.ratio / top) for trial in trials])


def _trains(candidate: Candidate, agents: int, config: Config, is_recurrent: bool) -> bool:
    if candidate.is_pool:
        return False
    try:
        config.train.check_rows(candidate.num_envs * agents, is_recurrent, is_pool=False)
    except SettingError:
        return False
    return True


def _preset_values(candidate: Candidate) -> dict[str, editing.Value]:
    """Return what to write into [vec]; settings of failures and timeouts stay as they are."""
    return {
        "backend": candidate.backend,
        "num_envs": candidate.num_envs,
        "num_workers": None if candidate.backend == "Serial" else candidate.num_workers,
        "batch_size": None,  # no pool is proposed for training
        "caller_steps": True if candidate.caller_steps else None,
    }


def _flags(candidate: Candidate, config: Config) -> str:
    """Return the flags of `puffer train` that turn the settings of `config` into `candidate`."""
    flags = f"--vec.backend {candidate.backend} --vec.num-envs {candidate.num_envs}"
    if candidate.backend != "Serial":
        flags += f" --vec.num-workers {candidate.num_workers}"
    if config.vec.batch_size is not None:
        flags += " --vec.batch-size None"
    if candidate.caller_steps:
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
        f"{env.cpu_fraction:.0%} on the CPU{memory}\n"
        f"  a step {env.step_us:,.1f} us, deviation {env.step_cv:.0%}; a reset "
        f"{env.reset_us:,.1f} us, {env.reset_fraction:.0%} of the time\n"
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
        candidate = trial.candidate
        workers = "" if candidate.backend == "Serial" else str(candidate.num_workers)
        cells = [candidate.backend, str(candidate.num_envs), workers, candidate.description]
        if trial.error is not None:
            table.add_row(*cells, "failed", "", "", escape(trial.error))
            continue
        busy = "" if trial.busy_cores is None else f"{trial.busy_cores:.1f}"
        cells += [f"{trial.steps_per_second:,.0f}", f"{trial.ratio:.2f}", busy]
        table.add_row(*cells, style="bold" if candidate == tuning.best else None)
    return table
