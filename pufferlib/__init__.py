"""Make reinforcement-learning environments, models and learning libraries work together.

Importing this package loads neither torch nor any environment. Submodules load on first use:
`pufferlib.vector.make(...)` works after a bare `import pufferlib`, and so does
`pufferlib.load(run)`, which returns the policy of a run.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_SUBMODULES = (
    "action_conversion",
    "action_heads",
    "action_sampling",
    "agent_policies",
    "annotations",
    "arguments",
    "benchmark",
    "bounded_spaces",
    "central_critic",
    "config",
    "cores",
    "distributions",
    "emulation",
    "environment",
    "environments",
    "exceptions",
    "figures",
    "frameworks",
    "global_random",
    "installation",
    "locks",
    "matches",
    "models",
    "normalization",
    "old_interfaces",
    "policies",
    "policy",
    "postprocess",
    "ppo",
    "proc",
    "published",
    "published_names",
    "pytorch",
    "rating",
    "recurrent",
    "references",
    "registry",
    "runs",
    "selfplay",
    "spaces",
    "sweep",
    "testing",
    "training",
    "utils",
    "vector",
    "vectorization",
    "vtrace",
    "wrappers",
)
__all__ = ["PufferEnv", "__version__", "load", *_SUBMODULES]  # noqa: PLE0604  (names of submodules)


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"pufferlib.{name}")
    if name == "PufferEnv":
        return import_module("pufferlib.environment").PufferEnv
    if name == "load":
        return import_module("pufferlib.runs.loaded_policy").load
    return import_module("pufferlib.published_names").names_of(__name__)[0](name)


def __dir__() -> list[str]:
    names = import_module("pufferlib.published_names").names_of(__name__)[1]()
    return sorted({*names, *__all__})
