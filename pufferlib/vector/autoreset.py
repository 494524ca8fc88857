"""When the next episode starts: the three modes of Gymnasium, and which environments to reset."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from pufferlib.annotations import Options
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError, CallOrderError
from pufferlib.vector.arguments import Seed, check_options, seed_each

Autoreset = Literal["same_step", "next_step", "disabled"]
GYMNASIUM_MODES = {
    "same_step": AutoresetMode.SAME_STEP,
    "next_step": AutoresetMode.NEXT_STEP,
    "disabled": AutoresetMode.DISABLED,
}


class DefaultSeed(int):
    """The seed of a reset of all environments that is given none; not that of a masked reset."""


DEFAULT_SEED = DefaultSeed(42)


def check_mode(autoreset: str) -> None:
    """Refuse anything but the name of a mode."""
    if not isinstance(autoreset, str) or autoreset not in GYMNASIUM_MODES:
        raise ArgumentError(
            f"autoreset must be 'same_step', 'next_step' or 'disabled'; got {autoreset!r}."
        )


def check_autoreset(vecenv: Any, needed: Autoreset, who: str) -> None:
    """Refuse a vectorizer in another mode than a library needs.

    Args:
        vecenv: a vectorizer, or a `gymnasium.vector.VectorEnv`. One that has neither `autoreset`,
            nor `autoreset_mode`, itself or in its metadata, is in mode same_step.
        needed: the mode.
        who: needs it, for the error: "RLlib".

    Raises:
        ArgumentError: says what to pass to `make`.
    """
    check_mode(needed)
    given = _mode_of(vecenv)
    if given != needed:
        raise ArgumentError(
            f"{who} needs a vectorizer with autoreset={needed!r}; got one with "
            f"autoreset={given!r}. Pass autoreset={needed!r} to pufferlib.vector.make."
        )


def _mode_of(vecenv: Any) -> str:
    if hasattr(vecenv, "autoreset"):
        return str(vecenv.autoreset)
    mode = getattr(vecenv, "autoreset_mode", None)
    if mode is None:
        metadata = getattr(vecenv, "metadata", None) or {}
        mode = metadata.get("autoreset_mode", AutoresetMode.SAME_STEP)
    return next((name for name, each in GYMNASIUM_MODES.items() if each == mode), str(mode))


def refusal(env: PufferEnv, autoreset: Autoreset) -> str | None:
    """Return why a native environment cannot be stepped in a mode; None if it can.

    It starts its next episode itself, in the same step. It can be held back until the next one if
    its rows end their episodes together.
    """
    if autoreset == "same_step" or env.num_agents == 1 or env.is_one_game:
        return None
    return (
        f"autoreset={autoreset!r} needs environments whose rows end their episodes together; "
        f"{type(env).__name__} plays {env.num_agents} separate games, each of which starts again "
        f"by itself. Make environments of one game each, with num_envs={env.num_agents} in "
        f"pufferlib.vector.make, or use autoreset='same_step'."
    )


def reset_arguments(
    seed: Seed,
    options: Options | None,
    num_envs: int,
    num_seeds: int,
    takes_options: bool,
    is_first: bool,
) -> tuple[list[int | None], Options | None, NDArray[np.bool_] | None]:
    """Return the seed of each environment, the options to pass, and which to reset; None: all.

    Args:
        seed: as the caller gave it.
        options: likewise.
        num_envs: how many environments.
        num_seeds: how many seeds they use together.
        takes_options: the environments' `reset` takes options.
        is_first: there was no reset before. A mask that selects all is then one of all; later it
            is a masked reset, whatever it selects.

    Raises:
        ArgumentError: see `seed_each`, `check_options` and `reset_mask_of`.
    """
    mask: NDArray[np.bool_] | None = None
    if isinstance(options, Mapping) and "reset_mask" in options:
        options = dict(options)
        mask = reset_mask_of(options.pop("reset_mask"), num_envs)
        if isinstance(seed, DefaultSeed):
            seed = None
    seeds = seed_each(seed, num_envs, num_seeds)
    options = check_options(options, takes_options)
    is_of_all = mask is None or (is_first and bool(mask.all()))
    return seeds, options, None if is_of_all else mask


def reset_mask_of(mask: object, rows: int) -> NDArray[np.bool_]:
    """Return the option `reset_mask`, checked as Gymnasium does.

    Raises:
        ArgumentError: it is not a bool array (rows,) with a True in it.
    """
    given = type(mask).__name__
    if isinstance(mask, np.ndarray):
        given = f"an array of {mask.dtype}, {mask.shape}"
        if mask.dtype == np.bool_ and mask.shape == (rows,):
            if mask.any():
                return mask
            given = "no True"
    raise ArgumentError(
        f"options['reset_mask'] must be a NumPy array of bool, ({rows},), with at least one True: "
        f"which to reset; got {given}."
    )


def check_in_batch(mask: NDArray[np.bool_], envs: Iterable[int]) -> None:
    """Refuse to reset environments of a pool that are not in the batch last received.

    Raises:
        ArgumentError: names them.
    """
    stepping = np.setdiff1d(np.flatnonzero(mask), list(envs)).tolist()
    if stepping:
        raise ArgumentError(
            f"reset_mask selects the environments {stepping}, which are stepping. In a pool, "
            f"select environments of the last batch only: its `env_ids` are their rows."
        )


def first_rows(agents_per_env: Sequence[int]) -> NDArray[np.int64]:
    """Return the first row of each environment."""
    agents = np.array(agents_per_env)
    return np.cumsum(agents) - agents


def check_not_over(masks: NDArray[np.bool_], first: NDArray[np.int64], envs: Iterable[int]) -> None:
    """Refuse to step environments that are over and wait for a reset.

    Args:
        masks: bool (rows,), of all environments.
        first: the first row of each environment.
        envs: the environments to step.

    Raises:
        CallOrderError: names them, and says how to reset them.
    """
    is_over = ~np.logical_or.reduceat(masks, first)
    over = [env for env in envs if is_over[env]]
    if over:
        raise CallOrderError(
            f"step of environments whose episodes are over: {', '.join(map(str, over))}. With "
            f"autoreset='disabled', reset them first: "
            f"reset(options={{'reset_mask': mask}}), where mask is True for these."
        )
