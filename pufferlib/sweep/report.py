"""What a sweep found: the front as a table and command lines, importance, failures."""

import dataclasses
import math
import shlex
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from pufferlib import config as presets
from pufferlib import registry
from pufferlib.annotations import JsonObject
from pufferlib.config import Config
from pufferlib.runs import Run
from pufferlib.runs.seeds import mean_interval
from pufferlib.runs.settings import assemble, find_setting, names_of
from pufferlib.sweep.front import finished, front, is_on_front

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

ARGUMENTS = ("env.kwargs", "policy.kwargs")
_LEFT_OUT = ("log.", "eval.")  # they change nothing that is learned
_LEAST_TRIALS = 10  # for importance
_NAME_WIDTH, _VALUE_WIDTH = 28, 11  # of a table, in characters


@dataclass(frozen=True)
class Point:
    """A trial on the front.

    Attributes:
        number: of the trial.
        score: mean return, as the search measured it.
        interval: 95% interval of the score, over episodes; NaN if unknown.
        confirmed: scores with fresh seeds; empty if there are none.
        holds: whether it is on the front by the means of these; None if there are none.
        cost: CPU seconds of training and of the evaluations during it.
        timesteps: steps of agents in training.
        changes: settings that `puffer train ENV` does not have by itself, by dotted name.
        command: the command line that trains it.
    """

    number: int
    score: float
    interval: tuple[float, float]
    confirmed: tuple[float, ...]
    holds: bool | None
    cost: float
    timesteps: int
    changes: dict[str, Any]
    command: str


def points(study: "Study", facts: JsonObject) -> list[Point]:
    """Return the front of a sweep, the cheapest first.

    Args:
        study: see `pufferlib.sweep` for what it holds.
        facts: contents of `sweep.json`: env and config.
    """
    best = front(study.get_trials(deepcopy=False))
    again = {
        trial.number: scores
        for trial in best
        if (scores := study.user_attrs.get(f"confirmed:{trial.number}", {}).get("scores"))
    }
    costs = [trial.values[1] for trial in best if trial.number in again]
    on_front = is_on_front([statistics.fmean(scores) for scores in again.values()], costs)
    holds = dict(zip(again, on_front.tolist(), strict=True))
    found = []
    for trial in best:
        known = trial.user_attrs
        changes = changed_settings(facts, known.get("settings", {}))
        low, high = (known.get(name) for name in ("score_low", "score_high"))
        found.append(
            Point(
                number=trial.number,
                score=trial.values[0],
                interval=(math.nan, math.nan) if low is None or high is None else (low, high),
                confirmed=tuple(again.get(trial.number, ())),
                holds=holds.get(trial.number),
                cost=trial.values[1],
                timesteps=int(known.get("timesteps", 0)),
                changes=changes,
                command=command(facts["env"], changes),
            )
        )
    return found


def changed_settings(facts: JsonObject, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a trial that `puffer train ENV` does not have by itself.

    They are those that the sweep chose, and those that were given to all trials. Settings of logs
    and of evaluations during training are left out.

    Args:
        facts: contents of `sweep.json`.
        settings: of the trial, by dotted name.
    """
    config = settings_of(facts, settings)
    algorithm = {"algorithm": config.algorithm}
    base = Run.configure(facts["env"], algorithm)
    default = Run.configure(facts["env"]).config.algorithm
    changes = {} if config.algorithm == default else dict(algorithm)
    own, others = dict(_flat(config)), dict(_flat(base.config))
    return changes | {
        name: value
        for name, value in own.items()
        if (name not in others or others[name] != value) and not name.startswith(_LEFT_OUT)
    }


def settings_of(facts: JsonObject, settings: Mapping[str, Any]) -> Config:
    """Return all settings of a trial: those of the sweep, with its own on top.

    Args:
        facts: contents of `sweep.json`.
        settings: of the trial, by dotted name.
    """
    preset = presets.from_json({**facts["config"], "run": None}, "sweep.json")
    return assemble(registry.resolve(facts["env"]), settings, preset)


def command(env: str, changes: Mapping[str, Any]) -> str:
    """Return the command line that trains `env` with some settings.

    >>> command("CartPole-v1", {"train.learning_rate": 3e-4, "policy.memory": "lstm"})
    'puffer train CartPole-v1 --train.learning-rate 0.0003 --policy.memory lstm'
    """
    words = ["puffer", "train", env]
    for name, value in changes.items():
        is_argument = name.startswith(ARGUMENTS)
        flag = f"--{name}" if is_argument else f"--{name.replace('_', '-')}"
        if isinstance(value, bool) and not is_argument:
            table, _, key = flag[2:].rpartition(".")
            words.append(flag if value else f"--{table}.no-{key}")
        else:
            words += [flag, str(value)]
    return shlex.join(words)


def importance(study: "Study") -> dict[str, float]:
    """Return how much each setting matters for the score, the most important first; the sum is 1.

    PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255): how differently a setting is distributed
    among the best tenth of trials and among all. {} with fewer than ten finished trials.
    """
    done = finished(study.get_trials(deepcopy=False))
    if len(done) < _LEAST_TRIALS:
        return {}
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    from pufferlib.sweep.space import setting_of

    own = optuna.create_study()  # of finite scores, and minimized as PED-ANOVA expects
    for trial in done:
        own.add_trial(
            optuna.trial.create_trial(
                params=trial.params, distributions=trial.distributions, value=-trial.values[0]
            )
        )
    found = get_param_importances(own, evaluator=PedAnovaImportanceEvaluator())
    return {setting_of(name): value for name, value in found.items()}


def failures(study: "Study") -> Counter[str]:
    """Return how many trials failed, by reason."""
    from optuna.trial import TrialState

    failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    reasons = (str(trial.user_attrs.get("state_reason", "unknown")) for trial in failed)
    return Counter("infeasible" if each.startswith("infeasible:") else each for each in reasons)


def print_report(study: "Study", facts: JsonObject, console: Console) -> None:
    """Print the front, a command line for each point, importance, and failures."""
    trials = study.get_trials(deepcopy=False)
    found = points(study, facts)
    console.print(_headline(trials, found), highlight=False, soft_wrap=True)
    if found:
        console.print(front_table(found))
        console.print("Settings that differ from the preset's:", highlight=False)
        console.print(settings_table(found, max(2, (console.width - _NAME_WIDTH) // _VALUE_WIDTH)))
        for point in found:
            # Neither wrapped nor marked up: to be copied.
            console.out(f"Trial {point.number}: {point.command}", highlight=False)
    if matters := importance(study):
        shares = ", ".join(f"{name} {value:.0%}" for name, value in matters.items())
        console.print(f"Importance for the score: {shares}", highlight=False, soft_wrap=True)
    if failed := failures(study):
        counts = ", ".join(f"{count} {reason}" for reason, count in failed.most_common())
        console.print(f"Failed trials: {counts}", highlight=False, markup=False, soft_wrap=True)


def front_table(found: list[Point]) -> Table:
    """Return a table of the front: scores with intervals, cost, steps."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("trial", "score", "with fresh seeds", "holds", "CPU s", "timesteps"):
        table.add_column(name, justify="right")
    for point in found:
        table.add_row(
            str(point.number),
            _with_interval(point.score, *point.interval),
            _with_interval(*mean_interval(list(point.confirmed))) if point.confirmed else "-",
            {True: "yes", False: "no", None: "-"}[point.holds],
            f"{point.cost:.1f}",
            f"{point.timesteps:,}",
        )
    return table


def settings_table(found: list[Point], most: int) -> Table:
    """Return a table of what differs from the preset: a row for each setting, a column for a point.

    Args:
        found: the front.
        most: columns; of more points the best is among them, and the others are spread evenly.
    """
    last = len(found) - 1
    picked = sorted({last - round(place) for place in np.linspace(0, last, min(most, last + 1))})
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("setting", no_wrap=True)
    for index in picked:
        table.add_column(str(found[index].number), justify="right", overflow="fold")
    for name in dict.fromkeys(name for point in found for name in point.changes):
        changes = [found[index].changes for index in picked]
        table.add_row(name, *(_short(each[name]) if name in each else "" for each in changes))
    return table


def _headline(trials: "list[FrozenTrial]", found: list[Point]) -> str:
    done = finished(trials)
    cpu_s = sum(float(trial.user_attrs.get("cpu_s", 0.0)) for trial in trials)
    text = f"{len(trials)} trials, {len(done)} finished, {cpu_s:,.0f} CPU s. "
    if not found:
        return text + "No trial has a score."
    text += f"The front has {len(found)} of them"
    if any(point.confirmed for point in found):
        return text + (
            "; believe their scores with fresh seeds: those of the search are the best of many, "
            "and so too high."
        )
    return text + "; their scores are the best of many, and so too high."


def _with_interval(mean: float, low: float, high: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return f"{mean:.2f}"
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _flat(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a run by dotted name; arguments in kwargs each by its own."""
    for name in names_of(config):
        if name in ("run", "algorithm"):
            continue
        value = find_setting(name, config).value
        if name in ARGUMENTS and isinstance(value, Mapping):
            for key, argument in value.items():
                yield f"{name}.{key}", argument
        elif not dataclasses.is_dataclass(value):
            yield name, value
