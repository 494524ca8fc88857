"""Metric loggers: JSON lines, TensorBoard, Weights & Biases."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pufferlib.annotations import JsonObject
from pufferlib.exceptions import CheckpointError, LogError

METRICS = "metrics.jsonl"
_FLUSH_S = 10  # TensorBoard's events


class RunLog:
    """Writes `config.json` once, and the metrics of each update to every logger in use.

    A resumed run continues from its checkpoint: metrics that a killed run logged after it are
    removed or, at Weights & Biases, where they cannot be, not logged a second time.

    Args:
        folder: created if it does not exist.
        config: JSON values.
        updates: of the checkpoint to resume, 0 for a new run.
        timesteps: likewise.
        tensorboard: write TensorBoard events into the folder.
        wandb: project of Weights & Biases; None: do not use it.
        run_id: of the run at Weights & Biases.

    Raises:
        CheckpointError: the metrics of the run to resume are damaged.
        LogError: the disk is full or not writable.
    """

    def __init__(
        self,
        folder: Path,
        config: JsonObject,
        *,
        updates: int = 0,
        timesteps: int = 0,
        tensorboard: bool = False,
        wandb: str | None = None,
        run_id: str | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        write_json(folder / "config.json", config)
        last_logged = _truncate(folder / METRICS, updates)
        self._logs: list[_JsonLines | _TensorBoard | _WeightsAndBiases] = [_JsonLines(folder)]
        try:
            if tensorboard:
                self._logs.append(_TensorBoard(folder, config, timesteps))
            if wandb is not None:
                self._logs.append(_WeightsAndBiases(folder, config, wandb, run_id, last_logged))
        except BaseException:
            self.close()
            raise

    def write(self, metrics: dict[str, float]) -> None:
        """Log the metrics of an update; "timesteps" and "updates" are among them.

        Raises:
            LogError: the disk is full or not writable.
        """
        with _raise_log_error(self._folder / METRICS):
            for log in self._logs:
                log.write(metrics)

    def close(self) -> None:
        """Flush and close every logger."""
        while self._logs:
            with contextlib.suppress(OSError):  # of a disk about which `write` has raised
                self._logs.pop().close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the metrics of each update of the run in `folder`; of one in progress, so far.

    Raises:
        CheckpointError: a line is damaged.
    """
    path = folder / METRICS
    return [metrics for _, metrics in _complete_lines(path)] if path.exists() else []


def write_json(path: Path, values: object) -> None:
    """Write `values` to `path`, whole or not at all.

    Raises:
        LogError: the disk is full or not writable.
    """
    temporary = path.with_name(f".{path.name}")  # renamed when complete
    with _raise_log_error(path):
        temporary.write_text(json.dumps(values, indent=2) + "\n")
        temporary.replace(path)


@contextlib.contextmanager
def _raise_log_error(path: Path) -> Iterator[None]:
    """Turn an OSError into a LogError that names the file."""
    try:
        yield
    except OSError as error:
        raise LogError(
            f"{path} could not be written: {error.strerror}. Free some space, or name a folder on "
            f"another disk with --run."
        ) from error


class _JsonLines:
    """A line of `metrics.jsonl` for each update."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / METRICS).open("a")

    def write(self, metrics: dict[str, float]) -> None:
        self._file.write(json.dumps(metrics) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _TensorBoard:
    """An event file in the folder; its steps are timesteps."""

    def __init__(self, folder: Path, config: JsonObject, timesteps: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # TensorBoard ignores what earlier files of the folder log from `purge_step` on.
        self._writer: Any = SummaryWriter(
            folder, purge_step=timesteps + 1 if timesteps else None, flush_secs=_FLUSH_S
        )
        self._writer.add_text("config", f"```\n{json.dumps(config, indent=2)}\n```", timesteps)

    def write(self, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, metrics["timesteps"])

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    """A run at Weights & Biases, or in the folder with WANDB_MODE=offline."""

    def __init__(
        self,
        folder: Path,
        config: JsonObject,
        project: str,
        run_id: str | None,
        last_logged: int,
    ) -> None:
        import wandb

        self._last_logged = last_logged
        self._run = wandb.init(
            project=project,
            dir=folder,
            id=run_id,
            name=folder.name,
            config=config,
            resume="allow",
            settings=wandb.Settings(silent=True, console="off", disable_git=True),
        )

    def write(self, metrics: dict[str, float]) -> None:
        updates = int(metrics["updates"])
        if updates > self._last_logged:  # its steps cannot decrease
            self._run.log(metrics, step=updates)

    def close(self) -> None:
        self._run.finish()


def _truncate(path: Path, updates: int) -> int:
    """Drop the lines after update `updates`; return the last update that was logged."""
    if not path.exists():
        return 0
    logged = end = 0
    for size, metrics in _complete_lines(path):
        logged = metrics["updates"]
        if logged <= updates:
            end += size
    os.truncate(path, end)
    return logged


def _complete_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the bytes and the values of each line, without an incomplete last one.

    Raises:
        CheckpointError: see `read_metrics`.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):  # killed in the middle of it, or still writing
                return
            with contextlib.suppress(ValueError):  # not UTF-8, or not JSON
                metrics = json.loads(line)
                if isinstance(metrics, dict):
                    yield len(line), metrics
                    continue
            raise CheckpointError(
                f"{path} cannot be read as metrics: line {number} is not a JSON object. Delete the "
                f"line."
            )
