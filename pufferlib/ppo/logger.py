"""A run's folder: its settings, and its metrics as lines of JSON."""

import json
from pathlib import Path
from typing import Any

METRICS = "metrics.jsonl"


class RunLog:
    """Writes `config.json` once and a line of `metrics.jsonl` at each call.

    Args:
        folder: made if it is not there; metrics are appended to those of an earlier run.
        config: anything that JSON takes.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / ".config.json"  # renamed when whole, so that a kill leaves the earlier
        beside.write_text(json.dumps(config, indent=2) + "\n")
        beside.replace(folder / "config.json")
        self._file = (folder / METRICS).open("a")

    def write(self, metrics: dict[str, float]) -> None:
        """Append one line, and hand it to the operating system."""
        self._file.write(json.dumps(metrics) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
