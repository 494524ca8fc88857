"""`puffer test`: find out whether an environment is fit to be trained on, here."""

import time
from collections.abc import Callable
from contextlib import closing
from types import ModuleType
from typing import Any

import torch
from rich.console import Console

from pufferlib import registry
from pufferlib.exceptions import ContractError
from pufferlib.models import LSTMWrapper
from pufferlib.ppo.actions import to_numpy
from pufferlib.pytorch import sample_actions
from pufferlib.testing import check_env, check_vector
from pufferlib.vector import VectorEnv, make

_VECTOR_STEPS = 1_000


def smoke_test(name: str, console: Console) -> dict[str, str]:
    """Test one environment, telling each check as it passes; return what to put in the table."""
    module, task = registry.resolve(name)
    module.FAMILY.check(task)
    console.print(f"[bold]{task}")
    agents, steps_per_second = _test(module, task, console)
    console.print(f"  [green]passed[/green]  {steps_per_second:,.0f} vectorized steps/s")
    return {"agents": str(agents), "vectorized steps/s": f"{steps_per_second:,.0f}"}


def _test(module: ModuleType, task: str, console: Console) -> tuple[int, float]:
    """Run every check; return the agents of an environment, and vectorized steps a second."""
    creator = module.env_creator(task)

    def check(what: str, function: Callable[[], Any]) -> Any:
        began_s = time.perf_counter()
        result = function()
        console.print(f"  [green]ok[/green]  {what}  ({time.perf_counter() - began_s:.1f} s)")
        return result

    is_deterministic = task not in module.FAMILY.unseeded_tasks
    check(
        "contract: spaces, rows, bounds, seeds",
        lambda: check_env(creator, is_deterministic=is_deterministic),
    )
    with closing(make(creator, num_envs=4, backend="Serial")) as serial:
        check("vectorized, Serial", lambda: check_vector(serial))
    with closing(make(creator, num_envs=4, num_workers=2, backend="Multiprocessing")) as vecenv:
        check("vectorized, Multiprocessing", lambda: check_vector(vecenv))
        seconds = check(f"{_VECTOR_STEPS:,} vectorized steps", lambda: _play(vecenv))
        check("policy: forward, backward", lambda: _learn(module.Policy(vecenv), vecenv))
        recurrent = LSTMWrapper(vecenv, module.Policy(vecenv))
        check("recurrent policy: forward, backward", lambda: _learn(recurrent, vecenv))
        return vecenv.num_agents // vecenv.num_envs, _VECTOR_STEPS * vecenv.num_agents / seconds


def _play(vecenv: VectorEnv) -> float:
    """Take the steps; return the seconds they took."""
    vecenv.reset(0)
    began_s = time.perf_counter()
    for _ in range(_VECTOR_STEPS):
        vecenv.step(vecenv.action_space.sample())
    return time.perf_counter() - began_s


def _learn(policy: torch.nn.Module, vecenv: VectorEnv) -> None:
    """Step with what the policy draws, and see a gradient reach every weight."""
    observations, _ = vecenv.reset(0)
    heads, value = policy(torch.tensor(observations))[:2]
    actions, log_probabilities, entropies = sample_actions(heads)
    vecenv.step(to_numpy(actions, vecenv.single_action_space))
    (log_probabilities.sum() + entropies.sum() + value.sum()).backward()
    without = [name for name, weight in policy.named_parameters() if weight.grad is None]
    if without:
        raise ContractError(
            f"No gradient reaches {', '.join(without)}. Use these weights, or drop them."
        )
