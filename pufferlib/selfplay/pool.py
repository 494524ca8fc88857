"""The pool: snapshots of policies, in a folder, one file each."""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pufferlib.annotations import StateDict
from pufferlib.selfplay.seats import LEARNER
from pufferlib.training import checkpoint

POOL = "pool"
# A snapshot of the run, and what is left of a file that a killed process was writing.
_OWN_FILE = re.compile(rf"{LEARNER}@\d+\.pt|\..+@\d+\.pt\.\w+")


@dataclass(frozen=True)
class Member:
    """A snapshot of a policy.

    Attributes:
        name: in the record of games, `name@timesteps`.
        timesteps: of its run, when it was made.
        weights: its `state_dict`, on the CPU.
        is_kept: it was given at the start, and is never dropped.
    """

    name: str
    timesteps: int
    weights: dict[str, Tensor]
    is_kept: bool = False


class Pool:
    """Members in memory, the oldest first, and their files.

    Args:
        folder: of the run; the files are in its folder "pool".
        size: snapshots of the run; members that are kept do not count.
        about: what each file contains besides, as a checkpoint: the settings of the run.

    Attributes:
        members: by name.
    """

    def __init__(self, folder: Path, size: int, about: dict[str, Any] | None = None) -> None:
        self._folder, self._size, self._about = folder / POOL, size, about or {}
        self.members: dict[str, Member] = {}
        self._saved: set[str] = set()  # names

    def add(self, name: str, timesteps: int, policy: nn.Module) -> None:
        """Add a snapshot of `policy`; drop one if there are too many.

        Of the run's snapshots between the first and the newest, the one goes whose neighbors are
        nearest to one another; of equals the oldest.
        """
        weights = {key: part.detach().cpu().clone() for key, part in policy.state_dict().items()}
        self.members[name] = Member(name, timesteps, weights)
        own = [member for member in self.members.values() if not member.is_kept]
        while len(own) > self._size:
            times = [member.timesteps for member in own]
            gaps = [after - before for before, after in zip(times[:-2], times[2:], strict=True)]
            del self.members[own.pop(1 + gaps.index(min(gaps))).name]

    def save_files(self) -> None:
        """Write the members that have no file yet, each whole or not at all.

        Raises:
            CheckpointError: the disk is full or not writable.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for member in self.members.values():
            if member.name in self._saved:  # else a file is of a process that was killed
                continue
            state = {"policy": member.weights, "timesteps": member.timesteps, **self._about}
            checkpoint.save(self._path(member.name), {"algorithm": {"name": "pool"}, **state})
            self._saved.add(member.name)

    def remove_files(self) -> None:
        """Remove the files of members that were dropped, and what a killed process left.

        Whatever else is in the folder stays.
        """
        kept = {self._path(name) for name in self.members}
        for path in self._folder.iterdir():
            if path not in kept and _OWN_FILE.fullmatch(path.name) and path.is_file():
                path.unlink()

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps: the members, without their weights."""
        return {
            "members": [
                {"name": each.name, "is_kept": each.is_kept} for each in self.members.values()
            ]
        }

    def load_state_dict(self, state: StateDict, policy: nn.Module) -> None:
        """Read the members of `state_dict` from their files.

        Args:
            state: as `state_dict` returned it.
            policy: one of the same architecture, to compare with.

        Raises:
            CheckpointError: a file is missing, damaged or of another architecture.
        """
        self.members = {}
        for each in state["members"]:
            member = read_member(self._path(each["name"]), policy)
            self.members[member.name] = dataclasses.replace(member, is_kept=each["is_kept"])
        self._saved = set(self.members)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.pt"


def read_member(path: Path, policy: nn.Module) -> Member:
    """Return the policy in a checkpoint, named by its file.

    Raises:
        CheckpointError: it cannot be read, or is of another architecture than `policy`.
    """
    state = checkpoint.load(path)
    checkpoint.check_architecture(policy, state, path)
    return Member(path.stem, state.get("timesteps", 0), state["policy"])
