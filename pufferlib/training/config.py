"""The settings of the training loop, shared by every algorithm."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from pufferlib.exceptions import SettingError
from pufferlib.training.distributed import DistributedContext
from pufferlib.training.policy_runner import PolicyRunner

if TYPE_CHECKING:
    from pufferlib.training.algorithm import Algorithm

MAX_SEED = 2**63 - 1  # torch takes twice that; the seeds of later episodes count on from it


@dataclass(frozen=True)
class LoopConfig:
    """Settings of the loop that collects rollouts and learns from them.

    An algorithm's settings extend these, and `make_algorithm` makes it.
    """

    algorithm: ClassVar[str] = ""

    total_timesteps: int = 1_000_000
    """Steps of agents to train for. CleanRL's is 500,000."""

    max_seconds: float | None = None
    """Stop after this many seconds of wall time, if that comes first."""

    seed: int = 1
    """Seeds the network, the actions and the minibatches; environment i gets seed + i, of native
    environments of several games each game the next one."""

    device: str = "auto"
    """cpu, cuda, cuda:1 ... auto takes a GPU if there is one."""

    horizon: int = 64
    """Steps of each row in a rollout. CleanRL's is 128."""

    gamma: float = 0.99
    """Discount per step. As CleanRL."""

    normalize_rewards: bool = False
    """Divide rewards by the running deviation of their discounted sum (Engstrom et al. 2020,
    arXiv:2005.12729) and clip them to [-10, 10], as CleanRL's ppo_continuous_action.py."""

    checkpoint_interval: int = 100
    """Updates between checkpoints; the last is always saved."""

    exact_resume: bool = False
    """Begin new episodes at each checkpoint, so that a run that was killed and resumed has, weight
    for weight on the CPU, the result of a run that was not. Episodes are truncated there, and
    bootstrapped."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """What the network computes in; its weights, the probabilities of actions and the losses stay
    float32."""

    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    """Mode of torch.compile for the network, with the choice of actions and the loss;
    reduce-overhead uses CUDA graphs. The first rollout and the first update are slow: they
    compile."""

    storage: Literal["auto", "device", "cpu"] = "auto"
    """Where rollouts are kept; auto: on the device where half of its free memory holds them."""

    threads: int | None = 1
    """Threads that torch computes with on the CPU; None: its own choice, one a usable core."""

    def make_algorithm(
        self, runner: PolicyRunner, context: DistributedContext, generator: torch.Generator
    ) -> "Algorithm":
        """Return the algorithm that these are the settings of.

        Args:
            runner: the policy that learns.
            context: the processes that learn together.
            generator: on the CPU; the loop saves and restores it. For the order of minibatches.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement make_algorithm")

    def check(self) -> None:
        """Refuse impossible settings, whatever the environment.

        Raises:
            SettingError: says which, and what is allowed.
        """
        self.check_values()
        choose_device(self.device)

    def check_values(self) -> None:
        """Do as `check`, except for the device: a run can be evaluated on a machine without it.

        Raises:
            SettingError: says which, and what is allowed.
        """
        if not 0 <= self.seed <= MAX_SEED:
            raise SettingError(
                f"train.seed must be a whole number from 0 to {MAX_SEED}; got {self.seed}."
            )
        self._require_at_least_1("total_timesteps", "horizon", "checkpoint_interval", "threads")
        self._require_positive("max_seconds")
        self._require_share("gamma")

    def check_rows(self, rows: int, is_recurrent: bool, is_pool: bool) -> None:
        """Refuse settings that do not fit the rows of a rollout.

        Args:
            rows: agents of all environments.
            is_recurrent: the policy has memory.
            is_pool: the vectorizer returns a part of the environments at a time.

        Raises:
            SettingError: says which, and what is allowed.
        """
        if self.exact_resume and is_pool:
            raise SettingError(
                "train.exact_resume needs every environment in every batch; got a pool. Leave out "
                "vec.batch_size."
            )

    def _require_at_least_1(self, *names: str) -> None:
        for name, value in self._given(names):
            if value < 1:
                raise SettingError(f"train.{name} must be at least 1; got {value}.")

    def _require_positive(self, *names: str) -> None:
        for name, value in self._given(names):
            if not value > 0:
                raise SettingError(f"train.{name} must be above 0; got {value}.")

    def _require_not_negative(self, *names: str) -> None:
        for name, value in self._given(names):
            if not value >= 0:
                raise SettingError(f"train.{name} must be at least 0; got {value}.")

    def _require_share(self, *names: str) -> None:
        for name, value in self._given(names):
            if not 0 <= value <= 1:
                raise SettingError(f"train.{name} must lie within [0, 1]; got {value}.")

    def _given(self, names: Iterable[str]) -> list[tuple[str, Any]]:
        """Return the settings that are not None, with their names."""
        found = [(name, getattr(self, name)) for name in names]
        return [(name, value) for name, value in found if value is not None]


def choose_device(name: str, setting: str = "train.device") -> torch.device:
    """Return the device that `name` stands for; "auto" is the GPU if there is one.

    Args:
        name: "auto", "cpu", "cuda", "cuda:1", ...
        setting: what `name` was given as, for the error.

    Raises:
        SettingError: there is no such device here; lists those that there are.
    """
    # Drivers too old for this torch still count their GPUs.
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ["cpu", *(f"cuda:{index}" for index in range(gpus))]
    allowed = ["auto", *there, *(["cuda"] if gpus else [])]
    if name not in allowed:
        raise SettingError(f"{setting} must be one of {', '.join(allowed)}; got {name!r}.")
    if name in ("auto", "cuda"):
        own = os.environ.get("LOCAL_RANK")  # one for each process that torchrun starts
        name = "cpu" if not gpus else "cuda" if own is None else f"cuda:{own}"
    return torch.device(name)
