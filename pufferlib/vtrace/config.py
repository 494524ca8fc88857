"""The settings of V-trace, each documented at its default with its source."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from pufferlib.exceptions import SettingError
from pufferlib.training.config import LoopConfig
from pufferlib.training.distributed import DistributedContext
from pufferlib.training.policy_runner import PolicyRunner

if TYPE_CHECKING:
    from pufferlib.vtrace.algorithm import VTrace


@dataclass(frozen=True)
class VTraceConfig(LoopConfig):
    """Settings of V-trace actor-critic (Espeholt et al. 2018, arXiv:1802.01561).

    IMPALA below is that paper, with its table D.1. A default that names no source is our own
    choice.
    """

    algorithm: ClassVar[str] = "vtrace"

    minibatches: int = 4
    """Minibatches of a rollout, one gradient step each; of whole columns, one for each agent."""

    update_epochs: int = 1
    """Passes over a rollout. IMPALA's learner makes one; more reuse samples as its replay does."""

    learning_rate: float = 1e-3
    """Of Adam (Kingma and Ba 2015), with epsilon 1e-5. IMPALA uses RMSProp, at about 6e-4."""

    anneal_learning_rate: bool = True
    """Lower the learning rate linearly to 0 at the end of training, as IMPALA."""

    rho_clip: float = 1.0
    """Largest importance weight of a step's own error, rho-bar of eq. 1: it decides which policy
    the values are of. As IMPALA."""

    c_clip: float = 1.0
    """Largest importance weight that carries later errors back, c-bar of eq. 1: it decides how fast
    values are learned. At most `rho_clip`, as the paper assumes. As IMPALA."""

    gae_lambda: float = 0.95
    """Decay of later errors (remark 2): less variance and more bias below 1. Where the policy is
    the one that acted, advantages are those of PPO with the same lambda. IMPALA's is 1."""

    value_coefficient: float = 0.5
    """Weight of the value loss. As IMPALA."""

    entropy_coefficient: float = 0.01
    """Weight of the entropy bonus. IMPALA's is 0.00025 to 0.01."""

    max_gradient_norm: float = 0.5
    """Scale the gradient down to this norm where it is longer, as `PPOConfig`. IMPALA's 40 is for
    sums over a batch."""

    def make_algorithm(
        self, runner: PolicyRunner, context: DistributedContext, generator: torch.Generator
    ) -> "VTrace":
        """Return V-trace with these settings; see `LoopConfig.make_algorithm`."""
        from pufferlib.vtrace.algorithm import VTrace

        return VTrace(self, runner, context, generator)

    def check_values(self) -> None:
        """See `LoopConfig.check_values`."""
        super().check_values()
        self._require_at_least_1("minibatches", "update_epochs")
        self._require_positive("learning_rate", "max_gradient_norm", "rho_clip", "c_clip")
        self._require_not_negative("value_coefficient", "entropy_coefficient")
        self._require_share("gae_lambda")
        if self.c_clip > self.rho_clip:
            raise SettingError(
                f"train.c_clip must be at most train.rho_clip={self.rho_clip}; got {self.c_clip}."
            )

    def check_rows(self, rows: int, is_recurrent: bool, is_pool: bool) -> None:
        """See `LoopConfig.check_rows`."""
        if self.minibatches > rows:
            raise SettingError(
                f"train.minibatches must be at most the {rows} columns of a rollout, one for each "
                f"agent; got {self.minibatches}. Use fewer, or more environments (vec.num_envs)."
            )
        super().check_rows(rows, is_recurrent, is_pool)
