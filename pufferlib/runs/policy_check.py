"""Check that a policy can learn: every weight gets a gradient, and compiling changes nothing."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pufferlib.exceptions import ContractError
from pufferlib.pytorch import sample_actions
from pufferlib.training.torch_state import RandomStreams

_TOLERANCE = 1e-4  # of what a compiled policy gives, relative and absolute


def check_policy(
    policy: nn.Module, observations: Tensor, actions: Tensor, is_one_graph: bool
) -> bool:
    """Refuse a policy with weights that get no gradient, or whose compiled form differs.

    Returns whether these could be compared: not if the policy differs from itself, under one seed.

    Args:
        policy: returns (heads, value, ...).
        observations: (B, ...), of the rows of an environment.
        actions: drawn for them.
        is_one_graph: the policy must compile without a graph break.

    Raises:
        ContractError: says which weights, or what differs.
    """
    outputs, gradients = _gradient_step(policy, policy, observations, actions)
    without = [name for name, gradient in gradients.items() if gradient is None]
    if without:
        raise ContractError(
            f"No gradient reaches {', '.join(without)}. Use these weights, or drop them."
        )
    outputs_again, gradients_again = _gradient_step(policy, policy, observations, actions)
    if [*_differing(outputs, outputs_again), *_differing(gradients, gradients_again)]:
        return False
    compiled = torch.compile(policy, backend="aot_eager", fullgraph=is_one_graph)
    outputs_again, gradients_again = _gradient_step(policy, compiled, observations, actions)
    differing = [*_differing(outputs, outputs_again)]
    differing += [f"gradient of {name}" for name in _differing(gradients, gradients_again)]
    if differing:
        raise ContractError(
            f"Compiled by torch.compile, the policy returns a different {', '.join(differing)}. "
            f"Make forward compute the same whether it is compiled or not."
        )
    return True


def _gradient_step(
    policy: nn.Module, call: Callable[..., Any], observations: Tensor, actions: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor | None]]:
    """Return the outputs of `call` for `actions`, and the gradients of the weights, by name.

    Of weights that do not require one there is none.
    """
    policy.zero_grad()
    with RandomStreams(0).active():  # of dropout, and of entropies that are estimated
        heads, value = call(observations)[:2]
        _, log_probabilities, entropies = sample_actions(heads, actions)
    outputs = {"log probability": log_probabilities, "entropy": entropies, "value": value}
    torch.stack([part.mean() for part in outputs.values()]).sum().backward()
    weights = {name: each for name, each in policy.named_parameters() if each.requires_grad}
    return outputs, {name: weight.grad for name, weight in weights.items()}


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, one in first.items()
        if second[name] is None or not torch.allclose(one, second[name], _TOLERANCE, _TOLERANCE)
    ]
