"""The last layer of a policy for any action space, with three kinds of Gaussians."""

import math
from typing import Literal

import gymnasium
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from pufferlib.annotations import Space
from pufferlib.distributions import Heads, TanhNormal
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.exceptions import ArgumentError
from pufferlib.pytorch import layer_init

Gaussian = Literal["independent", "state-dependent", "squashed"]

_LOG_STD_BOUNDS = (-5.0, 2.0)


class ActionHeads(nn.Module):
    """The last layer of a policy for any flat action space.

    Args:
        env: the environment whose actions they choose.
        hidden_size: width of the input.
        gaussian: of the continuous actions. "independent": the standard deviation is a weight for
            each action, the same in all states (Schulman et al. 2017, arXiv:1707.06347, 6.1).
            "state-dependent": a layer computes it; its logarithm is clamped to [-5, 2], the range
            of CleanRL's SAC. "squashed": that, and tanh of the sample, which never leaves the
            bounds of an action (Haarnoja et al. 2018, arXiv:1801.01290, appendix C).
        initial_std: the initial standard deviation, before tanh; approximate where it depends on
            the state.

    Attributes:
        is_continuous: some of the heads are Gaussians.
        gaussian: the kind of them.
        initial_std: as last set.
        description: of the environment.

    Raises:
        ArgumentError: `initial_std` is not above 0 and finite, or beyond the limits of those that
            depend on the state.
    """

    def __init__(
        self,
        env: HasSpaces,
        hidden_size: int,
        gaussian: Gaussian = "independent",
        initial_std: float = 1.0,
    ) -> None:
        super().__init__()
        self.description = description = describe(env)
        space, layout = description.single_action_space, description.action_layout
        self._is_single = isinstance(space, gymnasium.spaces.Discrete)
        self._widths, self._is_continuous = _widths(space, layout)
        self.layer = layer_init(nn.Linear(hidden_size, sum(self._widths)), std=0.01)
        self.is_continuous = any(self._is_continuous)
        self.initial_std = initial_std
        self.set_gaussian(gaussian)

    def set_gaussian(self, gaussian: Gaussian, initial_std: float | None = None) -> None:
        """Use other Gaussians, with new weights for their standard deviations.

        Args:
            gaussian: the kind of them.
            initial_std: their initial value; None keeps the present `initial_std`.

        Raises:
            ArgumentError: see the class.
        """
        initial_std = self.initial_std if initial_std is None else initial_std
        low, high = map(math.exp, _LOG_STD_BOUNDS)
        if not 0 < initial_std < math.inf:
            raise ArgumentError(f"initial_std must be above 0 and finite; got {initial_std}.")
        if gaussian != "independent" and not low < initial_std < high:
            raise ArgumentError(
                f"initial_std must be between {low:.4f} and {high:.2f}, the limits of {gaussian} "
                f"standard deviations; got {initial_std}."
            )
        self.gaussian, self.initial_std = gaussian, initial_std
        for name in ("log_std", "log_std_layer"):
            if hasattr(self, name):
                delattr(self, name)
        if not self.is_continuous:
            return
        kinds = zip(self._widths, self._is_continuous, strict=True)
        count = sum(width for width, is_continuous in kinds if is_continuous)
        device = self.layer.weight.device
        if gaussian == "independent":
            log_std = torch.full((count,), math.log(initial_std), device=device)
            self.log_std = nn.Parameter(log_std)
        else:
            new = nn.Linear(self.layer.in_features, count, device=device)
            self.log_std_layer = layer_init(new, std=0.01, bias=math.log(initial_std))

    def forward(self, hidden: Tensor) -> Heads:
        """Return logits, or a list of logits and Normals, for `hidden` (B, hidden_size)."""
        output = self.layer(hidden)
        if self._is_single:
            return output
        log_std = self._log_std(hidden) if self.is_continuous else None
        heads: list[Tensor | Distribution] = []
        start = 0
        for piece, is_continuous in zip(
            output.split(self._widths, dim=-1), self._is_continuous, strict=True
        ):
            if is_continuous and log_std is not None:
                stop = start + piece.shape[-1]
                std = log_std[..., start:stop].exp().expand_as(piece)
                start = stop
                if self.gaussian == "squashed":
                    heads.append(TanhNormal(piece, std))
                else:
                    heads.append(Normal(piece, std, validate_args=False))
            else:
                heads.append(piece)
        return heads

    def _log_std(self, hidden: Tensor) -> Tensor:
        """Return the logarithms of standard deviations, (continuous,) or (B, continuous)."""
        if hasattr(self, "log_std_layer"):
            log_std: Tensor = self.log_std_layer(hidden)
            return log_std.clamp(*_LOG_STD_BOUNDS)
        return self.log_std


def _widths(space: Space, layout: ActionLayout | None) -> tuple[list[int], list[bool]]:
    """Return the outputs of each head, and which heads are continuous."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return [int(space.n)], [False]
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        widths = [int(n) for n in space.nvec.ravel()]
        return widths, [False] * len(widths)
    if layout is None:
        return [math.prod(space.shape or ())], [True]
    widths, is_continuous = [], []
    for field in layout.fields:
        if field.leaf.is_continuous:
            widths.append(field.leaf.size)
            is_continuous.append(True)
        else:
            counts = (field.leaf.high - field.leaf.low + 1).ravel()
            widths += [int(n) for n in counts]
            is_continuous += [False] * len(counts)
    return widths, is_continuous
