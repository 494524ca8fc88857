"""Learn with one policy from its rollouts, and measure them."""

import torch
from torch import Tensor

from pufferlib.agent_policies import PolicyRows
from pufferlib.central_critic import CentralCritic
from pufferlib.policy import is_recurrent
from pufferlib.training.config import LoopConfig
from pufferlib.training.distributed import DistributedContext
from pufferlib.training.measurements import Measurements
from pufferlib.training.policy_runner import PolicyRunner
from pufferlib.training.rollout import Rollout
from pufferlib.training.statistics import RewardScale
from pufferlib.vector import VectorEnv


class Learner:
    """What learns with one policy: an algorithm, a reward scale and the order of minibatches.

    Args:
        config: the settings, which make the algorithm.
        vecenv: the environments.
        part: the policy, and which rows it acts for.
        device: of the policy.
        context: the processes that learn together.
        seed: of the order of minibatches.

    Attributes:
        name: of the policy; "" if it acts for all rows.
        runner: runs the policy.
        algorithm: learns from rollouts.
        scale: of the rewards of the policy's rows.
        generator: orders minibatches.

    Raises:
        SettingError: impossible settings for so many rows.
    """

    def __init__(
        self,
        config: LoopConfig,
        vecenv: VectorEnv,
        part: PolicyRows,
        device: torch.device,
        context: DistributedContext,
        seed: int,
    ) -> None:
        rows = part.count(vecenv.num_agents)
        self.name, self._context = part.name, context
        config.check_rows(rows, is_recurrent(part.policy), vecenv.batch_size != vecenv.num_envs)
        self.runner = PolicyRunner(part.policy, rows, device, config.precision, config.compile)
        self.generator = torch.Generator().manual_seed(seed)
        self.scale = RewardScale(rows, config.gamma)
        self.algorithm = config.make_algorithm(self.runner, context, self.generator)
        self._measurements = Measurements(vecenv, self.runner, config.gamma)

    def update(self, rollout: Rollout, progress: float, updates: int) -> dict[str, float]:
        """Learn from a rollout; return metrics, with the name of the policy in theirs.

        Args:
            rollout: of the policy's rows.
            progress: share of the training done when it was begun.
            updates: rollouts learned from before.

        Raises:
            NotFiniteError: a loss or a gradient is NaN or infinite.
        """
        metrics: dict[str, float] = {}
        if self._has_samples(rollout):
            metrics = self.algorithm.update(rollout, progress)
        entropy = metrics.get("loss/entropy")
        metrics |= self._measurements.of_rollout(rollout, entropy)
        metrics |= self._measurements.of_network(rollout, updates)
        observe = getattr(self.runner.policy, "observe", None)
        if observe is not None:
            seen = rollout.part(rollout.observations), rollout.part(rollout.valid)
            observe(*seen, self._context.all_reduce_sum)
        if rollout.joint is not None:
            self._observe_all(rollout, rollout.joint)
        return {_named(key, self.name): value for key, value in metrics.items()}

    def _observe_all(self, rollout: Rollout, joint: Tensor) -> None:
        """Let a central critic update the statistics of what all agents observe."""
        policy = self.runner.policy
        if isinstance(policy, CentralCritic) and rollout.peers is not None:
            columns = rollout.peers[rollout.columns].unique()
            policy.observe_all(joint[:, columns], self._context.all_reduce_sum)

    def _has_samples(self, rollout: Rollout) -> bool:
        """Return whether an agent of the policy acted, in any process.

        All agents of a role can be absent for a rollout, where others play on, and opponents can
        play on after the learner's agents have ended. A gradient step
        without samples would still move the weights, by the momentum of earlier ones.
        """
        count = rollout.part(rollout.valid).sum().to(self.runner.device)
        return bool(self._context.all_reduce_sum(count) > 0)


def _named(metric: str, policy: str) -> str:
    """Return the name of a metric of one of several policies: loss/adversary/entropy."""
    if not policy:
        return metric
    group, slash, name = metric.partition("/")
    return f"{group}/{policy}{slash}{name}"
