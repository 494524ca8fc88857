"""Learn what chance never finds, from its end on: a curriculum for a lock of twelve digits.

    python examples/curriculum.py
    python examples/curriculum.py --no-curriculum

The command line takes the same environment and curriculum:

    puffer train examples/curriculum.py:Lock --env.curriculum examples/curriculum.py:more_digits
"""

import argparse
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from pufferlib.runs import Run

CODE = (2, 0, 3, 1, 1, 3, 0, 2, 3, 0, 1, 2)


class Lock(gymnasium.Env):
    """Enter the digits of a code, each from 0 to 3. A wrong one ends the episode; the last pays 1.

    The random policy opens it once in 4 ** 12 = 17 million episodes. Each episode begins with all
    but the last `digits` entered; `digits` is an attribute that a curriculum can change.
    """

    def __init__(self, digits: int = len(CODE)) -> None:
        self.digits = digits
        self.observation_space = gymnasium.spaces.Discrete(len(CODE))  # how many are entered
        self.action_space = gymnasium.spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.entered = len(CODE) - self.digits
        return np.int64(self.entered), {}

    def step(self, action):
        is_right = action == CODE[self.entered]
        is_open = bool(is_right and self.entered == len(CODE) - 1)
        if is_right and not is_open:
            self.entered += 1
        return np.int64(self.entered), float(is_open), is_open or not is_right, False, {}


def more_digits(
    progress: float, metrics: Mapping[str, float], attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """Begin with the last digit alone; add one whenever eight of ten episodes open the lock."""
    digits = attributes.get("digits", 1)
    if metrics.get("episode/episode_return", 0.0) > 0.8:
        digits = min(digits + 1, len(CODE))
    return {"digits": digits}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timesteps", type=int, default=80_000, help="of training")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-curriculum", action="store_true", help="whole locks from the start")
    given = parser.parse_args()
    settings = {
        "env.curriculum": None if given.no_curriculum else f"{__file__}:more_digits",
        "train.total_timesteps": given.timesteps,
        "train.seed": given.seed,
        "train.horizon": 32,
        "train.learning_rate": 1e-3,
        "train.entropy_coefficient": 0.05,  # or it stops to explore before the next digit
        "vec.num_envs": 16,
        "vec.backend": "Serial",
    }
    run = Run.configure(f"{__file__}:Lock", settings)
    checkpoint = run.train()
    for name, result in run.evaluate(checkpoint).items():
        print(f"{name:8} {result}")  # of whole locks: mean return, and its 95% confidence interval
