"""The policy of a run as a function from tensors to tensors, to be written by `export`."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.overrides import TorchFunctionMode

from pufferlib.annotations import Array
from pufferlib.emulation import Layout
from pufferlib.exceptions import ArgumentError
from pufferlib.normalization import NormalizedObservations
from pufferlib.policy import State, is_recurrent, map_state
from pufferlib.pytorch import Heads
from pufferlib.spaces import value_at


class Value(NamedTuple):
    """One input or output of an exported model; `shape` is without the dimension of rows."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class ExportedModel(nn.Module):
    """A policy as a function from tensors to tensors, without nesting.

    Args:
        network: a `Policy` or a `RecurrentPolicy`, on the CPU.
        layout: `observation_layout` of its environment.

    Attributes:
        input_names: the parts of an observation, then of the state.
        output_names: the parameters of the actions, the value, then the parts of the next state.

    Raises:
        ArgumentError: its actions are of another kind than logits or Normals.
    """

    def __init__(self, network: nn.Module, layout: Layout) -> None:
        super().__init__()
        self.network, self.layout = network, layout
        self.normalizer, self.inner = _split(network) if layout.is_bytes else (None, network)
        self._states: State | None = None
        self.batch_dim = 0
        names: list[str] = []
        if is_recurrent(network):
            module: Any = network
            self._states, self.batch_dim = module.initial_state(1), int(module.state_batch_dim)
            names = [f"state_{index}" for index in range(len(_tensors(self._states)))]
        self.parts = [
            ".".join(map(str, field.leaf.path)) or "observation" for field in layout.fields
        ]
        self.input_names = self.parts + names
        with torch.no_grad():
            heads, _, _ = self.run(*self.example(1))
        found = [name for name, _ in _named(heads, network)]
        after = [f"next_{name}" for name in names]
        self.output_names = [*found, "value", *after]
        self.state_names = {*names, *after}

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.flat(*self.run(*inputs))

    def flat(self, heads: Heads, value: Tensor, state: State | None) -> tuple[Tensor, ...]:
        """Return what the policy returns as tensors, in the order of `output_names`."""
        parameters = [tensor for _, tensor in _named(heads, self.network)]
        return (*parameters, value, *([] if state is None else _tensors(state)))

    def run(self, *inputs: Tensor) -> tuple[Heads, Tensor, State | None]:
        """Return (heads, value (B,), state) for the parts of observations, then of the state."""
        parts = inputs[: len(self.parts)]
        flat = [part.reshape(part.shape[0], -1) for part in parts]
        if not self.layout.is_bytes:
            shape = self.layout.space.shape
            rows = torch.cat(flat, 1).reshape(parts[0].shape[0], *shape)
            return self._call(self.network, rows, inputs)
        # Bytes cannot be viewed as another dtype in ONNX. The parts, normalized if the policy
        # normalizes them, take the place of the views.
        if self.normalizer is not None:
            flat = self.normalizer.normalize_parts(flat)
        rows = torch.zeros(parts[0].shape[0], *self.layout.space.shape, dtype=torch.uint8)
        places = {(f.start, f.stop): p for f, p in zip(self.layout.fields, flat, strict=True)}
        with _Parts(rows, places):
            return self._call(self.inner, rows, inputs)

    def call(self, rows: Tensor, inputs: Sequence[Tensor]) -> tuple[Heads, Tensor, State | None]:
        """Return what the policy returns for flat rows, with the state that is in `inputs`."""
        return self._call(self.network, rows, inputs)

    def _call(
        self, network: nn.Module, rows: Tensor, inputs: Sequence[Tensor]
    ) -> tuple[Heads, Tensor, State | None]:
        if self._states is None:
            heads, value = network(rows)
            return heads, value.squeeze(-1), None
        given = iter(inputs[len(self.parts) :])
        state = map_state(lambda _: next(given), self._states)
        heads, value, state = network(rows, state, None)
        return heads, value.squeeze(-1), state

    def example(self, rows: int) -> tuple[Tensor, ...]:
        """Return random inputs: observations of the space, and a state of normal numbers."""
        nested = self.layout.unflatten(self.rows(rows))
        found = [value_at(nested, field.leaf.path) for field in self.layout.fields]
        leaves = [torch.from_numpy(np.ascontiguousarray(leaf)) for leaf in found]
        if self._states is None:
            return tuple(leaves)
        generator = torch.Generator().manual_seed(rows)
        states = []
        for part in _tensors(self._states):
            shape = list(part.shape)
            shape[self.batch_dim] = rows
            states.append(0.5 * torch.randn(shape, generator=generator, dtype=part.dtype))
        return (*leaves, *states)

    def rows(self, count: int) -> Array:
        """Return flat rows (count, ...) of random observations."""
        space = copy.deepcopy(self.layout.structure)  # without leaves that vary in size
        space.seed(count)
        inner = Layout.of(space)
        return np.stack([inner.flatten(space.sample()) for _ in range(count)])

    def described(self, names: Sequence[str], tensors: Sequence[Tensor]) -> list[Value]:
        """Return names, dtypes and shapes of inputs or outputs."""
        found = []
        for name, tensor in zip(names, tensors, strict=True):
            shape = list(tensor.shape)
            del shape[self.rows_dim(name)]
            found.append(Value(name, str(tensor.dtype).removeprefix("torch."), tuple(shape)))
        return found

    def rows_dim(self, name: str) -> int:
        """Return the dimension of an input or output that counts rows."""
        return self.batch_dim if name in self.state_names else 0


class _Parts(TorchFunctionMode):
    """Give the parts of rows of bytes where a policy slices the rows and views the slices."""

    def __init__(self, rows: Tensor, parts: dict[tuple[int, int], Tensor]) -> None:
        super().__init__()
        self._rows, self._parts = rows, parts

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__getitem__ and args[0] is self._rows:
            index = args[1][-1] if isinstance(args[1], tuple) else None
            if isinstance(index, slice) and (index.start, index.stop) in self._parts:
                return self._parts[index.start, index.stop]
        is_view = func is Tensor.view and len(args) == 2 and isinstance(args[1], torch.dtype)
        if is_view and args[0].dtype == args[1]:
            return args[0]
        return func(*args, **(kwargs or {}))


def _split(network: nn.Module) -> tuple[NormalizedObservations | None, nn.Module]:
    """Return what normalizes the observations of a policy, and a policy without it.

    The second shares its weights with `network`.
    """
    modules = network.named_modules()
    found = next(((n, m) for n, m in modules if isinstance(m, NormalizedObservations)), None)
    if found is None:
        return None, network
    name, normalizer = found
    if not name:
        return normalizer, normalizer.policy
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    inner: Any = copy.deepcopy(network, shared)
    inner.set_submodule(name, inner.get_submodule(name).policy)
    return normalizer, inner


def _tensors(state: State) -> list[Tensor]:
    """Return the tensors of a state in the order in which `map_state` visits them."""
    found: list[Tensor] = []

    def keep(part: Tensor) -> Tensor:
        found.append(part)
        return part

    map_state(keep, state)
    return found


def _named(heads: Heads, policy: nn.Module) -> list[tuple[str, Tensor]]:
    """Return "logits", or "mean" and "std", of each head; numbered if there are several.

    Raises:
        ArgumentError: a head of another kind.
    """
    found: list[Any] = [*heads] if isinstance(heads, Sequence) else [heads]
    named: list[tuple[str, Tensor]] = []
    for index, head in enumerate(found):
        if isinstance(head, Tensor):
            parameters = {"logits": head}
        elif isinstance(head, Normal):
            parameters = {"mean": head.loc, "std": head.scale}
        else:
            raise ArgumentError(
                f"{type(policy).__name__} cannot be exported: its actions are of a "
                f"{type(head).__name__}, and only logits and Normals can be. Use pufferlib.load."
            )
        number = f"_{index}" if len(found) > 1 else ""
        named += [(f"{name}{number}", tensor) for name, tensor in parameters.items()]
    return named
