"""The contracts of stateless and recurrent policies.

A policy is an `nn.Module`; it needs no base class of ours. The trainer, evaluation and the adapters
for other libraries use only the two protocols in this module.

A policy is recurrent if it has a method `initial_state`. Its state may be any nesting of tuples,
lists and dicts of tensors in which one dimension of every tensor counts the rows. The caller of the
policy keeps the state between calls and never looks inside; the policy resets the state of rows
that start an episode.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from pufferlib.emulation.description import EnvDescription
from pufferlib.exceptions import ArgumentError, ContractError
from pufferlib.pytorch import Heads

State: TypeAlias = Tensor | tuple["State", ...] | list["State"] | dict[str, "State"]
PolicyCreator: TypeAlias = Callable[[EnvDescription], nn.Module]
Rows: TypeAlias = slice | Tensor  # a slice selects a view, an int64 tensor a copy


class Policy(Protocol):
    """A stateless policy: an `nn.Module` whose forward maps observations to actions and value.

    Optional methods:
        observe(observations, valid, all_reduce_sum): called after each update with its rollout,
            `observations` (T, B, ...) and `valid` bool (T, B), to update running statistics.
            `all_reduce_sum` sums a tensor over the processes of distributed training.
        encode_observations(observations) -> (hidden (B, H), lookup) and
            decode_actions(hidden, lookup) -> (actions, value): the two halves of forward.
            `LSTMWrapper` and `GRUWrapper` insert a recurrent layer between them.

    Optional attributes:
        hidden_size: H, the width of `hidden`. Without it, `LSTMWrapper` and `GRUWrapper` take 128
            if they are given no `input_size`.
        rescale_actions: False if continuous actions are in the units of the action space already,
            and only to be clipped to its bounds. Without it, a bounded support, or [-1, 1] of an
            unbounded one, is rescaled to the bounds where both are finite; see
            `pufferlib.pytorch.action_converter`.
        skips_waiting: True if the rows of agents who wait for their turn ("turn" is 0 in the
            observation) need not be learned from, as their value is the negative of the mover's: in
            a zero-sum game of two. If the same policy plays both seats, the mover's row teaches
            the same; against an opponent the waiting row is the only one, and is lost. PPO leaves
            these rows out of its minibatches; their values still enter the advantages. All rows are
            learned from with memory, with a central critic, if the policy is compiled, with
            V-trace, and if fewer than `train.minibatches` would be left.
        normalize_observations: False if `NormalizedObservations` is to refuse the policy, True if
            it is to be normalized by default.
    """

    def __call__(self, observations: Tensor) -> tuple[Heads, Tensor]:
        """Return (actions, value) for a batch of rows.

        Args:
            observations: (B, *single_observation_space.shape) in the space's dtype. `unflatten`
                restores the structure of the environment's observations.

        Returns:
            actions: the heads that `sample_actions` accepts: logits (B, n), a Normal over (B, n) or
                any other distribution, or a sequence of these for an action space of several parts.
            value: float (B, 1), the expected return.
        """
        ...


class RecurrentPolicy(Protocol):
    """A policy with a state.

    Attributes:
        state_batch_dim: the dimension of every state tensor that counts the rows; 1 for the
            (layers, B, H) of `nn.LSTM` and `nn.GRU`.

    Optional argument of `forward`:
        start_steps: the steps of a sequence in which an episode starts in any row, ascending; None:
            unknown. Finding them in `starts` would synchronize with the GPU.
    """

    state_batch_dim: int

    def initial_state(self, rows: int, device: torch.device | str | None = None) -> State:
        """Return the state of `rows` rows at the start of an episode."""
        ...

    def __call__(
        self, observations: Tensor, state: State | None = None, starts: Tensor | None = None
    ) -> tuple[Heads, Tensor, State]:
        """Return (actions, value, state) for one step of each row, or for a sequence.

        Args:
            observations: (B, *single_observation_space.shape), or (B, T, ...) for sequences.
            state: the state that the previous call or `initial_state` returned; None is the initial
                state.
            starts: bool (B,) or (B, T), True if the observation is the first of an episode, before
                which the policy resets the row's state. None: all False.

        Returns:
            actions: as in `Policy`; for a sequence B * T rows, grouped by sequence.
            value: float (B, 1) or (B * T, 1).
            state: the state after the last observation, with the structure of `state`. The argument
                `state` is not changed.
        """
        ...


def made_by(
    policy_creator: PolicyCreator | None, description: EnvDescription, argument: str
) -> nn.Module:
    """Return the policy that a library's `policy_creator` makes for an environment.

    Args:
        policy_creator: a class or function.
        description: what it is called with.
        argument: of the library, a dict with the creator, for the error: "policy_kwargs".

    Raises:
        ArgumentError: the creator is not a class or function, or returns no module.
    """
    if not callable(policy_creator) or isinstance(policy_creator, nn.Module):
        raise ArgumentError(
            f"policy_creator must be a class or function that makes a policy for an "
            f"EnvDescription; got {type(policy_creator).__name__}. Pass "
            f'{argument}={{"policy_creator": pufferlib.models.Default}}, for example.'
        )
    policy = policy_creator(description)
    if not isinstance(policy, nn.Module):
        raise ArgumentError(
            f"policy_creator must return a torch.nn.Module; got {type(policy).__name__}. Return "
            f"the policy that it makes."
        )
    return policy


def is_recurrent(policy: object) -> bool:
    """Return whether `policy` is a `RecurrentPolicy`: whether it has an `initial_state` method.

    Raises:
        ContractError: it has one, but its `state_batch_dim` is missing or not a dimension.
    """
    if not callable(getattr(policy, "initial_state", None)):
        return False
    batch_dim = getattr(policy, "state_batch_dim", None)
    if not isinstance(batch_dim, int) or isinstance(batch_dim, bool) or batch_dim < 0:
        raise ContractError(
            f"{type(policy).__name__} has initial_state(), and so needs state_batch_dim, an "
            f"integer of at least 0; got {batch_dim!r}. Set it to the dimension of its state's "
            f"tensors that counts rows: 1 for nn.LSTM and nn.GRU."
        )
    return True


def takes_start_steps(policy: nn.Module) -> bool:
    """Return whether the `forward` of a policy takes `start_steps`; see `RecurrentPolicy`."""
    try:  # of what is called, not of what it wraps
        signature = inspect.signature(policy.forward, follow_wrapped=False)
    except (TypeError, ValueError):  # a traced module has none
        return False
    return "start_steps" in signature.parameters


def map_state(function: Callable[..., Tensor], state: State, *others: State) -> Any:
    """Return the structure of `state` with `function` applied to each tensor.

    Args:
        function: called with a tensor of `state` and the corresponding tensors of `others`.
        state: nested tuples (named or not), lists and dicts of tensors.
        others: states of the same structure.

    Raises:
        ContractError: if `state` contains other objects, or the structures differ.
    """
    if isinstance(state, Tensor):
        return function(state, *others)
    if isinstance(state, dict):
        return {
            key: map_state(function, part, *(_part(other, key) for other in others))
            for key, part in state.items()
        }
    if isinstance(state, (tuple, list)):
        parts = [
            map_state(function, part, *(_part(other, index) for other in others))
            for index, part in enumerate(state)
        ]
        if hasattr(state, "_fields"):  # a NamedTuple
            return type(state)(*parts)
        return tuple(parts) if isinstance(state, tuple) else parts
    raise ContractError(
        f"The state of a recurrent policy must be tensors in tuples, lists and dicts; got "
        f"{type(state).__name__}."
    )


def rows_first(state: State, batch_dim: int) -> list[Tensor]:
    """Return the tensors of a state with the dimension that counts rows first."""
    tensors: list[Tensor] = []

    def collect(tensor: Tensor) -> Tensor:
        tensors.append(tensor.movedim(batch_dim, 0))
        return tensor

    map_state(collect, state)
    return tensors


def from_rows_first(tensors: Iterable[Tensor], like: State, batch_dim: int) -> Any:
    """Return the state with the structure of `like` whose `rows_first` are `tensors`."""
    found = iter(tensors)
    return map_state(lambda _: next(found).movedim(0, batch_dim).contiguous(), like)


def state_rows(state: State, rows: Rows, batch_dim: int) -> Any:
    """Return `rows` of every tensor of `state`: views for a slice, copies for an index tensor."""
    return map_state(lambda tensor: tensor[_index(rows, batch_dim)], state)


def write_state_rows(state: State, rows: Rows, batch_dim: int, values: State) -> None:
    """Copy `values`, the state of `rows`, into `state` in place.

    `values` may hold views of `state`: a policy can return a part of what it was given.
    """

    def copied(tensor: Tensor, value: Tensor) -> Tensor:
        return value.to(tensor.device, tensor.dtype, copy=True)

    def write(tensor: Tensor, value: Tensor) -> Tensor:
        tensor[_index(rows, batch_dim)] = value
        return tensor

    map_state(write, state, map_state(copied, state, values))


def _index(rows: Rows, batch_dim: int) -> tuple[Rows, ...]:
    return (*(slice(None),) * batch_dim, rows)


def _part(state: Any, key: object) -> Any:
    try:
        return state[key]
    except (KeyError, IndexError, TypeError) as error:
        raise ContractError(
            f"The state that a recurrent policy returns must have the structure of its "
            f"initial_state(); part {key!r} is missing."
        ) from error
