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
    """Return the faults of a run; of several policies, each with the name of the policy.

    Args:
        records: its metrics by name, one for each update.
        config: its settings, as in config.json.
    """
    policies = _policies_in(records)
    if not policies:
        return _diagnose_one(records, config)
    found = {
        name: _diagnose_one([_of_policy(record, name) for record in records], config)
        for name in policies
    }
    findings: list[Finding] = []
    for name, diagnosis in found.items():
        for finding in diagnosis.findings:
            is_common = all(finding in other.findings for other in found.values())
            named = finding if is_common else finding._replace(name=f"{finding.name} ({name})")
            findings += [] if named in findings else [named]
    order = [each.fault for each in RULES]
    findings.sort(key=lambda finding: order.index(finding.name.partition(" (")[0]))
    unjudged = {k: v for diagnosis in found.values() for k, v in diagnosis.unjudged.items()}
    return Diagnosis(findings, unjudged)


def _policies_in(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the policies that have learned in a run; none of a single policy."""
    keys = {key for record in records for key in record}
    parts = [key.split("/") for key in sorted(keys)]
    return [part[1] for part in parts if len(part) == 3 and part[::2] == ["rollout", "absent"]]


def _of_policy(record: Mapping[str, Any], policy: str) -> dict[str, Any]:
    """Return metrics with those of one policy under the names that a single one has."""
    common = {key: value for key, value in record.items() if key.count("/") < 2}
    own = {
        key.replace(f"/{policy}", "", 1): value
        for key, value in record.items()
        if key.split("/")[1:2] == [policy]
    }
    return {**common, **own}


def _diagnose_one(records: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> Diagnosis:
    """Return the faults of a run of a single policy."""
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
