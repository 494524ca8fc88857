"""Proximal policy optimization, top to bottom.

`PPO.update` learns from a rollout: estimate advantages, then for some epochs shuffle the samples
into minibatches and take a gradient step on each. The mathematics are pure functions below it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from pufferlib.annotations import StateDict
from pufferlib.exceptions import SettingError
from pufferlib.ppo.advantage import advantages, normalized, standardized
from pufferlib.ppo.config import ADAPTIVE_LEARNING_RATES, PPOConfig
from pufferlib.pytorch import sample_actions
from pufferlib.training.distributed import DistributedContext
from pufferlib.training.minibatch import Minibatch
from pufferlib.training.optimization import (
    GradientSteps,
    Limit,
    adapted_learning_rate,
    load_adam,
    make_adam,
    set_learning_rate,
    update_metrics,
    value_metrics,
)
from pufferlib.training.policy_runner import PolicyRunner
from pufferlib.training.rollout import Rollout
from pufferlib.training.value_normalization import ReturnNormalizer


class PPO:
    """Learns from rollouts by the clipped objective of Schulman et al. 2017 (arXiv:1707.06347).

    Args:
        config: the settings.
        runner: the policy that learns.
        context: the processes that learn together.
        generator: orders the minibatches.

    Attributes:
        optimizer: Adam.
    """

    def __init__(
        self,
        config: PPOConfig,
        runner: PolicyRunner,
        context: DistributedContext,
        generator: torch.Generator,
    ) -> None:
        self._config, self._runner, self._context = config, runner, context
        self._generator = generator
        self.optimizer = make_adam(runner.policy, config.learning_rate)
        self._compute_loss = runner.compiled(self._forward_and_loss)
        self._adapted_learning_rate = config.learning_rate  # with kl_adaptive
        self._normalizer = ReturnNormalizer() if config.normalize_returns else None
        if self._normalizer is not None:
            runner.denormalize = self._normalizer.denormalize

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """Learn from a rollout; see `Algorithm.update`."""
        config = self._config
        left = 1 - progress
        set_learning_rate(self.optimizer, self._learning_rate(left))  # also at a resume
        entropy_coefficient = self._entropy_coefficient(left)
        estimates = advantages(
            rollout.part(rollout.rewards),
            rollout.part(rollout.values),
            rollout.part(rollout.terminals),
            rollout.part(rollout.truncations),
            rollout.part(rollout.final_values),
            config.gamma,
            config.gae_lambda,
        )
        if self._normalizer is not None:
            returns = estimates + rollout.part(rollout.values)[:-1]
            self._normalizer.update(
                returns,
                rollout.part(rollout.valid),
                self._context.all_reduce_sum,
                self._runner.device,
            )
        count = config.minibatches_of(len(rollout.columns), self._runner.is_recurrent)
        losses = self._steps(rollout, estimates, count, entropy_coefficient)
        self._adapt_learning_rate(losses, count)
        values = rollout.part(rollout.values)[:-1]
        valid, all_reduce_sum = rollout.part(rollout.valid), self._context.all_reduce_sum
        judged = value_metrics(values, values + estimates, valid, all_reduce_sum)
        return {**update_metrics(self.optimizer, losses), **judged}

    def _learning_rate(self, left: float) -> float:
        """Return the learning rate of an update, before which `left` of the training remain."""
        config = self._config
        if config.kl_adaptive is not None:
            return self._adapted_learning_rate
        return config.learning_rate * (left if config.anneal_learning_rate else 1)

    def _entropy_coefficient(self, left: float) -> float | Tensor:
        """Return the entropy coefficient of an update, as `_learning_rate`."""
        if not self._config.anneal_entropy:
            return self._config.entropy_coefficient
        annealed = self._config.entropy_coefficient * left
        if self._runner.is_compiled:  # another number would be compiled again
            return torch.tensor(annealed, device=self._runner.device)
        return annealed

    def _adapt_learning_rate(self, losses: Sequence[Mapping[str, float]], count: int) -> None:
        """Adapt the next learning rate to the KL divergence in the last pass, of `count` steps.

        The losses are sums over all processes, which thus take the same decision.
        """
        config = self._config
        if config.kl_adaptive is not None:
            last = [loss["approximate_kl"] for loss in losses[-count:]]
            self._adapted_learning_rate = adapted_learning_rate(
                self._adapted_learning_rate,
                sum(last) / len(last),
                config.kl_adaptive,
                ADAPTIVE_LEARNING_RATES,
            )

    def _steps(
        self, rollout: Rollout, estimates: Tensor, count: int, entropy_coefficient: float | Tensor
    ) -> list[dict[str, float]]:
        """Take the gradient steps of all epochs, of `count` each; return the losses of each."""
        config, runner = self._config, self._runner
        limit = None if config.target_kl is None else Limit("approximate_kl", config.target_kl)
        steps = GradientSteps(
            *(runner.policy, self.optimizer, self._context),
            max_gradient_norm=config.max_gradient_norm,
            limit=limit,
            epoch=count,
        )
        minibatches = rollout.minibatches(
            *(count, estimates, self._generator),
            keeps_absent=runner.is_compiled,
            epochs=config.update_epochs,
        )
        for minibatch in minibatches:
            loss = self._loss(minibatch.to(runner.device), entropy_coefficient)
            steps.take(loss._asdict())
            if steps.has_ended:
                break
        return steps.read()

    def _loss(self, minibatch: Minibatch, entropy_coefficient: float | Tensor) -> "Loss":
        """Return the loss of a minibatch under the present policy."""
        all_reduce_sum = self._context.all_reduce_sum
        estimates, returns, old_values = minibatch.advantages, minibatch.returns, minibatch.values
        if self._normalizer is not None:
            returns = self._normalizer.normalize(returns)
            old_values = self._normalizer.normalize(old_values)
        valid, count = minibatch.valid if minibatch.has_absent else None, None
        if valid is not None or self._context.world_size > 1:
            count = all_reduce_sum(minibatch.valid.sum()).clamp(min=1)
        if self._config.normalize_advantages and count is None:
            estimates = standardized(estimates)
        elif self._config.normalize_advantages:
            estimates = normalized(estimates, minibatch.valid, all_reduce_sum)
        start_steps = None if self._runner.is_compiled else minibatch.start_steps
        return self._compute_loss(
            (
                *(minibatch.observations, minibatch.state, minibatch.starts, minibatch.joint),
                start_steps,
            ),
            minibatch.actions,
            old_log_probabilities=minibatch.log_probabilities,
            old_values=old_values,
            advantages=estimates,
            returns=returns,
            valid=valid,
            count=count,
            entropy_coefficient=entropy_coefficient,
        )

    def _forward_and_loss(self, seen: tuple[Any, ...], actions: Tensor, **others: Any) -> "Loss":
        """Return the loss of actions; `seen` are the arguments of `PolicyRunner.forward`."""
        heads, values, _ = self._runner.forward(*seen)
        _, log_probabilities, entropies = sample_actions(heads, actions)
        return ppo_loss(
            log_probabilities=log_probabilities,
            entropies=entropies,
            values=values,
            clip_coefficient=self._config.clip_coefficient,
            value_coefficient=self._config.value_coefficient,
            value_clip=self._config.value_clip,
            **others,
        )

    def state_dict(self) -> StateDict:
        """Return the state that a checkpoint stores in addition to the policy."""
        state = {"optimizer": self.optimizer.state_dict()}
        if self._config.kl_adaptive is not None:
            state["adapted_learning_rate"] = {
                "from": self._config.learning_rate,
                "to": self._adapted_learning_rate,
            }
        if self._normalizer is not None:
            state["normalizer"] = self._normalizer.state_dict()
        return state

    def start_from(self, state: StateDict) -> None:
        """Take the scale of values, in which the value head was trained, from another run."""
        if self._normalizer is not None:
            self._normalizer.load_state_dict(state["normalizer"])

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from `state_dict`; an adapted learning rate, unless the setting has changed.

        Raises:
            SettingError: `normalize_returns` has changed: the values would mean something else.
        """
        if (self._normalizer is not None) != ("normalizer" in state):
            raise SettingError(
                f"train.normalize_returns cannot change within a run: its values are in other "
                f"units; got {self._config.normalize_returns}. Leave it out, or start a new run."
            )
        if self._normalizer is not None:
            self._normalizer.load_state_dict(state["normalizer"])
        load_adam(self.optimizer, state["optimizer"])
        adapted = state.get("adapted_learning_rate")
        if adapted is not None and adapted["from"] == self._config.learning_rate:
            self._adapted_learning_rate = adapted["to"]


class Loss(NamedTuple):
    """The loss to minimize, its parts, and two diagnostics. Each a scalar tensor.

    Attributes:
        total: policy + value_coefficient * value - entropy_coefficient * entropy.
        policy: negative clipped surrogate objective.
        value: half the squared error of the values.
        entropy: mean entropy of the policy.
        approximate_kl: estimated KL divergence of the old policy from the new (Schulman 2020,
            joschu.net/blog/kl-approx).
        clip_fraction: share of samples whose ratio was clipped.
    """

    total: Tensor
    policy: Tensor
    value: Tensor
    entropy: Tensor
    approximate_kl: Tensor
    clip_fraction: Tensor


def ppo_loss(
    *,
    log_probabilities: Tensor,
    old_log_probabilities: Tensor,
    entropies: Tensor,
    values: Tensor,
    advantages: Tensor,
    returns: Tensor,
    valid: Tensor | None,
    clip_coefficient: float,
    value_coefficient: float,
    entropy_coefficient: float | Tensor,
    old_values: Tensor | None = None,
    value_clip: float | None = None,
    count: Tensor | None = None,
) -> Loss:
    """Return the loss of Schulman et al. 2017 (arXiv:1707.06347), eq. 7 and 9.

    Args:
        log_probabilities: float32 (N,), of the actions taken, under the current policy.
        old_log_probabilities: float32 (N,), under the policy that took them.
        entropies: float32 (N,), of the current policy.
        values: float32 (N,), of the current value function.
        advantages: float32 (N,).
        returns: float32 (N,), the targets of the values.
        valid: bool (N,), True if an agent was present; other samples are ignored. None: all are.
        clip_coefficient: epsilon of eq. 7.
        value_coefficient: c1 of eq. 9.
        entropy_coefficient: c2 of eq. 9.
        old_values: float32 (N,), the values when the rollout was collected; for `value_clip`.
        value_clip: how far a value may move from the old one before its gradient stops; None does
            not clip values.
        count: divides the sums; the number of valid samples if None.
    """
    if count is None and valid is not None:
        count = valid.sum().clamp(min=1)

    def kept(samples: Tensor) -> Tensor:
        return samples if valid is None else torch.where(valid, samples, 0)

    def mean(samples: Tensor) -> Tensor:
        return samples.mean(dtype=values.dtype) if count is None else samples.sum() / count

    # Invalid samples are zeroed before anything is computed from them. Zeroing the results would
    # let an infinity reach the gradient, as zero times infinity.
    log_ratio = kept(log_probabilities - old_log_probabilities)
    advantages = kept(advantages)
    ratio = log_ratio.exp()
    objective = ratio * advantages
    with torch.no_grad():
        change = ratio - 1
        clipped = ratio.clamp(1 - clip_coefficient, 1 + clip_coefficient) * advantages
        is_clipped = objective > clipped
    # The minimum of both; a clipped objective has no gradient.
    policy = -mean(torch.where(is_clipped, clipped, objective))
    returns = kept(returns)
    squared = mse_loss(kept(values), returns, reduction="none")
    if value_clip is not None and old_values is not None:
        near = old_values + (values - old_values).clamp(-value_clip, value_clip)
        clipped_squared = mse_loss(kept(near), returns, reduction="none")
        squared = torch.maximum(squared, clipped_squared)
    error = mean(squared)
    entropy = mean(kept(entropies))
    total = torch.add(policy, error, alpha=0.5 * value_coefficient) - entropy_coefficient * entropy
    value = 0.5 * error
    with torch.no_grad():
        approximate_kl = mean(change - log_ratio)
        clip_fraction = mean(change.abs() > clip_coefficient)
    return Loss(total, policy, value, entropy, approximate_kl, clip_fraction)
