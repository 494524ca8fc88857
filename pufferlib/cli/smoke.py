"""`puffer test`: find out whether an environment is fit to be trained on, here."""

import multiprocessing
import os
import time
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from rich.console import Console

from pufferlib import registry
from pufferlib.exceptions import ContractError
from pufferlib.models import LSTMWrapper
from pufferlib.ppo.actions import to_numpy
from pufferlib.pytorch import sample_actions
from pufferlib.registry import Family
from pufferlib.testing import check_env, check_vector
from pufferlib.vector import VectorEnv, make

_VECTOR_STEPS = 1_000
_TIMEOUT_S = 300.0  # of a worker, for one order
_DESCRIPTORS = Path("/proc/self/fd")


def smoke_test(name: str, console: Console) -> dict[str, str]:
    """Test one environment, telling each check as it passes; return what to put in the table.

    A family is tested with the first of its samples.
    """
    module, task = registry.resolve(name)
    if name == module.FAMILY.name:
        task = module.FAMILY.samples[0]
    module.FAMILY.check(task)
    console.print(f"[bold]{task}")
    agents, steps_per_second = _Test(module, task, console).run()
    console.print(f"  [green]passed[/green]  {steps_per_second:,.0f} vectorized steps/s")
    return {
        "version": _installed_version(module.FAMILY),
        "agents": str(agents),
        "vectorized steps/s": f"{steps_per_second:,.0f}",
    }


class _Test:
    """The checks of one task.

    Those in worker processes come before this process has made an environment of its own: a Java
    machine, or threads, would be there when it forks.
    """

    def __init__(self, module: ModuleType, task: str, console: Console) -> None:
        self._module = module
        self._console = console
        self._creator = module.env_creator(task)
        self._is_deterministic = task not in module.FAMILY.unseeded_tasks
        is_alone = module.FAMILY.is_one_per_process
        self._envs_here = 1 if is_alone else 2

    def run(self) -> tuple[int, float]:
        """Run every check; return the agents of an environment, and vectorized steps a second."""
        for method in ("fork", "spawn"):
            with closing(self._make_workers(2, method)) as vecenv:
                self._check(f"two workers, {method}: batches", check_vector, vecenv)
        agents, steps_per_second = self._check("1,000 steps, Serial beside a worker", self._compare)
        self._check("contract: spaces, rows, bounds, seeds", self._contract)
        open_before = _held()
        with closing(self._make_serial()) as vecenv:
            self._check("Serial: batches", check_vector, vecenv)
            self._check("policy: forward, backward, compile", self._learn, vecenv)
        self._check("close: no process or descriptor stays", _check_released, open_before)
        return agents, steps_per_second

    def _make_workers(self, count: int, start_method: str) -> VectorEnv:
        return make(
            self._creator,
            backend="Multiprocessing",
            num_envs=count,
            num_workers=count,
            start_method=start_method,
            timeout_s=_TIMEOUT_S,
        )

    def _make_serial(self) -> VectorEnv:
        return make(self._creator, backend="Serial", num_envs=self._envs_here)

    def _check(self, what: str, function: Callable[..., Any], *args: Any) -> Any:
        began_s = time.perf_counter()
        result = function(*args)
        seconds = time.perf_counter() - began_s
        self._console.print(f"  [green]ok[/green]  {what}  ({seconds:.1f} s)")
        return result

    def _contract(self) -> None:
        check_env(self._creator, is_deterministic=self._is_deterministic)

    def _compare(self) -> tuple[int, float]:
        """Play in workers and here; return agents of an environment, and steps/s of the workers."""
        spent_s = 0.0
        with (
            closing(self._make_workers(self._envs_here, "fork")) as workers,
            closing(self._make_serial()) as here,
        ):
            workers.action_space.seed(0)
            self._agree("the reset", workers.reset(0)[:1], here.reset(0)[:1])
            for step in range(_VECTOR_STEPS):
                actions = workers.action_space.sample()
                began_s = time.perf_counter()
                rows = workers.step(actions)
                spent_s += time.perf_counter() - began_s
                self._agree(f"step {step}", rows[:4], here.step(actions)[:4])
            agents = workers.num_agents
        return agents // self._envs_here, _VECTOR_STEPS * agents / spent_s

    def _agree(self, where: str, workers: Any, here: Any) -> None:
        if not self._is_deterministic:
            return
        names = ("observations", "rewards", "terminals", "truncations")
        for name, ours, theirs in zip(names, workers, here, strict=False):
            if not np.array_equal(ours.view(np.uint8), theirs.view(np.uint8)):
                raise ContractError(
                    f"{name} of {where} differ between a worker and this process, at the same seed "
                    f"and actions. Draw every random number from the seed given to reset."
                )

    def _learn(self, vecenv: VectorEnv) -> None:
        """Step with what the policies draw; see gradients reach each weight; compile."""
        torch.compiler.reset()  # what other environments had compiled counts towards a limit
        plain, inner = self._module.Policy(vecenv), self._module.Policy(vecenv)
        for policy, is_one_graph in ((plain, True), (LSTMWrapper(vecenv, inner), False)):
            observations = torch.tensor(vecenv.reset(0)[0])
            heads, value = policy(observations)[:2]
            actions, log_probabilities, entropies = sample_actions(heads)
            vecenv.step(to_numpy(actions, vecenv.single_action_space))
            (log_probabilities.sum() + entropies.sum() + value.sum()).backward()
            without = [name for name, weight in policy.named_parameters() if weight.grad is None]
            if without:
                raise ContractError(
                    f"No gradient reaches {', '.join(without)}. Use these weights, or drop them."
                )
            compiled = torch.compile(policy, backend="eager", fullgraph=is_one_graph)
            with torch.no_grad():
                one = compiled(observations[:1])
                torch.testing.assert_close(one[1], policy(observations[:1])[1])


def _installed_version(family: Family) -> str:
    """Return that of the distribution which brings the family's package, "" for our own."""
    if family.package is None:
        return ""
    found = packages_distributions().get(family.package, [family.package])
    return version(found[0])


def _held() -> tuple[int, int]:
    """Return how many descriptors are open and how many children this process has."""
    descriptors = len(os.listdir(_DESCRIPTORS)) if _DESCRIPTORS.exists() else 0
    return descriptors, len(multiprocessing.active_children())


def _check_released(before: tuple[int, int]) -> None:
    after = _held()
    if after > before:
        raise ContractError(
            f"After close, {after[0]} descriptors and {after[1]} child processes are left; before "
            f"there were {before[0]} and {before[1]}. Free in close() what was opened."
        )
