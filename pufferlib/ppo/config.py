"""The settings of PPO, each documented at its default with its source."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NoReturn

import torch

from pufferlib.exceptions import SettingError
from pufferlib.training.config import LoopConfig
from pufferlib.training.distributed import DistributedContext
from pufferlib.training.policy_runner import PolicyRunner

if TYPE_CHECKING:
    from pufferlib.ppo.algorithm import PPO

ADAPTIVE_LEARNING_RATES = (1e-5, 1e-2)  # with kl_adaptive


@dataclass(frozen=True)
class PPOConfig(LoopConfig):
    """Settings of proximal policy optimization (Schulman et al. 2017, arXiv:1707.06347).

    "CleanRL" below means its ppo.py, which follows OpenAI's Baselines (Huang et al. 2022, "The 37
    Implementation Details of PPO"). A default without a source is our choice.
    """

    algorithm: ClassVar[str] = "ppo"

    normalize_rewards: bool = True
    """See `LoopConfig`; as CleanRL's ppo_continuous_action.py, but for every task: the learning
    rate and the weight of the value loss then fit rewards of any scale."""

    minibatches: int | None = None
    """Minibatches per rollout, one gradient step each; made of whole rows for a recurrent policy.
    None: 32, as CleanRL's ppo_continuous_action.py, or fewer, so that each has 64 samples or more,
    as in Stable-Baselines3, and at least four rows for a recurrent policy. Samples that are then
    left out, of absent agents or by a policy's `skips_waiting`, are counted: minibatches are
    smaller by them."""

    update_epochs: int = 10
    """Passes over each rollout. Same as Stable-Baselines3; CleanRL's ppo.py makes 4."""

    learning_rate: float = 3e-4
    """Learning rate of Adam (Kingma and Ba 2015), with epsilon 1e-5. Same as Stable-Baselines3 and
    CleanRL's ppo_continuous_action.py."""

    anneal_learning_rate: bool = True
    """Decrease the learning rate linearly to 0 at the end of training. Same as CleanRL."""

    kl_adaptive: float | None = None
    """Hold the KL divergence of an update near this value by the learning rate, instead of
    annealing: divide it by 1.5 after an update with more than twice as much, multiply it by 1.5
    after less than half, within [1e-5, 1e-2] (Rudin et al. 2022, arXiv:2109.11978, hold 0.01;
    rsl_rl and rl_games do so)."""

    anneal_entropy: bool = False
    """Decrease the entropy coefficient in the same way. CleanRL keeps it constant."""

    gae_lambda: float = 0.95
    """0 is TD(0), 1 is Monte Carlo (Schulman et al. 2016, arXiv:1506.02438). Same as CleanRL."""

    clip_coefficient: float = 0.2
    """How far the probability ratio may move from 1 before its gradient stops (eq. 7). Same as
    CleanRL, and the best value in the paper's table 1."""

    value_clip: float | None = None
    """How far a value may move from the old one in an update; None does not clip, which
    Andrychowicz et al. 2021 (arXiv:2006.05990, 3.2) found no worse. CleanRL uses 0.2."""

    target_kl: float | None = None
    """Stop an update early at this KL divergence from the old policy (Spinning Up: 0.015); None
    never stops early. Same as CleanRL."""

    value_coefficient: float = 0.5
    """Weight of the value loss (eq. 9). Same as CleanRL."""

    entropy_coefficient: float = 0.0
    """Weight of the entropy bonus (eq. 9). Same as Stable-Baselines3; CleanRL's ppo.py takes 0.01,
    its ppo_continuous_action.py 0."""

    max_gradient_norm: float = 0.5
    """Clip the norm of the gradient to this value. Same as CleanRL."""

    normalize_advantages: bool = True
    """Normalize the advantages of each minibatch to mean 0 and standard deviation 1. Same as
    CleanRL."""

    normalize_returns: bool = False
    """Train the value head on returns with running mean 0 and standard deviation 1, as MAPPO (Yu et
    al. 2022, arXiv:2103.01955). For returns that are large or of unknown scale; Andrychowicz et al.
    2021 (arXiv:2006.05990, 3.3) found it decisive for HalfCheetah and Humanoid, and harmful for
    Walker2d."""

    def make_algorithm(
        self, runner: PolicyRunner, context: DistributedContext, generator: torch.Generator
    ) -> "PPO":
        """Return PPO with these settings; see `LoopConfig.make_algorithm`."""
        from pufferlib.ppo.algorithm import PPO

        return PPO(self, runner, context, generator)

    def check_values(self) -> None:
        """See `LoopConfig.check_values`."""
        super().check_values()
        self._require_at_least_1("minibatches", "update_epochs")
        self._require_positive("learning_rate", "max_gradient_norm", "value_clip", "target_kl")
        self._require_not_negative("clip_coefficient", "value_coefficient", "entropy_coefficient")
        self._require_share("gae_lambda")
        self._require_positive("kl_adaptive")
        if self.kl_adaptive is None:
            return
        low, high = ADAPTIVE_LEARNING_RATES
        if not low <= self.learning_rate <= high:
            raise SettingError(
                f"train.learning_rate must lie within [{low}, {high}] with train.kl_adaptive; got "
                f"{self.learning_rate}."
            )
        if self.minibatches == self.update_epochs == 1:
            self._refuse_single_step()

    def minibatches_of(self, rows: int, is_recurrent: bool) -> int:
        """Return the number of minibatches of a rollout with so many rows.

        Args:
            rows: agents in all environments.
            is_recurrent: whether minibatches are made of whole rows.
        """
        if self.minibatches is not None:
            return self.minibatches
        most = rows * self.horizon // 64
        return max(1, min(32, most, rows // 4 if is_recurrent else most))

    def check_rows(self, rows: int, is_recurrent: bool, is_pool: bool) -> None:
        """See `LoopConfig.check_rows`."""
        pieces, what = (rows, "rows") if is_recurrent else (rows * self.horizon, "samples")
        if self.minibatches is not None and self.minibatches > pieces:
            raise SettingError(
                f"train.minibatches must be at most the {pieces} {what} of a rollout; got "
                f"{self.minibatches}. Use fewer, or more environments (vec.num_envs)."
            )
        is_single_step = self.update_epochs == self.minibatches_of(rows, is_recurrent) == 1
        if self.kl_adaptive is not None and is_single_step:
            self._refuse_single_step()
        super().check_rows(rows, is_recurrent, is_pool)

    def _refuse_single_step(self) -> NoReturn:
        raise SettingError(
            "train.kl_adaptive measures the KL divergence before each gradient step, and the first "
            "of an update has none; here that is the only one, as train.minibatches=1 and "
            "train.update_epochs=1. Use more of either."
        )
