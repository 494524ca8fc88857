"""Data-parallel training over the processes that `torchrun` starts.

Each process collects rollouts from its own environments. Gradients are summed over all of them, so
that each step is the one a single process with all the rows would take.
"""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")
_PATIENCE = timedelta(hours=6)  # the main process evaluates and saves while the others wait


class DistributedContext:
    """The processes that learn together; this one alone without torch.distributed.

    Attributes:
        rank: of this process, from 0.
        world_size: how many processes there are.
    """

    def __init__(self) -> None:
        is_used = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if is_used else 0
        self.world_size = dist.get_world_size() if is_used else 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def all_reduce_sum(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes; `tensor` itself if there is one."""
        if self.world_size > 1:
            tensor = tensor.clone()
            dist.all_reduce(tensor)
        return tensor

    def all_reduce_gradients(self, policy: nn.Module) -> None:
        """Replace each gradient by its sum over all processes, in one all-reduce."""
        if self.world_size == 1:
            return
        found = [weight.grad for weight in policy.parameters() if weight.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in found])
        dist.all_reduce(flat)
        for gradient, part in zip(found, flat.split([g.numel() for g in found]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def broadcast_weights(self, policy: nn.Module) -> None:
        """Give every process the weights and buffers of the main one."""
        if self.world_size > 1:
            for tensor in policy.state_dict().values():
                dist.broadcast(tensor, 0)

    def broadcast_text(self, text: str, device: torch.device) -> str:
        """Return the main process's `text`."""
        if self.world_size == 1:
            return text
        texts = [text]
        dist.broadcast_object_list(texts, 0, device=device)
        return texts[0]

    def gather(self, value: T) -> list[T]:
        """Return the `value`, which is pickled, of every process, in the order of their ranks."""
        if self.world_size == 1:
            return [value]
        values = [value] * self.world_size
        dist.all_gather_object(values, value)
        return values


@contextmanager
def distributed_context(device: torch.device) -> Iterator[DistributedContext]:
    """Join the process group if `torchrun` started this process; leave it at the end.

    Args:
        device: of this process; gradients travel by NCCL between GPUs, else by gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield DistributedContext()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Optimizers import it later, when it would keep the group alive, whose threads would outlive
    # Python: now and then one aborts the process as it exits.
    importlib.import_module("torch._dynamo")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield DistributedContext()
    finally:
        dist.destroy_process_group()
