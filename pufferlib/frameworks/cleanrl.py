"""Adapt policies to CleanRL's scripts, which call `get_value` and `get_action_and_value`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pufferlib.exceptions import ArgumentError
from pufferlib.policy import State, is_recurrent
from pufferlib.published_names import names_of
from pufferlib.pytorch import Heads, sample_actions

if not TYPE_CHECKING:
    __getattr__, __dir__ = names_of(__name__)


_NOT_DONE = (
    "RecurrentPolicy takes no `done`: use LSTMPolicy in CleanRL's recurrent scripts, also in place "
    "of Policy, which makes a RecurrentPolicy of a recurrent policy."
)


class Policy(nn.Module):
    """A stateless policy with the agent interface of CleanRL's PPO scripts.

    Args:
        policy: any `nn.Module` whose forward returns (actions, value). A recurrent one makes this
            a `RecurrentPolicy`.

    Raises:
        ArgumentError: a subclass, and `policy` is recurrent.
    """

    def __new__(cls, policy: nn.Module | None = None) -> Any:
        if cls is Policy and is_recurrent(policy):
            return RecurrentPolicy(policy)
        return super().__new__(cls)

    def __init__(self, policy: nn.Module) -> None:
        super().__init__()
        if is_recurrent(policy):
            raise ArgumentError(
                f"Policy takes a policy without memory; {type(policy).__name__} is recurrent. Use "
                f"LSTMPolicy in CleanRL's recurrent scripts, or RecurrentPolicy."
            )
        self.policy = policy

    def forward(
        self, x: Tensor, action: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Do the same as `get_action_and_value`."""
        return self.get_action_and_value(x, action)

    def get_value(self, x: Tensor, state: Any = None) -> Tensor:
        """Return the value (B, 1) of observations (B, ...)."""
        value: Tensor = self.policy(x)[1]
        return value

    def get_action_and_value(
        self, x: Tensor, action: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (action, log probability (B,), entropy (B,), value (B, 1)).

        Args:
            x: observations (B, ...).
            action: evaluate this action; None to sample one.
        """
        heads, value = self.policy(x)
        return *sample_logits(heads, action), value


class RecurrentPolicy(nn.Module):
    """A recurrent policy with the agent interface of PufferLib 1.0: state second, no `done`.

    For CleanRL's own recurrent script, `ppo_atari_lstm.py`, see `LSTMPolicy`.

    Args:
        policy: a `pufferlib.policy.RecurrentPolicy`, such as an `LSTMWrapper` or a `GRUWrapper`.

    Raises:
        ArgumentError: `policy` is not recurrent.
    """

    def __init__(self, policy: Any) -> None:
        super().__init__()
        _check_recurrent(policy, "RecurrentPolicy")
        self.policy = policy

    @property
    def lstm(self) -> nn.LSTM:
        """The policy's LSTM, whose `num_layers` and `hidden_size` CleanRL reads.

        Only where the policy has one: `hasattr(agent, "lstm")` is False for other memory. Its
        `initial_state` makes the state of any memory.
        """
        lstm: nn.LSTM = self.policy.lstm
        return lstm

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        action: Tensor | None = None,
        *others: Any,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, State]:
        """Do the same as `get_action_and_value`."""
        return self.get_action_and_value(x, state, action, *others)

    def get_value(self, x: Tensor, state: State | None = None, *others: Any) -> Tensor:
        """Return the value of observations after the state.

        Raises:
            ArgumentError: a third argument, as in CleanRL's recurrent script.
        """
        if others:
            raise ArgumentError(f"get_value takes x and state; got {len(others) + 2}. {_NOT_DONE}")
        value: Tensor = self.policy(x, state)[1]
        return value

    def get_action_and_value(
        self,
        x: Tensor,
        state: State | None = None,
        action: Tensor | None = None,
        *others: Any,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, State]:
        """Return (action, log probability, entropy, value, state).

        Args:
            x: observations (B, ...), or (B, T, ...) of sequences.
            state: the state that the previous call returned; None at the start.
            action: evaluate this action; None to sample one. One number a row is an integer: floats
                and bools could be the `done` of CleanRL's recurrent script.
            others: none; see Raises.

        Raises:
            ArgumentError: arguments as in CleanRL's recurrent script: a fourth, or an action that
                is (B,) of floats or bools. A `done` of integers, or of another shape, is not
                recognized.
        """
        if others:
            raise ArgumentError(
                f"get_action_and_value takes x, state and action; got {len(others) + 3}. "
                f"{_NOT_DONE}"
            )
        if action is not None and action.ndim == 1 and not _is_whole(action):
            raise ArgumentError(
                f"An action of one number a row is an integer; got {action.dtype} of shape "
                f"{tuple(action.shape)}. {_NOT_DONE} Pass stored actions as action.long()."
            )
        heads, value, state = self.policy(x, state)
        return *sample_logits(heads, action), value, state


class LSTMPolicy(nn.Module):
    """A policy with an LSTM, with the agent interface of CleanRL's `ppo_atari_lstm.py`.

    The script passes the state and, third, whether an observation is the first of an episode, where
    the state is cleared. It flattens sequences step by step: row t * B + b is step t of sequence b.

    Args:
        policy: a recurrent policy with an attribute `lstm`, such as an `LSTMWrapper`.

    Raises:
        ArgumentError: `policy` is not recurrent, or has other memory than an `nn.LSTM`.
    """

    def __init__(self, policy: Any) -> None:
        super().__init__()
        _check_recurrent(policy, "LSTMPolicy")
        if not isinstance(getattr(policy, "lstm", None), nn.LSTM):
            raise ArgumentError(
                f"CleanRL's recurrent scripts make the state from agent.lstm, an nn.LSTM; "
                f"{type(policy).__name__} has none. Use pufferlib.models.LSTMWrapper, or "
                f"RecurrentPolicy with a script that keeps any state."
            )
        self.policy = policy

    @property
    def lstm(self) -> nn.LSTM:
        """The policy's LSTM, whose `num_layers` and `hidden_size` the script reads."""
        lstm: nn.LSTM = self.policy.lstm
        return lstm

    def forward(
        self,
        x: Tensor,
        lstm_state: tuple[Tensor, Tensor],
        done: Tensor,
        action: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Do the same as `get_action_and_value`."""
        return self.get_action_and_value(x, lstm_state, done, action)

    def get_value(self, x: Tensor, lstm_state: tuple[Tensor, Tensor], done: Tensor) -> Tensor:
        """Return the value (T * B, 1); arguments as in `get_action_and_value`."""
        rows = lstm_state[0].shape[1]
        _, value, _ = self._run(x, lstm_state, done)
        return _regroup(value, rows)

    def get_action_and_value(
        self,
        x: Tensor,
        lstm_state: tuple[Tensor, Tensor],
        done: Tensor,
        action: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Return (action, log probability, entropy, value, state).

        Args:
            x: observations (T * B, ...): T steps of B sequences; T is 1 while acting.
            lstm_state: hidden and cell state before them, each (layers, B, H).
            done: bool or float (T * B,), nonzero if the observation begins an episode.
            action: evaluate this action, (T * B, ...); None to sample one.

        Returns:
            action (T * B, ...), log probability (T * B,), entropy (T * B,), value (T * B, 1), and
            the state after the last step.
        """
        rows = lstm_state[0].shape[1]
        heads, value, state = self._run(x, lstm_state, done)
        given = None if action is None else _regroup(action, len(action) // rows)
        results = (*sample_logits(heads, given), value)  # (B * T, ...)
        action, log_probability, entropy, value = (_regroup(each, rows) for each in results)
        return action, log_probability, entropy, value, state

    def _run(
        self, x: Tensor, lstm_state: tuple[Tensor, Tensor], done: Tensor
    ) -> tuple[Heads, Tensor, tuple[Tensor, Tensor]]:
        """Return the policy's results, whose rows are grouped by sequence."""
        rows = lstm_state[0].shape[1]
        sequences = x.reshape(-1, rows, *x.shape[1:]).transpose(0, 1)  # (B, T, ...)
        starts = done.reshape(-1, rows).transpose(0, 1) != 0  # (B, T)
        heads, value, state = self.policy(sequences, lstm_state, starts)
        return heads, value, state


def _regroup(rows: Tensor, groups: int) -> Tensor:
    """Return rows of `groups` groups, one row of each group after the other, or back."""
    return rows.reshape(groups, -1, *rows.shape[1:]).transpose(0, 1).flatten(0, 1)


def _check_recurrent(policy: object, name: str) -> None:
    if not is_recurrent(policy):
        raise ArgumentError(
            f"{name} takes a recurrent policy; {type(policy).__name__} has no initial_state. Wrap "
            f"it with pufferlib.models.LSTMWrapper, or use Policy."
        )


def _is_whole(action: Tensor) -> bool:
    return not action.is_floating_point() and action.dtype != torch.bool


def sample_logits(logits: Heads, action: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return (action, log probability, entropy), as `pufferlib.pytorch.sample_actions`.

    Args:
        logits: heads of a policy.
        action: evaluate this instead of sampling; actions of sequences may be (B, T, ...).
    """
    if action is not None and isinstance(logits, Tensor):
        action = action.reshape(logits.shape[0])
    elif action is not None and isinstance(logits, Sequence):
        action = action.reshape(-1, action.shape[-1])  # of sequences: (B * T, columns)
    return sample_actions(logits, action)
