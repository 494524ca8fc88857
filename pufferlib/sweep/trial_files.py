"""Files by which the processes of a sweep and of a trial talk; nothing that takes long to load."""

from pathlib import Path

LOG = "log.txt"
SPEC = "trial.json"
RESULT = "result.json"
_STOP = "stop"
PHASE = ".phase"
_SCORING = "scoring"


def ask_to_stop(folder: Path) -> None:
    """Let the trial in a folder score what it has reached once it gets SIGTERM."""
    (folder / _STOP).touch()


def is_asked_to_stop(folder: Path) -> bool:
    """Return whether `ask_to_stop` was called for the trial in a folder."""
    return (folder / _STOP).exists()


def note_phase(folder: Path, *, is_scoring: bool) -> None:
    """Let the sweep know that the trial in a folder goes on, with training or with its score."""
    (folder / PHASE).write_text(_SCORING if is_scoring else "training")


def is_scoring(folder: Path) -> bool:
    """Return whether the trial in a folder is past its training."""
    try:
        return (folder / PHASE).read_text() == _SCORING
    except FileNotFoundError:
        return False
