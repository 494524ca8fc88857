"""Infos: dicts of values that last, and that can cross process borders."""

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pufferlib.environment import Info
from pufferlib.exceptions import ContractError
from pufferlib.testing.breach import require


class InfosCheck:
    """The infos of the last call, kept to find out whether they change afterwards."""

    def __init__(self) -> None:
        self._kept: list[tuple[Info, bytes]] = []
        self._where = ""

    def check(self, infos: Any, where: str, rows: Sequence[NDArray[Any]]) -> None:
        """Check what a call has returned, and that what the last one returned is as it was.

        Args:
            infos: those of the call.
            where: its name.
            rows: arrays that are written again; none may be in an info.
        """
        require(
            isinstance(infos, list) and all(isinstance(info, dict) and info for info in infos),
            f"infos of {where} are {infos!r:.200}",
            "a list of non-empty dicts; [] where there is nothing to tell",
        )
        for info, pickled in self._kept:
            change = None
            # Equal bytes are equal infos; unequal ones need not be unequal infos.
            if _pickled(info, self._where) != pickled:
                change = _change(pickle.loads(pickle.dumps(info)), pickle.loads(pickled))
            require(
                change is None,
                f"an info of {self._where} has changed after {where}: {change}",
                "a dict of its own for each step, of values that last: copy what is written again",
            )
        self._kept = [(info, _pickled(info, where)) for info in infos]
        self._where = where
        for info in infos:
            for name, array in _arrays(info, "info"):
                require(
                    not any(np.shares_memory(array, row) for row in rows),
                    f"an info of {where} holds a view of the rows or actions, {name}",
                    "arrays of the info's own, for those are written again: copy",
                )


def _pickled(info: Info, where: str) -> bytes:
    try:
        return pickle.dumps(info)
    except Exception as error:  # pickling may fail in any way that an object's author chose
        raise ContractError(
            f"An info of {where} cannot be pickled: {error}. Infos cross process borders: put "
            f"numbers, strings and arrays in them."
        ) from error


def _change(now: Any, before: Any, name: str = "info") -> str | None:
    """Tell where two values that come out of a pickle differ, and in what; None: nowhere."""
    if isinstance(now, dict) and isinstance(before, dict) and now.keys() == before.keys():
        parts = [(now[key], before[key], f"{name}[{key!r}]") for key in before]
    elif isinstance(now, (list, tuple)) and type(now) is type(before) and len(now) == len(before):
        parts = [(now[i], before[i], f"{name}[{i}]") for i in range(len(before))]
    elif pickle.dumps(now) != pickle.dumps(before):
        return f"{name} was {before!r:.80}, is {now!r:.80}"
    else:
        return None
    return next((found for part in parts if (found := _change(*part)) is not None), None)


def _arrays(value: Any, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays in nested dicts, lists and tuples, each with how to index to it."""
    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _arrays(part, f"{name}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from _arrays(part, f"{name}[{index}]")
