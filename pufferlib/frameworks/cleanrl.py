"""Adapt policies to CleanRL's scripts, which call `get_value` and `get_action_and_value`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from pufferlib.policy import State, is_recurrent
from pufferlib.published_names import names_of
from pufferlib.pytorch import Heads, sample_actions

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__)


class Policy(nn.Module):
    """A stateless policy with the agent interface of CleanRL's PPO scripts.

    Args:
        policy: any `nn.Module` whose forward returns (actions, value). A recurrent one makes this
            a `RecurrentPolicy`.
    """

    def __new__(cls, policy: nn.Module | None = None) -> Any:
        if cls is Policy and is_recurrent(policy):
            return RecurrentPolicy(policy)
        return super().__new__(cls)

    def __init__(self, policy: nn.Module) -> None:
        super().__init__()
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
        return *_sample(heads, action), value


class RecurrentPolicy(nn.Module):
    """A recurrent policy with the agent interface of CleanRL's recurrent PPO scripts.

    Args:
        policy: a `pufferlib.policy.RecurrentPolicy`, such as an `LSTMWrapper` or a `GRUWrapper`.
    """

    def __init__(self, policy: Any) -> None:
        super().__init__()
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
        self, x: Tensor, state: State | None = None, action: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, State]:
        """Do the same as `get_action_and_value`."""
        return self.get_action_and_value(x, state, action)

    def get_value(self, x: Tensor, state: State | None = None) -> Tensor:
        """Return the value of observations after the state."""
        value: Tensor = self.policy(x, state)[1]
        return value

    def get_action_and_value(
        self, x: Tensor, state: State | None = None, action: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, State]:
        """Return (action, log probability, entropy, value, state).

        Args:
            x: observations (B, ...), or (B, T, ...) of sequences.
            state: the state that the previous call returned; None at the start.
            action: evaluate this action; None to sample one.
        """
        heads, value, state = self.policy(x, state)
        return *_sample(heads, action), value, state


def _sample(heads: Heads, action: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    if action is not None and isinstance(heads, Tensor):
        action = action.reshape(heads.shape[0])
    elif action is not None and isinstance(heads, Sequence):
        action = action.reshape(-1, action.shape[-1])  # of sequences: (B * T, columns)
    return sample_actions(heads, action)
