"""Processes that learn together, started by `torchrun`.

Each collects rollouts of its own environments; gradients are summed, so that the step taken is the
one that a single process with all of the rows would take.
"""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pufferlib.ppo.config import choose_device


class Peers:
    """Those that learn together, as one of them sees it; alone without torch.distributed.

    Attributes:
        rank: of this process, from 0.
        count: of all.
    """

    def __init__(self) -> None:
        is_used = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if is_used else 0
        self.count = dist.get_world_size() if is_used else 1

    @property
    def is_first(self) -> bool:
        """Whether it falls to this process to write and show."""
        return self.rank == 0

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.count > 1:
            tensor = tensor.clone()
            dist.all_reduce(tensor)
        return tensor

    def add_gradients(self, policy: nn.Module) -> None:
        """Make each gradient the sum over all processes, in one exchange."""
        if self.count == 1:
            return
        found = [weight.grad for weight in policy.parameters() if weight.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in found])
        dist.all_reduce(flat)
        for gradient, part in zip(found, flat.split([g.numel() for g in found]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def share_weights(self, policy: nn.Module) -> None:
        """Give every process the weights of the first."""
        if self.count > 1:
            for tensor in policy.state_dict().values():
                dist.broadcast(tensor, 0)


@contextmanager
def started_by_torchrun(device: str) -> Iterator[Peers]:
    """Join the other processes if `torchrun` started this one; leave them in the end.

    Args:
        device: the setting, "auto" for example; gradients travel by NCCL between GPUs.

    Raises:
        SettingError: there is no such device here.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Peers()
        return
    own = choose_device(device)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    # Imported later, as optimizers do, it would keep the group, whose threads would outlive Python:
    # now and then one aborts the process as it ends.
    importlib.import_module("torch._dynamo")
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield Peers()
    finally:
        dist.destroy_process_group()
