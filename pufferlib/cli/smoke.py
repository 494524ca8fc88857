"""`puffer test`: find out whether an environment is fit to be trained on, here."""

import concurrent.futures
import contextlib
import gc
import hashlib
import inspect
import multiprocessing
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import packages_distributions, version
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from pufferlib import registry
from pufferlib.cli.held import Held
from pufferlib.exceptions import ContractError
from pufferlib.models import LSTMWrapper
from pufferlib.ppo.actions import to_numpy
from pufferlib.pytorch import sample_actions
from pufferlib.registry import Family
from pufferlib.testing import check_env, check_vector
from pufferlib.vector import Batch, VectorEnv, make

_STEPS = 1_000
_WORKERS = 2
_SPAWNED_STEPS = 200  # a fresh interpreter plays the same, or differs soon
_GAMES = 2  # of a native environment
_TIMEOUT_S = 300.0  # of a worker, for one order
_TOLERANCE = 1e-4  # of what a compiled policy gives, relative and absolute


def smoke_test(name: str, console: Console) -> dict[str, str]:
    """Test one environment, telling each check as it passes; return what to put in the table.

    Of a family all samples are tested, each in a process of its own: threads that one has brought,
    a Java machine for example, must not be there when the next one's workers are forked. So is the
    native form of a task, one environment that steps many games, where its family has one.

    Raises:
        ContractError: a check found a breach.
    """
    module, task = registry.resolve(name)
    family: Family = module.FAMILY
    tasks = family.samples if name == family.name else (task,)
    for each in tasks:
        family.check(each)
    if len(tasks) > 1:
        return _test_each(family, tasks)
    console.print(f"[bold]{tasks[0]}")
    agents, steps_per_second = _Test(module, tasks[0], console).run()
    if "num_envs" in inspect.signature(module.make_env).parameters:
        console.print(f"[bold]{tasks[0]}[/bold], {_GAMES} games as one")
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, spawn) as pool:
            try:
                pool.submit(_test_native, tasks[0]).result()
            except BrokenProcessPool as error:
                raise ContractError(
                    f"The process that played {_GAMES} games of {tasks[0]} as one has died."
                ) from error
    console.print(f"  [green]passed[/green]  {steps_per_second:,.0f} vectorized steps/s")
    return {
        "version": installed_version(family),
        "agents": str(agents),
        "vectorized steps/s": f"{steps_per_second:,.0f}",
    }


def _test_each(family: Family, tasks: Sequence[str]) -> dict[str, str]:
    """Run `puffer test` for each task; each says itself what is wrong."""
    command = [sys.executable, "-m", "pufferlib.cli", "test"]
    failed = [task for task in tasks if subprocess.run([*command, task], check=False).returncode]
    if failed:
        raise ContractError(
            f"Of the {len(tasks)} samples of {family.name}, {len(failed)} failed: "
            f"{', '.join(failed)}. What is wrong is said above."
        )
    return {"version": installed_version(family)}


def _test_native(task: str) -> None:
    module, _ = registry.resolve(task)
    _Test(module, task, Console(highlight=False), num_envs=_GAMES).run()


class _Test:
    """The checks of one task; of its native form where `num_envs` says of how many games.

    Those in worker processes come before this process has made an environment of its own: a Java
    machine, or threads, would be there when it forks.
    """

    def __init__(
        self, module: ModuleType, task: str, console: Console, num_envs: int | None = None
    ) -> None:
        self._module = module
        self._console = console
        creator = module.env_creator(task)
        self._creator = creator if num_envs is None else partial(creator, num_envs=num_envs)
        self._is_deterministic = task not in module.FAMILY.unseeded_tasks
        self._envs_per_process = 1 if module.FAMILY.is_one_per_process else 2

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
        """Make and close a vectorizer; refuse what is left of it."""
        held = Held()
        with closing(make_vecenv()) as vecenv:
            yield vecenv
            held.look()
        self._check(f"{name}: nothing stays after close", held.check_released)

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
        """Step with what the policies draw; check how they learn, plain and recurrent."""
        torch.compiler.reset()  # what other environments had compiled counts towards a limit
        plain, inner = self._module.Policy(vecenv), self._module.Policy(vecenv)
        for policy, is_one_graph in ((plain, True), (LSTMWrapper(vecenv, inner), False)):
            observations = torch.tensor(vecenv.reset(0)[0])
            actions = sample_actions(policy(observations)[0])[0]
            vecenv.step(to_numpy(actions, vecenv.single_action_space))
            check_policy(policy, observations, actions, is_one_graph)
            if len(observations) > 1:
                check_policy(policy, observations[:1], actions[:1], is_one_graph)


Moment = dict[str, Any]  # what a batch tells of one environment: digests of bytes, and the infos


@dataclass(frozen=True)
class Stream:
    """What a vectorizer gave in random play.

    Attributes:
        moments: of the reset, then of each step: of every environment.
        agents_per_env: rows of each environment.
        action_space: that the actions were drawn from.
        steps_per_second: of all agents together.
    """

    moments: list[list[Moment]]
    agents_per_env: list[int]
    action_space: gymnasium.Space[Any]
    steps_per_second: float


def play(vecenv: VectorEnv, steps: int, action_space: gymnasium.Space[Any]) -> Stream:
    """Reset with seed 0, step with actions drawn from seed 0, and keep what comes.

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
    final_observations = vecenv.final_observations.copy()
    final_observations[~ended] = 0  # stale
    arrays["final_observations"] = final_observations
    moments: list[Moment] = []
    stops = np.cumsum(vecenv.agents_per_env)
    for env, (start, stop) in enumerate(zip(stops - vecenv.agents_per_env, stops, strict=True)):
        digests = {
            name: hashlib.blake2b(array[start:stop].tobytes()).digest()
            for name, array in arrays.items()
        }
        told = [info for i, info in zip(infos.env_indices, infos, strict=True) if i == env]
        moments.append({**digests, "infos": told})
    return moments


def check_same(first: Stream, second: Stream, between: str) -> None:
    """Refuse streams, of the same seed and actions, that differ in a byte.

    Compared are as many steps and environments as both have.

    Raises:
        ContractError: says in what they differ, at which step, and `between` whom.
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


def _are_equal(one: Any, other: Any) -> bool:
    """Compare digests, or nested infos, in which NaN is equal to NaN."""
    if isinstance(one, bytes):
        return bool(one == other)
    try:
        np.testing.assert_equal(one, other)
    except AssertionError:
        return False
    return True


def check_policy(
    policy: nn.Module, observations: Tensor, actions: Tensor, is_one_graph: bool
) -> None:
    """Refuse a policy with weights that learn nothing, or that compiles to another one.

    Args:
        policy: returns (heads, value, ...).
        observations: (B, ...), of the rows of an environment.
        actions: drawn for them.
        is_one_graph: the policy must compile without a graph break.

    Raises:
        ContractError: says which weights, or in what it differs compiled.
    """
    told, gradients = _lesson(policy, policy, observations, actions)
    without = [name for name, gradient in gradients.items() if gradient is None]
    if without:
        raise ContractError(
            f"No gradient reaches {', '.join(without)}. Use these weights, or drop them."
        )
    compiled = torch.compile(policy, backend="aot_eager", fullgraph=is_one_graph)
    told_again, gradients_again = _lesson(policy, compiled, observations, actions)
    differing = [*_differing(told, told_again)]
    differing += [f"gradient of {name}" for name in _differing(gradients, gradients_again)]
    if differing:
        raise ContractError(
            f"Compiled by torch.compile, the policy gives another {', '.join(differing)}. Let "
            f"forward compute the same whether it is compiled or not."
        )


def _lesson(
    policy: nn.Module, call: Callable[..., Any], observations: Tensor, actions: Tensor
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what `call` says of `actions`, and the gradients of the policy's weights, by name."""
    policy.zero_grad()
    heads, value = call(observations)[:2]
    _, log_probabilities, entropies = sample_actions(heads, actions)
    told = {"log probability": log_probabilities, "entropy": entropies, "value": value}
    torch.stack([part.mean() for part in told.values()]).sum().backward()
    return told, {name: weight.grad for name, weight in policy.named_parameters()}


def _differing(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    return [
        name
        for name, one in first.items()
        if second[name] is None or not torch.allclose(one, second[name], _TOLERANCE, _TOLERANCE)
    ]


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Refuse warnings that this process gives in the block, also those that Python does not show.

    Raises:
        ContractError: names the first of them.
    """
    gc.collect()  # what earlier tests left unclosed warns now
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        yield
        gc.collect()
    if given:
        first = given[0]
        raise ContractError(
            f"{len(given)} warnings are given, such as {first.category.__name__}: {first.message} "
            f"({first.filename}:{first.lineno}). Mend what they tell of, or silence each by name "
            f"where it is given (warnings.filterwarnings)."
        )


def installed_version(family: Family) -> str:
    """Return that of the distribution which brings the family's package, "" for our own."""
    if family.package is None:
        return ""
    found = packages_distributions().get(family.package, [family.package])
    return version(found[0])
