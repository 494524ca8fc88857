"""The rules for an environment's results: observations that fit, rewards that are numbers.

Both twins, and the packers of values that vary in size, apply them.
"""

import copy
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from pufferlib.annotations import Agent, Array, Structure
from pufferlib.arguments import brief
from pufferlib.exceptions import ObservationError, PufferError, RewardError

NUMBER_TYPES: frozenset[type] = frozenset(
    {bool, int, float, *(np.dtype(code).type for code in "?bBhHiIlLqQefdg")}
)
"""The classes of Python's and NumPy's real numbers: a value of these needs no further check."""

MISFITS = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)
"""What looking up and converting an observation raises if it has another structure."""

_CONSTANTS = NUMBER_TYPES | {str, bytes, type(None)}

Explain = Callable[[Structure], str | None]
"""Returns a sentence on why an observation is not in its space; None if it is."""


def fitting(value: Structure, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Return `value` as an array that can be assigned to a leaf of this dtype and shape.

    The shape must be equal. Integers must be representable in an integer leaf. A float leaf takes
    floats of any precision, rounded, and integers; an integer leaf takes no floats.

    Raises:
        ValueError, TypeError: otherwise.
    """
    array = np.asarray(value)
    if array.shape != shape:
        raise ValueError(f"shape {array.shape} does not fit {shape}")
    if array.dtype != dtype and not _casts(array, dtype):
        raise ValueError(f"{array.dtype} does not fit {dtype}")
    return array


def _casts(array: Array, dtype: np.dtype[Any]) -> bool:
    if not (array.dtype.kind in "iu" and dtype.kind in "iu"):
        return np.can_cast(array.dtype, dtype, casting="same_kind")
    if np.can_cast(array.dtype, dtype) or array.size == 0:
        return True
    limits = np.iinfo(dtype)
    return limits.min <= int(array.min()) and int(array.max()) <= limits.max


def exact_types(dtype: np.dtype[Any]) -> frozenset[type]:
    """Return the classes of numbers that NumPy itself stores in such a leaf, or refuses, correctly.

    NumPy raises OverflowError for a Python int that the dtype cannot represent.
    """
    if dtype.kind == "f":
        return NUMBER_TYPES
    exact: set[type] = {dtype.type, bool if dtype.kind == "b" else int}
    return frozenset(exact)


def refuse(value: Structure, explain: Explain, problem: Exception) -> NoReturn:
    """Raise the error for an observation that could not be written.

    Args:
        value: the observation.
        explain: compares it with its space.
        problem: what writing it raised.

    Raises:
        ObservationError: with the explanation.
        Exception: `problem`, if it explains itself or the observation is in its space.
    """
    fault = None if isinstance(problem, PufferError) else explain(value)
    if fault is None:
        raise problem
    raise ObservationError(
        f"An observation does not belong to observation_space: {fault}. Fix observation_space or "
        f"the returned observation."
    ) from problem


def number(reward: object) -> float:
    """Return a reward as a float.

    Numbers are those of Python and NumPy, arrays and tensors without axes, and other objects that
    `float` converts; text is not.

    Raises:
        RewardError: it is not a number.
    """
    if is_number(reward):
        try:
            return float(reward)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError, RuntimeError) as error:
            raise RewardError(_no_number(reward)) from error
    raise RewardError(_no_number(reward))


def is_number(value: object) -> bool:
    """Return whether `value` has the type of a real number; see `number`."""
    if type(value) in NUMBER_TYPES:
        return True
    kind = getattr(getattr(value, "dtype", None), "kind", "f")  # dtypes of torch have no kind
    return (
        not isinstance(value, (str, bytes))
        and hasattr(value, "__float__")
        and getattr(value, "ndim", 0) == 0
        and kind in "biufO"
    )


def _no_number(reward: object) -> str:
    return (
        f"The reward must be a number, such as a float; got {brief(reward)}. Return one number, "
        f"for example reward.item() of an array."
    )


def of_agent(error: PufferError, agent: Agent) -> PufferError:
    """Return `error` with the name of the agent whose result it is about."""
    return type(error)(f"{error} It came from agent {agent!r}.")


class ResetInfo(dict[str, Any]):
    """The info of a reset that began the next episode in the step that ended one.

    Consumers that report the two apart, as Gymnasium's `final_info`, know it by its class.
    """


def copied_info(info: Structure, copies: dict[int, Any] | None = None) -> Any:
    """Return an info that the environment cannot change: containers, arrays and tensors are copied.

    An environment may return the same dict from `reset`, which starts the next episode in the step
    that ends one. Objects of other types are not copied.

    Args:
        info: may contain itself.
        copies: of containers, by their id; for recursion.
    """
    copies = {} if copies is None else copies
    if id(info) in copies:
        return copies[id(info)]
    if isinstance(info, np.ndarray):
        return info.copy()
    if isinstance(info, dict):
        copies[id(info)] = same = copy.copy(info)  # of the same class
        for key, part in info.items():
            if type(part) not in _CONSTANTS:
                same[key] = copied_info(part, copies)
        return same
    if type(info) is list:
        copies[id(info)] = parts = []
        parts += [copied_info(part, copies) for part in info]
        return parts
    if type(info) is tuple:
        return tuple(copied_info(part, copies) for part in info)
    if type(info) is set:
        return set(info)
    torch = sys.modules.get("torch")
    return info.clone() if torch is not None and isinstance(info, torch.Tensor) else info
