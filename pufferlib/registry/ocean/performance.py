"""Performance: nothing to learn; steps and observations of a chosen cost."""

import time

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from pufferlib.annotations import Action, Options
from pufferlib.arguments import finite_number, whole_number
from pufferlib.environment import Info


class Performance(gymnasium.Env[NDArray[np.uint8], Action]):
    """A Gymnasium environment whose steps take a chosen time, for benchmarks of vectorization.

    It computes rather than sleeps, and measures CPU time, not wall time: environments that share a
    core take longer, as real ones do. The reward is always 0; there is no score.

    Observation: Box uint8 (observation_bytes,), all of them the steps played, modulo 256. Action:
    Discrete(2). One agent. Episodes are truncated after `episode_length` steps.

    Args:
        delay_mean_us: of a step, in microseconds.
        delay_std_us: deviation between steps; the delays are normal, those below 0 taken as 0.
        reset_delay_us: of a reset, always the same.
        observation_bytes: size of an observation.
        episode_length: in steps.

    Raises:
        ArgumentError: a delay or deviation below 0 or not finite, a size or length below 1.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012  (as Gymnasium declares it)
    render_mode: str | None = "ansi"

    def __init__(
        self,
        delay_mean_us: float = 0.0,
        delay_std_us: float = 0.0,
        reset_delay_us: float = 0.0,
        observation_bytes: int = 1,
        episode_length: int = 100,
    ) -> None:
        delay_mean_us = finite_number("delay_mean_us", delay_mean_us, least=0)
        delay_std_us = finite_number("delay_std_us", delay_std_us, least=0)
        reset_delay_us = finite_number("reset_delay_us", reset_delay_us, least=0)
        observation_bytes = whole_number("observation_bytes", observation_bytes)
        episode_length = whole_number("episode_length", episode_length)
        self.delay_mean_us, self.delay_std_us = delay_mean_us, delay_std_us
        self.reset_delay_us = reset_delay_us
        self.observation_bytes, self.episode_length = observation_bytes, episode_length
        self.observation_space = Box(0, 255, (observation_bytes,), np.uint8)
        self.action_space = Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: Options | None = None
    ) -> tuple[NDArray[np.uint8], Info]:
        """Start an episode; return (observation, {})."""
        super().reset(seed=seed)
        self._tick = 0
        _keep_busy(self.reset_delay_us)
        return self._observation(), {}

    def step(self, action: Action) -> tuple[NDArray[np.uint8], float, bool, bool, Info]:
        """Be busy; return (observation, reward, terminated, truncated, info)."""
        _keep_busy(self.draw_delay_us())
        self._tick += 1
        return self._observation(), 0.0, False, self._tick == self.episode_length, {}

    def render(self) -> str | None:
        """Return the steps played as text."""
        if self.render_mode is None:
            return None
        return f"step {self._tick} of {self.episode_length}"

    def draw_delay_us(self) -> float:
        """Return how long the next step is to take, in microseconds."""
        if self.delay_std_us == 0:
            return self.delay_mean_us
        return max(0.0, self.np_random.normal(self.delay_mean_us, self.delay_std_us))

    def _observation(self) -> NDArray[np.uint8]:
        return np.full(self.observation_bytes, self._tick % 256, np.uint8)


def _keep_busy(delay_us: float) -> None:
    """Use this thread's time on a processor, in microseconds."""
    if delay_us > 0:  # reading that clock takes about one of them
        until_ns = time.thread_time_ns() + 1_000 * delay_us
        while time.thread_time_ns() < until_ns:
            pass
