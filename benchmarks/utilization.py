"""Sample how busy a GPU is, by nvidia-smi."""

import contextlib
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator

QUERY = ("nvidia-smi", "--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")
EVERY_MS = 100


class Samples:
    """The share of time in which the first GPU computes, sampled ten times a second."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []  # time and share

    def mean(self, began_s: float, ended_s: float) -> float | None:
        """Return the mean between two times of `time.perf_counter`; None without a sample."""
        shares = [share for at_s, share in self._samples if began_s <= at_s <= ended_s]
        return statistics.mean(shares) if shares else None

    def read(self, process: subprocess.Popen[str]) -> None:
        """Read samples until the process ends."""
        for line in process.stdout or ():
            if line.strip().isdecimal():  # else "[N/A]"
                self._samples.append((time.perf_counter(), int(line) / 100))


@contextlib.contextmanager
def sampled() -> Iterator[Samples]:
    """Sample within the context; nothing where there is no nvidia-smi."""
    samples = Samples()
    try:
        process = subprocess.Popen(
            [*QUERY, f"--loop-ms={EVERY_MS}"], stdout=subprocess.PIPE, text=True
        )
    except FileNotFoundError:
        yield samples
        return
    reader = threading.Thread(target=samples.read, args=(process,), daemon=True)
    with process:
        reader.start()
        try:
            yield samples
        finally:
            process.terminate()
            reader.join()
