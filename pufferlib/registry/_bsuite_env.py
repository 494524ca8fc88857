"""Build an experiment of bsuite for a seed."""

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array, Kwargs, UserEnv
from pufferlib.arguments import whole_number
from pufferlib.environment import Info
from pufferlib.wrappers.silencing import silent

with silent():  # bsuite imports gym, which prints that it is unmaintained
    from bsuite import sweep
    from bsuite.bsuite import EXPERIMENT_NAME_TO_ENVIRONMENT

_SIDE = 24  # of a square, in pixels


def settings_of(experiment: str, setting: int) -> Kwargs:
    """Return the arguments of one of an experiment's settings.

    Raises:
        ArgumentError: there is no such setting.
    """
    count = sum(name.startswith(f"{experiment}/") for name in sweep.SETTINGS)
    number = whole_number(f"setting of {experiment}", setting, least=0, most=count - 1)
    return dict(sweep.SETTINGS[f"{experiment}/{number}"])


def build(experiment: str, arguments: Kwargs, seed: int | None) -> Any:
    """Return the experiment, its generator seeded; with None it seeds itself."""
    make = EXPERIMENT_NAME_TO_ENVIRONMENT[experiment]
    arguments = dict(arguments)
    takes_seed = "seed" in inspect.signature(make).parameters
    if takes_seed:
        arguments["seed"] = seed
    env = make(**arguments)
    if not takes_seed and hasattr(env, "_rng"):  # deep_sea_stochastic
        env._rng = np.random.RandomState(seed)
    return env


def picture(_: object, observation: Array) -> NDArray[np.uint8]:
    """Return the observation drawn as gray squares, uint8 (height, width, 3)."""
    board = np.atleast_2d(observation)
    shade = (board - board.min()) / max(float(np.ptp(board)), 1e-6)
    squares = np.kron((255 * shade).astype(np.uint8), np.ones((_SIDE, _SIDE), np.uint8))
    return np.stack([squares] * 3, 2)


def scores(env: UserEnv) -> Info:
    """Return the quantities that the task's score is computed from."""
    return {key: float(value) for key, value in env.dm_env.bsuite_info().items()}
