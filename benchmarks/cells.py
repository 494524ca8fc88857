"""The cells of benchmarks/vector.py: environments, and how many of each."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
from emulation import breakout, nethack_env, nethack_like
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.spaces import Box, Dict, Discrete, Tuple

from pufferlib.registry import nethack


def burn(seconds: float) -> None:
    """Use this much CPU time; unlike wall time, it excludes waiting for a core."""
    end_s = time.thread_time() + seconds
    while time.thread_time() < end_s:
        pass


class Picture(gymnasium.Env[Any, Any]):
    """Observes an image in which one byte changes; a step costs CPU time.

    Args:
        step_us: the CPU time of a step, in microseconds.
        is_uneven: `step_us` is the mean of a log-normal distribution, and every 1000th step starts
            an episode, which costs 20 ms.
    """

    observation_space, action_space = Box(0, 255, (84, 84, 4), np.uint8), Discrete(6)

    def __init__(self, step_us: float, is_uneven: bool = False) -> None:
        self.mean_s, self.is_uneven = step_us * 1e-6, is_uneven
        self.step_s, self.left = itertools.repeat(self.mean_s), -1
        self.picture, self.count = np.zeros((84, 84, 4), np.uint8), 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        if self.is_uneven:
            burn(0.02)
            self.left = 1000
        if self.is_uneven and seed is not None:
            log_s = self.np_random.normal(np.log(self.mean_s) - 0.5, 1, 9973)
            self.step_s = itertools.cycle(np.exp(log_s).tolist())
            self.left = int(
                self.np_random.integers(1, 1000)
            )  # so that episodes do not end together
        return self.picture, {}

    def step(self, action: Any) -> Any:
        burn(next(self.step_s))
        self.left, self.count = self.left - 1, (self.count + 1) % 256
        self.picture[0, 0, 0] = self.count
        return self.picture, 1.0, self.left == 0, False, {}


class Free(gymnasium.Env[Any, Any]):
    """Always observes the same value; a step costs nothing."""

    def __init__(self, observation_space: Any, action_space: Any) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        observation_space.seed(0)
        self.observation = observation_space.sample()

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return self.observation, {}

    def step(self, action: Any) -> Any:
        return self.observation, 1.0, False, False, {}


class Herd(pettingzoo.ParallelEnv[str, Any, Any]):
    """Agents with Dict observations, of which one dies on each step until half are left."""

    metadata = {"name": "herd"}  # noqa: RUF012  (as Gymnasium declares it)
    space = Dict(position=Box(-1, 1, (2,), np.float32), view=Box(0, 9, (5, 5), np.uint8))

    def __init__(self, count: int) -> None:
        self.possible_agents = [f"agent_{number}" for number in range(count)]
        self.space.seed(0)
        self.shown = {agent: self.space.sample() for agent in self.possible_agents}
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> Any:
        return self.space

    def action_space(self, agent: str) -> Any:
        return Discrete(5)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents = list(self.possible_agents)
        return dict(self.shown), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        acting, self.agents = self.agents, self.agents[1:]
        is_last = 2 * len(self.agents) <= len(self.possible_agents)
        ends = dict.fromkeys(acting, is_last)
        ends[acting[0]] = True
        if is_last:
            self.agents = []
        shown, cuts = {agent: self.shown[agent] for agent in acting}, dict.fromkeys(acting, False)
        return shown, dict.fromkeys(acting, 1.0), ends, cuts, {agent: {} for agent in acting}


NESTED = Dict(
    move=Tuple((Discrete(3), Discrete(5, start=-2))),
    use=Dict(item=Discrete(40), target=Discrete(8)),
    say=Dict(word=Discrete(100), to=Discrete(16)),
)


@dataclass(frozen=True)
class Cell:
    """The environments of one table.

    Attributes:
        name: the name that --only takes.
        title: the table's title.
        creator: returns a bare environment.
        num_envs: environments.
        policy_s: CPU time that the caller spends on each batch.
        is_extra: run only with --all, or by its name.
        native: returns one environment that steps `num_envs` games, if the family has one.
    """

    name: str
    title: str
    creator: Callable[[], Any]
    num_envs: int
    policy_s: float = 0.0
    is_extra: bool = False
    native: Callable[..., Any] | None = None

    @property
    def has_agents(self) -> bool:
        return getattr(self.creator, "func", None) is Herd


def cells() -> Iterator[Cell]:
    """Yield all cells."""
    for n in (2, 8, 32, 64, 256):
        yield Cell(f"cartpole-{n}", "CartPole", CartPoleEnv, n, is_extra=n in (32, 256))
    for us, n in itertools.product((20, 200, 2000), (8, 64)):
        yield Cell(f"picture-{us}us-{n}", f"84x84x4 at {us} us", partial(Picture, us), n)
    for ms in (1, 5):
        title = f"84x84x4 at 200 us, a policy of {ms} ms"
        yield Cell(f"policy-{ms}ms-64", title, partial(Picture, 200), 64, ms / 1000)
    title = "84x84x4 at 200 us, log-normal, resets of 20 ms"
    yield Cell("uneven-32", title, partial(Picture, 200, is_uneven=True), 32)
    title = "NetHack-like Dict, free step"
    yield Cell("dict-64", title, partial(Free, nethack_like(), Discrete(23)), 64)
    for n in (16, 128):
        yield Cell(f"agents-{n}-8", f"{n} agents, Dict, deaths", partial(Herd, n), 8)
    actions = partial(Free, Box(-1, 1, (8,), np.float32), NESTED)
    yield Cell("nested-actions-64", "Nested actions, free step", actions, 64)
    for n in (8, 64):
        native = partial(nethack.make_env, "NetHackScore-v0")
        yield Cell(f"nethack-{n}", "NetHack", nethack_env, n, native=native)
    yield Cell("breakout-8", "Breakout, 84x84, frame skip 4", breakout, 8)


CELLS = {cell.name: cell for cell in cells()}
