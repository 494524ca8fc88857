"""Measure the cost of emulation compared with alternatives; print tables of docs/benchmarks.md.

    make bench      (or: python benchmarks/emulation.py --rounds 21)

All contenders exist at the same time and run in turns of equally many calls. The columns are
medians over the rounds: the time, its difference from the first row's, and its ratio to the first
row's. Contenders that play a game play the same one, with the same seed and actions.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import record
from gymnasium.spaces import Box, Dict, Discrete, Tuple
from tables import Table
from turns import median_ratio, take_turns

import pufferlib.emulation.layout
import pufferlib.emulation.multi_rows
import pufferlib.emulation.single
from pufferlib.emulation import (
    ActionLayout,
    GymnasiumPufferEnv,
    Layout,
    PettingZooPufferEnv,
    _plain,
    native,
    twin,
)
from pufferlib.registry import nethack

Call = Callable[[], Any]


def main() -> None:
    """Run every comparison and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21, help="turns of each contender")
    record.add_argument(parser)
    arguments = parser.parse_args()
    recorder = record.Recorder("emulation", arguments.record)
    deaths = "A step of 128 agents with Dict observations and deaths"
    for name, title, contenders, calls in (
        ("flatten", "Flatten one NetHack-like observation", flattening(), 2_000),
        ("rebuild", "Rebuild a nested action of 6 leaves", rebuilding(), 5_000),
        ("cartpole", "A step of CartPole", stepping(lambda: make("CartPole-v1")), 2_000),
        ("nethack", "A step of NetHack", stepping(nethack_env), 1_000),
        ("breakout", "A step of Breakout, 84x84, frame skip 4", stepping(breakout), 60),
        ("agents", deaths, populations(), 100),
    ):
        turns = {each: partial(us_a_call, call, calls) for each, call in contenders.items()}
        recorder.add(Table(name, title, medians(take_turns(turns, arguments.rounds))))


def us_a_call(call: Call, calls: int) -> float:
    """Return the microseconds per call, over this many calls."""
    began_s = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - began_s) / calls * 1e6


def medians(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return the medians of each contender."""
    first = next(iter(times.values()))
    return {
        name: {
            "us": statistics.median(own),
            "adds_us": statistics.median(a - b for a, b in zip(own, first, strict=True)),
            "ratio": median_ratio(own, first),
        }
        for name, own in times.items()
    }


@contextmanager
def using(module: Any) -> Iterator[None]:
    """Make emulation created within the context use this twin."""
    places = {
        pufferlib.emulation.layout: "Plan",
        pufferlib.emulation.single: "StepRow",
        pufferlib.emulation.multi_rows: "AgentRows",
    }
    kept = {place: getattr(place, name) for place, name in places.items()}
    for place, name in places.items():
        setattr(place, name, getattr(module, name))
    try:
        yield
    finally:
        for place, name in places.items():
            setattr(place, name, kept[place])


def twins() -> dict[str, Any]:
    """Return the available twins."""
    return {"compiled": twin, "plain": _plain} if twin.IS_COMPILED else {"plain": _plain}


# Flattening and rebuilding.


def nethack_like() -> Dict:
    """Return a space of 14 leaves and five dtypes, like NLE's with all observations."""

    def screen(high: int = 255) -> Box:
        return Box(0, high, (21, 79), np.uint8)

    inventory = Box(0, 127, (55,), np.uint8)
    return Dict(
        blstats=Box(-(2**31), 2**31 - 1, (27,), np.int64),
        chars=screen(),
        colors=screen(15),
        glyphs=Box(0, 5976, (21, 79), np.int16),
        internal=Box(-1, 1, (9,), np.int32),
        inv_glyphs=Box(0, 5976, (55,), np.int16),
        inv_letters=inventory,
        inv_oclasses=inventory,
        inv_strs=Box(0, 127, (55, 80), np.uint8),
        message=Box(0, 255, (256,), np.uint8),
        specials=screen(),
        tty_chars=Box(0, 255, (24, 80), np.uint8),
        tty_colors=Box(0, 31, (24, 80), np.int8),
        tty_cursor=Box(0, 255, (2,), np.uint8),
    )


def flattening() -> dict[str, Call]:
    """Return ways to copy an observation into one row; the first is the best plain Python known."""
    space = nethack_like()
    layout, value = Layout.of(space), space.sample()
    row = np.zeros(layout.space.shape, np.uint8)
    views = dict(zip(space.spaces, layout.views(row), strict=True))
    namespace: dict[str, Any] = {f"view_{key}": view for key, view in views.items()}
    lines = [f"    view_{key}[...] = value['{key}']" for key in views]
    exec("\n".join(["def write(value):", *lines]), namespace)  # our own text
    generated = namespace["write"]

    def concatenate() -> None:
        np.concatenate([value[key].view(np.uint8).ravel() for key in views], out=packed)

    packed = np.zeros(sum(view.nbytes for view in views.values()), np.uint8)
    contenders = {"generated view[...] = leaf": lambda: generated(value)}
    for name, module in twins().items():
        with using(module):
            writer = layout.writer(row)
        contenders[f"pufferlib, {name}"] = lambda writer=writer: writer(value)
    contenders["np.concatenate(out=)"] = concatenate
    contenders["gymnasium.spaces.flatten"] = lambda: gymnasium.spaces.flatten(space, value)
    return contenders


def rebuilding() -> dict[str, Call]:
    """Return ways to rebuild a nested action from a row."""
    space = Dict(
        move=Tuple((Discrete(3), Discrete(5, start=-2))),
        use=Dict(item=Discrete(40), target=Discrete(8)),
        say=Dict(word=Discrete(100), to=Discrete(16)),
    )
    layout = ActionLayout.of(space)
    rebuild, row = layout.rebuilder(), layout.space.sample()
    flat = gymnasium.spaces.flatten(space, space.sample())
    return {
        "pufferlib": lambda: rebuild(row),
        "gymnasium.spaces.unflatten": lambda: gymnasium.spaces.unflatten(space, flat),
    }


# Steps.


def make(name: str, **kwargs: Any) -> gymnasium.Env[Any, Any]:
    """Return an environment without Gymnasium's passive checker."""
    return gymnasium.make(name, disable_env_checker=True, **kwargs)


def nethack_env() -> gymnasium.Env[Any, Any]:
    """Return NetHack as the registry creates it, without statistics."""
    return nethack.make_env("NetHackScore-v0").env.env


def breakout() -> gymnasium.Env[Any, Any]:
    """Return Breakout with the usual preprocessing."""
    import ale_py

    gymnasium.register_envs(ale_py)
    env = make("ALE/Breakout-v5", frameskip=1)
    return gymnasium.wrappers.AtariPreprocessing(env)


def stepping(creator: Callable[[], gymnasium.Env[Any, Any]]) -> dict[str, Call]:
    """Return the bare environment, and its emulations: as a Gymnasium environment, and as rows."""
    bare = creator()
    space = bare.action_space
    contenders = {"bare": playing(bare.reset, bare.step, space)}
    for name, module in twins().items():
        with using(module):
            env = GymnasiumPufferEnv(creator())
            contenders[f"emulated, {name}"] = playing(env.reset, env.step, space)
            rows = native(GymnasiumPufferEnv(creator()))
            contenders[f"emulated into rows, {name}"] = playing(
                rows.reset, rows.step, space, in_rows=True
            )
    flat = gymnasium.wrappers.FlattenObservation(creator())
    contenders["gymnasium FlattenObservation"] = playing(flat.reset, flat.step, space)
    return contenders


def playing(reset: Call, step: Any, space: Discrete, in_rows: bool = False) -> Call:
    """Return a function that takes one step, and resets when an episode ends."""
    numbers = np.random.default_rng(0).integers(space.n, size=9973)
    actions = iter_for_ever([np.array([n]) for n in numbers] if in_rows else list(numbers))
    reset(seed=0)

    def call() -> None:
        _, _, terminated, truncated, _ = step(next(actions))
        if not in_rows and (terminated or truncated):
            reset()

    return call


def iter_for_ever(items: list[Any]) -> Iterator[Any]:
    """Yield the items in an endless cycle."""
    while True:
        yield from items


class Deaths(pettingzoo.ParallelEnv[str, Any, Any]):
    """128 agents with Dict observations; one dies on each step, until half of them are left."""

    metadata = {"name": "deaths"}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(self) -> None:
        self.possible_agents = [f"agent_{number}" for number in range(128)]
        self.space = Dict(position=Box(-1, 1, (2,), np.float32), view=Box(0, 9, (5, 5), np.uint8))
        self.action = Discrete(5)
        random = np.random.default_rng(0)
        self.shown = {
            agent: {
                "position": random.random(2, np.float32),
                "view": random.integers(10, size=(5, 5), dtype=np.uint8),
            }
            for agent in self.possible_agents
        }
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> Any:
        return self.space

    def action_space(self, agent: str) -> Any:
        return self.action

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents = list(self.possible_agents)
        return dict(self.shown), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        acting, self.agents = self.agents, self.agents[1:]
        is_last = len(self.agents) == 64
        ends = dict.fromkeys(acting, is_last)
        ends[acting[0]] = True
        if is_last:
            self.agents = []
        return (
            {agent: self.shown[agent] for agent in acting},
            dict.fromkeys(acting, 1.0),
            ends,
            dict.fromkeys(acting, False),
            {agent: {} for agent in acting},
        )


def populations() -> dict[str, Call]:
    """Return the bare environment with dicts of actions, and its emulation into rows."""
    env = Deaths()
    env.reset()

    def bare() -> None:
        env.step(dict.fromkeys(env.agents, 1))
        if not env.agents:
            env.reset()

    contenders = {"bare": bare}
    actions = np.ones(128, np.int64)
    for name, module in twins().items():
        with using(module):
            rows = native(PettingZooPufferEnv(Deaths()))
            rows.reset()
            contenders[f"emulated into rows, {name}"] = lambda rows=rows: rows.step(actions)
    return contenders


if __name__ == "__main__":
    main()
