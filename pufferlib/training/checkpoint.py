"""Checkpoints: written whole or not at all, read without running anything in them."""

import io
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pufferlib.annotations import StateDict
from pufferlib.exceptions import CheckpointError

_FORMAT = 3
_PLAIN = (bool, int, float, complex, str, bytes)


def save(path: Path, state: StateDict) -> None:
    """Write `state`, tensors and plain values, to `path`, atomically.

    A temporary file is renamed once it is complete: if the process is killed or the disk is full,
    the previous checkpoint stays whole.

    Raises:
        CheckpointError: the disk is full or not writable; or `state` holds a value that `load`
            would refuse, named by its place.
    """
    _check_loadable(state, "")
    try:
        _write_atomically(path, {"format": _FORMAT, **state})
    except (OSError, RuntimeError) as error:  # RuntimeError: torch's, for a failed write
        cause = _system_error(error)
        if cause is None:
            raise
        raise CheckpointError(
            f"{path} could not be written: {cause.strerror}. The previous checkpoint, if any, is "
            f"unchanged. Free some space, or name a folder on another disk with --run."
        ) from error


def _check_loadable(value: Any, place: str) -> None:
    """Refuse what `torch.load(weights_only=True)` would refuse.

    Tensors and Python's own plain types are loadable; anything else is tried.
    """
    if value is None or isinstance(value, Tensor) or type(value) in _PLAIN:
        return
    if type(value) in (dict, OrderedDict):
        for key, part in value.items():
            _check_loadable(key, f"{place}[{key!r}], a key")
            _check_loadable(part, f"{place}[{key!r}]")
        return
    if type(value) in (list, tuple, set):
        for index, part in enumerate(value):
            _check_loadable(part, f"{place}[{index}]")
        return
    file = io.BytesIO()
    try:
        torch.save(value, file)
        file.seek(0)
        torch.load(file, weights_only=True)
    except Exception as error:  # pickling and loading fail in any way that a type's author chose
        raise CheckpointError(
            f"The state to save holds {value!r:.60} at {place}, of type "
            f"{type(value).__module__}.{type(value).__qualname__}, which cannot be loaded from a "
            f"checkpoint. Use Python's own numbers, strings, lists and dicts, or tensors."
        ) from error


def _write_atomically(path: Path, state: StateDict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _system_error(error: BaseException | None) -> OSError | None:
    """Return the OSError that caused `error`; None if there is none."""
    while error is not None and not isinstance(error, OSError):
        error = error.__context__
    return error


def load(path: Path, device: torch.device | str = "cpu") -> StateDict:
    """Return what `save` wrote.

    Raises:
        CheckpointError: there is none, it cannot be read, or another version wrote it.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}.")
    try:
        state: StateDict = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a file that is damaged or foreign
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {error}") from error
    if isinstance(state, dict) and state.get("format") == 2:
        state = _from_format_2(state)
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        found = state.get("format") if isinstance(state, dict) else type(state).__name__
        raise CheckpointError(
            f"{path} has checkpoint format {found}, this version of pufferlib reads {_FORMAT}. "
            f"Use the version that wrote it{_version(state)}."
        )
    return state


def load_policy(policy: nn.Module, state: StateDict, path: Path) -> None:
    """Load the weights of a checkpoint into `policy`.

    Raises:
        CheckpointError: see `check_architecture`.
    """
    check_architecture(policy, state, path)
    policy.load_state_dict(state["policy"])


def check_architecture(policy: nn.Module, state: StateDict, path: Path) -> None:
    """Refuse a checkpoint whose weights do not fit `policy`.

    Raises:
        CheckpointError: it has none, or they are those of another architecture; names the first
            difference.
    """
    own, saved = policy.state_dict(), state.get("policy")
    if not isinstance(saved, dict):
        raise CheckpointError(f"{path} holds no weights of a policy. Name another checkpoint.")
    for name in [*own, *saved]:
        here = tuple(own[name].shape) if name in own else "nothing"
        there = tuple(saved[name].shape) if name in saved else "nothing"
        if here != there:
            raise CheckpointError(
                f"{path} is a checkpoint of another architecture: {name} is {there} there, {here} "
                f"in this policy. Create the policy with the settings in the run's config.json"
                f"{_version(state, ', and the version that wrote it')}."
            )


def check_algorithm(name: str, state: StateDict, path: Path) -> None:
    """Refuse to resume the checkpoint of another algorithm.

    Raises:
        CheckpointError: names both.
    """
    saved = state["algorithm"]["name"]
    if saved != name:
        raise CheckpointError(
            f"{path} was trained by the algorithm {saved!r}, this run uses {name!r}. Resume the "
            f"run with the settings it was made with, or start a new one."
        )


def _from_format_2(state: StateDict) -> StateDict:
    """Return a checkpoint from the time when PPO was the only algorithm in today's format."""
    algorithm = {"name": "ppo", "optimizer": state.pop("optimizer")}
    return {**state, "format": 3, "algorithm": algorithm}


def _version(state: object, lead: str = "") -> str:
    """Return `lead` and the version that wrote a checkpoint; "" if it does not say."""
    found = state.get("version") if isinstance(state, dict) else None
    return "" if found is None else f"{lead}: {found}"
