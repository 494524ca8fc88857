"""The settings of the trainer, each documented at its default with its source."""

import os
from dataclasses import dataclass
from typing import Literal

import torch

from pufferlib.exceptions import SettingError
from pufferlib.vector import usable_cores

MOST_SEED = 2**63 - 1  # torch takes twice that; later episodes count on from it


@dataclass(frozen=True)
class TrainConfig:
    """Settings of proximal policy optimization (Schulman et al. 2017, arXiv:1707.06347).

    CleanRL below is its ppo.py, which follows OpenAI's Baselines (Huang et al. 2022, "The 37
    Implementation Details of PPO"). A default that names no source is our own choice.
    """

    total_timesteps: int = 1_000_000
    """Steps of agents to train for. CleanRL's is 500,000."""

    max_seconds: float | None = None
    """Stop after this many seconds of wall time, if that comes first."""

    seed: int = 1
    """Seeds the network, the actions and the minibatches; environment i gets seed + i."""

    device: str = "auto"
    """cpu, cuda, cuda:1 ... auto takes a GPU if there is one."""

    horizon: int = 64
    """Steps of each row in a rollout. CleanRL's is 128."""

    minibatches: int = 4
    """Pieces a rollout is learned from, one gradient step each; whole rows if recurrent.
    As CleanRL."""

    update_epochs: int = 4
    """Times a rollout is learned from. As CleanRL."""

    learning_rate: float = 2.5e-4
    """Of Adam (Kingma and Ba 2015), with epsilon 1e-5. Both as CleanRL."""

    anneal_learning_rate: bool = True
    """Lower the learning rate linearly to 0 at the end of training, as CleanRL."""

    anneal_entropy: bool = False
    """Lower the entropy coefficient likewise. CleanRL keeps it."""

    gamma: float = 0.99
    """Discount per step. As CleanRL."""

    gae_lambda: float = 0.95
    """0 is TD(0), 1 is Monte Carlo (Schulman et al. 2016, arXiv:1506.02438). As CleanRL."""

    clip_coefficient: float = 0.2
    """How far the probability ratio may move from 1 before its gradient stops (eq. 7). As CleanRL
    and the best of the paper's table 1."""

    value_clip: float | None = None
    """How far a value may move from the old one in an update; None: freely, as Andrychowicz et al.
    2021 (arXiv:2006.05990, 3.2) found no worse. CleanRL's is 0.2."""

    target_kl: float | None = None
    """Stop an update where the policy is this far from the old one (Spinning Up's 0.015); None: do
    all of it, as CleanRL."""

    value_coefficient: float = 0.5
    """Weight of the value loss (eq. 9). As CleanRL."""

    entropy_coefficient: float = 0.01
    """Weight of the entropy bonus (eq. 9). As CleanRL."""

    max_gradient_norm: float = 0.5
    """Scale the gradient down to this norm where it is longer. As CleanRL."""

    normalize_advantages: bool = True
    """Shift and scale the advantages of a minibatch to mean 0 and deviation 1, as CleanRL."""

    normalize_rewards: bool = False
    """Divide rewards by the running deviation of their discounted sum (Engstrom et al. 2020,
    arXiv:2005.12729)."""

    checkpoint_interval: int = 100
    """Updates between checkpoints; the last is always saved."""

    exact_resume: bool = False
    """Begin new episodes at each checkpoint, so that a run that was killed and resumed is, weight
    for weight on the CPU, the run that was not. Episodes are cut off there, and bootstrapped."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """What the network computes in; its weights, the probabilities of actions and the losses stay
    float32."""

    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    """Mode of torch.compile for the network; reduce-overhead uses CUDA graphs."""

    storage: Literal["auto", "device", "cpu"] = "auto"
    """Where rollouts are kept; auto: on the device where half of its free memory holds them."""

    threads: int | None = 1
    """Threads that torch computes with on the CPU; None: its own choice, one a usable core."""

    def use_threads(self) -> None:
        """Have torch compute with `threads`."""
        # Torch counts the cores of the machine; those that this process may use can be fewer.
        torch.set_num_threads(self.threads or min(torch.get_num_threads(), usable_cores()))

    def check(self) -> None:
        """Refuse settings that cannot be, whatever the environment.

        Raises:
            SettingError: says which would.
        """
        self.check_values()
        choose_device(self.device)

    def check_values(self) -> None:
        """Do as `check`, but for the device: a run can be evaluated where its own is not.

        Raises:
            SettingError: says which would.
        """
        if not 0 <= self.seed <= MOST_SEED:
            raise SettingError(
                f"train.seed must be a whole number from 0 to {MOST_SEED}; got {self.seed}."
            )
        for name in (
            *("total_timesteps", "horizon", "minibatches", "update_epochs"),
            *("checkpoint_interval", "threads"),
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingError(f"train.{name} must be at least 1; got {value}.")
        for name in (
            *("learning_rate", "max_seconds", "max_gradient_norm"),
            *("value_clip", "target_kl"),
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SettingError(f"train.{name} must be above 0; got {value}.")
        for name in ("clip_coefficient", "value_coefficient", "entropy_coefficient"):
            if not getattr(self, name) >= 0:
                raise SettingError(f"train.{name} must be at least 0; got {getattr(self, name)}.")
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingError(
                    f"train.{name} must lie within [0, 1]; got {getattr(self, name)}."
                )

    def check_rows(self, rows: int, is_recurrent: bool, is_pool: bool) -> None:
        """Refuse settings that the rows of a rollout do not allow.

        Raises:
            SettingError: says which would.
        """
        pieces, what = (rows, "rows") if is_recurrent else (rows * self.horizon, "samples")
        if self.minibatches > pieces:
            raise SettingError(
                f"train.minibatches must be at most the {pieces} {what} of a rollout; got "
                f"{self.minibatches}. Use fewer, or more environments (vec.num_envs)."
            )
        if self.exact_resume and is_pool:
            raise SettingError(
                "train.exact_resume needs every environment in every batch; got a pool. Leave out "
                "vec.batch_size."
            )


def choose_device(name: str) -> torch.device:
    """Return the device meant by `name`; "auto" is the GPU if there is one.

    Raises:
        SettingError: there is no such device here; names those that there are.
    """
    # Drivers too old for this torch still count their GPUs.
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ["cpu", *(f"cuda:{index}" for index in range(gpus))]
    allowed = ["auto", *there, *(["cuda"] if gpus else [])]
    if name not in allowed:
        raise SettingError(f"train.device must be one of {', '.join(allowed)}; got {name!r}.")
    if name in ("auto", "cuda"):
        own = os.environ.get("LOCAL_RANK")  # one for each process that torchrun starts
        name = "cpu" if not gpus else "cuda" if own is None else f"cuda:{own}"
    return torch.device(name)
