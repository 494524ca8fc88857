"""Smoke-test an environment on this machine: contract, vectorized steps, policy."""

import concurrent.futures
import contextlib
import dataclasses
import gc
import hashlib
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import packages_distributions, version
from typing import Any

import numpy as np
import torch
from rich.console import Console

from pufferlib.annotations import Space
from pufferlib.exceptions import ContractError, OldInterfaceWarning
from pufferlib.models import LSTMWrapper
from pufferlib.policy import is_recurrent
from pufferlib.pytorch import action_converter, sample_actions
from pufferlib.registry import Family
from pufferlib.runs.policy import make_policy
from pufferlib.runs.policy_check import check_policy
from pufferlib.runs.run import Run
from pufferlib.testing import check_env, check_vector
from pufferlib.testing.resources import ResourceSnapshot
from pufferlib.vector import Batch, VectorEnv, make

_STEPS = 1_000
_WORKERS = 2
_SPAWNED_STEPS = 200  # a fresh interpreter plays the same, or differs soon
_GAMES = 2  # of a native environment
_TIMEOUT_S = 300.0  # of a worker, for one order


def smoke_test(run: Run, console: Console) -> dict[str, str]:
    """Test the environment and the policy of a run; return the cells of a row of a table.

    Prints each check as it passes. If the environment has a native form, one environment that steps
    many games, that form is tested too.

    Raises:
        ContractError: a check failed.
        UnknownNameError, NotInstalledError, ArgumentError, SettingError: the environment or the
            policy cannot be made; before any process starts.
    """
    source, family = run.source, run.source.family
    source.check(run.given_kwargs)
    run.check_policy()
    console.print(f"[bold]{source.name}", soft_wrap=True)
    agents, steps_per_second = _Test(run, console).run()
    if source.takes("num_envs") and "num_envs" not in run.given_kwargs:
        console.print(f"[bold]{source.name}[/bold], {_GAMES} games as one", soft_wrap=True)
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, spawn) as pool:
            try:
                pool.submit(_test_native, run).result()
            except BrokenProcessPool as error:
                raise ContractError(
                    f"The process that played {_GAMES} games of {source.name} as one died."
                ) from error
    console.print(f"  [green]passed[/green]  {steps_per_second:,.0f} vectorized steps/s")
    return {
        "version": "" if family is None else installed_version(family),
        "agents": str(agents),
        "vectorized steps/s": f"{steps_per_second:,.0f}",
    }


def _test_native(run: Run) -> None:
    _Test(run, Console(highlight=False), num_envs=_GAMES).run()


class _Test:
    """The checks of one environment; of its native form with `num_envs` games if that is given.

    The checks in worker processes come before this process makes an environment itself: threads,
    of a Java machine for example, must not exist when it forks.
    """

    def __init__(self, run: Run, console: Console, num_envs: int | None = None) -> None:
        self._run, self._console = run, console
        # The arguments of presets are for training.
        kwargs = run.given_kwargs
        if num_envs is not None:
            kwargs["num_envs"] = num_envs
        self._creator = partial(run.source.creator(kwargs), **kwargs)
        self._is_deterministic = run.source.is_deterministic
        self._envs_per_process = 1 if run.source.is_one_per_process else 2

    def run(self) -> tuple[int, float]:
        """Run every check; return the agents of an environment, and vectorized steps a second."""
        forked = self._check_workers("fork", _STEPS, None)
        spawned = self._check_workers("spawn", _SPAWNED_STEPS, forked)
        self._compare(spawned, forked, "spawned and forked workers")
        with without_warnings():
            self._check("contract: spaces, rows, bounds, seeds", self._contract)
            with self._releasing("Serial", self._make_serial) as vecenv:
                here = self._check_batches("Serial", vecenv, _STEPS, forked)
                self._check("policy: forward, backward, compiled", self._learn, vecenv)
        self._compare(here, forked, "this process and forked workers")
        return forked.agents_per_env[0], forked.steps_per_second

    def _check_workers(self, start_method: str, steps: int, played: "Stream | None") -> "Stream":
        def make_workers() -> VectorEnv:
            return make(
                self._creator,
                backend="Multiprocessing",
                num_envs=_WORKERS * self._envs_per_process,
                num_workers=_WORKERS,
                start_method=start_method,
                timeout_s=_TIMEOUT_S,
            )

        name = f"Multiprocessing, {start_method}"
        with self._releasing(name, make_workers) as vecenv:
            return self._check_batches(name, vecenv, steps, played)

    def _make_serial(self) -> VectorEnv:
        return make(self._creator, backend="Serial", num_envs=self._envs_per_process)

    @contextlib.contextmanager
    def _releasing(self, name: str, make_vecenv: Callable[[], VectorEnv]) -> Iterator[VectorEnv]:
        """Make and close a vectorizer; refuse processes and file descriptors that remain open."""
        snapshot = ResourceSnapshot()
        with closing(make_vecenv()) as vecenv:
            yield vecenv
            snapshot.note_started()
        self._check(f"{name}: nothing remains after close", snapshot.check_released)

    def _check_batches(
        self, name: str, vecenv: VectorEnv, steps: int, played: "Stream | None"
    ) -> "Stream":
        self._check(f"{name}: batches", check_vector, vecenv)
        actions = vecenv.action_space if played is None else played.action_space
        stream: Stream = self._check(f"{name}: {steps:,} steps", play, vecenv, steps, actions)
        return stream

    def _compare(self, first: "Stream", second: "Stream", between: str) -> None:
        if self._is_deterministic:
            what = f"{between}: equal bytes"
            self._check(what, check_same, first, second, between)

    def _check(self, what: str, function: Callable[..., Any], *args: Any) -> Any:
        began_s = time.perf_counter()
        result = function(*args)
        seconds = time.perf_counter() - began_s
        self._console.print(f"  [green]ok[/green]  {what}  ({seconds:.1f} s)")
        return result

    def _contract(self) -> None:
        check_env(self._creator, is_deterministic=self._is_deterministic)

    def _learn(self, vecenv: VectorEnv) -> None:
        """Step with sampled actions; check how the policy learns, plain and with an LSTM."""
        torch.compiler.reset()  # functions compiled for other environments count towards a limit
        default, settings = self._run.source.default_policy(), self._run.config.policy
        settings = dataclasses.replace(settings, memory="none", normalize_observations=False)
        policies = [make_policy(settings, default, vecenv, seed=0)]
        has_halves = callable(getattr(policies[0], "encode_observations", None))
        if has_halves and not is_recurrent(policies[0]):
            policies.append(LSTMWrapper(vecenv, make_policy(settings, default, vecenv, seed=0)))
        for policy in policies:
            is_one_graph = not is_recurrent(policy)
            observations = torch.tensor(vecenv.reset(0)[0])
            heads = policy(observations)[0]
            actions = sample_actions(heads)[0]
            vecenv.step(action_converter(vecenv, policy)(actions, heads))
            is_compared = check_policy(policy, observations, actions, is_one_graph)
            if len(observations) > 1:
                is_compared &= check_policy(policy, observations[:1], actions[:1], is_one_graph)
            if not is_compared:
                self._console.print(
                    "  [yellow]skipped[/yellow]  compiled policy: plain, it differs from itself "
                    "under the same seed",
                    soft_wrap=True,
                )


Moment = dict[str, object]  # of one environment at one step: digests of its rows, and the infos


@dataclass(frozen=True)
class Stream:
    """The outputs of a vectorizer in random play.

    Attributes:
        moments: by step, the reset first: of every environment.
        agents_per_env: rows of each environment.
        action_space: that the actions were drawn from.
        steps_per_second: of all agents together.
    """

    moments: list[list[Moment]]
    agents_per_env: list[int]
    action_space: Space
    steps_per_second: float


def play(vecenv: VectorEnv, steps: int, action_space: Space) -> Stream:
    """Reset with seed 0, step with actions drawn from seed 0; return the outputs.

    Args:
        vecenv: synchronous.
        steps: after the reset.
        action_space: of as many rows, or more: those of environments that are not here.
    """
    action_space.seed(0)
    vecenv.async_reset(0)
    moments = [_moments(vecenv.recv(), vecenv)]
    spent_s = 0.0
    for _ in range(steps):
        actions = action_space.sample()[: vecenv.num_agents]
        began_s = time.perf_counter()
        vecenv.send(actions)
        batch = vecenv.recv()
        spent_s += time.perf_counter() - began_s
        moments.append(_moments(batch, vecenv))
    rate = steps * vecenv.num_agents / spent_s
    return Stream(moments, vecenv.agents_per_env, action_space, rate)


def _moments(batch: Batch, vecenv: VectorEnv) -> list[Moment]:
    arrays = batch._asdict()
    infos = arrays.pop("infos")
    ended = batch.terminals | batch.truncations
    final_observations = batch.final_observations.copy()
    final_observations[~ended] = 0  # stale
    arrays["final_observations"] = final_observations
    moments: list[Moment] = []
    stops = np.cumsum(vecenv.agents_per_env)
    for env, (start, stop) in enumerate(zip(stops - vecenv.agents_per_env, stops, strict=True)):
        digests = {
            name: hashlib.blake2b(array[start:stop].tobytes()).digest()
            for name, array in arrays.items()
        }
        own = [info for i, info in zip(infos.env_indices, infos, strict=True) if i == env]
        moments.append({**digests, "infos": own})
    return moments


def check_same(first: Stream, second: Stream, between: str) -> None:
    """Refuse streams, of the same seed and actions, that differ in a byte.

    The steps and environments that both have are compared.

    Raises:
        ContractError: says what differs, at which step, and `between` which.
    """
    for step, moments in enumerate(zip(first.moments, second.moments, strict=False)):
        for env, (one, other) in enumerate(zip(*moments, strict=False)):
            differing = [name for name in one if not _are_equal(one[name], other[name])]
            if differing:
                raise ContractError(
                    f"{', '.join(differing)} of environment {env} differ in "
                    f"{f'step {step}' if step else 'the reset'} between {between}, at the same "
                    f"seed and actions. Draw every random number from the seed given to reset."
                )


def _are_equal(one: object, other: object) -> bool:
    """Compare digests, or nested infos, in which NaN is equal to NaN."""
    if isinstance(one, bytes):
        return bool(one == other)
    try:
        np.testing.assert_equal(one, other)
    except AssertionError:
        return False
    return True


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Refuse warnings raised in the block, also those that Python does not show by default.

    An OldInterfaceWarning is raised again after the block: an adapter makes the environment work.

    Raises:
        ContractError: names the first of them.
    """
    gc.collect()  # objects that earlier tests did not close warn now
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        yield
        gc.collect()
    faults = [each for each in given if not issubclass(each.category, OldInterfaceWarning)]
    for each in given:
        if each not in faults:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if faults:
        first = faults[0]
        raise ContractError(
            f"{len(faults)} warnings, the first is {first.category.__name__}: {first.message} "
            f"({first.filename}:{first.lineno}). Fix the causes, or filter each by name where it "
            f"is raised (warnings.filterwarnings)."
        )


def installed_version(family: Family) -> str:
    """Return the version of the distribution of a family's package, "" for our own."""
    if family.package is None:
        return ""
    found = packages_distributions().get(family.package, [family.package])
    return version(found[0])
