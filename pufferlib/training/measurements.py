"""Measure rollouts and the policy: the numbers by which `puffer doctor` judges a run."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, TransformedDistribution

from pufferlib.action_conversion import sample_bounds
from pufferlib.annotations import Space
from pufferlib.distributions import TanhNormal
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.layout import Layout
from pufferlib.models import leaves_of
from pufferlib.normalization import NormalizedObservations
from pufferlib.pytorch import unflatten
from pufferlib.training.policy_runner import PolicyRunner
from pufferlib.training.rollout import Rollout
from pufferlib.vector import VectorEnv

_PROBED_UPDATES = 10  # between two measurements of the network
_PROBED_ROWS = 256
_OBSERVED_STEPS = 8  # of a rollout
_FEW = 0.05  # of the observations
_SATURATED = 0.97  # of tanh, where its slope is 0.06


class Measurements:
    """Measures every rollout, and the network once in ten updates.

    Args:
        vecenv: the environments of the rollouts.
        runner: whose policy acts in them.
        gamma: discount per step.
    """

    def __init__(self, vecenv: VectorEnv, runner: PolicyRunner, gamma: float) -> None:
        self._runner, self._gamma = runner, gamma
        self._layout = vecenv.observation_layout
        self._most_entropy = _most_entropy(vecenv.single_action_space, vecenv.action_layout)
        bounds = sample_bounds(vecenv, runner.policy)
        self._bounds = None if bounds is None else tuple(torch.tensor(b) for b in bounds)
        self._mask = _mask_index(self._layout, vecenv.single_action_space)
        parts = runner.policy.modules()
        self._normalizer = next((p for p in parts if isinstance(p, NormalizedObservations)), None)

    @torch.no_grad()
    def of_rollout(self, rollout: Rollout, entropy: float | None) -> dict[str, float]:
        """Return metrics of a rollout.

        Args:
            rollout: as collected.
            entropy: mean of the policy, from the algorithm; None if it reports none.
        """
        valid = rollout.part(rollout.valid)
        metrics = {"rollout/absent": 1 - valid.float().mean().item()}
        if metrics["rollout/absent"] == 1:
            return metrics
        if entropy is not None and self._most_entropy:
            metrics["policy/relative_entropy"] = entropy / self._most_entropy
        metrics |= self._rewards(rollout, valid)
        metrics |= self._actions(rollout.part(rollout.actions), valid)
        metrics |= self._observations(rollout, valid)
        return metrics

    @torch.no_grad()
    def of_network(self, rollout: Rollout, updates: int) -> dict[str, float]:
        """Return metrics of the network on a part of the rollout; none in most updates."""
        if updates % _PROBED_UPDATES:
            return {}
        policy, device = self._runner.policy, self._runner.device
        state: Any = ()
        if self._runner.is_recurrent:
            columns = np.arange(len(rollout.columns))
            sample = rollout.sequences(columns[: max(1, _PROBED_ROWS // rollout.horizon)])
            sample = sample.to(device)
            observations, state = sample.observations, (sample.state, sample.starts)
        else:
            places = rollout.part(rollout.valid).flatten().nonzero()[:, 0]
            places = places[:: max(1, len(places) // _PROBED_ROWS)]
            observations = rollout.part(rollout.observations).flatten(0, 1)[places].to(device)
        if len(observations) == 0:
            return {}
        with _evaluating(policy), _counting_dead_units(policy) as counts:
            heads = policy(observations, *state)[0]
        std = _mean_std(heads)
        metrics = {} if std is None else {"policy/action_std": std}
        units = sum(size for _, size in counts)
        if units:
            metrics["policy/dead_units"] = sum(dead for dead, _ in counts) / units
        return metrics

    def _rewards(self, rollout: Rollout, valid: Tensor) -> dict[str, float]:
        rewards, values = rollout.part(rollout.rewards), rollout.part(rollout.values)
        terminals, truncations = rollout.part(rollout.terminals), rollout.part(rollout.truncations)
        bootstrap = torch.where(truncations, rollout.part(rollout.final_values), values[1:])
        errors = rewards + self._gamma * bootstrap * ~terminals - values[:-1]  # (T, B)
        ended = terminals & valid
        within = valid & ~terminals & ~truncations
        seen = rewards[valid]
        numbers = torch.stack(
            [
                seen.mean(),
                seen.std(correction=0),
                seen.abs().max(),
                (seen != 0).float().mean(),
                (errors * ended).sum() / ended.sum(),
                ((errors * within) ** 2).sum() / within.sum(),
            ]
        )
        mean, std, largest, nonzero, at_end, squared = numbers.tolist()
        metrics = {
            "rollout/reward_mean": mean,
            "rollout/reward_std": std,
            "rollout/reward_max": largest,
            "rollout/nonzero_rewards": nonzero,
        }
        if not math.isnan(at_end + squared):  # neither kind of step is missing
            metrics["rollout/terminal_error"] = at_end / (math.sqrt(squared) + 1e-8)
        return metrics

    def _actions(self, actions: Tensor, valid: Tensor) -> dict[str, float]:
        if self._bounds is None:
            return {}
        low, high = (bound.to(actions.device) for bound in self._bounds)
        chosen = actions[valid].reshape(-1, *low.shape).to(low.dtype)
        outside = (chosen - chosen.clamp(low, high)).abs()
        half = torch.where((high - low).isfinite(), (high - low) / 2, 1)
        share = (outside > 0).double().mean()
        excess = (outside / half.clamp(min=1e-8)).mean()
        return {"policy/clipped_actions": share.item(), "policy/action_excess": excess.item()}

    def _observations(self, rollout: Rollout, valid: Tensor) -> dict[str, float]:
        stride = max(1, rollout.horizon // _OBSERVED_STEPS)
        kept = valid[::stride]
        if not kept.any():
            return {}
        seen = rollout.part(rollout.observations)[::stride][kept]  # (N, ...)
        if self._normalizer is not None:
            seen = self._normalizer.normalize(seen.to(self._runner.device)).to(seen.device)
        leaves = leaves_of(unflatten(seen, self._layout))
        metrics: dict[str, float] = {}
        numbers = [leaf.flatten() for leaf in leaves if leaf.is_floating_point()]
        if numbers:
            flat = torch.cat([part.float() for part in numbers])
            stats = torch.stack([flat.mean(), flat.std(correction=0), flat.abs().max()]).tolist()
            names = ("mean", "std", "max")
            metrics = {f"rollout/observation_{n}": v for n, v in zip(names, stats, strict=True)}
        if self._mask is not None:
            mask = leaves[self._mask].flatten(1) != 0
            taken = rollout.part(rollout.actions)[::stride][kept].reshape(-1, 1).long()
            has_choice = mask.any(1)
            forbidden = ~mask.gather(1, taken)[:, 0] & has_choice
            share = forbidden.sum() / has_choice.sum().clamp(min=1)
            metrics["policy/forbidden_actions"] = share.item()
        return metrics


def _most_entropy(space: Space, layout: ActionLayout | None) -> float | None:
    """Return the entropy of the uniform policy; None unless all actions are discrete."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return math.log(int(space.n))
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        return sum(math.log(int(n)) for n in space.nvec.ravel())
    if layout is None or any(field.leaf.is_continuous for field in layout.fields):
        return None
    return sum(
        math.log(int(count))
        for field in layout.fields
        for count in (field.leaf.high - field.leaf.low + 1).ravel()
    )


def _mask_index(layout: Layout | None, space: Space) -> int | None:
    """Return which leaf of the observation is "action_mask", with a number for each action."""
    if layout is None or not isinstance(space, gymnasium.spaces.Discrete):
        return None
    for index, field in enumerate(layout.fields):
        if tuple(field.leaf.path) == ("action_mask",) and field.leaf.size == space.n:
            return index
    return None


def _mean_std(heads: Any) -> float | None:
    """Return the mean standard deviation of the continuous actions, None if there are none."""
    found = []
    for head in heads if isinstance(heads, list | tuple) else [heads]:
        if isinstance(head, TanhNormal):
            head = head.normal  # the deviation before squashing, as below
        while isinstance(head, TransformedDistribution):
            head = head.base_dist
        with contextlib.suppress(NotImplementedError):  # a distribution may not know its deviation
            if isinstance(head, Distribution) and not getattr(head.support, "is_discrete", True):
                found.append(head.stddev.flatten())
    return torch.cat(found).mean().item() if found else None


@contextlib.contextmanager
def _evaluating(policy: nn.Module) -> Iterator[None]:
    """Leave batch statistics as they are, and draw no dropout."""
    was_training = [module for module in policy.modules() if module.training]
    policy.eval()
    try:
        yield
    finally:
        for module in was_training:
            module.training = True


@contextlib.contextmanager
def _counting_dead_units(policy: nn.Module) -> Iterator[list[tuple[int, int]]]:
    """Yield a list that gets (dead units, units) of each nn.Tanh and nn.ReLU that is called.

    A unit is dead if it is zero for all observations of the batch (ReLU), or saturated for all but
    a twentieth (tanh). A channel of an image is one unit.
    """
    counts: list[tuple[int, int]] = []

    def count(module: nn.Module, _: Any, output: Tensor) -> None:
        is_relu = isinstance(module, nn.ReLU)
        passes = output > 0 if is_relu else output.abs() <= _SATURATED
        if passes.dim() == 4:
            passes = passes.transpose(1, 3)  # (N, w, h, C)
        share = passes.reshape(-1, passes.shape[-1]).float().mean(0)
        counts.append((int((share <= (0 if is_relu else _FEW)).sum()), len(share)))

    kinds = (nn.Tanh, nn.ReLU)
    hooks = [m.register_forward_hook(count) for m in policy.modules() if isinstance(m, kinds)]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()
