"""Any policy as an `RLModule` of RLlib."""

from typing import Any

import gymnasium
import numpy as np
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import Tensor

from pufferlib.action_conversion import action_converter
from pufferlib.annotations import Array
from pufferlib.distributions import Heads
from pufferlib.emulation.description import describe_spaces
from pufferlib.frameworks.rllib.distributions import distribution_class, distribution_inputs
from pufferlib.policy import State, from_rows_first, is_recurrent, made_by, rows_first

RowBatch = dict[str, Any]


class PufferRLModule(TorchRLModule, ValueFunctionAPI):
    """A policy as RLlib's module: the same weights, heads and values.

    RLlib makes one in every process, from spaces and `model_config`:

        RLModuleSpec(module_class=PufferRLModule, model_config={"policy_creator": Default})

    Box actions are converted as by `pufferlib.pytorch.action_converter`; that takes
    `config.environment(normalize_actions=False, clip_actions=False)`, as `configure` sets it.

    Args:
        model_config: "policy_creator" is called with the `EnvDescription` of the spaces; a
            recurrent policy takes sequences of "max_seq_len" steps.

    Attributes:
        policy: what the creator returned. Weights are loaded into it with `load_state_dict`.

    Raises:
        ArgumentError: no creator, one that returns no module, or a policy with heads for which
            RLlib has no distribution.
    """

    policy: Any

    def __init__(self, *args: Any, catalog_class: Any = None, **kwargs: Any) -> None:
        # A catalog makes RLlib's own networks, and warns about spaces that it has none for.
        super().__init__(*args, **kwargs)

    def setup(self) -> None:
        """Make the policy; check its heads."""
        description = describe_spaces(self.observation_space, self.action_space)
        self.action_dist_cls = distribution_class(description.single_action_space)
        creator = self.model_config.get("policy_creator")
        self.policy = made_by(creator, description, "model_config")
        self._is_recurrent = is_recurrent(self.policy)
        self._convert = action_converter(description, self.policy)
        space = description.single_observation_space
        rows = torch.as_tensor(np.zeros((1, *space.shape), space.dtype))
        self._forward_inference({Columns.OBS: rows})

    def get_initial_state(self) -> dict[str, Array]:
        """Return the state at the start of an episode, of one row; {} for a stateless policy."""
        if not self._is_recurrent:
            return {}
        state = self._packed(self.policy.initial_state(1))
        return {name: tensor[0].cpu().numpy() for name, tensor in state.items()}

    def compute_values(self, batch: RowBatch, embeddings: Tensor | None = None) -> Tensor:
        """Return values (B,) or (B, T) of observations (B, ...) or (B, T, ...).

        Args:
            batch: observations, and the state for a recurrent policy.
            embeddings: the values, if `forward_train` has computed them.
        """
        return self._run(batch)[1] if embeddings is None else embeddings

    def _forward(self, batch: RowBatch, **kwargs: Any) -> RowBatch:
        return self._output(*self._run(batch))

    def _forward_train(self, batch: RowBatch, **kwargs: Any) -> RowBatch:
        heads, values, state = self._run(batch)
        return {**self._output(heads, values, state), Columns.EMBEDDINGS: values}

    @torch.no_grad()
    def _forward_inference(self, batch: RowBatch, **kwargs: Any) -> RowBatch:
        return self._act(batch, is_sampled=False)

    @torch.no_grad()
    def _forward_exploration(self, batch: RowBatch, **kwargs: Any) -> RowBatch:
        return self._act(batch, is_sampled=True)

    def _act(self, batch: RowBatch, is_sampled: bool) -> RowBatch:
        """Choose continuous actions here, to convert them; RLlib chooses all others."""
        heads, values, state = self._run(batch)
        output = self._output(heads, values, state)
        if isinstance(self.action_space, gymnasium.spaces.Box):
            distribution = self.action_dist_cls.from_logits(output[Columns.ACTION_DIST_INPUTS])
            if not is_sampled:
                distribution = distribution.to_deterministic()
            actions = distribution.sample()  # (B, n) or (B, T, n)
            converted = self._convert(actions.flatten(0, values.ndim - 1), heads)
            output[Columns.ACTIONS] = actions
            output[Columns.ACTION_LOGP] = distribution.logp(actions)
            output[Columns.ACTIONS_FOR_ENV] = torch.as_tensor(converted).reshape(actions.shape)
        return output

    def _output(self, heads: Heads, values: Tensor, state: State | None) -> RowBatch:
        inputs = distribution_inputs(heads, self.action_space)
        output: RowBatch = {Columns.ACTION_DIST_INPUTS: inputs.reshape(*values.shape, -1)}
        if state is not None:
            output[Columns.STATE_OUT] = self._packed(state)
        return output

    def _run(self, batch: RowBatch) -> tuple[Heads, Tensor, State | None]:
        """Return heads of all rows, values (B,) or (B, T), and the state of a recurrent policy."""
        observations = batch[Columns.OBS]
        steps = observations.shape[: observations.ndim - len(self.observation_space.shape)]
        if not self._is_recurrent:
            heads, values = self.policy(observations.flatten(0, len(steps) - 1))
            return heads, values.reshape(steps), None
        # RLlib makes a sequence of each episode: no row starts one within a sequence.
        state = self._unpacked(batch[Columns.STATE_IN]) if Columns.STATE_IN in batch else None
        heads, values, state = self.policy(observations, state)
        return heads, values.reshape(steps), state

    def _packed(self, state: State) -> dict[str, Tensor]:
        """Return the tensors of a state by number, the rows first: RLlib takes a dict of those."""
        tensors = rows_first(state, self.policy.state_batch_dim)
        return {f"state_{i}": tensor for i, tensor in enumerate(tensors)}

    def _unpacked(self, packed: dict[str, Tensor]) -> State:
        like = self.policy.initial_state(1)
        state: State = from_rows_first(packed.values(), like, self.policy.state_batch_dim)
        return state
