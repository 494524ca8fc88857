"""The conformance kit: finds out whether an environment, or a vectorizer, keeps its contract.

    pufferlib.testing.check_env(make_env)
    pufferlib.testing.check_vector(pufferlib.vector.make(make_env, num_envs=4))

Each returns nothing, or raises a `ContractError` that says what was found, what is due, and how to
mend it. Third parties run it on their own environments.
"""

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.emulation import GymnasiumPufferEnv, Layout, PettingZooPufferEnv, native
from pufferlib.environment import Buffers, Info, PufferEnv
from pufferlib.exceptions import CallOrderError, ContractError
from pufferlib.spaces import difference, name_of, value_at
from pufferlib.vector import VectorEnv


def check_env(
    env_creator: Callable[..., Any],
    *args: Any,
    seed: int = 0,
    steps: int = 200,
    is_deterministic: bool = True,
    allow_nan: bool = True,
    **kwargs: Any,
) -> None:
    """Play an environment at random and check every row it writes, and what it returns besides.

    An emulated environment is played by itself too, and so is the one inside of it: what either
    returns must last and belong to its space.

    Args:
        env_creator: returns a PufferEnv, or a Gymnasium or PettingZoo environment.
        *args: passed to it.
        seed: of the environment and of the actions.
        steps: how many to play, over as many episodes as that takes.
        is_deterministic: the same seed must give the same stream, in one instance and in two.
        allow_nan: observations may hold NaN.
        **kwargs: passed to `env_creator`.

    Raises:
        ContractError: the first breach found.
    """
    env = native(env_creator(*args, **kwargs))
    try:
        _check_spaces(env)
        first = list(_play(env, seed, steps, allow_nan))
        if is_deterministic:
            again = list(_play(env, seed, steps, allow_nan))
            _check_equal(first, again, "after reset with the same seed")
        emulated = env.user_env
        if isinstance(emulated, (GymnasiumPufferEnv, PettingZooPufferEnv)):
            if not getattr(emulated, "to_puffer", False):  # that returns rows, as this has already
                _check_alone(emulated, seed, steps)
            _check_inside(emulated.env, seed, steps)
    finally:
        env.close()
    if is_deterministic:
        twin = native(env_creator(*args, **kwargs))
        try:
            again = list(_play(twin, seed, steps, allow_nan))
            _check_equal(first, again, "in a second instance")
        finally:
            twin.close()


def check_vector(
    vecenv: VectorEnv, seed: int = 0, steps: int = 100, is_copied: bool = False
) -> None:
    """Play a vectorizer at random and check every batch; leave it open.

    A batch must stay as it is until it is answered, also where other environments step meanwhile.

    Args:
        vecenv: freshly made.
        seed: of the environments and of the actions.
        steps: batches to play.
        is_copied: a batch must stay as it is when the next one is received as well: what
            `Multiprocessing(zero_copy=False)` promises.

    Raises:
        ContractError: the first breach found.
    """
    _check_call_order(vecenv)
    layout = vecenv.observation_layout or Layout.of(vecenv.single_observation_space)
    last_row_of = np.cumsum(vecenv.agents_per_env) - 1
    vecenv.action_space.seed(seed)
    vecenv.async_reset(seed)
    infos = _Infos()
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
            vecenv.final_observations,
        )
        held = Buffers._make(array.copy() for array in rows)
        if earlier is not None:
            due = "copies, made for each batch; is_copied=False if views are meant"
            _check_unchanged(*earlier, f"batch {step - 1}", f"{where} was received", due)
        _check_rows(rows, layout, vecenv.agents_per_batch, where)
        _require(
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
        due = "rows that nobody writes to between recv and the send that answers them"
        _check_unchanged(rows, held, where, "it was answered", due)
        vecenv.send(actions)
        _check_actions(actions, given, f"the step after {where}")
        earlier = (rows, held) if is_copied else None
    vecenv.recv()


def _check_spaces(env: PufferEnv) -> None:
    space = env.single_observation_space
    _require(
        isinstance(space, gymnasium.spaces.Box),
        f"single_observation_space is {space}",
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
    layout = getattr(env, "observation_layout", None)
    _require(
        layout is None or layout.space == space,
        f"observation_layout describes rows of {layout and layout.space}",
        f"those of single_observation_space, {space}; or no observation_layout",
    )


def _play(
    env: PufferEnv, seed: int, steps: int, allow_nan: bool
) -> Iterator[tuple[NDArray[Any], ...]]:
    """Yield copies of all rows, after the reset and each step, having checked them."""
    space, agents = env.single_observation_space, env.num_agents
    layout = getattr(env, "observation_layout", None) or Layout.of(space)
    rows = Buffers.allocate(space, agents)
    env.bind(rows)
    action_space = gymnasium.vector.utils.batch_space(env.single_action_space, agents)
    action_space.seed(seed)
    rows.rewards[:] = np.nan  # so that a row that is not written shows
    observations, returned = env.reset(seed)
    _check_result(observations, rows.observations, "reset")
    infos = _Infos()
    infos.check(returned, "reset", rows)
    _check_rows(rows, layout, agents, "reset", allow_nan)
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
        actions = action_space.sample()
        given = actions.copy()
        observations, *_, returned = env.step(actions)
        _check_result(observations, rows.observations, where)
        _check_actions(actions, given, where)
        infos.check(returned, where, (*rows, actions))
        ends = rows.terminals | rows.truncations
        _require(
            not ends[~was_acting].any(),
            f"{where} ends the episode of an agent whose masks were False before it",
            "terminals and truncations False for agents that had no part in the step",
        )
        _check_rows(rows, layout, agents, where, allow_nan)
        rows.final_observations[~ends] = 0
        yield tuple(array.copy() for array in rows)


def _check_alone(env: Any, seed: int, steps: int) -> None:
    """Play an emulated environment by itself: what it returns is the caller's to keep."""
    held: list[tuple[NDArray[Any], NDArray[Any]]] = []
    before = ""
    for where, observations in _moments(env, seed, steps):
        for observation, as_returned in held:
            _require(
                observation.tobytes() == as_returned.tobytes(),
                f"the observation that {before} of the emulated environment returned has changed "
                f"after {where}",
                "a new array from each call: return a copy of what is written again",
            )
        held = [(observation, observation.copy()) for observation in observations.values()]
        before = where


def _check_inside(env: Any, seed: int, steps: int) -> None:
    """Play the environment inside of an emulated one, whose rows cast what does not belong."""
    for where, observations in _moments(env, seed, steps):
        for agent, observation in observations.items():
            is_single = isinstance(env, gymnasium.Env)
            space = env.observation_space if is_single else env.observation_space(agent)
            fault = difference(observation, space)
            _require(
                fault is None,
                f"{where} of {env} returns an observation that is not of its space: {fault}",
                "what observation_space says, on every step: rows cast silently. Mend the space, "
                "or what is returned",
            )


def _moments(env: Any, seed: int, steps: int) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Yield the name and the observations, by agent, of each call of random play."""
    if isinstance(env, gymnasium.Env):
        return _gymnasium_moments(env, seed, steps)
    return _parallel_moments(env, seed, steps)


def _gymnasium_moments(
    env: gymnasium.Env[Any, Any], seed: int, steps: int
) -> Iterator[tuple[str, dict[Any, Any]]]:
    actions = copy.deepcopy(env.action_space)
    actions.seed(seed)
    yield "reset", {0: env.reset(seed=seed)[0]}
    for step in range(1, steps + 1):
        observation, _, terminated, truncated, _ = env.step(actions.sample())
        yield f"step {step}", {0: observation}
        if terminated or truncated:
            yield f"the reset after step {step}", {0: env.reset()[0]}


def _parallel_moments(env: Any, seed: int, steps: int) -> Iterator[tuple[str, dict[Any, Any]]]:
    actions = {agent: copy.deepcopy(env.action_space(agent)) for agent in env.possible_agents}
    for number, space in enumerate(actions.values()):
        space.seed(seed + number)
    yield "reset", env.reset(seed=seed)[0]
    for step in range(1, steps + 1):
        yield f"step {step}", env.step({agent: actions[agent].sample() for agent in env.agents})[0]
        if not env.agents:
            yield f"the reset after step {step}", env.reset()[0]


def _check_rows(
    rows: Buffers, layout: Layout, count: int, where: str, allow_nan: bool = True
) -> None:
    space = layout.space
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
    final = f"the final observations of {where}"
    _check_values(rows.observations[rows.masks], layout, where, allow_nan)
    _check_values(rows.final_observations[ended], layout, final, allow_nan)


def _check_values(rows: NDArray[Any], layout: Layout, where: str, allow_nan: bool) -> None:
    """Check every leaf of the rows: those of bytes have bounds of their own."""
    parts = layout.unflatten(rows)
    for field in layout.fields:
        leaf, values = field.leaf, value_at(parts, field.leaf.path)
        of_leaf = f" in {name_of(leaf.path)}" if leaf.path else ""
        _require(
            values.shape == (len(rows), *leaf.shape) and values.dtype == leaf.dtype,
            f"{where} has values of {values.shape} {values.dtype}{of_leaf}",
            f"{(len(rows), *leaf.shape)} {leaf.dtype}: a layout made by Layout.of",
        )
        low, high = leaf.low, leaf.high
        if leaf.dtype == np.bool_:  # which a byte may make neither False nor True
            values, low, high = values.view(np.uint8), low.astype(np.uint8), high.astype(np.uint8)
        outside = (values < low) | (values > high)
        if outside.any():
            at = tuple(np.argwhere(outside)[0])
            raise _breach(
                f"{where} has values outside its observation space, such as {values[at]}{of_leaf}",
                f"{low[at[1:]]} to {high[at[1:]]} there: widen the space's bounds, or clip",
            )
        _require(
            allow_nan or leaf.dtype.kind != "f" or not np.isnan(values).any(),
            f"{where} has NaN{of_leaf}",
            "numbers: find where NaN comes from (pufferlib.wrappers.check_nan), or pass "
            "allow_nan=True if it is meant",
        )


def _check_result(observations: Any, rows: NDArray[Any], where: str) -> None:
    _require(
        isinstance(observations, np.ndarray) and np.shares_memory(observations, rows),
        f"{where} returns observations that are not the rows it is bound to",
        "self.observations, filled in place: self.observations[:] = ...",
    )


def _check_actions(actions: NDArray[Any], given: NDArray[Any], where: str) -> None:
    _require(
        np.array_equal(actions, given),
        f"{where} changes the actions it is given",
        "actions left as they are: copy them before changing them",
    )


def _check_unchanged(rows: Buffers, held: Buffers, where: str, until: str, due: str) -> None:
    for name, array, as_received in zip(Buffers._fields, rows, held, strict=True):
        _require(
            array.tobytes() == as_received.tobytes(),
            f"{name} of {where} changed before {until}",
            due,
        )


class _Infos:
    """The infos of the last call, kept to find out whether they change afterwards."""

    def __init__(self) -> None:
        self._kept: list[tuple[Info, bytes]] = []
        self._where = ""

    def check(self, infos: Any, where: str, rows: Sequence[NDArray[Any]]) -> None:
        """Check what a call has returned, and that what the last one returned is as it was.

        Args:
            infos: those of the call.
            where: its name.
            rows: arrays that are written again; none may be in an info.
        """
        _require(
            isinstance(infos, list) and all(isinstance(info, dict) and info for info in infos),
            f"infos of {where} are {infos!r:.200}",
            "a list of non-empty dicts; [] where there is nothing to tell",
        )
        for info, pickled in self._kept:
            change = None
            # Equal bytes are equal infos; unequal ones need not be unequal infos.
            if _pickled(info, self._where) != pickled:
                change = _change(pickle.loads(pickle.dumps(info)), pickle.loads(pickled))
            _require(
                change is None,
                f"an info of {self._where} has changed after {where}: {change}",
                "a dict of its own for each step, of values that last: copy what is written again",
            )
        self._kept = [(info, _pickled(info, where)) for info in infos]
        self._where = where
        for info in infos:
            for name, array in _arrays(info, "info"):
                _require(
                    not any(np.shares_memory(array, row) for row in rows),
                    f"an info of {where} holds a view of the rows or actions, {name}",
                    "arrays of the info's own, for those are written again: copy",
                )


def _pickled(info: Info, where: str) -> bytes:
    try:
        return pickle.dumps(info)
    except Exception as error:  # pickling may fail in any way that an object's author chose
        raise ContractError(
            f"An info of {where} cannot be pickled: {error}. Infos cross process borders: put "
            f"numbers, strings and arrays in them."
        ) from error


def _change(now: Any, before: Any, name: str = "info") -> str | None:
    """Tell where two values that come out of a pickle differ, and in what; None: nowhere."""
    if isinstance(now, dict) and isinstance(before, dict) and now.keys() == before.keys():
        parts = [(now[key], before[key], f"{name}[{key!r}]") for key in before]
    elif isinstance(now, (list, tuple)) and type(now) is type(before) and len(now) == len(before):
        parts = [(now[i], before[i], f"{name}[{i}]") for i in range(len(before))]
    elif pickle.dumps(now) != pickle.dumps(before):
        return f"{name} was {before!r:.80}, is {now!r:.80}"
    else:
        return None
    return next((found for part in parts if (found := _change(*part)) is not None), None)


def _arrays(value: Any, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays in nested dicts, lists and tuples, each with how to index to it."""
    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _arrays(part, f"{name}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from _arrays(part, f"{name}[{index}]")


def _check_env_indices(infos: Any, of_batch: list[int], where: str) -> None:
    indices = getattr(infos, "env_indices", None)
    _require(
        isinstance(indices, list)
        and len(indices) == len(infos)
        and set(indices) <= set(of_batch)
        and indices == sorted(indices),
        f"infos of {where}, {len(infos)} of them, have env_indices {indices}",
        f"for each info the index of its environment, in order, out of those of the batch, "
        f"{of_batch}: pufferlib.vector.Infos has extend_from",
    )


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
        raise _breach(found, due)


def _breach(found: str, due: str) -> ContractError:
    return ContractError(f"{found[0].upper()}{found[1:]}. Due is: {due}.")
