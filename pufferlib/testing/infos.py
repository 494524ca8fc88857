"""Check infos: dicts of values that do not change later and can be pickled."""

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pufferlib.annotations import Array
from pufferlib.environment import Info
from pufferlib.exceptions import ContractError
from pufferlib.testing.breach import require


class InfosCheck:
    """Keeps the infos of the last call, to find out whether they change afterwards."""

    def __init__(self) -> None:
        self._kept: list[tuple[Info, bytes]] = []
        self._where = ""

    def check(self, infos: Any, where: str, rows: Sequence[Array]) -> None:
        """Check the infos of a call, and that those of the previous call have not changed.

        Args:
            infos: the infos that the call returned.
            where: the name of the call, for the error.
            rows: arrays that later calls overwrite; an info must not refer to them.
        """
        require(
            isinstance(infos, list) and all(isinstance(info, dict) and info for info in infos),
            f"infos of {where} are {infos!r:.200}",
            "a list of non-empty dicts; [] if there is nothing to report",
        )
        for info, pickled in self._kept:
            change = None
            # Equal bytes mean equal infos, but equal infos may pickle to different bytes.
            if _pickled(info, self._where) != pickled:
                change = _change(pickle.loads(pickle.dumps(info)), pickle.loads(pickled))
            require(
                change is None,
                f"an info of {self._where} has changed after {where}: {change}",
                "a new dict for each step, of values that do not change later: copy arrays that "
                "are written again",
            )
        self._kept = [(info, _pickled(info, where)) for info in infos]
        self._where = where
        for info in infos:
            for name, array in _arrays(info, "info"):
                require(
                    not any(np.shares_memory(array, row) for row in rows),
                    f"an info of {where} holds a view of the rows or actions, {name}",
                    "copies, because rows and actions are overwritten",
                )


def _pickled(info: Info, where: str) -> bytes:
    try:
        return pickle.dumps(info)
    except Exception as error:  # an object's pickling may raise anything
        raise ContractError(
            f"An info of {where} cannot be pickled: {error}. Infos are sent between processes: "
            f"use numbers, strings and arrays."
        ) from error


def _change(now: object, before: object, name: str = "info") -> str | None:
    """Return where and how two unpickled values differ; None if they are equal."""
    if isinstance(now, dict) and isinstance(before, dict) and now.keys() == before.keys():
        parts = [(now[key], before[key], f"{name}[{key!r}]") for key in before]
    elif isinstance(now, (list, tuple)) and type(now) is type(before) and len(now) == len(before):
        parts = [(now[i], before[i], f"{name}[{i}]") for i in range(len(before))]
    elif pickle.dumps(now) != pickle.dumps(before):
        return f"{name} was {before!r:.80}, is {now!r:.80}"
    else:
        return None
    return next((found for part in parts if (found := _change(*part)) is not None), None)


def _arrays(value: object, name: str) -> Iterator[tuple[str, Array]]:
    """Yield (name, array) of each array in nested dicts, lists and tuples; names are indices."""
    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _arrays(part, f"{name}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from _arrays(part, f"{name}[{index}]")
