"""Pickle what is sent to a worker: environment creators, and the arguments of calls."""

import dis
import sys
from collections.abc import Iterator
from io import BytesIO
from types import CodeType, FunctionType
from typing import Any

import cloudpickle

from pufferlib.exceptions import ArgumentError

# How a class body reads a name that may be a global; a function uses LOAD_GLOBAL.
_READS = ("LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_JUMPS = {*dis.hasjrel, *dis.hasjabs}  # the value of one is the offset that it may jump to


def pickled(what: str, value: object) -> bytes:
    """Return `value` as bytes for a worker; `what` names it in the error.

    Functions and classes of the main script are sent by value, with the globals that they name.

    Raises:
        ArgumentError: it cannot be pickled.
    """
    data = BytesIO()
    try:
        _Pickler(data).dump(value)
    except Exception as error:  # pickling a user's object may raise anything
        raise ArgumentError(
            f"{what} must be picklable, to be sent to a worker process: "
            f"{type(error).__name__}: {error}. Make that object inside the environment, or use the "
            f"Serial backend."
        ) from error
    return data.getvalue()


class _Pickler(cloudpickle.Pickler):
    """A cloudpickle that also sends the globals named in the body of a class in a function.

    cloudpickle sends a function with the globals that its code loads with LOAD_GLOBAL; the body of
    a class loads them with other instructions.
    """

    def reducer_override(self, obj: object) -> Any:
        """Reduce a function or class as cloudpickle does, and add globals to a function."""
        reduced = super().reducer_override(obj)
        if isinstance(obj, FunctionType) and reduced is not NotImplemented:  # sent by value
            _, slots = reduced[2]
            for name in _names_in_class_bodies(obj.__code__):
                if name in obj.__globals__:
                    slots["__globals__"][name] = obj.__globals__[name]
        return reduced


def _names_in_class_bodies(code: CodeType) -> Iterator[str]:
    """Yield the names that `code`, and all code nested in it, may read from a class's globals.

    Names that the code has certainly stored before, as its own, are left out.
    """
    own: set[str] = set()
    # An exception may skip a store, and so may a jump past it.
    end_of_skipped = sys.maxsize if code.co_exceptiontable else 0
    for instruction in dis.get_instructions(code):
        name = instruction.argval
        if instruction.opname in _READS and name not in own:
            yield name
        elif instruction.opname == "STORE_NAME" and instruction.offset >= end_of_skipped:
            own.add(name)
        elif instruction.opname == "DELETE_NAME":
            own.discard(name)
        elif instruction.opcode in _JUMPS:
            end_of_skipped = max(end_of_skipped, name)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in_class_bodies(constant)
