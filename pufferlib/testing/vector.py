"""Check a vectorizer by random play, batch by batch."""

from typing import Any

import numpy as np

from pufferlib.annotations import Array
from pufferlib.emulation import Layout
from pufferlib.environment import Buffers
from pufferlib.exceptions import CallOrderError, ContractError
from pufferlib.testing.breach import breach, require
from pufferlib.testing.infos import InfosCheck
from pufferlib.testing.rows import check_actions, check_rows
from pufferlib.vector import VectorEnv

_MISSING = "pufferlib_missing_attribute"


def check_vector(
    vecenv: VectorEnv, seed: int = 0, steps: int = 100, is_copied: bool = False
) -> None:
    """Play a vectorizer at random and check every batch; leave it open.

    A batch must not change until its actions are sent, even while other environments step. Batches
    do not show which rows an environment failed to write; `check_env` finds that. With
    `autoreset="disabled"`, environments that are over are reset when they are found.

    Args:
        vecenv: a new vectorizer.
        seed: seeds the environments and the actions.
        steps: number of batches to play.
        is_copied: a batch must not change when the next one is received either, which
            `Multiprocessing(zero_copy=False)` guarantees.

    Raises:
        ContractError: for the first breach found.
    """
    _check_call_order(vecenv)
    _check_failed_call(vecenv)
    autoreset = getattr(vecenv, "autoreset", "same_step")
    layout = vecenv.observation_layout or Layout.of(vecenv.single_observation_space)
    last_row_of = np.cumsum(vecenv.agents_per_env) - 1
    vecenv.action_space.seed(seed)
    vecenv.async_reset(seed)
    infos = InfosCheck()
    earlier: tuple[Buffers, Buffers] | None = None
    for step in range(steps):
        where = f"batch {step}"
        batch = vecenv.recv()
        rows = Buffers(
            batch.observations,
            batch.rewards,
            batch.terminals,
            batch.truncations,
            batch.masks,
            batch.final_observations,
        )
        copies = Buffers._make(array.copy() for array in rows)
        if earlier is not None:
            expected = "copies, made for each batch; pass is_copied=False if views are intended"
            _check_unchanged(*earlier, f"batch {step - 1}", f"{where} was received", expected)
        same_step = autoreset == "same_step"
        check_rows(rows, layout, vecenv.agents_per_batch, where, same_step=same_step)
        require(
            batch.env_ids.shape == (vecenv.agents_per_batch,)
            and len(np.unique(batch.env_ids)) == len(batch.env_ids)
            and batch.env_ids.min() >= 0
            and batch.env_ids.max() < vecenv.num_agents,
            f"env_ids of {where} are {batch.env_ids}",
            f"{vecenv.agents_per_batch} different rows out of {vecenv.num_agents}",
        )
        infos.check(batch.infos, where, rows)
        env_indices = np.searchsorted(last_row_of, batch.env_ids)
        _check_env_indices(batch.infos, np.unique(env_indices).tolist(), where)
        actions = vecenv.action_space.sample()
        given = actions.copy()
        expected = "rows that do not change between recv and the send of their actions"
        _check_unchanged(rows, copies, where, "its actions were sent", expected)
        is_over = np.zeros(vecenv.num_envs, np.bool_)
        is_over[np.setdiff1d(env_indices, env_indices[batch.masks])] = True
        if autoreset == "disabled" and is_over.any():
            _check_over(vecenv, actions)
            vecenv.async_reset(options={"reset_mask": is_over})
        else:
            vecenv.send(actions)
        check_actions(actions, given, f"the step after {where}")
        earlier = (rows, copies) if is_copied else None
    vecenv.recv()


def _check_call_order(vecenv: VectorEnv) -> None:
    """Refuse a vectorizer that accepts steps before its first reset."""
    vecenv.action_space.seed(0)
    try:
        vecenv.send(vecenv.action_space.sample())
    except CallOrderError:
        return
    raise ContractError("send before reset was accepted. It must raise CallOrderError.")


def _check_over(vecenv: VectorEnv, actions: Array) -> None:
    """Refuse a vectorizer without autoreset that steps environments that are over."""
    try:
        vecenv.send(actions)
    except CallOrderError:
        return
    raise ContractError(
        "send to an environment whose episode is over was accepted. With autoreset='disabled' it "
        "must raise CallOrderError until a reset."
    )


def _check_failed_call(vecenv: VectorEnv) -> None:
    """Refuse a vectorizer that is closed by the read of a missing attribute."""
    if vecenv.batch_size < vecenv.num_envs or vecenv.has_attr(_MISSING):
        return  # a pool has no such reads; some environments have every attribute
    try:
        value = vecenv.get_attr(_MISSING)
    except AttributeError:
        pass
    else:
        raise breach(f"get_attr of a missing attribute returned {value}", "an AttributeError")
    try:
        vecenv.has_attr(_MISSING)
    except CallOrderError as error:
        raise breach(
            "get_attr of a missing attribute closed the vectorizer", "one to be used as before"
        ) from error


def _check_unchanged(rows: Buffers, copies: Buffers, where: str, until: str, expected: str) -> None:
    for name, array, as_received in zip(Buffers._fields, rows, copies, strict=True):
        require(
            array.tobytes() == as_received.tobytes(),
            f"{name} of {where} changed before {until}",
            expected,
        )


def _check_env_indices(infos: Any, of_batch: list[int], where: str) -> None:
    indices = getattr(infos, "env_indices", None)
    require(
        isinstance(indices, list)
        and len(indices) == len(infos)
        and set(indices) <= set(of_batch)
        and indices == sorted(indices),
        f"infos of {where}, {len(infos)} of them, have env_indices {indices}",
        f"for each info the index of its environment, in ascending order, among those of the "
        f"batch, {of_batch}; pufferlib.vector.Infos.extend_from records them",
    )
