"""Spaces: three questions, each in a separate part of a nested space."""

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

from pufferlib.annotations import Action, Observation, Options
from pufferlib.environment import Info

_SIDE, _NUMBERS, _SYMBOLS, _FIRST_SYMBOL = 4, 4, 3, 2
_ASKED = 1  # of the numbers


class Spaces(gymnasium.Env[Observation, Action]):
    """A Gymnasium environment of nested spaces and several dtypes.

    Tests emulation from end to end: that each part of an observation reaches the policy, and each
    part of an action its part of the environment. A game is one step of three answers: `image`,
    whether the lit pixel is in the right half; `rest[0]`, whether number 1 is above 0, the others
    saying nothing; and `rest[1]`, the symbol's place among the symbols. Each right answer earns
    1/3. `score` is 1 where all are right.

    The optimal score is 1; a random policy scores 1/2 * 1/2 * 1/3: 0.083. One that does not see, or
    does not reach, one part scores at most 1/2.

    Observation: Dict(image: Box uint8 (4, 4), one pixel 255 and the others 0; rest: Dict(numbers:
    Box float32 (4,), none within 0.2 of 0; symbol: Discrete(3, start=2))). Action: Dict(image:
    Discrete(2); rest: MultiDiscrete([2, 3])). One agent.
    """

    observation_space: Dict
    action_space: Dict
    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012  (as Gymnasium declares it)
    render_mode: str | None = "ansi"

    def __init__(self) -> None:
        self.observation_space = Dict(
            {
                "image": Box(0, 255, (_SIDE, _SIDE), np.uint8),
                "rest": Dict(
                    {
                        "numbers": Box(-1, 1, (_NUMBERS,), np.float32),
                        "symbol": Discrete(_SYMBOLS, start=_FIRST_SYMBOL),
                    }
                ),
            }
        )
        self.action_space = Dict({"image": Discrete(2), "rest": MultiDiscrete([2, _SYMBOLS])})

    def reset(
        self, *, seed: int | None = None, options: Options | None = None
    ) -> tuple[dict[str, Observation], Info]:
        """Ask new questions; return (observation, {})."""
        super().reset(seed=seed)
        image = np.zeros((_SIDE, _SIDE), np.uint8)
        image.flat[self.np_random.integers(image.size)] = 255
        signs = self.np_random.choice((-1, 1), _NUMBERS)
        numbers = (signs * self.np_random.uniform(0.2, 1, _NUMBERS)).astype(np.float32)
        symbol = _FIRST_SYMBOL + self.np_random.integers(_SYMBOLS)
        self._asked: dict[str, Observation] = {
            "image": image,
            "rest": {"numbers": numbers, "symbol": symbol},
        }
        return self._observation(), {}

    def step(
        self, action: dict[str, Action]
    ) -> tuple[dict[str, Observation], float, bool, bool, Info]:
        """Answer; return (observation, reward, terminated, truncated, info)."""
        given = (action["image"], *action["rest"])
        right = [int(a) == due for a, due in zip(given, self._due(), strict=True)]
        info = {"score": float(all(right))}
        return self._observation(), sum(right) / 3, True, False, info

    def _observation(self) -> Observation:
        """Return the questions in arrays that the caller may change."""
        rest = self._asked["rest"]
        return {
            "image": self._asked["image"].copy(),
            "rest": {"numbers": rest["numbers"].copy(), "symbol": rest["symbol"]},
        }

    def render(self) -> str | None:
        """Return the questions as text: `x` the lit pixel; then the numbers and the symbol."""
        if self.render_mode is None:
            return None
        rows = ["".join("x" if pixel else "." for pixel in row) for row in self._asked["image"]]
        numbers = " ".join(f"{number:+.1f}" for number in self._asked["rest"]["numbers"])
        return "\n".join([*rows, numbers, str(self._asked["rest"]["symbol"])])

    def _due(self) -> tuple[int, int, int]:
        """Return the right answers."""
        rest = self._asked["rest"]
        column = int(self._asked["image"].argmax()) % _SIDE
        return (
            int(column >= _SIDE // 2),
            int(rest["numbers"][_ASKED] > 0),
            int(rest["symbol"]) - _FIRST_SYMBOL,
        )
