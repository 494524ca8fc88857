"""Copy the folder of a trial to another machine, as it changes."""

import contextlib
import zlib
from dataclasses import dataclass
from pathlib import Path

from pufferlib.sweep.trial_files import PHASE, RESULT


@dataclass(frozen=True)
class Change:
    """What is new in a file.

    Attributes:
        name: of the file, relative to the folder.
        offset: where `data` begins; what came before is unchanged.
        data: up to the end of the file.
    """

    name: str
    offset: int
    data: bytes


@dataclass(frozen=True)
class _Known:
    """A file as it was last read."""

    stamp: tuple[int, int, int]
    size: int
    checksum: int


class FolderReader:
    """Reads what has changed in a folder since it last did; lock and temporary files are left out.

    Args:
        folder: with everything below it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, _Known] = {}

    def changes(self) -> list[Change]:
        """Return what is new, in the order to write it.

        A file is read before those that are written before it. So whenever the writer is killed,
        its folder is one that a killed trial could have left: metrics reach as far as the
        checkpoint, and a result comes after everything else.
        """
        names = [str(path.relative_to(self._folder)) for path in self._folder.rglob("*")]
        names = sorted((name for name in names if _is_copied(name)), key=_rank)
        found = []
        for name in reversed(names):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                change = self._change(name)
                if change is not None:
                    found.append(change)
        return found[::-1]

    def _change(self, name: str) -> Change | None:
        path, before = self._folder / name, self._known.get(name)
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if before is not None and before.stamp == stamp:
            return None
        data = path.read_bytes()
        self._known[name] = _Known(stamp, len(data), zlib.crc32(data))
        if before is None or zlib.crc32(data[: before.size]) != before.checksum:
            return Change(name, 0, data)
        if len(data) == before.size:
            return None
        return Change(name, before.size, data[before.size :])


def write_changes(folder: Path, changes: list[Change]) -> None:
    """Write what another folder's reader has found, in its order; files are replaced as a whole.

    Raises:
        OSError: the disk is full or not writable.
    """
    for change in changes:
        path = folder / change.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if change.offset:
            with path.open("r+b") as file:
                file.seek(change.offset)
                file.write(change.data)
            continue
        temporary = path.with_name(f".{path.name}.copy")
        temporary.write_bytes(change.data)
        temporary.replace(path)


def _is_copied(name: str) -> bool:
    own = name.rpartition("/")[2]
    return own == PHASE or not own.startswith(".")


def _rank(name: str) -> int:
    """Return a file's place in the order of writing."""
    own = name.rpartition("/")[2]
    return 3 if name == RESULT else 2 if own.endswith(".pt") else 0 if own.endswith(".jsonl") else 1
