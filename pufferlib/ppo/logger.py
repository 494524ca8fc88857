"""What a run tells of itself: lines of JSON, TensorBoard's events, Weights & Biases."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pufferlib.exceptions import LogError

METRICS = "metrics.jsonl"
_FLUSH_S = 10  # TensorBoard's events


class RunLog:
    """Writes `config.json` once, and the metrics of each update wherever they are wanted.

    Steps go on where the resumed checkpoint stood: what a killed run told of the updates after it
    is taken back, or, where it cannot be (Weights & Biases), not told a second time.

    Args:
        folder: made if it is not there.
        config: anything that JSON takes.
        updates: of the checkpoint that is resumed, 0 for a new run.
        timesteps: likewise.
        tensorboard: write events for TensorBoard into the folder.
        wandb: project of Weights & Biases; None: not there.
        run_id: of the run at Weights & Biases.

    Raises:
        LogError: the disk is full, or does not let itself be written to.
    """

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any],
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
        told = _cut(folder / METRICS, updates)
        self._logs: list[_JsonLines | _TensorBoard | _WeightsAndBiases] = [_JsonLines(folder)]
        try:
            if tensorboard:
                self._logs.append(_TensorBoard(folder, config, timesteps))
            if wandb is not None:
                self._logs.append(_WeightsAndBiases(folder, config, wandb, run_id, told))
        except BaseException:
            self.close()
            raise

    def write(self, metrics: dict[str, float]) -> None:
        """Tell the metrics of an update; "timesteps" and "updates" are among them.

        Raises:
            LogError: the disk is full, or does not let itself be written to.
        """
        with _telling(self._folder / METRICS):
            for log in self._logs:
                log.write(metrics)

    def close(self) -> None:
        """Write out what is held back; no lines of JSON are."""
        while self._logs:
            with contextlib.suppress(OSError):  # of a disk that `write` has told of
                self._logs.pop().close()


def write_json(path: Path, values: Any) -> None:
    """Write `values` to `path`, whole or not at all.

    Raises:
        LogError: the disk is full, or does not let itself be written to.
    """
    beside = path.with_name(f".{path.name}")  # renamed when whole: a kill leaves the earlier
    with _telling(path):
        beside.write_text(json.dumps(values, indent=2) + "\n")
        beside.replace(path)


@contextlib.contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Let an error of the system say which file could not be written."""
    try:
        yield
    except OSError as error:
        raise LogError(
            f"{path} could not be written: {error.strerror}. Make room, or name a folder on "
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

    def __init__(self, folder: Path, config: dict[str, Any], timesteps: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Whatever an earlier file of the folder tells from `purge_step` on is passed over.
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
        self, folder: Path, config: dict[str, Any], project: str, run_id: str | None, told: int
    ) -> None:
        import wandb

        self._told = told
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
        if updates > self._told:  # steps there never go back
            self._run.log(metrics, step=updates)

    def close(self) -> None:
        self._run.finish()


def _cut(path: Path, updates: int) -> int:
    """Drop the lines of updates after `updates`; return the last update that there was."""
    if not path.exists():
        return 0
    told = end = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):  # a kill in the middle of it
                break
            told = json.loads(line)["updates"]
            if told <= updates:
                end += len(line)
    os.truncate(path, end)
    return told
