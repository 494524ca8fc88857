"""Checkpoints: written whole or not at all, read without running anything in them."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pufferlib.exceptions import CheckpointError

_FORMAT = 2


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state`, tensors and plain values, to `path`.

    It is written beside and then renamed, so that whoever is killed, or whatever disk is full, the
    checkpoint that was there before stays whole.

    Raises:
        CheckpointError: the disk is full, or does not let itself be written to.
    """
    try:
        _write_beside(path, {"format": _FORMAT, **state})
    except (OSError, RuntimeError) as error:  # RuntimeError: what torch makes of a failed write
        cause = _system_error(error)
        if cause is None:
            raise
        raise CheckpointError(
            f"{path} could not be written: {cause.strerror}. The checkpoint before it, if there is "
            f"one, is as it was. Make room, or name a folder on another disk with --run."
        ) from error


def _write_beside(path: Path, state: dict[str, Any]) -> None:
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
    """Return the first error of the system that `error` comes from, None if it comes from none."""
    while error is not None and not isinstance(error, OSError):
        error = error.__context__
    return error


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return what `save` wrote.

    Raises:
        CheckpointError: there is none, it cannot be read, or another version wrote it.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}.")
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a file that is damaged or foreign
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {error}") from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        found = state.get("format") if isinstance(state, dict) else type(state).__name__
        raise CheckpointError(
            f"{path} has checkpoint format {found}, this version of pufferlib reads {_FORMAT}. "
            f"Use the version that wrote it{_version(state)}."
        )
    return state


def load_policy(policy: nn.Module, state: dict[str, Any], path: Path) -> None:
    """Load the weights of a checkpoint into `policy`.

    Raises:
        CheckpointError: they are those of another architecture; names the first difference.
    """
    own, saved = policy.state_dict(), state["policy"]
    for name in [*own, *saved]:
        here = tuple(own[name].shape) if name in own else "nothing"
        there = tuple(saved[name].shape) if name in saved else "nothing"
        if here != there:
            raise CheckpointError(
                f"{path} is a checkpoint of another architecture: {name} is {there} there, {here} "
                f"in this policy. Make the policy with the settings in the run's config.json"
                f"{_version(state, ', and the version that wrote it')}."
            )
    policy.load_state_dict(saved)


def _version(state: Any, lead: str = "") -> str:
    """Return `lead` and the version that wrote a checkpoint; "" if it does not say."""
    found = state.get("version") if isinstance(state, dict) else None
    return "" if found is None else f"{lead}: {found}"
