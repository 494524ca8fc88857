"""Small environments whose observations, rewards and ends can be worked out by hand."""

import copy
import ctypes
import os
import random
import sys
from typing import Any, Literal

import gymnasium
import numpy as np
import pettingzoo
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple

How = Literal["terminated", "truncated", "vanished"]


class Sampler(gymnasium.Env[Any, Any]):
    """Observes samples of a space, and keeps the actions it was given.

    Args:
        observation_space: any.
        action_space: any.
    """

    def __init__(self, observation_space: Any, action_space: Any = None) -> None:
        self.observation_space = copy.deepcopy(observation_space)
        self.action_space = Discrete(2) if action_space is None else copy.deepcopy(action_space)
        self.actions: list[Any] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.actions.append(action)
        return self.observation_space.sample(), 0.0, False, False, {}


class Fixed(gymnasium.Env[Any, Any]):
    """Observes one value, whether or not it belongs to its space."""

    def __init__(self, observation_space: Any, observation: Any) -> None:
        self.observation_space, self.action_space = observation_space, Discrete(2)
        self.observation = observation

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.observation, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation, 0.0, False, False, {}


class Stepped(gymnasium.Env[Any, Any]):
    """Observes a first value, and from the first step on returns the same results.

    Args:
        observation_space: any.
        first: the observation of every reset.
        observation: of every step; `first` if not given.
        reward: of every step.
    """

    def __init__(
        self, observation_space: Any, first: Any, observation: Any = ..., reward: Any = 0.0
    ) -> None:
        self.observation_space, self.action_space = observation_space, Discrete(2)
        self.first, self.reward = first, reward
        self.observation = first if observation is ... else observation

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.first, {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        return self.observation, self.reward, False, False, {}


class SteppedPair(pettingzoo.ParallelEnv[str, Any, Any]):
    """Two agents: "a" always observes and gets what is valid, "b" as in `Stepped`."""

    metadata = {"name": "stepped_pair_v0"}  # noqa: RUF012

    def __init__(
        self, observation_space: Any, first: Any, observation: Any = ..., reward: Any = 0.0
    ) -> None:
        self.possible_agents, self.agents = ["a", "b"], []
        self.space, self.first, self.reward = observation_space, first, reward
        self.observation = first if observation is ... else observation

    def observation_space(self, agent: str) -> Any:
        return self.space

    def action_space(self, agent: str) -> Any:
        return Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], ...]:
        self.agents = ["a", "b"]
        return dict.fromkeys(self.agents, self.first), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        flags = dict.fromkeys(self.agents, False)
        return (
            {"a": self.first, "b": self.observation},
            {"a": 1.0, "b": self.reward},
            flags,
            flags,
            {agent: {} for agent in self.agents},
        )


class Reusing(gymnasium.Env[Any, Any]):
    """Episodes of two steps; every call returns the same info dict, list, array and reward."""

    def __init__(self) -> None:
        self.observation_space, self.action_space = Box(-9, 9, (1,), np.float32), Discrete(2)
        self.info: dict[str, Any] = {"nested": {"score": 0.0}}
        self.path = self.info["path"] = np.zeros(2)
        self.items = self.info["items"] = [0]
        self.reward = np.zeros(())
        self.now = 0

    def _report(self, number: int) -> dict[str, Any]:
        self.info["nested"]["score"] = float(number)
        self.info["number"], self.path[:], self.items[0] = number, number, number
        return self.info

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.now, self.reward[...] = 0, -1
        return np.zeros(1, np.float32), self._report(-1)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.now += 1
        self.reward[...] = self.now
        ends = self.now == 2
        return np.ones(1, np.float32), self.reward, ends, False, self._report(self.now)


class ReusingAgents(pettingzoo.ParallelEnv[str, Any, Any]):
    """One agent, "a", in a `Reusing`."""

    metadata = {"name": "reusing_v0"}  # noqa: RUF012

    def __init__(self) -> None:
        self.possible_agents, self.agents, self.inner = ["a"], [], Reusing()

    def observation_space(self, agent: str) -> Any:
        return self.inner.observation_space

    def action_space(self, agent: str) -> Any:
        return self.inner.action_space

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], ...]:
        observation, info = self.inner.reset(seed=seed)
        self.agents = ["a"]
        return {"a": observation}, {"a": info}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        result = self.inner.step(0)
        if result[2]:
            self.agents = []
        return tuple({"a": value} for value in result)


class Countdown(gymnasium.Env[Any, Any]):
    """Observes [episode since seeded, step] in an array it reuses; the reward is the step.

    Args:
        length: steps of an episode.
        how: it ends.
        render_mode: None or "ansi".
    """

    metadata = {"render_modes": ["ansi"], "maker": "tests"}  # noqa: RUF012
    secret = 7

    def __init__(
        self, length: int = 3, how: How = "terminated", render_mode: str | None = None
    ) -> None:
        self.observation_space, self.action_space = Box(0, 999, (2,), np.float32), Discrete(2)
        self.length, self.how, self.render_mode = length, how, render_mode
        self.observation, self.episode = np.zeros(2, np.float32), 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.episode, self.options = self.episode + 1 if seed is None else 1, options
        self.observation[:] = self.episode, 0
        return self.observation, {"begins": self.episode}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.observation[1] += 1
        step = int(self.observation[1])
        ends = step == self.length
        info = {"ends": self.episode} if ends else {}
        return (
            self.observation,
            float(step),
            ends and self.how == "terminated",
            ends and self.how == "truncated",
            info,
        )

    def render(self) -> str:
        return f"episode {self.episode}"


Timetable = dict[str, tuple[int, int, How]]
TIMETABLE: Timetable = {
    "early": (0, 1, "terminated"),
    "through": (0, 3, "truncated"),
    "late": (2, 3, "terminated"),
}


class Population(pettingzoo.ParallelEnv[str, Any, Any]):
    """Agents that join and leave by a timetable.

    Each observes `clock` [episode since seeded, step], its `place` in `possible_agents`, and
    `luck`, drawn from a seeded generator. Its reward is 10 x step + place.

    Args:
        timetable: for each agent the step on which it is first observed (0 is the reset), the one
            on which it is last observed, and how it ends then.
    """

    metadata = {"name": "population_v0", "render_modes": ["ansi"]}  # noqa: RUF012

    def __init__(self, timetable: Timetable | None = None, render_mode: str | None = None) -> None:
        self.timetable = timetable or TIMETABLE
        self.render_mode = render_mode
        self.possible_agents = list(self.timetable)
        count = len(self.possible_agents)
        clock, luck = Box(0, 999, (2,), np.int32), Box(0, 1, (), np.float32)
        self._observation_spaces = {
            agent: Dict(clock=clock, luck=luck, place=Discrete(count)) for agent in self.timetable
        }
        self._action_spaces = {agent: Discrete(5, start=-2) for agent in self.timetable}
        self.agents: list[str] = []
        self.actions: list[dict[str, Any]] = []
        self.episode = self.now = 0
        self.generator = np.random.default_rng()

    def observation_space(self, agent: str) -> Any:
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], ...]:
        if seed is not None:
            self.generator, self.episode = np.random.default_rng(seed), 0
        self.episode, self.now, self.options = self.episode + 1, 0, options
        self.agents = [agent for agent, (first, *_) in self.timetable.items() if first == 0]
        infos = {agent: {"begins": self.episode} for agent in self.agents}
        return {agent: self._observe(agent) for agent in self.agents}, infos

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        self.actions.append(actions)
        self.now += 1
        joining = [agent for agent, (first, *_) in self.timetable.items() if first == self.now]
        taking_part = self.agents + joining
        ends = {
            agent: how
            for agent, (_, last, how) in self.timetable.items()
            if agent in taking_part and last == self.now
        }
        self.agents = [agent for agent in taking_part if agent not in ends]
        return (
            {agent: self._observe(agent) for agent in taking_part},
            {agent: 10.0 * self.now + self._place(agent) for agent in taking_part},
            {agent: ends.get(agent) == "terminated" for agent in taking_part},
            {agent: ends.get(agent) == "truncated" for agent in taking_part},
            {agent: {"left": agent} if agent in ends else {} for agent in taking_part},
        )

    def render(self) -> str:
        return f"episode {self.episode}"

    def state(self) -> Any:
        return np.array([self.episode, self.now])

    def _place(self, agent: str) -> int:
        return self.possible_agents.index(agent)

    def _observe(self, agent: str) -> dict[str, Any]:
        return {
            "clock": np.array([self.episode, self.now], np.int32),
            "luck": np.float32(self.generator.random()),
            "place": self._place(agent),
        }


MIXED: Timetable = {
    "ant_0": (0, 1, "terminated"),
    "bee_0": (0, 3, "truncated"),
    "ant_1": (2, 3, "terminated"),
    "cow_0": (0, 2, "terminated"),
}


class Mixed(Population):
    """Agents that join and leave by a timetable, and whose spaces depend on their kind.

    Ants observe and act as in `Population`. Bees observe [episode, step, place] as numbers of at
    least 5, in a Tuple with a bit that is always 1, and act with MultiDiscrete([2, 3]). Cows
    observe as ants do and act with a Box. The kind is what stands before "_" in an agent's name.
    """

    metadata = {"name": "mixed_v0", "render_modes": ["ansi"]}  # noqa: RUF012

    def __init__(self, timetable: Timetable | None = None, render_mode: str | None = None) -> None:
        super().__init__(timetable or MIXED, render_mode)
        for agent in self.possible_agents:
            if agent.startswith("bee"):
                counts = Box(5, 999, (3,), np.float32)
                self._observation_spaces[agent] = Tuple((counts, MultiBinary(1)))
                self._action_spaces[agent] = MultiDiscrete([2, 3])
            elif agent.startswith("cow"):
                self._action_spaces[agent] = Box(-1, 1, (2,), np.float32)

    def _observe(self, agent: str) -> Any:
        if not agent.startswith("bee"):
            return super()._observe(agent)
        counts = np.array([self.episode, self.now, self._place(agent)], np.float32)
        return counts + 5, np.ones(1, np.int8)


def make_noise(word: str) -> None:
    """Write `word` to stdout and stderr in every possible way; nothing is flushed."""
    print(word)
    print(word, file=sys.stderr)
    for descriptor in (1, 2):
        os.write(descriptor, word.encode())
    ctypes.CDLL(None).printf(word.encode())


class Noisy(Countdown):
    """Writes each call to stdout and stderr, from C too."""

    def __init__(self, length: int = 3) -> None:
        super().__init__(length, render_mode="ansi")
        make_noise("made")

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        make_noise("reset")
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        make_noise("stepped")
        return super().step(action)

    def render(self) -> str:
        make_noise("rendered")
        return super().render()

    def close(self) -> None:
        make_noise("closed")


class NoisyPopulation(Population):
    """Writes each call to stdout and stderr, from C too."""

    def __init__(self) -> None:
        super().__init__()
        make_noise("made")

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], ...]:
        make_noise("reset")
        return super().reset(seed, options)

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        make_noise("stepped")
        return super().step(actions)

    def render(self) -> str:
        make_noise("rendered")
        return super().render()

    def close(self) -> None:
        make_noise("closed")


class Careless(gymnasium.Env[Any, Any]):
    """Observes what it draws from the global generators of `random`, NumPy and torch."""

    observation_space = Box(0, 1, (3,), np.float64)
    action_space = Discrete(2)

    def __init__(self) -> None:
        import torch

        self.torch = torch

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return self._draw(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self._draw(), float(np.random.random()), False, False, {}

    def _draw(self) -> Any:
        # Of float32 two in a hundred draws would be equal once in thousands of runs.
        drawn = self.torch.rand(1, dtype=self.torch.float64).item()
        return np.array([random.random(), np.random.random(), drawn])
