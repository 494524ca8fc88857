"""Name the faults of a run by its metrics.

Each rule is a small function; its docstring has the source of its thresholds. Faults of the
environment come first, for others follow from them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pufferlib.exceptions import ArgumentError
from pufferlib.runs.diagnosis import episodes, learning, scales
from pufferlib.runs.diagnosis.history import LEAST_UPDATES, Finding, History, Rule
from pufferlib.runs.folder import CONFIG, read_settings, refuse_group
from pufferlib.training.loggers import METRICS, read_metrics

RULES: tuple[Rule, ...] = (*episodes.RULES, *scales.RULES, *learning.RULES)


class Diagnosis(NamedTuple):
    """What the metrics of a run say.

    Attributes:
        findings: the faults, the most basic first.
        unjudged: names of the faults that could not be judged, with the metrics that are missing.
    """

    findings: list[Finding]
    unjudged: dict[str, list[str]]


def diagnose(records: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> Diagnosis:
    """Return the faults of a run.

    Args:
        records: its metrics by name, one for each update.
        config: its settings, as in config.json.
    """
    history = History(records, config)
    findings, unjudged = [], {}
    for one in RULES:
        missing = [name for name in one.needs if not history.has(name)]
        if missing:
            unjudged[one.fault] = missing
            continue
        verdict = one.judge(history)
        if verdict is not None:
            findings.append(Finding(one.fault, *verdict))
    return Diagnosis(findings, unjudged)


def diagnose_folder(folder: Path) -> Diagnosis:
    """Return the faults of the run in `folder`, from metrics.jsonl and config.json.

    Raises:
        ArgumentError: it is not the folder of a run, or the run is too short to judge.
        CheckpointError: it is a group of runs, or one of the files is damaged.
    """
    refuse_group(folder)
    for name in (METRICS, CONFIG):
        if not (folder / name).is_file():
            raise ArgumentError(
                f"{folder} is not the folder of a run: it has no {name}. Name one in runs/."
            )
    records = read_metrics(folder)
    if len(records) < LEAST_UPDATES:
        raise ArgumentError(
            f"{folder} has {len(records)} updates so far, and at least {LEAST_UPDATES} are needed "
            f"to judge a run. Train longer, or with a shorter --train.horizon."
        )
    _, config = read_settings(folder)
    return diagnose(records, config)
