"""V-trace actor-critic, top to bottom.

`VTrace.update` learns from a rollout: it shuffles the columns into minibatches and takes a gradient
step on each. Importance weights correct for samples that an older policy collected. The mathematics
are pure functions below it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss, pad

from pufferlib.annotations import StateDict
from pufferlib.exceptions import ArgumentError
from pufferlib.policy import State
from pufferlib.pytorch import sample_actions
from pufferlib.training.distributed import DistributedContext
from pufferlib.training.minibatch import Sequences
from pufferlib.training.optimization import (
    GradientSteps,
    load_adam,
    make_adam,
    set_learning_rate,
    update_metrics,
    value_metrics,
)
from pufferlib.training.policy_runner import PolicyRunner
from pufferlib.training.reverse_scan import reverse_scan
from pufferlib.training.rollout import Rollout
from pufferlib.vtrace.config import VTraceConfig


class VTrace:
    """Learns from rollouts as the learner of IMPALA (Espeholt et al. 2018, arXiv:1802.01561).

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
        config: VTraceConfig,
        runner: PolicyRunner,
        context: DistributedContext,
        generator: torch.Generator,
    ) -> None:
        self._config, self._runner, self._context = config, runner, context
        self._generator = generator
        self.optimizer = make_adam(runner.policy, config.learning_rate)
        self._evaluate = runner.compiled(self._forward)
        self._compute_loss = runner.compiled(vtrace_loss)

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """Learn from a rollout; see `Algorithm.update`."""
        annealed = 1 - progress if self._config.anneal_learning_rate else 1
        set_learning_rate(self.optimizer, self._config.learning_rate * annealed)
        self._judged: list[tuple[Tensor, Tensor, Tensor]] = []  # values, targets, valid
        steps = GradientSteps(
            *(self._runner.policy, self.optimizer, self._context),
            max_gradient_norm=self._config.max_gradient_norm,
            epoch=self._config.minibatches,
        )
        for minibatch in self._minibatches(rollout):
            steps.take(self._loss(minibatch.to(self._runner.device))._asdict())
            if steps.has_ended:
                break
        losses = steps.read()
        values, targets, valid = (torch.cat(parts) for parts in zip(*self._judged, strict=True))
        self._judged.clear()
        metrics = value_metrics(values[:, :-1], targets, valid, self._context.all_reduce_sum)
        return {**update_metrics(self.optimizer, losses), **metrics}

    def _minibatches(self, rollout: Rollout) -> Iterator[Sequences]:
        """Yield the minibatches of all epochs, in a new random order each epoch."""
        count = len(rollout.columns)
        for _ in range(self._config.update_epochs):
            order = torch.randperm(count, generator=self._generator).numpy()
            for chosen in np.array_split(order, self._config.minibatches):
                yield rollout.sequences(chosen)

    def _loss(self, minibatch: Sequences) -> "Loss":
        """Return the loss of a minibatch under the present policy."""
        config, valid, count = self._config, None, None
        if minibatch.has_absent or self._runner.is_compiled:  # of which a mask is no other graph
            valid = minibatch.valid
        if valid is not None or self._context.world_size > 1:
            count = self._context.all_reduce_sum(minibatch.valid.sum()).clamp(min=1)
        log_probabilities, entropies, values = self._evaluate(  # each (B * T,)
            minibatch.observations,
            minibatch.state,
            minibatch.starts,
            minibatch.joint,
            None if self._runner.is_compiled else minibatch.start_steps,
            minibatch.actions.flatten(0, 1),
        )
        with torch.no_grad():
            old_log_probabilities = minibatch.log_probabilities
            own = values.view_as(old_log_probabilities)  # (B, T)
            # The observation after the last step is not stored, but its value is. A copy: a view
            # would keep the graph of the values, and the next run of a CUDA graph overwrite it.
            judged = torch.cat([own, minibatch.values[:, -1:]], 1)  # (B, T + 1)
            targets, advantages = vtrace_targets(
                log_ratios=log_probabilities.view_as(old_log_probabilities) - old_log_probabilities,
                rewards=minibatch.rewards,
                values=judged,
                terminals=minibatch.terminals,
                truncations=minibatch.truncations,
                final_values=minibatch.final_values,
                valid=valid,
                gamma=config.gamma,
                gae_lambda=config.gae_lambda,
                rho_clip=config.rho_clip,
                c_clip=config.c_clip,
            )
        self._judged.append((judged, targets, minibatch.valid))
        return self._compute_loss(
            log_probabilities=log_probabilities,
            old_log_probabilities=old_log_probabilities.flatten(),
            entropies=entropies,
            values=values,
            targets=targets.flatten(),
            advantages=advantages.flatten(),
            valid=None if valid is None else valid.flatten(),
            rho_clip=config.rho_clip,
            value_coefficient=config.value_coefficient,
            entropy_coefficient=config.entropy_coefficient,
            count=count,
        )

    def _forward(
        self,
        observations: Tensor,
        state: State | None,
        starts: Tensor,
        joint: Tensor | None,
        start_steps: Sequence[int] | None,
        actions: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return (log-probabilities, entropies, values) of the present policy, each (B * T,)."""
        if not self._runner.is_recurrent:
            observations = observations.flatten(0, 1)  # (B * T, ...)
        heads, values, _ = self._runner.forward(observations, state, starts, joint, start_steps)
        _, log_probabilities, entropies = sample_actions(heads, actions)
        return log_probabilities, entropies, values

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps besides the policy."""
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from `state_dict`."""
        load_adam(self.optimizer, state["optimizer"])


def vtrace_targets(
    *,
    log_ratios: Tensor,
    rewards: Tensor,
    values: Tensor,
    terminals: Tensor,
    truncations: Tensor,
    final_values: Tensor,
    valid: Tensor | None,
    gamma: float,
    gae_lambda: float = 1.0,
    rho_clip: float = 1.0,
    c_clip: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Return V-trace targets and advantages (Espeholt et al. 2018, arXiv:1802.01561, eq. 1).

    With ratios of 1 and lambda 1 the targets are n-step returns, and for any lambda the advantages
    are generalized advantage estimates. Nothing leaks across the end of an episode: the sum stops
    there, and a truncated episode bootstraps from the value of its last observation.

    Args:
        log_ratios: float32 (B, T), log-probability of the action at t under the policy that learns,
            less that under the policy that took it.
        rewards: float32 (B, T), received after the action at t.
        values: float32 (B, T + 1), of the policy that learns; column T is the bootstrap.
        terminals: bool (B, T), the episode ended after step t: nothing to bootstrap from.
        truncations: bool (B, T), cut off after step t: bootstraps from `final_values`.
        final_values: float32 (B, T), the value of the true last observation; read only where
            truncated and not terminal.
        valid: bool (B, T), an agent acted at t; what other steps hold reaches no result. None: one
            always did.
        gamma: discount per step, in [0, 1].
        gae_lambda: in [0, 1], scales c (remark 2).
        rho_clip: rho-bar, the largest weight of a step's own error.
        c_clip: c-bar, the largest weight of the errors that follow it.

    Returns:
        targets: float32 (B, T), v of eq. 1: what the values should be.
        advantages: float32 (B, T), r + gamma q - V, whose product with rho and the gradient of the
            log-probability is the policy gradient of section 4.2. q mixes V and v of the next
            observation by lambda, as RLax does; with lambda 1 it is v, as in the paper.
        Both are 0 where not `valid`.

    Raises:
        ArgumentError: if the shapes disagree.
    """
    rows, steps = rewards.shape
    rest = (log_ratios, rewards, terminals, truncations, final_values, valid)
    shapes = {tuple(tensor.shape) for tensor in rest if tensor is not None}
    if shapes != {(rows, steps)} or tuple(values.shape) != (rows, steps + 1):
        raise ArgumentError(
            f"Shapes disagree: values must be {(rows, steps + 1)} and the rest {(rows, steps)}; "
            f"got values {tuple(values.shape)}, the rest {sorted(shapes)}."
        )

    def kept(tensor: Tensor) -> Tensor:
        return tensor if valid is None else torch.where(valid, tensor, 0)

    ratios = kept(log_ratios).exp()
    rhos = ratios.clamp(max=rho_clip)
    cs = rhos if c_clip == rho_clip else ratios.clamp(max=c_clip)
    own = values[:, :-1]
    bootstrap = torch.where(truncations, final_values, values[:, 1:]).masked_fill(terminals, 0)
    errors = kept(torch.add(rewards, bootstrap, alpha=gamma) - own)  # (B, T)
    # lambda scales c, and in the advantages the same correction: gamma times lambda.
    decay = torch.full_like(rewards, gamma * gae_lambda).masked_fill_(terminals | truncations, 0)
    # v - V of each observation, by remark 1, from the last to the first.
    corrections = reverse_scan(rhos * errors, kept(decay * cs), dim=1)
    later = pad(corrections[:, 1:], (0, 1))  # 0 after the last step
    return kept(own + corrections), kept(torch.addcmul(errors, decay, later))


class Loss(NamedTuple):
    """The loss to minimize, its parts, and two diagnostics. Each a scalar tensor.

    Attributes:
        total: policy + value_coefficient * value - entropy_coefficient * entropy.
        policy: its gradient is the negative policy gradient; the number itself says little.
        value: half the squared error of the values.
        entropy: mean of the policy's.
        approximate_kl: of the old policy from the new (Schulman 2020, joschu.net/blog/kl-approx).
        importance_weight: mean of the clipped ratios; 1 where the policy is the one that acted.
    """

    total: Tensor
    policy: Tensor
    value: Tensor
    entropy: Tensor
    approximate_kl: Tensor
    importance_weight: Tensor


def vtrace_loss(
    *,
    log_probabilities: Tensor,
    old_log_probabilities: Tensor,
    entropies: Tensor,
    values: Tensor,
    targets: Tensor,
    advantages: Tensor,
    valid: Tensor | None,
    rho_clip: float,
    value_coefficient: float,
    entropy_coefficient: float,
    count: Tensor | None = None,
) -> Loss:
    """Return the loss whose gradient is that of section 4.2 of Espeholt et al. 2018.

    All tensors are of one shape, such as (B, T).

    Args:
        log_probabilities: float32, of the actions taken under the present policy.
        old_log_probabilities: float32, when they were taken.
        entropies: float32, of the present policy.
        values: float32, of the present value function.
        targets: float32, without gradient: what the values should be.
        advantages: float32, without gradient.
        valid: bool, an agent was there; other samples are ignored. None: one always was.
        rho_clip: the largest weight of a sample in the policy gradient.
        value_coefficient: weight of the value loss.
        entropy_coefficient: weight of the entropy bonus.
        count: divides the sums; the number of valid samples if None.
    """
    if count is None and valid is not None:
        count = valid.sum().clamp(min=1)

    def kept(samples: Tensor) -> Tensor:
        return samples if valid is None else torch.where(valid, samples, 0)

    def mean(samples: Tensor) -> Tensor:
        return samples.mean() if count is None else samples.sum() / count

    # Invalid samples become zero before anything is computed from them: to zero a result would
    # still let an infinity through to the gradient, as zero times infinity.
    log_probabilities = kept(log_probabilities)
    with torch.no_grad():
        log_ratio = log_probabilities - kept(old_log_probabilities)
        ratio = log_ratio.exp()
        rho = kept(ratio.clamp(max=rho_clip))
        weights = rho * kept(advantages)
        approximate_kl = mean((ratio - 1) - log_ratio)
        importance_weight = mean(rho)
    size = log_probabilities.numel() if count is None else count
    policy = torch.dot(weights.flatten(), log_probabilities.flatten()) / -size
    if count is None:
        error = mse_loss(values, targets)
    else:
        error = mse_loss(kept(values), kept(targets), reduction="sum") / count
    entropy = mean(kept(entropies))
    total = torch.add(policy, error, alpha=0.5 * value_coefficient)
    total = torch.add(total, entropy, alpha=-entropy_coefficient)
    value = 0.5 * error
    return Loss(total, policy, value, entropy, approximate_kl, importance_weight)
