"""Memory: see a sequence of bits, wait, then repeat it."""

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array
from pufferlib.arguments import whole_number
from pufferlib.environment import Buffers, Info, PufferEnv, StepResult
from pufferlib.registry.ocean._results import results


class Memory(PufferEnv):
    """Many games of Memory, stepped together.

    Tests recurrent policies: that their state lasts as long as an episode, from one rollout to the
    next, and no longer. A game shows `mem_length` bits one by one, then nothing for `mem_delay`
    steps, and then asks for the bits in their order, showing nothing. Each one repeated right earns
    1 / mem_length; actions before that count for nothing. `score` is 1 where all are right.

    The optimal score is 1. The bits are independent, so a random policy, like any other without
    memory, is right about each with probability 1/2, and scores 1 / 2**mem_length: 0.25.

    Observation: Box(-1, 1, (1,)), -1 or 1 while a bit is shown, then 0. Action: Discrete(2), a bit.

    Args:
        num_agents: games, each with its one agent.
        mem_length: bits of a game.
        mem_delay: steps between the last bit shown and the first one asked for.
        buffers: rows to write into.

    Raises:
        ArgumentError: no bits, or a delay below 0.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012  (as Gymnasium declares it)
    render_mode: str | None = "ansi"

    def __init__(
        self,
        num_agents: int = 1,
        mem_length: int = 2,
        mem_delay: int = 2,
        buffers: Buffers | None = None,
    ) -> None:
        mem_length = whole_number("mem_length", mem_length)
        mem_delay = whole_number("mem_delay", mem_delay, least=0)
        self.mem_length, self.mem_delay = mem_length, mem_delay
        self.episode_length = 2 * mem_length + mem_delay
        self.num_agents = num_agents
        self.single_observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        self._bits: NDArray[np.int64]  # (games, bits)
        self._answers: NDArray[np.int64]  # (games, bits), those asked for so far
        super().__init__(buffers)

    def reset(self, seed: int | None = None) -> tuple[Array, list[Info]]:
        """Start a new episode in every game; return (observations, infos)."""
        self._random = np.random.default_rng(seed)
        self._begin()
        self.rewards[:] = 0
        self.terminals[:] = self.truncations[:] = False
        self.masks[:] = True
        self._show(self.observations)
        return self.observations, []

    def step(self, actions: Array) -> StepResult:
        """Take an answer in every game; all games end, and start again, on the same step."""
        asked = self._tick - self.mem_length - self.mem_delay
        self.rewards[:] = 0
        if asked >= 0:
            self._answers[:, asked] = actions
            self.rewards[:] = (actions == self._bits[:, asked]) / self.mem_length
        self._tick += 1
        infos: list[Info] = []
        ended = self._tick == self.episode_length
        self.terminals[:] = ended
        if ended:
            self._show(self.final_observations)
            right = self._answers == self._bits
            infos = results(right.mean(1), self.episode_length, right.all(1).astype(np.float64))
            self._begin()
        self._show(self.observations)
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def render(self) -> str | None:
        """Return the first game as text: bits shown, then answers; `_` still to come."""
        if self.render_mode is None:
            return None
        answered = max(0, self._tick - self.mem_length - self.mem_delay)
        lines = {"shown": self._bits[0, : self._tick + 1], "answered": self._answers[0, :answered]}
        return "\n".join(
            f"{name:8} {''.join(map(str, bits)):_<{self.mem_length}}"
            for name, bits in lines.items()
        )

    def _begin(self) -> None:
        self._tick = 0
        self._bits = self._random.integers(2, size=(self.num_agents, self.mem_length))
        self._answers = np.zeros_like(self._bits)

    def _show(self, rows: Array) -> None:
        rows[:] = 0
        if self._tick < self.mem_length:
            rows[:, 0] = 2 * self._bits[:, self._tick] - 1
