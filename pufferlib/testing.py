"""The conformance kit: finds out whether an environment, or a vectorizer, keeps its contract.

    pufferlib.testing.check_env(make_env)
    pufferlib.testing.check_vector(pufferlib.vector.make(make_env, num_envs=4))

Each returns nothing, or raises a `ContractError` that says what was found, what is due, and how to
mend it. Third parties run it on their own environments.
"""

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.emulation import native
from pufferlib.environment import Buffers, PufferEnv
from pufferlib.exceptions import CallOrderError, ContractError
from pufferlib.vector import VectorEnv


def check_env(
    env_creator: Callable[..., Any],
    *args: Any,
    seed: int = 0,
    steps: int = 200,
    is_deterministic: bool = True,
    **kwargs: Any,
) -> None:
    """Play an environment at random and check every row it writes.

    Args:
        env_creator: returns a PufferEnv, or a Gymnasium or PettingZoo environment.
        *args: passed to it.
        seed: of the environment and of the actions.
        steps: how many to play, over as many episodes as that takes.
        is_deterministic: the same seed must give the same stream, in one instance and in two.
        **kwargs: passed to `env_creator`.

    Raises:
        ContractError: the first breach found.
    """
    env = native(env_creator(*args, **kwargs))
    try:
        _check_spaces(env)
        first = list(_play(env, seed, steps))
        if is_deterministic:
            _check_equal(first, list(_play(env, seed, steps)), "after reset with the same seed")
    finally:
        env.close()
    if is_deterministic:
        twin = native(env_creator(*args, **kwargs))
        try:
            _check_equal(first, list(_play(twin, seed, steps)), "in a second instance")
        finally:
            twin.close()


def check_vector(vecenv: VectorEnv, seed: int = 0, steps: int = 100) -> None:
    """Play a vectorizer at random and check every batch; leave it open.

    Args:
        vecenv: freshly made.
        seed: of the environments and of the actions.
        steps: batches to play.

    Raises:
        ContractError: the first breach found.
    """
    _check_call_order(vecenv)
    vecenv.action_space.seed(seed)
    vecenv.async_reset(seed)
    for step in range(steps):
        batch = vecenv.recv()
        rows = Buffers(
            batch.observations,
            batch.rewards,
            batch.terminals,
            batch.truncations,
            batch.masks,
            vecenv.final_observations,
        )
        where = f"batch {step}"
        _check_rows(rows, vecenv.single_observation_space, vecenv.agents_per_batch, where)
        _require(
            batch.env_ids.shape == (vecenv.agents_per_batch,)
            and len(np.unique(batch.env_ids)) == len(batch.env_ids)
            and batch.env_ids.min() >= 0
            and batch.env_ids.max() < vecenv.num_agents,
            f"env_ids of {where} are {batch.env_ids}",
            f"{vecenv.agents_per_batch} different rows out of {vecenv.num_agents}",
        )
        _check_infos(batch.infos, where)
        vecenv.send(vecenv.action_space.sample())
    vecenv.recv()


def _check_spaces(env: PufferEnv) -> None:
    _require(
        isinstance(env.single_observation_space, gymnasium.spaces.Box),
        f"single_observation_space is {env.single_observation_space}",
        "a flat Box; wrap the environment with pufferlib.emulation",
    )
    _require(
        isinstance(
            env.single_action_space,
            (gymnasium.spaces.Discrete, gymnasium.spaces.MultiDiscrete, gymnasium.spaces.Box),
        ),
        f"single_action_space is {env.single_action_space}",
        "a Discrete, MultiDiscrete or Box",
    )
    _require(
        isinstance(env.num_agents, int) and env.num_agents > 0,
        f"num_agents is {env.num_agents!r}",
        "a whole number above 0, constant over the environment's life",
    )


def _play(env: PufferEnv, seed: int, steps: int) -> Iterator[tuple[NDArray[Any], ...]]:
    """Yield copies of all rows, after the reset and each step, having checked them."""
    space, agents = env.single_observation_space, env.num_agents
    rows = Buffers.allocate(space, agents)
    env.bind(rows)
    actions = gymnasium.vector.utils.batch_space(env.single_action_space, agents)
    actions.seed(seed)
    rows.rewards[:] = np.nan  # so that a row that is not written shows
    observations, infos = env.reset(seed)
    _check_result(observations, rows.observations, "reset")
    _check_infos(infos, "reset")
    _check_rows(rows, space, agents, "reset")
    _require(
        not (rows.terminals.any() or rows.truncations.any()),
        "terminals or truncations are set after reset",
        "False: no episode has ended",
    )
    yield tuple(array.copy() for array in rows)
    for step in range(1, steps + 1):
        where = f"step {step}"
        was_acting = rows.masks.copy()
        rows.rewards[:] = np.nan
        observations, *_, infos = env.step(actions.sample())
        _check_result(observations, rows.observations, where)
        _check_infos(infos, where)
        ends = rows.terminals | rows.truncations
        _require(
            not ends[~was_acting].any(),
            f"{where} ends the episode of an agent whose masks were False before it",
            "terminals and truncations False for agents that had no part in the step",
        )
        _check_rows(rows, space, agents, where)
        rows.final_observations[~ends] = 0
        yield tuple(array.copy() for array in rows)


def _check_rows(rows: Buffers, space: gymnasium.spaces.Box, count: int, where: str) -> None:
    shape = (count, *space.shape)
    _require(
        rows.observations.shape == shape and rows.observations.dtype == space.dtype,
        f"observations of {where} are {rows.observations.shape} {rows.observations.dtype}",
        f"{shape} {space.dtype}",
    )
    for name, dtype in (
        ("rewards", np.float32),
        ("terminals", np.bool_),
        ("truncations", np.bool_),
        ("masks", np.bool_),
    ):
        array = getattr(rows, name)
        _require(
            array.shape == (count,) and array.dtype == dtype,
            f"{name} of {where} are {array.shape} {array.dtype}",
            f"({count},) {np.dtype(dtype)}",
        )
    _require(
        not np.isnan(rows.rewards).any(),
        f"rewards of {where} are {rows.rewards}",
        "a number in every row, on every step; 0 for agents that are absent",
    )
    ended = rows.terminals | rows.truncations
    absent = ~rows.masks
    _require(
        not (rows.observations[absent].any() or rows.rewards[absent & ~ended].any()),
        f"{where} has rows with masks False that are not zero",
        "zero rows for absent agents, but for the reward and flags of the step that ends an "
        "agent's episode: clear them, or set masks True where an agent is there to act",
    )
    _check_bounds(rows.observations[rows.masks], space, where)
    _check_bounds(rows.final_observations[ended], space, f"the final observations of {where}")


def _check_bounds(values: NDArray[Any], space: gymnasium.spaces.Box, where: str) -> None:
    outside = (values < space.low) | (values > space.high)
    _require(
        not outside.any(),
        f"{where} has values outside its observation space, such as {values[outside].ravel()[:1]}",
        f"what {space} contains: widen the space's bounds, or clip",
    )


def _check_result(observations: Any, rows: NDArray[Any], where: str) -> None:
    _require(
        isinstance(observations, np.ndarray) and np.shares_memory(observations, rows),
        f"{where} returns observations that are not the rows it is bound to",
        "self.observations, filled in place: self.observations[:] = ...",
    )


def _check_infos(infos: Any, where: str) -> None:
    _require(
        isinstance(infos, list) and all(isinstance(info, dict) and info for info in infos),
        f"infos of {where} are {infos!r:.200}",
        "a list of non-empty dicts; [] where there is nothing to tell",
    )
    for info in infos:
        try:
            pickle.dumps(info)
        except Exception as error:  # pickling may fail in any way that an object's author chose
            raise ContractError(
                f"An info of {where} cannot be pickled: {error}. Infos cross process borders: put "
                f"numbers, strings and arrays in them."
            ) from error


def _check_equal(first: list[Any], second: list[Any], when: str) -> None:
    for step, (rows, again) in enumerate(zip(first, second, strict=True)):
        for name, array, other in zip(Buffers._fields, rows, again, strict=True):
            _require(
                np.array_equal(array, other, equal_nan=array.dtype.kind == "f"),
                f"{name} of step {step} differ {when}",
                "the same stream from the same seed: draw all chance from a generator seeded in "
                "reset, or pass is_deterministic=False if it cannot be",
            )


def _check_call_order(vecenv: VectorEnv) -> None:
    """Refuse a vectorizer that accepts steps before its first reset."""
    vecenv.action_space.seed(0)
    try:
        vecenv.send(vecenv.action_space.sample())
    except CallOrderError:
        return
    raise ContractError("send before reset was accepted. It must raise CallOrderError.")


def _require(holds: Any, found: str, due: str) -> None:
    if not holds:
        raise ContractError(f"{found[0].upper()}{found[1:]}. Due is: {due}.")
