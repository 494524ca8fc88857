"""Names of PufferLib 0.x and 1.0 that today's modules answer to, though they define others.

A module with such names ends with `__getattr__, __dir__ = names_of(__name__)`, hidden from type
checkers, so that new code which uses them is reported. docs/published-names.md says what to use
today; what is more than another name is in `pufferlib.published`.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

_ENV = "pufferlib.published.emulation"
_MODELS = "pufferlib.published.models"
_TORCH = "pufferlib.published.pytorch"

NAMES: dict[str, dict[str, str]] = {
    "pufferlib": {
        "dataclass": "pufferlib.published.namespace:dataclass",
        "namespace": "pufferlib.published.namespace:namespace",
    },
    "pufferlib.emulation": {
        "Binding": "pufferlib.published.binding:Binding",
        "GymPufferEnv": "pufferlib.emulation.single:GymnasiumPufferEnv",
        "dtype_from_space": f"{_ENV}:dtype_from_space",
        "emulate": f"{_ENV}:emulate",
        "emulate_action_space": f"{_ENV}:emulate_action_space",
        "emulate_copy": f"{_ENV}:emulate_copy",
        "emulate_observation_space": f"{_ENV}:emulate_observation_space",
        "nativize": f"{_ENV}:nativize",
        "unpack_batched_obs": f"{_TORCH}:unpack_batched_obs",
    },
    "pufferlib.frameworks.cleanrl": {
        "CleanRL": "pufferlib.frameworks.cleanrl:Policy",
    },
    "pufferlib.models": {
        "ConvSequence": f"{_MODELS}:ConvSequence",
        "Convolutional": f"{_MODELS}:Convolutional",
        "Policy": f"{_MODELS}:Policy",
        "ProcgenResnet": f"{_MODELS}:ProcgenResnet",
        "Recurrent": f"{_MODELS}:Recurrent",
        "RecurrentWrapper": f"{_MODELS}:Recurrent",
        "ResidualBlock": "pufferlib.policies.pixels:ResidualBlock",
    },
    "pufferlib.pytorch": {
        "NativeDType": f"{_TORCH}:NativeDType",
        "nativize_dtype": f"{_TORCH}:nativize_dtype",
        "nativize_tensor": f"{_TORCH}:nativize_tensor",
        "numpy_to_torch_dtype_dict": "pufferlib.pytorch:TORCH_DTYPES",
    },
    "pufferlib.spaces": {
        name: f"gymnasium.spaces:{name}"
        for name in ("Box", "Dict", "Discrete", "MultiBinary", "MultiDiscrete", "Tuple")
    },
    "pufferlib.wrappers": {
        "GymToGymnasium": "pufferlib.old_interfaces.gym:OldGymEnv",
        "PettingZooTruncatedWrapper": "pufferlib.old_interfaces.pettingzoo:OldParallelEnv",
    },
}
"""By module and published name, where the object is: module:attribute."""


def names_of(module: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return (`__getattr__`, `__dir__`) of `module`; an object of `NAMES` loads on first use."""

    def load(name: str) -> Any:
        if name not in NAMES[module]:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, attribute = NAMES[module][name].split(":")
        return getattr(import_module(place), attribute)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[module]), *NAMES[module]})

    return load, names
