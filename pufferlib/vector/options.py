"""The options of every vectorizer, as one dataclass."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from pufferlib.annotations import Kwargs
from pufferlib.exceptions import ArgumentError, suggestion
from pufferlib.vector.arguments import (
    batch_envs,
    check_flag,
    check_start_method,
    check_timeout,
    check_zero_copy,
    worker_count,
)
from pufferlib.vector.autoreset import Autoreset, check_mode
from pufferlib.vector.restart import RestartRule


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """How environments are divided among workers, and how workers are started and replaced.

    `Serial` checks these options and ignores all but the size of a pool, so the same call works on
    each backend.

    >>> WorkerOptions(num_workers=2, batch_size=4).split(num_envs=8)
    (2, 4)
    """

    num_workers: int | Literal["auto"] | None = None
    """Worker processes, or actors of Ray; must divide `num_envs`. None or "auto": the largest
    divisor of `num_envs` for which each worker has a core (Ray: a place on the cluster)."""

    batch_size: int | Literal["auto"] | None = None
    """Environments in a batch; a multiple of `num_envs / num_workers`. With fewer than `num_envs`
    the vectorizer is a pool: `recv` returns as soon as enough workers are done, while the others
    continue. None: all environments, no pool. "auto": those of about half the workers; Serial
    then has no pool. In Serial the environments of a pool take turns."""

    zero_copy: bool = True
    """Return views of rows that lie together, so a batch of a pool is always the same neighboring
    workers. False: whichever workers are ready, always copied. Ray copies rows once either way, as
    they arrive."""

    start_method: Literal["fork", "forkserver", "spawn"] | None = None
    """How processes are started. None: fork on Linux, else spawn; but forkserver, with a warning,
    if the calling process runs Java, CUDA of torch, Ray or numba's OpenMP, which do not survive a
    fork. This is checked again for each replacement. No effect on Ray."""

    timeout_s: float | None = None
    """Seconds that a worker may take to make its environments, to reset them or to step them; with
    Ray, to get a place on the cluster too. None: no limit."""

    caller_steps: bool = False
    """Let the calling process be the last of the `num_workers`: it steps its environments in
    `recv`. This takes one process less, and is faster if the caller would only wait. Its
    environments live in the calling process: a crash in one is a crash of the caller, and
    `timeout_s` and `on_failure` do not apply to them. Not for a pool. No effect on Ray."""

    on_failure: Literal["raise", "restart"] = "raise"
    """What to do if an environment raises in a reset or a step, or a worker dies, is lost with its
    node or exceeds `timeout_s`. "raise": raise a `WorkerError` and close everything. "restart":
    replace the worker by a new one with new environments. In the batch that reports it, `lost` is
    True in the worker's rows: reward 0, `terminals` False, `truncations` True, `masks` False, and
    the observation last returned as the final one. The batch after that has the first observations
    of new episodes. An info of the worker's first environment is {"restarted": reason, "worker":
    its index}. A failure in `call`, `get_attr`, `has_attr`, `set_attr` or `render` replaces no
    worker: see `VectorEnv`."""

    max_restarts: int | None = 10
    """Replace this many workers in total, then raise the next failure. None: no limit."""

    @classmethod
    def from_keywords(cls, backend: str, keywords: Mapping[str, Any]) -> Self:
        """Return the options that are given as keyword arguments of a backend, checked.

        Args:
            backend: name of its class, for the error.
            keywords: values by field.

        Raises:
            ArgumentError: an unknown name, or a value that is not allowed.
        """
        known = ("env_creators", "env_args", "env_kwargs", "num_envs", *cls.names())
        check_names(backend, keywords, cls.names(), known)
        options = cls(**keywords)
        options.check()
        return options

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the fields."""
        return tuple(field.name for field in fields(cls))

    def keywords(self) -> Kwargs:
        """Return the options of `VectorOptions` that differ from their defaults, by name."""
        given = {name: getattr(self, name) for name in _DEFAULTS if hasattr(self, name)}
        return {name: value for name, value in given.items() if value != _DEFAULTS[name]}

    def check(self) -> None:
        """Refuse values that no number of environments would allow.

        Raises:
            ArgumentError: says which values are allowed.
        """
        check_flag("zero_copy", self.zero_copy)
        check_flag("caller_steps", self.caller_steps)
        check_start_method(self.start_method)
        check_timeout(self.timeout_s)
        self.restart_rule()

    def restart_rule(self) -> RestartRule:
        """Return a new rule with `on_failure` and `max_restarts`."""
        return RestartRule(self.on_failure, self.max_restarts)

    def split(self, num_envs: int, most_workers: int | None = None) -> tuple[int, int]:
        """Return (workers, environments in a batch) for `num_envs` environments.

        Args:
            num_envs: how many environments.
            most_workers: that None and "auto" may take; None: one for each usable core.

        Raises:
            ArgumentError: the environments, workers and batches do not divide evenly; says which
                numbers would.
        """
        num_workers = worker_count(num_envs, self.num_workers, most_workers)
        batch_size = batch_envs(num_envs, num_workers, self.batch_size)
        check_zero_copy(self.zero_copy, num_envs, num_workers, batch_size)
        return num_workers, batch_size


@dataclass(frozen=True, kw_only=True)
class VectorOptions(WorkerOptions):
    """The options of every vectorizer: keyword arguments of every backend and of `make`.

    >>> VectorOptions(autoreset="next_step").keywords()
    {'autoreset': 'next_step'}
    """

    autoreset: Autoreset = "same_step"
    """When an environment whose episode is over starts the next one, as Gymnasium's AutoresetMode:
    "same_step": in the step that ends it, as training with PufferLib and Stable-Baselines3 needs.
    "next_step": in the step after it, which ignores the action; RLlib needs it. "disabled": in
    `reset` with options={"reset_mask": mask}. See docs/vectorization-autoreset.md."""

    def check(self) -> None:
        """Refuse values that no number of environments would allow.

        Raises:
            ArgumentError: says which values are allowed.
        """
        super().check()
        check_mode(self.autoreset)


_DEFAULTS = {field.name: field.default for field in fields(VectorOptions)}


def check_names(
    backend: str, given: Iterable[str], allowed: Iterable[str], known: Iterable[str]
) -> None:
    """Refuse a keyword argument that a backend does not have.

    Args:
        backend: name of its class.
        given: names of keyword arguments.
        allowed: the names that may be among them.
        known: these and the names of arguments that are given otherwise, to suggest from.

    Raises:
        ArgumentError: names the arguments that there are.
    """
    allowed, known = set(allowed), list(known)
    for name in given:
        if name not in allowed:
            raise ArgumentError(
                f"{backend} takes no argument {name!r}.{suggestion(name, known)} "
                f"Arguments: {', '.join(known)}."
            )
