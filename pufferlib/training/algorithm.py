"""The interface of an algorithm: all that the training loop uses of it."""

from typing import Protocol

from pufferlib.annotations import StateDict
from pufferlib.training.rollout import Rollout


class Algorithm(Protocol):
    """Learns from rollouts: changes the weights of a policy.

    An algorithm is made by its settings (`LoopConfig.make_algorithm`), which the `Trainer` is
    given. It owns its optimizer; the loop owns everything else: environments, collection, the
    schedule, statistics, checkpoints, random streams.

    Optional method:
        start_from(state): called before a new run that has the weights of another one, with the
            `state_dict` of that run's algorithm, to take what those weights depend on.
    """

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """Learn from one rollout; return metrics by name.

        Args:
            rollout: valid until the next one is collected.
            progress: share of the training done when the rollout was begun, in [0, 1].

        Returns:
            Numbers to log. "group/name" puts `name` into a group: "loss/value".

        Raises:
            NotFiniteError: a loss or a gradient is NaN or infinite; the weights are those before
                that gradient step.
        """
        ...

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps besides the policy's weights: tensors and plain values."""
        ...

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from what `state_dict` returned."""
        ...
