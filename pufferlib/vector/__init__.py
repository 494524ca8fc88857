"""Step many environments at once, in this process or in several, through one interface.

    envs = pufferlib.vector.make(make_env, backend=pufferlib.vector.Multiprocessing, num_envs=64)
    observations, infos = envs.reset(seed=0)
    observations, rewards, terminals, truncations, infos = envs.step(actions)

The backends are `serial`, `processes` (Multiprocessing) and `ray`. `interface` is what they have in
common, `options` are their keyword arguments, and `batch` is what `recv` returns. `arguments`
checks the arguments of the caller, and `block` steps the environments of one worker. A backend with
workers is a `parallel` over a `worker_group`, with a `worker_tracker`; `restart` decides whether a
worker is replaced, `pickling` carries creators to a worker, and `failure` its exception back.
`autoreset` has the modes in which episodes follow each other, and `held_back` those of native
environments. `serial_pool` is the pool of `serial`. `gymnasium_env` wraps a vectorizer for
Gymnasium, and raises the errors of `gymnasium_errors`. `tuning` measures which options are fastest
on this machine.
"""

import inspect
from typing import Any

from pufferlib.cores import usable_cores
from pufferlib.exceptions import ArgumentError, UnknownNameError, suggestion
from pufferlib.vector.arguments import EnvArgs, EnvCreators, EnvKwargs
from pufferlib.vector.autoreset import Autoreset, check_autoreset
from pufferlib.vector.batch import Batch, Infos
from pufferlib.vector.gymnasium_env import to_gymnasium
from pufferlib.vector.interface import VectorEnv
from pufferlib.vector.options import VectorOptions, check_names
from pufferlib.vector.processes.backend import Multiprocessing
from pufferlib.vector.ray.backend import Ray, RayOptions
from pufferlib.vector.serial import Serial
from pufferlib.vector.tuning.autotune import Tuning, autotune

__all__ = [
    "Autoreset",
    "Batch",
    "Infos",
    "Multiprocessing",
    "Ray",
    "RayOptions",
    "Serial",
    "Tuning",
    "VectorEnv",
    "VectorOptions",
    "autotune",
    "check_autoreset",
    "make",
    "to_gymnasium",
    "usable_cores",
]

BACKENDS: dict[str, type[VectorEnv]] = {
    "Serial": Serial,
    "Multiprocessing": Multiprocessing,
    "Ray": Ray,
}
_OPTIONS: dict[type[VectorEnv], type[VectorOptions]] = {
    Serial: VectorOptions,
    Multiprocessing: VectorOptions,
    Ray: RayOptions,
}


def make(
    env_creator_or_creators: EnvCreators,
    env_args: EnvArgs = None,
    env_kwargs: EnvKwargs = None,
    backend: type[VectorEnv] | str = Serial,
    num_envs: int = 1,
    **options: Any,
) -> VectorEnv:
    """Return `num_envs` environments behind one interface.

    Every argument is checked here, before any process starts.

    Args:
        env_creator_or_creators: a function or class that returns an environment, or a list of
            `num_envs` of them. The environment may be a PufferEnv, or any Gymnasium or PettingZoo
            environment, wrapped by `pufferlib.emulation` or not.
        env_args: positional arguments for the creator; with a list of creators, a list for each.
        env_kwargs: keyword arguments likewise.
        backend: `Serial`, `Multiprocessing`, `Ray`, or the name of one.
        num_envs: how many environments.
        **options: the backend's options, as keyword arguments: those of `VectorOptions`, such as
            `num_workers`, `batch_size` and `zero_copy`; for Ray those of `RayOptions`.

    Raises:
        ArgumentError: an argument that is not allowed; says which values are.
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
            f"{type(backend).__name__}. Pass the class itself."
        )
    if not all(hasattr(backend, method) for method in ("async_reset", "send", "recv", "close")):
        raise ArgumentError(
            f"{backend.__name__} is not a backend. Backends: {', '.join(BACKENDS)}."
        )
    allowed = _option_names(backend)
    if allowed is not None:
        own = list(inspect.signature(make).parameters)[:-1]
        check_names(backend.__name__, options, allowed, [*own, *allowed])
    return backend(env_creator_or_creators, env_args, env_kwargs, num_envs, **options)


def _option_names(backend: type[VectorEnv]) -> list[str] | None:
    """Return the keyword arguments of a backend beyond those of `make`.

    None for a user's backend with a `**` parameter, which must check its keywords itself.
    """
    if backend in _OPTIONS:
        return list(_OPTIONS[backend].names())
    parameters = list(inspect.signature(backend).parameters.values())
    if any(each.kind == each.VAR_KEYWORD for each in parameters):
        return None
    # `make` passes the first four by position: creators, args, kwargs and num_envs.
    positional = [each.name for each in parameters if each.kind == each.POSITIONAL_OR_KEYWORD]
    return [each.name for each in parameters if each.name not in positional[:4]]
