"""Step many environments at once, in this process or in several, through one interface.

    envs = pufferlib.vector.make(make_env, backend=pufferlib.vector.Multiprocessing, num_envs=64)
    observations, infos = envs.reset(seed=0)
    observations, rewards, terminals, truncations, infos = envs.step(actions)

`arguments` checks what the caller gave, `block` steps the environments of one worker. `serial`,
`multiprocess` and `ray_backend` are the backends; the last two are a `parallel` over workers, which
they keep a `ledger` of. `workers` starts and watches processes, `worker` is what runs in one,
`memory` is what they share; `ray_workers` and `ray_actor` are the same for Ray, and `ray_cluster`
is what they run on. `batch` is what `recv` returns. `tuning` finds out which arguments are fastest,
out of those that `settings` deems worth a trial.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pufferlib.cores import usable_cores
from pufferlib.exceptions import ArgumentError, UnknownNameError, suggestion
from pufferlib.vector.batch import Batch, Infos
from pufferlib.vector.gymnasium_env import to_gymnasium
from pufferlib.vector.interface import VectorEnv
from pufferlib.vector.multiprocess import Multiprocessing
from pufferlib.vector.ray_backend import Ray
from pufferlib.vector.serial import Serial
from pufferlib.vector.tuning import Tuning, autotune

__all__ = [
    "Batch",
    "Infos",
    "Multiprocessing",
    "Ray",
    "Serial",
    "Tuning",
    "VectorEnv",
    "autotune",
    "make",
    "to_gymnasium",
    "usable_cores",
]

BACKENDS: dict[str, type[VectorEnv]] = {
    "Serial": Serial,
    "Multiprocessing": Multiprocessing,
    "Ray": Ray,
}


def make(
    env_creator_or_creators: Callable[..., Any] | Sequence[Callable[..., Any]],
    env_args: Sequence[Any] | None = None,
    env_kwargs: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    backend: type[VectorEnv] | str = Serial,
    num_envs: int = 1,
    **kwargs: Any,
) -> VectorEnv:
    """Return `num_envs` environments behind one interface.

    Every argument is checked here, before any process starts.

    Args:
        env_creator_or_creators: a function or class that returns an environment, or `num_envs` of
            them. What it returns may be a PufferEnv, or any Gymnasium or PettingZoo environment,
            wrapped by `pufferlib.emulation` or not.
        env_args: positional arguments for the creator; with a list of creators, a list for each.
        env_kwargs: keyword arguments likewise.
        backend: `Serial`, `Multiprocessing`, `Ray`, or the name of one.
        num_envs: how many environments.
        **kwargs: the backend's own arguments: `num_workers`, `batch_size`, `zero_copy`,
            `start_method`, `timeout_s`; Serial takes them too, to no effect. `num_cpus` and
            `ray_options` are Ray's alone.

    Raises:
        ArgumentError: an argument that cannot be; says which would.
        WorkerError: an environment could not be made.
    """
    if isinstance(backend, str):
        if backend not in BACKENDS:
            raise UnknownNameError(
                f"There is no backend {backend!r}.{suggestion(backend, BACKENDS)} "
                f"Backends: {', '.join(BACKENDS)}."
            )
        backend = BACKENDS[backend]
    if not isinstance(backend, type):
        raise ArgumentError(
            f"backend must be a class such as pufferlib.vector.Serial, got an instance of "
            f"{type(backend).__name__}. Leave out the parentheses."
        )
    if not all(hasattr(backend, method) for method in ("async_reset", "send", "recv", "close")):
        raise ArgumentError(f"{backend.__name__} is no backend. Backends: {', '.join(BACKENDS)}.")
    _check_options(backend, kwargs)
    return backend(env_creator_or_creators, env_args, env_kwargs, num_envs, **kwargs)


def _check_options(backend: type[VectorEnv], kwargs: Mapping[str, Any]) -> None:
    """Refuse an argument that neither `make` nor the backend has a name for."""
    parameters = inspect.signature(backend).parameters.values()
    if any(each.kind == each.VAR_KEYWORD for each in parameters):
        return  # it checks them itself
    own = list(inspect.signature(make).parameters)[:-1]
    positional = [each.name for each in parameters if each.kind == each.POSITIONAL_OR_KEYWORD]
    given = positional[: len(own) - 1]  # all but the backend
    allowed = [each.name for each in parameters if each.name not in given]
    known = [*own, *allowed]
    for name in kwargs:
        if name not in allowed:
            raise ArgumentError(
                f"{backend.__name__} takes no argument {name!r}.{suggestion(name, known)} "
                f"Arguments: {', '.join(known)}."
            )
