"""A policy in use, as collecting and learning call it."""

import contextlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from pufferlib.models import LSTMWrapper, State
from pufferlib.ppo.config import TrainConfig
from pufferlib.pytorch import Head, Heads


class Player:
    """A policy with or without memory behind one call, compiled and in bfloat16 if asked.

    Args:
        policy: on `device` already.
        config: says whether to compile, and in which precision.
        device: where observations will be.

    Attributes:
        is_recurrent: the policy has memory.
        is_compiled: each new number of rows costs a compilation or, with CUDA graphs, a recording.
    """

    def __init__(self, policy: nn.Module, config: TrainConfig, device: torch.device) -> None:
        self._policy = policy
        self.is_recurrent = isinstance(policy, LSTMWrapper)
        self._call: Any = policy
        self.is_compiled = config.compile != "none"
        if self.is_compiled:
            self._call = torch.compile(policy, mode=config.compile)
        self._device = device
        self._is_half = config.precision == "bfloat16"

    def initial_state(self, rows: int) -> State | None:
        """Return the memory at the start of an episode, None without memory."""
        if not isinstance(self._policy, LSTMWrapper):
            return None
        return self._policy.initial_state(rows, self._device)

    def __call__(
        self, observations: Tensor, state: State | None, starts: Tensor | None
    ) -> tuple[Heads, Tensor, State | None]:
        """Return (actions, values (B,), state), the first two float32 in any precision.

        Args:
            observations: (B, ...), or with memory (B, T, ...) too.
            state: before the first of them; passed over without memory.
            starts: bool (B,) or (B, T), an episode begins here; None: nowhere.
        """
        half = torch.autocast(self._device.type, torch.bfloat16)
        with half if self._is_half else contextlib.nullcontext():
            if self.is_recurrent:
                heads, values, state = self._call(observations, state, starts)
            else:
                heads, values = self._call(observations)
        return _as_float32(heads), values.squeeze(-1).float(), state


def _as_float32(heads: Heads) -> Heads:
    """Return heads that log-probabilities can be computed from.

    In bfloat16 those would be 0.016 apart at -2, and the probability ratio as coarse; continuous
    actions would be of a dtype that NumPy lacks, and a column of choices exact up to 256 only.
    """
    if isinstance(heads, Tensor | Normal):
        return _head_as_float32(heads)
    return [_head_as_float32(head) for head in heads]


def _head_as_float32(head: Head) -> Head:
    if isinstance(head, Tensor):
        return head.float()
    if head.loc.dtype == head.scale.dtype == torch.float32:
        return head
    return Normal(head.loc.float(), head.scale.float(), validate_args=False)
