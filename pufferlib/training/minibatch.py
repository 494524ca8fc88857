"""Pieces of a rollout to learn from: samples, or whole sequences."""

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from pufferlib.policy import State, map_state

_Samples = TypeVar("_Samples", "Minibatch", "Sequences")


@dataclass
class Minibatch:
    """A piece of a rollout to learn from.

    N samples, or for a recurrent policy N = B * T of B whole rows, those of a row together.

    Attributes:
        observations: (N, ...), or (B, T, ...) if recurrent.
        state: of the rows before their first step; None unless recurrent.
        starts: bool (B, T); None unless recurrent.
        actions: (N, ...).
        log_probabilities: float32 (N,), when the actions were taken.
        values: float32 (N,), likewise.
        advantages: float32 (N,).
        returns: float32 (N,).
        valid: bool (N,).
        joint: observations (N, agents, ...) or (B, T, agents, ...) of all agents of the game, the
            row's own first; None unless a central critic sees them.
        has_absent: some of `valid` may be False; known without waiting for a GPU.
        start_steps: the steps in which one of `starts` is True, likewise; None unless recurrent.
    """

    observations: Tensor
    state: State | None
    starts: Tensor | None
    actions: Tensor
    log_probabilities: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    valid: Tensor
    joint: Tensor | None = None
    has_absent: bool = True
    start_steps: list[int] | None = None

    def to(self, device: torch.device) -> "Minibatch":
        """Return it on `device`: itself, if it is there."""
        return _on_device(self, device)


@dataclass
class Sequences:
    """Whole columns of a rollout: B sequences of T steps.

    Attributes:
        observations: (B, T, ...), seen before the action at t.
        state: before the first step, of B rows; None unless recurrent.
        starts: bool (B, T), the observation at t is the first of an episode.
        actions: (B, T, ...), taken at t.
        log_probabilities: float32 (B, T), of those actions, when taken.
        values: float32 (B, T + 1), when collected; column T is the value after the last step.
        rewards: float32 (B, T), received after the action at t.
        terminals: bool (B, T), the episode ended after step t.
        truncations: bool (B, T), the episode was cut off after step t.
        final_values: float32 (B, T), the value of the true last observation, where truncated.
        valid: bool (B, T), an agent acted at t.
        joint: observations (B, T, agents, ...) of all agents of the game, the row's own first; None
            unless a central critic sees them.
        has_absent: some of `valid` may be False; known without waiting for a GPU.
        start_steps: the steps in which one of `starts` is True, likewise.
    """

    observations: Tensor
    state: State | None
    starts: Tensor
    actions: Tensor
    log_probabilities: Tensor
    values: Tensor
    rewards: Tensor
    terminals: Tensor
    truncations: Tensor
    final_values: Tensor
    valid: Tensor
    joint: Tensor | None = None
    has_absent: bool = True
    start_steps: list[int] | None = None

    def to(self, device: torch.device) -> "Sequences":
        """Return it on `device`: itself, if it is there."""
        return _on_device(self, device)


def _on_device(samples: _Samples, device: torch.device) -> _Samples:
    if samples.actions.device == device:
        return samples
    values = {field.name: getattr(samples, field.name) for field in dataclasses.fields(samples)}
    moved: dict[str, Any] = {
        name: map_state(lambda tensor: tensor.to(device), value)
        for name, value in values.items()
        if value is not None and name not in ("has_absent", "start_steps")
    }
    return dataclasses.replace(samples, **moved)
