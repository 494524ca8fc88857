"""The heads of a policy as a distribution of Stable-Baselines3."""

from collections.abc import Callable
from typing import Any, NoReturn, Self

import numpy as np
import torch
from stable_baselines3.common.distributions import Distribution
from torch import Tensor

from pufferlib.action_conversion import SampleScale
from pufferlib.exceptions import ArgumentError
from pufferlib.policies.masked import masked
from pufferlib.pytorch import Heads, greedy_actions, sample_actions


class HeadsDistribution(Distribution):
    """The distribution over actions that the heads of a policy define.

    Actions are in the units of the action space, as Stable-Baselines3 clips them to its bounds and
    passes them to the environment. Where `pufferlib.pytorch.action_converter` rescales samples, so
    does this; probabilities are those of the samples, as in our trainer.

    Args:
        scale_of: see `pufferlib.action_conversion.sample_scale`; None for choices.

    Attributes:
        heads: see `pufferlib.pytorch.sample_actions`.
    """

    heads: Heads

    def __init__(self, scale_of: Callable[[Heads], SampleScale] | None) -> None:
        super().__init__()
        self._scale_of = scale_of

    @property
    def distribution(self) -> NoReturn:
        """TRPO reads it: refuse."""
        raise ArgumentError(
            "The heads of a policy are no single distribution of torch, as TRPO needs. Use PPO, "
            "A2C, MaskablePPO or RecurrentPPO."
        )

    def proba_distribution(self, heads: Heads) -> Self:
        """Set the heads; return the distribution."""
        self.heads = heads
        return self

    def apply_masking(self, masks: Any) -> None:
        """Make the choices where `masks` is False impossible.

        Args:
            masks: bool (B, choices), for several discrete actions those of all, concatenated; None
                changes nothing.
        """
        if masks is not None:
            self.heads = masked(self.heads, masks)

    def evaluate(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probabilities (B,) and the entropies (B,) of actions (B, ...)."""
        _, log_probabilities, entropies = sample_actions(self.heads, self._as_samples(actions))
        return log_probabilities, entropies

    def log_prob(self, actions: Tensor) -> Tensor:
        """Return the log-probabilities (B,) of actions (B, ...)."""
        return self.evaluate(actions)[0]

    def entropy(self) -> Tensor:
        """Return the entropies (B,); estimated where a head has no closed form."""
        return sample_actions(self.heads)[2]

    def sample(self) -> Tensor:
        """Return random actions, (B,) or (B, columns)."""
        return self._as_actions(sample_actions(self.heads)[0])

    def mode(self) -> Tensor:
        """Return the most probable actions, (B,) or (B, columns)."""
        return self._as_actions(greedy_actions(self.heads))

    def actions_from_params(self, heads: Heads, deterministic: bool = False) -> Tensor:
        """Return actions of `heads`."""
        actions: Tensor = self.proba_distribution(heads).get_actions(deterministic)
        return actions

    def log_prob_from_params(self, heads: Heads) -> tuple[Tensor, Tensor]:
        """Return random actions of `heads` and their log-probabilities."""
        actions = self.actions_from_params(heads)
        return actions, self.log_prob(actions)

    def proba_distribution_net(self, *args: object, **kwargs: object) -> NoReturn:
        """Refuse: the policy has its own heads."""
        raise ArgumentError(
            "HeadsDistribution makes no layers: a policy's own heads are its parameters. Pass them "
            "to proba_distribution."
        )

    def _as_actions(self, samples: Tensor) -> Tensor:
        if self._scale_of is None:
            return samples
        center, factor, middle = self._scale(samples)
        return ((samples.double() - center) * factor + middle).to(samples.dtype)

    def _as_samples(self, actions: Tensor) -> Tensor:
        """Return actions, as Stable-Baselines3 stores them, as samples of the heads."""
        if self._scale_of is not None:
            columns = actions.reshape(len(actions), -1)
            center, factor, middle = self._scale(columns)
            return ((columns.double() - middle) / factor + center).to(actions.dtype)
        is_single = isinstance(self.heads, Tensor)
        return actions.reshape(-1) if is_single else actions.reshape(len(actions), -1)

    def _scale(self, like: Tensor) -> tuple[Tensor, ...]:
        """Return center, factor and middle as float64 (columns,)."""
        assert self._scale_of is not None
        center, factor, middle = self._scale_of(self.heads)
        factor = np.where(factor == 0, 1, factor)  # of a Box with a single value
        return tuple(
            torch.as_tensor(part.ravel(), dtype=torch.float64, device=like.device)
            for part in (center, factor, middle)
        )
