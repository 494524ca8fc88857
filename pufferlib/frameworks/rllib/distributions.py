"""The heads of a policy as inputs of RLlib's distributions."""

from collections.abc import Sequence
from typing import Any, NoReturn

import gymnasium
import torch
from ray.rllib.core.distribution.torch.torch_distribution import (
    TorchCategorical,
    TorchDiagGaussian,
    TorchMultiCategorical,
)
from torch import Tensor
from torch.distributions import Normal

from pufferlib.annotations import Space
from pufferlib.distributions import Heads, base_of
from pufferlib.exceptions import ArgumentError


def distribution_class(space: Any) -> Any:
    """Return RLlib's distribution for a flat action space.

    Raises:
        ArgumentError: it has none.
    """
    if isinstance(space, gymnasium.spaces.Discrete):
        return TorchCategorical
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        lengths = [int(n) for n in space.nvec.ravel()]
        return TorchMultiCategorical.get_partial_dist_cls(input_lens=lengths)
    if isinstance(space, gymnasium.spaces.Box):
        return TorchDiagGaussian
    raise ArgumentError(
        f"RLlib has no distribution for the action space {space}. Policies choose Discrete, "
        f"MultiDiscrete or Box actions: emulate the environment."
    )


def distribution_inputs(heads: Heads, space: Any) -> Tensor:
    """Return heads as the inputs (B, n) of `distribution_class(space)`.

    Args:
        heads: of a policy.
        space: the flat action space. Discrete: the logits. MultiDiscrete: the logits of all
            columns, concatenated. Box: the means of all columns, then the logarithms of their
            standard deviations.

    Raises:
        ArgumentError: RLlib has no distribution for such heads, or they do not fit the space.
    """
    several: Sequence[Any] = heads if isinstance(heads, (list, tuple)) else [heads]
    parts = [base_of(head) for head in several]
    if isinstance(space, gymnasium.spaces.Box):
        if not all(type(head) is Normal and head.loc.ndim == 2 for head in parts):
            _refuse(parts, space)
        inputs = torch.cat([p.loc for p in parts] + [p.scale.log() for p in parts], -1)
        expected = TorchDiagGaussian.required_input_dim(space)
    else:
        if not all(isinstance(head, Tensor) for head in parts):
            _refuse(parts, space)
        inputs = torch.cat(parts, -1)
        counts = [space.n] if isinstance(space, gymnasium.spaces.Discrete) else space.nvec.ravel()
        expected = int(sum(counts))
    if inputs.shape[-1] != expected:
        raise ArgumentError(
            f"The heads of the policy have {inputs.shape[-1]} numbers a row; RLlib's distribution "
            f"for {space} takes {expected}. Return one head, or several, for all its columns."
        )
    return inputs


def _refuse(parts: Sequence[Any], space: Space) -> NoReturn:
    names = ["logits" if isinstance(head, Tensor) else type(head).__name__ for head in parts]
    raise ArgumentError(
        f"RLlib has a distribution for logits of Discrete and MultiDiscrete actions and for the "
        f"Normal of Box actions; the policy's heads are {', '.join(names)} for {space}. Choose a "
        f"policy with such heads (gaussian='independent' or 'state-dependent'), make mixed actions "
        f"all discrete or all continuous, or train with puffer train, which takes any heads."
    )
