"""Copy the folder of a trial to another machine, as it changes."""

import contextlib
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

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
    """Reads what has changed in a folder since it last did; hidden files and folders (locks,
    temporary files) are left out, but for the phase of a trial.

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

    def forget(self, names: list[str]) -> None:
        """Let `changes` return these files as a whole."""
        for name in names:
            self._known.pop(name, None)

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


def write_changes(folder: Path, changes: list[Change]) -> list[str]:
    """Write what another folder's reader has found, in its order; files are replaced as a whole.

    Returns:
        names of what was not written: a change does not continue its file here, which is missing or
        of another size, and those after it wait for it. `FolderReader.forget` gets them whole.

    Raises:
        ValueError: a name leads out of the folder. Nothing was written.
        OSError: the disk is full or not writable.
    """
    for change in changes:
        name = PurePosixPath(change.name)
        if not name.parts or name.is_absolute() or ".." in name.parts:
            raise ValueError(f"a file of a trial must lie in its folder; got {change.name!r}.")
    for number, change in enumerate(changes):
        path = folder / change.name
        if change.offset:
            if not path.is_file() or path.stat().st_size != change.offset:
                return [each.name for each in changes[number:]]
            with path.open("ab") as file:
                file.write(change.data)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.copy")
        temporary.write_bytes(change.data)
        temporary.replace(path)
    return []


def _is_copied(name: str) -> bool:
    *folders, own = PurePosixPath(name).parts
    is_hidden = any(each.startswith(".") for each in folders)
    return not is_hidden and (own == PHASE or not own.startswith("."))


def _rank(name: str) -> int:
    """Return a file's place in the order of writing."""
    own = name.rpartition("/")[2]
    return 3 if name == RESULT else 2 if own.endswith(".pt") else 0 if own.endswith(".jsonl") else 1
