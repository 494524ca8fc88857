"""Recurrent policies of ours as those of RecurrentPPO."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from torch import Tensor, nn

from pufferlib.annotations import Array
from pufferlib.exceptions import ArgumentError
from pufferlib.frameworks.sb3.distribution import HeadsDistribution
from pufferlib.frameworks.sb3.policies import Wrapping
from pufferlib.policy import State, from_rows_first, rows_first
from pufferlib.pytorch import Heads

PackedState = tuple[Tensor, Tensor]


class LSTMShape(NamedTuple):
    """What RecurrentPPO reads of an LSTM, to allocate its states."""

    num_layers: int
    hidden_size: int


class RecurrentPolicy(Wrapping, RecurrentActorCriticPolicy):
    """A policy of ours with memory as one of RecurrentPPO of sb3-contrib.

        def creator(env):
            return LSTMWrapper(env, Default(env))

        RecurrentPPO(RecurrentPolicy, env, policy_kwargs={"policy_creator": creator})

    The memory may be any: an LSTM, a GRU or what `pufferlib.policy.RecurrentPolicy` allows. Its
    state is stored as the two tensors (1, B, n) that RecurrentPPO has for an LSTM: of an
    `LSTMWrapper` these are h and c. Actions and values share the memory, and both train it. See
    `Wrapping` for arguments and errors.

    Attributes:
        lstm_actor: the shape of the two tensors.
    """

    takes_memory = True
    advice = "Wrap it in pufferlib.models.LSTMWrapper, or use sb3.Policy with PPO."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._packing = StatePacking(self.network)
        self.lstm_actor = LSTMShape(1, self._packing.width)
        self.lstm_hidden_state_shape = (1, 1, self._packing.width)

    def forward(
        self,
        obs: Tensor,
        lstm_states: RNNStates | None = None,
        episode_starts: Tensor | None = None,
        deterministic: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, RNNStates]:
        """Return actions, values (B, 1), log-probabilities (B,) and the states after this step.

        Args:
            obs: observations (B, ...).
            lstm_states: those before this step.
            episode_starts: (B,), nonzero if the observation is the first of an episode, before
                which the state is cleared.
            deterministic: the most probable actions.
        """
        if lstm_states is None or episode_starts is None:
            raise ArgumentError(
                f"{type(self).__name__} needs an algorithm that keeps its state: RecurrentPPO of "
                f"sb3-contrib. With PPO, A2C and others use sb3.Policy and a network without "
                f"memory."
            )
        self._remember(obs)
        heads, values, state = self._run(obs, lstm_states.pi, episode_starts)
        actions, log_probabilities = self._choose(self._distribution(heads), deterministic)
        return actions, values, log_probabilities, RNNStates(state, state)

    def evaluate_actions(
        self, obs: Tensor, actions: Tensor, lstm_states: RNNStates, episode_starts: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return values (B * T, 1), log-probabilities (B * T,) and entropies (B * T,).

        Args:
            obs: observations (B * T, ...), grouped by sequence.
            actions: for each of them.
            lstm_states: of the B sequences at their beginning.
            episode_starts: (B * T,).
        """
        heads, values, _ = self._run(obs, lstm_states.pi, episode_starts)
        return values, *self._distribution(heads).evaluate(actions)

    def get_distribution(
        self, obs: Tensor, lstm_states: PackedState, episode_starts: Tensor
    ) -> tuple[HeadsDistribution, PackedState]:
        """Return the distribution over actions, and the state after this step."""
        heads, _, state = self._run(obs, lstm_states, episode_starts)
        return self._distribution(heads), state

    def predict_values(
        self, obs: Tensor, lstm_states: PackedState, episode_starts: Tensor
    ) -> Tensor:
        """Return values (B, 1)."""
        return self._run(obs, lstm_states, episode_starts)[1]

    def predict(
        self,
        observation: Array,
        state: tuple[Array, ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return actions, and the states for the next call.

        Args:
            observation: of one environment, or of several.
            state: what the previous call returned; None: an episode starts in each.
            episode_start: bool (B,), an episode starts there.
            deterministic: the most probable actions.
        """
        if state is None:
            episode_start = np.ones(len(self.obs_to_tensor(observation)[0]), np.bool_)
        predicted: tuple[Array, tuple[Array, ...]] = super().predict(
            observation, state, episode_start, deterministic
        )
        return predicted

    def _run(
        self, obs: Tensor, packed: PackedState, episode_starts: Tensor
    ) -> tuple[Heads, Tensor, PackedState]:
        """Return heads, values and the state after sequences (B * T, ...) from B states."""
        rows, starts = self.extract_features(obs), episode_starts > 0.5
        sequences = packed[0].shape[1]
        if len(rows) != sequences:
            rows = rows.reshape(sequences, -1, *rows.shape[1:])  # (B, T, ...)
            starts = starts.reshape(sequences, -1)
        heads, values, state = self.network(rows, self._packing.unpack(packed), starts)
        return heads, values, self._packing.pack(state)


class StatePacking:
    """Stores the state of any recurrent policy in two tensors (1, B, width), and restores it.

    Args:
        network: a `pufferlib.policy.RecurrentPolicy`.

    Attributes:
        width: half of the numbers in the state of a row, rounded up.
    """

    def __init__(self, network: nn.Module) -> None:
        made: Any = network
        self._batch_dim: int = made.state_batch_dim
        self._template: State = made.initial_state(1)
        size = self._joined(self._template).shape[1]
        self.width = (size + 1) // 2
        self._is_odd = size % 2 == 1

    def pack(self, state: State) -> PackedState:
        """Return the state of B rows as two tensors float32 (1, B, width)."""
        joined = self._joined(state)
        if self._is_odd:
            joined = nn.functional.pad(joined, (0, 1))
        first, second = joined.unsqueeze(0).split(self.width, 2)
        return first.contiguous(), second.contiguous()

    def unpack(self, packed: PackedState) -> State:
        """Return the state that `pack` has stored."""
        joined = torch.cat(packed, 2)[0]  # (B, 2 * width)
        like = rows_first(self._template, self._batch_dim)
        sizes = [tensor.numel() for tensor in like]
        pieces = joined[:, : sum(sizes)].split(sizes, 1)
        tensors = [
            piece.reshape(len(joined), *tensor.shape[1:]).to(tensor.dtype)
            for piece, tensor in zip(pieces, like, strict=True)
        ]
        state: State = from_rows_first(tensors, self._template, self._batch_dim)
        return state

    def _joined(self, state: State) -> Tensor:
        """Return all numbers of each row's state, float32 (B, size)."""
        tensors = rows_first(state, self._batch_dim)
        return torch.cat([tensor.reshape(len(tensor), -1).float() for tensor in tensors], 1)
