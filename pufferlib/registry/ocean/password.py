"""Password: guess a fixed string; the reward comes only at the end."""

import gymnasium
import numpy as np

from pufferlib.annotations import Array
from pufferlib.arguments import whole_number
from pufferlib.environment import Buffers, Info, PufferEnv, StepResult
from pufferlib.registry.ocean._results import results

_SEED = 7  # the same password in every process and every run


class Password(PufferEnv):
    """Many games of Password, stepped together.

    Tests exploration: a policy must stay random until it has found the password, and then keep
    it. A game is `password_length` guesses of a bit. The reward is 1 at its end if all were
    right, and 0 otherwise, and so is `score`.

    The optimal score is 1; a random policy scores 1 / 2**password_length: 0.03125.

    Observation: Box(-1, 1, (password_length,)), the guesses so far as -1 and 1, then 0s. Action:
    Discrete(2), the next bit.

    Args:
        num_agents: games, each with its one agent.
        password_length: bits.
        buffers: rows to write into.

    Attributes:
        password: int64 (password_length,), the same for every game, seed and process.

    Raises:
        ArgumentError: no bits.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012  (as Gymnasium declares it)
    render_mode: str | None = "ansi"

    def __init__(
        self, num_agents: int = 1, password_length: int = 5, buffers: Buffers | None = None
    ) -> None:
        password_length = whole_number("password_length", password_length)
        self.password = np.random.default_rng(_SEED).integers(2, size=password_length)
        self.password_length = password_length
        self.num_agents = num_agents
        self.single_observation_space = gymnasium.spaces.Box(-1, 1, (password_length,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        super().__init__(buffers)

    def reset(self, seed: int | None = None) -> tuple[Array, list[Info]]:
        """Start a new episode in every game; return (observations, infos). `seed` has no effect."""
        self._tick = 0
        self.observations[:] = self.rewards[:] = 0
        self.terminals[:] = self.truncations[:] = False
        self.masks[:] = True
        return self.observations, []

    def step(self, actions: Array) -> StepResult:
        """Guess a bit in every game; all games end, and start again, on the same step."""
        self.observations[:, self._tick] = 2 * actions - 1
        self.rewards[:] = 0
        self._tick += 1
        infos: list[Info] = []
        ended = self._tick == self.password_length
        self.terminals[:] = ended
        if ended:
            self.final_observations[:] = self.observations
            self.rewards[:] = (self.observations == 2 * self.password - 1).all(1)
            infos = results(self.rewards, self.password_length, self.rewards)
            self._tick = 0
            self.observations[:] = 0
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def render(self) -> str | None:
        """Return the first game as text: the guesses so far, `_` those to come."""
        if self.render_mode is None:
            return None
        symbols = {-1.0: "0", 1.0: "1", 0.0: "_"}
        return "".join(symbols[float(guess)] for guess in self.observations[0])
