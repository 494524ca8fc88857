"""Run a policy for the rows of a vectorizer, whether it has memory or not."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from pufferlib.action_sampling import ActionSampler, greedy_actions
from pufferlib.distributions import Head, Heads, as_float32
from pufferlib.exceptions import NotFiniteError
from pufferlib.policy import (
    Rows,
    State,
    is_recurrent,
    map_state,
    state_rows,
    takes_start_steps,
    write_state_rows,
)

ALL_ROWS = slice(None)
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Decision(NamedTuple):
    """What a policy chose for B rows.

    Attributes:
        actions: (B,) int64, or (B, columns); see `pufferlib.pytorch.sample_actions`.
        log_probabilities: float32 (B,), of sampled actions; None of greedy ones, which may be on
            the border of their support.
        values: float32 (B,), expected returns.
        heads: that the actions are from.
    """

    actions: Tensor
    log_probabilities: Tensor | None
    values: Tensor
    heads: Heads

    def check_finite(self, policy: nn.Module) -> None:
        """Refuse actions of NaN, which no loss would reveal; waits for a GPU.

        Raises:
            NotFiniteError: names the policy.
        """
        if self.log_probabilities is not None:
            numbers = [self.log_probabilities]
        else:
            heads = self.heads if isinstance(self.heads, Sequence) else [self.heads]
            numbers = [self.actions, *(head for head in heads if isinstance(head, Tensor))]
        rows = len(self.actions)
        flags = torch.cat([number.reshape(rows, -1).isnan() for number in numbers], 1)
        count = int(flags.any(1).sum())
        if count > 0:
            raise NotFiniteError(
                f"The policy {type(policy).__name__} chose actions from NaN in {count} of {rows} "
                f"rows. Its weights or what it computes of the observations are not finite: load "
                f"an earlier checkpoint, or look for the first layer that returns NaN."
            )


class PolicyRunner:
    """A policy and the state of the rows it acts for; compiled, and in bfloat16, if asked.

    Collection calls `act` and `values`, which use and update the state kept here. Learning calls
    `forward`, which takes the state as an argument. Several runners can act on one batch, each for
    the rows that it is given.

    Args:
        policy: a `Policy` or a `RecurrentPolicy`, already on `device`.
        num_rows: rows whose state is kept; `act` takes which of them a batch holds.
        device: where observations will be.
        precision: "float32" or "bfloat16", for the network's computations alone.
        compile_mode: of `torch.compile`; "none" does not compile.

    Attributes:
        policy: as given.
        device: as given.
        is_recurrent: the policy has memory.
        state_batch_dim: the dimension of its state that counts rows; 0 without memory.
        denormalize: converts the values that `act` and `values` return to the units of the returns,
            where the policy predicts normalized ones; those of `forward` are as predicted.
        is_compiled: each new number of rows costs a compilation or, with CUDA graphs, a recording.
    """

    def __init__(
        self,
        policy: nn.Module,
        num_rows: int,
        device: torch.device,
        precision: str = "float32",
        compile_mode: str = "none",
    ) -> None:
        self.policy, self.device = policy, device
        self.is_recurrent = is_recurrent(policy)
        self.denormalize: Callable[[Tensor], Tensor] = lambda values: values
        self.is_compiled = compile_mode != "none"
        self._compile_mode = compile_mode
        self._call = self.compiled(policy)
        self._decide = self.compiled(self._forward_and_sample)
        self._sample = ActionSampler()
        self._num_rows = num_rows
        self._is_half = precision == "bfloat16"
        self._takes_start_steps = self.is_recurrent and takes_start_steps(policy)
        self.state_batch_dim = int(policy.state_batch_dim) if self.is_recurrent else 0  # type: ignore[arg-type]
        self._state: State | None = None
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Set the state of every row to that at the start of an episode."""
        if self.is_recurrent:
            # Copied, as it may be a weight of the policy, or one row expanded to all.
            initial: State = self.policy.initial_state(self._num_rows, self.device)  # type: ignore[operator]
            self._state = map_state(torch.clone, initial)

    def state(self, rows: Rows = ALL_ROWS) -> State | None:
        """Return the state of `rows`: views for a slice; None if the policy has no memory."""
        if self._state is None or self._are_all(rows):
            return self._state
        state: State = state_rows(self._state, rows, self.state_batch_dim)
        return state

    def _are_all(self, rows: Rows) -> bool:
        return isinstance(rows, slice) and rows in (ALL_ROWS, slice(0, self._num_rows))

    def act(
        self,
        observations: Tensor,
        starts: Tensor | None,
        rows: Rows = ALL_ROWS,
        is_greedy: bool = False,
        joint: Tensor | None = None,
    ) -> Decision:
        """Choose actions for `rows`, and update their state.

        Args:
            observations: (B, ...), on `device`.
            starts: bool (B,), the observation is the first of an episode; ignored without memory.
            rows: which of the `num_rows` rows these are.
            is_greedy: take the most probable actions; otherwise they are sampled.
            joint: see `forward`.
        """
        given = observations, self.state(rows), starts, joint
        log_probabilities = None
        if is_greedy:
            heads, values, state = self.forward(*given)
            actions = greedy_actions(heads)
        else:
            (heads, values, state), (actions, log_probabilities) = self._decide(*given)
        if self._state is not None and state is not None:
            if self._are_all(rows):
                # A CUDA graph's next run overwrites what the last one returned.
                self._state = map_state(torch.clone, state) if self.is_compiled else state
            else:
                write_state_rows(self._state, rows, self.state_batch_dim, state)
        return Decision(actions, log_probabilities, self.denormalize(values), heads)

    def _forward_and_sample(
        self,
        observations: Tensor,
        state: State | None,
        starts: Tensor | None,
        joint: Tensor | None,
    ) -> tuple[tuple[Heads, Tensor, State | None], tuple[Tensor, Tensor]]:
        """Return the result of `forward`, and sampled actions with their log-probabilities."""
        found = self.forward(observations, state, starts, joint)
        return found, self._sample(found[0])

    def compiled(self, function: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
        """Return a function or a network, compiled if networks are; it begins when first called."""
        if not self.is_compiled:
            return function
        return torch.compile(function, mode=self._compile_mode)

    def values(
        self,
        observations: Tensor,
        starts: Tensor | None,
        rows: Rows = ALL_ROWS,
        joint: Tensor | None = None,
    ) -> Tensor:
        """Return the values (B,) of `rows`, whose state stays as it is. Arguments as `act`."""
        return self.denormalize(self.forward(observations, self.state(rows), starts, joint)[1])

    def forward(
        self,
        observations: Tensor,
        state: State | None = None,
        starts: Tensor | None = None,
        joint: Tensor | None = None,
        start_steps: Sequence[int] | None = None,
    ) -> tuple[Heads, Tensor, State | None]:
        """Return (heads, values (B,), state), the first two float32 in any precision.

        Args:
            observations: (B, ...), or with memory (B, T, ...) too.
            state: before the first of them; ignored without memory.
            starts: bool (B,) or (B, T), an episode begins here; None: nowhere.
            joint: observations (B, agents, ...) or (B, T, agents, ...) of all agents of the rows'
                games, for a policy with a `CentralCritic`; None for any other.
            start_steps: the steps of (B, T) in which an episode begins in any row; None: unknown.
                A compiled policy would be compiled again for others.
        """
        more: dict[str, Any] = {} if joint is None else {"joint_observations": joint}
        if self._takes_start_steps and start_steps is not None:
            more["start_steps"] = start_steps
        with self._precision():
            if self.is_recurrent:
                heads, values, state = self._call(observations, state, starts, **more)
            else:
                heads, values = self._call(observations, **more)
        return _as_float32(heads), values.squeeze(-1).float(), state

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        if self._is_half:
            return torch.autocast(self.device.type, torch.bfloat16)
        return contextlib.nullcontext()


def _as_float32(heads: Heads) -> Heads:
    """Return heads that log-probabilities can be computed from.

    In bfloat16 those would be 0.016 apart at -2, and the probability ratio as coarse; continuous
    actions would be of a dtype that NumPy lacks, and a column of choices exact up to 256 only.
    """
    if isinstance(heads, Tensor | Distribution) or not isinstance(heads, Sequence):
        return _head_as_float32(heads)
    return [_head_as_float32(head) for head in heads]


def _head_as_float32(head: Head) -> Head:
    if isinstance(head, Tensor):
        return head.float()
    if type(head) is not Normal:
        return as_float32(head)
    if head.loc.dtype == head.scale.dtype == torch.float32:
        return head
    return Normal(head.loc.float(), head.scale.float(), validate_args=False)
