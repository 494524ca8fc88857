"""A policy as a `TensorDictModule`, and its actions' distributions."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium
import torch
from tensordict import TensorDictBase
from tensordict.nn import InteractionType, TensorDictModule, TensorDictModuleBase
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Normal
from torchrl.data import Unbounded
from torchrl.envs import TensorDictPrimer
from torchrl.modules import (
    ActorValueOperator,
    IndependentNormal,
    ProbabilisticActor,
    recurrent_mode,
)

from pufferlib.annotations import Space
from pufferlib.distributions import base_of
from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.exceptions import ArgumentError, ContractError
from pufferlib.policy import State, is_recurrent, map_state
from pufferlib.pytorch import Heads


def actor_critic(policy: nn.Module, env: HasSpaces) -> ActorValueOperator:
    """Return a policy as TorchRL's `ActorValueOperator`, whose parts its losses take.

    `get_policy_operator()` samples "action" and writes its log-probability; under
    `torchrl.envs.set_exploration_type(ExplorationType.DETERMINISTIC)` it takes the most probable.
    `get_value_operator()` writes "state_value". Both run the same `policy`, whose `state_dict` is
    the one of every other library.

    Args:
        policy: as in `PolicyModule`.
        env: the environment, vectorizer or description that `policy` was made for.

    Raises:
        ArgumentError: see `PolicyModule`.
    """
    # Under another key than "state_value": GAE refuses data of the actor alone that has that one.
    module = PolicyModule(policy, env, value_key="policy_value")
    keys = module.distribution_keys
    actor = ProbabilisticActor(
        TensorDictModule(_Same(), in_keys=keys, out_keys=keys),
        in_keys=keys,
        distribution_class=module.distribution_class,
        distribution_kwargs=module.distribution_kwargs,
        return_log_prob=True,
        default_interaction_type=InteractionType.RANDOM,
    )
    critic = TensorDictModule(nn.Identity(), in_keys=["policy_value"], out_keys=["state_value"])
    return ActorValueOperator(module, actor, critic)


class _Same(nn.Module):
    """Return the arguments."""

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...] | Tensor:
        return tensors if len(tensors) > 1 else tensors[0]


class PolicyModule(TensorDictModuleBase):
    """A policy as a `TensorDictModule`: from "observation" to an action's distribution and value.

    It writes "state_value" (..., 1) and the parameters of `distribution_class`: "logits" (..., n)
    for Discrete, those of all columns concatenated for MultiDiscrete; "loc" and "scale"
    (..., *shape) for a Box.

    A recurrent policy also reads "episode_start" (..., 1), where its state is cleared, and
    "recurrent_state_0" and so on, a key for each tensor of its state (..., *state), and writes the
    new state under "next". Under `torchrl.modules.set_recurrent_mode(True)` the last batch
    dimension is time: a sequence is run from the state of its first step, and the state written at
    its last.

    Args:
        policy: a `pufferlib.policy.Policy` or `RecurrentPolicy`, whose heads are logits, or Normals
            for a Box.
        env: the environment, vectorizer or description that `policy` was made for.
        value_key: under which to write the value.

    Attributes:
        policy: as given.
        distribution_class: for `ProbabilisticActor`.
        distribution_kwargs: its keyword arguments other than the parameters.
        distribution_keys: the keys of its parameters.

    Raises:
        ArgumentError: actions of several kinds at once, for which there is no distribution.
    """

    def __init__(self, policy: nn.Module, env: HasSpaces, value_key: str = "state_value") -> None:
        super().__init__()
        description = describe(env)
        self.policy, self.value_key = policy, value_key
        self._space = description.single_action_space
        self._observation_dims = len(description.single_observation_space.shape)
        check_actions(description)
        self.distribution_class, self.distribution_kwargs = _distribution(self._space)
        is_box = isinstance(self._space, gymnasium.spaces.Box)
        self.distribution_keys = ["loc", "scale"] if is_box else ["logits"]
        self._is_recurrent = is_recurrent(policy)
        self._state = self._initial_state(1) if self._is_recurrent else ()
        self._state_keys = [f"recurrent_state_{i}" for i in range(len(_leaves(self._state)))]
        own = ["episode_start", *self._state_keys] if self._is_recurrent else []
        self.in_keys = ["observation", *own]
        states = [("next", key) for key in self._state_keys]
        self.out_keys = [*self.distribution_keys, value_key, *states]

    def make_tensordict_primer(self) -> TensorDictPrimer:
        """Return the transform that adds the keys of a recurrent policy's state to environments."""
        parts = _leaves(self._by_row(self._initial_state(1)))
        specs = {
            key: Unbounded(part.shape[1:], dtype=part.dtype)
            for key, part in zip(self._state_keys, parts, strict=True)
        }
        return TensorDictPrimer(specs, expand_specs=True)

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Write the results for the observations of `tensordict`."""
        observations = tensordict["observation"]
        batch = observations.shape[: observations.ndim - self._observation_dims]
        if not self._is_recurrent:
            heads, value = self.policy(observations.reshape(-1, *observations.shape[len(batch) :]))
        else:
            heads, value = self._run(tensordict, observations, batch)
        for key, part in zip(self.distribution_keys, self._parameters_of(heads), strict=True):
            tensordict[key] = part.reshape(*batch, *part.shape[1:])
        tensordict[self.value_key] = value.reshape(*batch, 1)
        return tensordict

    def _run(
        self, tensordict: TensorDictBase, observations: Tensor, batch: torch.Size
    ) -> tuple[Heads, Tensor]:
        """Run a recurrent policy, and write its state; return (heads, value) of all rows."""
        present = {*tensordict.keys()}
        missing = [key for key in self.in_keys if key not in present]
        if missing:
            raise ArgumentError(
                f"{type(self.policy).__name__} is recurrent and needs the keys "
                f"{', '.join(missing)}. Make the environment with make_env(vecenv, policy), or "
                f"append InitTracker('episode_start') and make_tensordict_primer()."
            )
        if recurrent_mode() and len(batch) < 2:
            raise ArgumentError(
                f"In recurrent mode the batch of a recurrent policy is (rows, steps); got a batch "
                f"of shape {tuple(batch)}. Choose whole sequences, data[rows], and weight the "
                f'losses by "mask" instead of leaving steps out.'
            )
        steps = (batch[-1],) if recurrent_mode() else ()
        rows = math.prod(batch[:-1] if steps else batch)
        starts = tensordict["episode_start"].reshape(rows, *steps)
        parts = [tensordict[key] for key in self._state_keys]
        parts = [part.reshape(rows, *steps, *part.shape[len(batch) :]) for part in parts]
        state = self._by_batch([part[:, 0] for part in parts] if steps else parts)
        x = observations.reshape(rows, *steps, *observations.shape[len(batch) :])
        heads, value, state = self.policy(x, state, starts)
        for key, part in zip(self._state_keys, _leaves(self._by_row(state)), strict=True):
            if steps:  # as TorchRL's LSTMModule: zeros but for the last step
                earlier = part.new_zeros(rows, steps[0] - 1, *part.shape[1:])
                part = torch.cat([earlier, part.unsqueeze(1)], 1)
            tensordict["next", key] = part.reshape(*batch, *part.shape[1 + len(steps) :])
        return heads, value

    def _parameters_of(self, heads: Heads) -> list[Tensor]:
        """Return the parameters of the distribution, (B, ...) each."""
        several: Sequence[Any] = heads if isinstance(heads, Sequence) else [heads]
        parts = [base_of(head) for head in several]
        is_box = isinstance(self._space, gymnasium.spaces.Box)
        if is_box and all(type(part) is Normal for part in parts):
            found = [torch.cat([getattr(p, key) for p in parts], 1) for key in ("loc", "scale")]
            return [part.reshape(-1, *(self._space.shape or ())) for part in found]
        if not is_box and all(isinstance(part, Tensor) and part.ndim == 2 for part in parts):
            return [torch.cat([*parts], -1)]
        expected = "Normals for a Box" if is_box else "logits for Discrete and MultiDiscrete"
        given = ", ".join(sorted({type(part).__name__ for part in parts}))
        raise ContractError(
            f"TorchRL's actor needs {expected}; the heads of {type(self.policy).__name__} are "
            f"{given}. Use another head, or write a TensorDictModule for it."
        )

    def _initial_state(self, rows: int) -> State:
        policy: Any = self.policy
        return policy.initial_state(rows)

    def _by_row(self, state: State) -> State:
        """Return a state whose tensors count rows in the first dimension."""
        policy: Any = self.policy
        return map_state(lambda part: part.movedim(policy.state_batch_dim, 0), state)

    def _by_batch(self, parts: list[Tensor]) -> State:
        """Return tensors (B, ...) as the policy's state."""
        policy: Any = self.policy
        remaining = iter(parts)
        return map_state(lambda _: next(remaining).movedim(0, policy.state_batch_dim), self._state)


class MultiCategorical(Distribution):
    """Several independent choices, the distribution of a MultiDiscrete action space.

    Args:
        logits: (..., sum of nvec), those of all columns concatenated.
        nvec: the number of choices of each column.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_enumerate_support = False

    def __init__(self, logits: Tensor, nvec: Sequence[int]) -> None:
        self.columns = [Categorical(logits=part) for part in logits.split([*nvec], -1)]
        super().__init__(logits.shape[:-1], torch.Size([len(nvec)]), validate_args=False)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Return choices, int64 (*sample_shape, ..., columns)."""
        return torch.stack([column.sample(sample_shape) for column in self.columns], -1)

    @property
    def mode(self) -> Tensor:
        """The most probable choices (..., columns)."""
        return torch.stack([column.mode for column in self.columns], -1)

    @property
    def deterministic_sample(self) -> Tensor:
        """The mode, under the name that tensordict reads."""
        return self.mode

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability (...) of choices (..., columns)."""
        chosen = zip(self.columns, value.unbind(-1), strict=True)
        return torch.stack([column.log_prob(part) for column, part in chosen]).sum(0)

    def entropy(self) -> Tensor:
        """Return the entropy (...)."""
        return torch.stack([column.entropy() for column in self.columns]).sum(0)


def _distribution(space: Space) -> tuple[type[Distribution], dict[str, Any]]:
    """Return the class of an action's distribution and its keyword arguments."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return Categorical, {}
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        return MultiCategorical, {"nvec": [int(n) for n in space.nvec]}
    return IndependentNormal, {"event_dim": len(space.shape or ())}


def check_actions(env: HasSpaces) -> None:
    """Refuse action spaces for which there is no distribution here.

    Raises:
        ArgumentError: says which are allowed.
    """
    space, layout = env.single_action_space, getattr(env, "action_layout", None)
    kinds = (gymnasium.spaces.Discrete, gymnasium.spaces.MultiDiscrete, gymnasium.spaces.Box)
    is_box = isinstance(space, gymnasium.spaces.Box)
    fields = layout.fields if is_box and layout is not None else ()
    if not isinstance(space, kinds) or any(not field.leaf.is_continuous for field in fields):
        given = space if layout is None else layout.original
        raise ArgumentError(
            f"TorchRL's actor takes Discrete, MultiDiscrete or Box actions; got {given}. Train it "
            f"with pufferlib's trainer or CleanRL's form, which take any, or change the space."
        )


def _leaves(state: State) -> list[Tensor]:
    """Return the tensors of a state in order."""
    found: list[Tensor] = []

    def keep(part: Tensor) -> Tensor:
        found.append(part)
        return part

    map_state(keep, state)
    return found
