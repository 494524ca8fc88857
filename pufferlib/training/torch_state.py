"""Torch's global settings, changed for as long as they are needed and then restored."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from pufferlib.annotations import StateDict
from pufferlib.cores import usable_cores


@contextlib.contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Compute with `threads` threads on the CPU in this block; None: one a usable core at most."""
    before = torch.get_num_threads()
    # Torch counts the cores of the machine; those that this process may use can be fewer.
    wanted = threads or min(before, usable_cores())
    if wanted != before:
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


class RandomStreams:
    """Random streams of torch's default generators that only this object's user draws from.

    Inside `active()` the default generators continue these streams; outside they are as the rest of
    the process left them.

    Args:
        seed: starts the streams, as `torch.manual_seed` does.
        device: whose generator is used besides the CPU's, if it is a GPU.
    """

    def __init__(self, seed: int, device: torch.device | None = None) -> None:
        self._device = device if device is not None and device.type == "cuda" else None
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Start both streams again from `seed`."""
        self._cpu = torch.Generator().manual_seed(seed).get_state()
        self._cuda: Tensor | None = None
        if self._device is not None:
            self._cuda = torch.Generator(self._device).manual_seed(seed).get_state()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Draw from these streams in this block."""
        others = self._swap(self._cpu, self._cuda)
        try:
            yield
        finally:
            self._cpu, self._cuda = self._swap(*others)

    def _swap(self, cpu: Tensor, cuda: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Set the states of the default generators; return those before."""
        before = torch.get_rng_state(), None
        torch.set_rng_state(cpu)
        if self._device is None or cuda is None:
            return before
        before_cuda = torch.cuda.get_rng_state(self._device)
        torch.cuda.set_rng_state(cuda, self._device)
        return before[0], before_cuda

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps."""
        return {"torch_generator": self._cpu, "cuda_generator": self._cuda}

    def load_state_dict(self, state: StateDict) -> None:
        """Continue the streams of `state_dict`; without a GPU there, that of the GPU as it is."""
        self._cpu = state["torch_generator"]
        if self._device is not None and state["cuda_generator"] is not None:
            self._cuda = state["cuda_generator"].cpu()
