"""Diagnose a run while it trains."""

import time
from collections.abc import Mapping
from typing import Any

from pufferlib.runs.diagnosis import diagnose
from pufferlib.runs.diagnosis.history import LEAST_UPDATES, Finding

_INTERVAL_S = 5.0
_MOST_RECORDS = 400


class Watch:
    """Names the first fault of a run in progress, once two judgments in a row have found it.

    It judges every five seconds, and keeps at most 400 updates, evenly spread over the run.

    Args:
        config: the settings of the run, as in config.json.
        interval_s: seconds between two judgments.

    Attributes:
        finding: the fault; None if there is none, or not for long enough.
    """

    def __init__(self, config: Mapping[str, Any], interval_s: float = _INTERVAL_S) -> None:
        self._config, self._interval_s = config, interval_s
        self._records: list[Mapping[str, float]] = []
        self._stride, self._seen = 1, 0
        self._judged_s = time.monotonic()
        self._last: Finding | None = None
        self.finding: Finding | None = None

    def add(self, metrics: Mapping[str, float]) -> None:
        """Add the metrics of an update."""
        if self._seen % self._stride == 0:
            self._records.append(metrics)
        self._seen += 1
        if len(self._records) >= _MOST_RECORDS:
            self._records, self._stride = self._records[::2], 2 * self._stride
        if time.monotonic() - self._judged_s < self._interval_s:
            return
        self._judged_s = time.monotonic()
        if len(self._records) < LEAST_UPDATES:
            return
        findings = diagnose(self._records, self._config).findings
        first = findings[0] if findings else None
        persists = first is not None and self._last is not None and first.name == self._last.name
        self.finding = first if persists else None
        self._last = first
