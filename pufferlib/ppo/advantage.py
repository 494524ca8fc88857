"""Generalized advantage estimation."""

import torch
from torch import Tensor

from pufferlib.exceptions import ArgumentError


def advantages(
    rewards: Tensor,
    values: Tensor,
    terminals: Tensor,
    truncations: Tensor,
    final_values: Tensor,
    gamma: float,
    gae_lambda: float,
) -> Tensor:
    """Return generalized advantage estimates (Schulman et al. 2016, arXiv:1506.02438, eq. 16).

    Nothing leaks across the end of an episode: the sum stops there, and what is bootstrapped from
    is the value of the episode's own last observation, or nothing.

    Args:
        rewards: float32 (T, B), received after the action at t.
        values: float32 (T + 1, B); row T is the bootstrap.
        terminals: bool (T, B), the episode ended after step t: nothing to bootstrap from.
        truncations: bool (T, B), cut off after step t: bootstraps from `final_values`.
        final_values: float32 (T, B), the value of the true last observation; read only where
            truncated and not terminal.
        gamma: discount per step, in [0, 1].
        gae_lambda: in [0, 1]; 0 is TD(0), 1 is Monte Carlo.

    Returns:
        float32 (T, B), a new tensor.

    Raises:
        ArgumentError: if the shapes disagree.
    """
    steps, rows = rewards.shape
    shapes = {tuple(t.shape) for t in (rewards, terminals, truncations, final_values)}
    if shapes != {(steps, rows)} or tuple(values.shape) != (steps + 1, rows):
        raise ArgumentError(
            f"Shapes disagree: values must be {(steps + 1, rows)} and the rest {(steps, rows)}; "
            f"got values {tuple(values.shape)}, the rest {sorted(shapes)}."
        )
    ends = terminals | truncations
    bootstrap = torch.where(truncations, final_values, values[1:])
    bootstrap = torch.where(terminals, torch.zeros_like(bootstrap), bootstrap)
    deltas = rewards + gamma * bootstrap - values[:-1]  # (T, B), eq. 9
    decay = gamma * gae_lambda * (~ends).to(rewards.dtype)
    result = torch.empty_like(rewards)
    running = torch.zeros_like(rewards[0])
    for t in reversed(range(steps)):
        running = deltas[t] + decay[t] * running
        result[t] = running
    return result
