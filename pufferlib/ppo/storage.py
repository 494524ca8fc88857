"""One rollout: `horizon` steps of every row."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pufferlib.models import State


@dataclass
class Minibatch:
    """A piece of a rollout to learn from.

    N samples, or for a recurrent policy N = B * T of B whole rows, those of a row together.

    Attributes:
        observations: (N, ...), or (B, T, ...) if recurrent.
        state: of the rows before their first step; None unless recurrent.
        starts: bool (B, T); None unless recurrent.
        actions: (N, ...).
        log_probabilities: float32 (N,).
        advantages: float32 (N,).
        returns: float32 (N,).
        valid: bool (N,).
    """

    observations: Tensor
    state: State | None
    starts: Tensor | None
    actions: Tensor
    log_probabilities: Tensor
    advantages: Tensor
    returns: Tensor
    valid: Tensor


class Rollout:
    """Tensors (T, B, ...) that are filled anew each time, on the training device.

    Attributes:
        observations: seen before the action at t, as the environment's rows.
        actions: taken at t.
        log_probabilities: of those actions, when taken.
        values: (T + 1, B); row T is the value after the last step.
        rewards: received after the action at t.
        terminals: the episode ended after step t.
        truncations: the episode was cut off after step t.
        final_values: the value of the true last observation, where truncated.
        starts: the observation at t is the first of an episode.
        valid: an agent acted at t.
        initial_state: of a recurrent policy before step 0, else None.
    """

    def __init__(
        self,
        horizon: int,
        observation: Tensor,
        action: Tensor,
    ) -> None:
        """Make room for `horizon` steps of rows that look like `observation` and `action`."""
        device, rows = observation.device, observation.shape[0]

        def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        flag = torch.bool
        self.horizon, self.rows = horizon, rows
        self.observations = empty(horizon, *observation.shape, dtype=observation.dtype)
        self.actions = empty(horizon, *action.shape, dtype=action.dtype)
        self.log_probabilities = empty(horizon, rows)
        self.values = empty(horizon + 1, rows)
        self.rewards = empty(horizon, rows)
        self.terminals = empty(horizon, rows, dtype=flag)
        self.truncations = empty(horizon, rows, dtype=flag)
        self.final_values = empty(horizon, rows)
        self.starts = empty(horizon, rows, dtype=flag)
        self.valid = empty(horizon, rows, dtype=flag)
        self.initial_state: State | None = None

    def minibatches(
        self, count: int, advantages: Tensor, generator: torch.Generator
    ) -> Iterator[Minibatch]:
        """Yield `count` random pieces that together are the whole rollout.

        Args:
            count: pieces; at most the rows if recurrent, else the samples.
            advantages: float32 (T, B).
            generator: draws the order, on the CPU.
        """
        returns = advantages + self.values[:-1]
        is_recurrent = self.initial_state is not None
        pieces = self.rows if is_recurrent else self.rows * self.horizon
        order = torch.randperm(pieces, generator=generator).to(self.observations.device)
        for chosen in order.tensor_split(count):
            if is_recurrent:
                yield self._rows(chosen, advantages, returns)
            else:
                yield self._samples(chosen, advantages, returns)

    def _rows(self, rows: Tensor, advantages: Tensor, returns: Tensor) -> Minibatch:
        def sequence(tensor: Tensor) -> Tensor:
            return tensor[:, rows].transpose(0, 1)  # (B, T, ...)

        assert self.initial_state is not None
        hidden, cell = self.initial_state
        return Minibatch(
            observations=sequence(self.observations),
            state=(hidden[:, rows], cell[:, rows]),
            starts=sequence(self.starts),
            actions=sequence(self.actions).flatten(0, 1),
            log_probabilities=sequence(self.log_probabilities).flatten(),
            advantages=sequence(advantages).flatten(),
            returns=sequence(returns).flatten(),
            valid=sequence(self.valid).flatten(),
        )

    def _samples(self, samples: Tensor, advantages: Tensor, returns: Tensor) -> Minibatch:
        return Minibatch(
            observations=self.observations.flatten(0, 1)[samples],
            state=None,
            starts=None,
            actions=self.actions.flatten(0, 1)[samples],
            log_probabilities=self.log_probabilities.flatten()[samples],
            advantages=advantages.flatten()[samples],
            returns=returns.flatten()[samples],
            valid=self.valid.flatten()[samples],
        )
