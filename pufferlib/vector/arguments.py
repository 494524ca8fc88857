"""Check the arguments of a backend before any process starts."""

import multiprocessing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pufferlib.annotations import EnvCreator, Kwargs, Options, UserEnv
from pufferlib.arguments import as_whole, whole_number
from pufferlib.cores import usable_cores
from pufferlib.emulation.creation import creator_arguments
from pufferlib.exceptions import ArgumentError

EnvCreators = EnvCreator | Sequence[EnvCreator]
"""One creator for all environments, or a list of one for each."""

EnvArgs = Sequence[object] | None
"""Positional arguments of the creator; with a list of creators, a list for each."""

EnvKwargs = Mapping[str, object] | Sequence[Mapping[str, object]] | None
"""Keyword arguments likewise."""

Seed = int | Sequence[int | None] | None
"""The seed of environment 0, from which the others count; a list of one for each; or none."""

Indices = int | Sequence[int] | None
"""Which environments a call is for, in this order; None: all of them."""


@dataclass(frozen=True)
class Creation:
    """How to make one environment."""

    creator: EnvCreator
    args: tuple[object, ...]
    kwargs: Kwargs

    def make(self) -> UserEnv:
        """Return a new environment."""
        return self.creator(*self.args, **self.kwargs)


def creations(
    env_creators: EnvCreators, env_args: EnvArgs, env_kwargs: EnvKwargs, num_envs: int
) -> tuple[Creation, ...]:
    """Return how to make each of `num_envs` environments.

    Raises:
        ArgumentError: a creator that is not callable, or lists of another length.
    """
    if isinstance(env_creators, Sequence) and not isinstance(env_creators, str):
        creators = list(env_creators)
        args = _entry_each("env_args", env_args, num_envs)
        kwargs = _entry_each("env_kwargs", env_kwargs, num_envs)
        if len(creators) != num_envs:
            raise ArgumentError(
                f"env_creators has {len(creators)} entries for num_envs={num_envs}. Give one "
                f"creator per environment, or a single creator for all."
            )
    else:
        if isinstance(env_kwargs, Sequence) and not isinstance(env_kwargs, str):
            raise ArgumentError(
                f"env_kwargs is a list of {len(env_kwargs)}, but there is one env_creator. Give a "
                f"dict for all environments, or a list of {num_envs} creators."
            )
        creators = [env_creators] * num_envs
        args, kwargs = [env_args] * num_envs, [env_kwargs] * num_envs
    for creator in creators:
        if not callable(creator):
            raise ArgumentError(
                f"env_creator must be a function or class that makes an environment, got an "
                f"instance of {type(creator).__name__}. Each worker makes its own environments: "
                f"pass a function that returns one."
            )
    return tuple(
        Creation(creator, *creator_arguments(own_args, own_kwargs))
        for creator, own_args, own_kwargs in zip(creators, args, kwargs, strict=True)
    )


def worker_count(num_envs: int, num_workers: int | str | None, most: int | None = None) -> int:
    """Return `num_workers`; for None and "auto" the largest divisor of `num_envs` up to `most`.

    Args:
        num_envs: how many environments.
        num_workers: as the caller gave it.
        most: None: one for each usable core of this machine.

    Raises:
        ArgumentError: not a divisor of `num_envs`.
    """
    if num_workers is None or num_workers == "auto":
        most = usable_cores() if most is None else most
        return max(n for n in range(1, min(most, num_envs) + 1) if num_envs % n == 0)
    num_workers = whole_number("num_workers", num_workers)
    if num_envs % num_workers:
        _raise_not_a_multiple("num_envs", num_envs, "num_workers", num_workers)
    return num_workers


def batch_envs(num_envs: int, num_workers: int, batch_size: int | str | None) -> int:
    """Return how many environments a batch holds: all for None, about half for "auto".

    Raises:
        ArgumentError: more than `num_envs`, or not a multiple of the environments of one worker.
    """
    if batch_size is None:
        return num_envs
    envs_per_worker = num_envs // num_workers
    if batch_size == "auto":
        half = max(1, num_workers // 2)
        return max(n for n in range(1, half + 1) if num_workers % n == 0) * envs_per_worker
    batch_size = whole_number("batch_size", batch_size)
    if batch_size > num_envs:
        raise ArgumentError(
            f"batch_size must be at most num_envs; got batch_size={batch_size}, "
            f"num_envs={num_envs}. Use batch_size={num_envs} to step all at once."
        )
    if batch_size % envs_per_worker:
        _raise_not_a_multiple(
            "batch_size", batch_size, "the environments of one worker", envs_per_worker
        )
    return batch_size


def check_zero_copy(zero_copy: bool, num_envs: int, num_workers: int, batch_size: int) -> None:
    """Refuse `zero_copy` for batches that cannot always be the same neighboring workers."""
    check_flag("zero_copy", zero_copy)
    workers_per_batch = batch_size * num_workers // num_envs
    if zero_copy and num_workers % workers_per_batch:
        raise ArgumentError(
            f"zero_copy needs batches that split the workers evenly; got "
            f"num_workers={num_workers}, of which batch_size={batch_size} takes "
            f"{workers_per_batch}. Use a batch_size that divides num_envs={num_envs}, or "
            f"zero_copy=False."
        )


def refuse_in_pool(command: str, batch_size: int, num_envs: int) -> None:
    """Refuse a call that reaches all environments, of which a pool is always stepping some."""
    if batch_size < num_envs:
        raise ArgumentError(
            f"{command} reaches all environments, but in a pool (batch_size={batch_size} of "
            f"num_envs={num_envs}) some are always stepping. Use batch_size=None."
        )


def check_flag(name: str, value: bool) -> None:
    """Refuse anything but a bool: the string "no" would count as True."""
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"{name} must be True or False; got {value!r}.")


def check_start_method(start_method: str | None) -> None:
    """Refuse a start method that this system does not have."""
    allowed = multiprocessing.get_all_start_methods()
    if start_method is not None and start_method not in allowed:
        raise ArgumentError(
            f"start_method must be one of {', '.join(allowed)}; got {start_method!r}."
        )


def check_timeout(timeout_s: float | None) -> None:
    """Refuse a timeout that is not a positive number of seconds or None."""
    if timeout_s is None:
        return
    if not isinstance(timeout_s, (int, float, np.number)) or not timeout_s > 0:
        raise ArgumentError(
            f"timeout_s must be above 0 seconds, or None for no limit; got {timeout_s!r}."
        )


def env_indices(indices: Any, num_envs: int) -> list[int]:
    """Return the environments that a call is for; negative indices count from the end.

    >>> env_indices(None, num_envs=3)
    [0, 1, 2]
    >>> env_indices([2, -3], num_envs=3)
    [2, 0]

    Raises:
        ArgumentError: neither None, nor an index, nor a list of indices.
    """
    if indices is None:
        return list(range(num_envs))
    is_list = isinstance(indices, list | tuple | range)
    is_array = isinstance(indices, np.ndarray) and indices.ndim > 0
    wholes = [as_whole(each) for each in (indices if is_list or is_array else [indices])]
    if not all(each is not None and -num_envs <= each < num_envs for each in wholes):
        raise ArgumentError(
            f"indices must be None, the index of an environment from 0 to {num_envs - 1}, or a "
            f"list of these; got {indices!r}. For an argument `indices` of the environments' own "
            f"method, pass it by position."
        )
    return [each % num_envs for each in wholes if each is not None]


def one_value_each(name: str, values: object, num_envs: int) -> list[Any]:
    """Return a list with a value for each environment: `values`, or `num_envs` copies of it."""
    if not isinstance(values, (list, tuple)):
        return [values] * num_envs
    if len(values) != num_envs:
        raise ArgumentError(
            f"{name} has {len(values)} values for {num_envs} environments. Give one value per "
            f"environment or, to give the whole list to each, [{values!r}] * {num_envs}."
        )
    return list(values)


def seed_each(seed: Any, num_envs: int, num_seeds: int | None = None) -> list[int | None]:
    """Return the seed of each environment: `seed + i`, or the entries of a list.

    Where environments use several seeds each, `num_seeds` in all, their first ones.

    >>> seed_each(7, num_envs=3)
    [7, 8, 9]
    >>> seed_each(7, num_envs=3, num_seeds=12)
    [7, 11, 15]
    >>> seed_each([4, None, 4], num_envs=3)
    [4, None, 4]

    Raises:
        ArgumentError: neither a whole number from 0, nor None, nor a list of `num_envs` of these.
    """
    is_array = isinstance(seed, np.ndarray) and seed.ndim > 0
    if not is_array and not isinstance(seed, list | tuple | range):
        first = _whole_seed(seed, seed)
        step = 1 if num_seeds is None else num_seeds // num_envs
        return [None if first is None else first + i * step for i in range(num_envs)]
    if len(seed) != num_envs:
        raise ArgumentError(
            f"seed has {len(seed)} values for num_envs={num_envs}. Give one per environment, each "
            f"a whole number or None, or one whole number s: environment i gets s + i."
        )
    return [_whole_seed(each, seed) for each in seed]


def _whole_seed(seed: object, given: object) -> int | None:
    if seed is None:
        return None
    whole = as_whole(seed)
    if whole is None or whole < 0:
        raise ArgumentError(
            f"seed must be a whole number of at least 0, None, or a list of one of these for each "
            f"environment; got {given!r}. With a number s, environment i gets s + i."
        )
    return whole


def check_options(options: object, takes_options: bool) -> Options | None:
    """Return the options of a reset as a dict, or None if there are none to pass.

    Args:
        options: as the caller gave them.
        takes_options: the environments' `reset` takes them.

    Raises:
        ArgumentError: not a dict, or one for environments that take none.
    """
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise ArgumentError(
            f"options must be a dict or None, got {type(options).__name__}. It is passed to the "
            f"reset of every environment."
        )
    if not takes_options:
        if options:
            raise ArgumentError(
                f"reset of a native PufferEnv takes a seed only; got options={dict(options)!r}. "
                f"Pass them to the creator as env_kwargs, or give its reset an argument `options`."
            )
        return None
    return dict(options)


def _entry_each(name: str, values: object, num_envs: int) -> list[Any]:
    """Return a list with an entry for each creator: `values`, or `num_envs` times None."""
    if values is None:
        return [None] * num_envs
    if isinstance(values, Mapping) or not isinstance(values, Sequence):
        raise ArgumentError(
            f"{name} must be a list with an entry for each of the {num_envs} creators, got "
            f"{type(values).__name__}."
        )
    if len(values) != num_envs:
        raise ArgumentError(
            f"{name} has {len(values)} entries for num_envs={num_envs}. Give one per environment."
        )
    return list(values)


def _raise_not_a_multiple(what: str, given: int, of: str, divisor: int) -> None:
    below = given - given % divisor
    nearest = [str(n) for n in (below, below + divisor) if n > 0]
    advice = f"Use {what}={' or '.join(nearest)}"
    if of == "num_workers":
        divisors = [n for n in range(1, given + 1) if given % n == 0]
        divisors.sort(key=lambda n: (abs(n - divisor), n))
        advice = f"Use num_workers={' or '.join(map(str, sorted(divisors[:2])))}, or {advice[4:]}"
    raise ArgumentError(
        f"{what} must be a multiple of {of}; got {what}={given}, {of}={divisor}. {advice}."
    )
