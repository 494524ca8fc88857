"""An environment, played at random: alone, emulated, and inside of its emulation."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.emulation import GymnasiumPufferEnv, Layout, PettingZooPufferEnv, native
from pufferlib.environment import Buffers, PufferEnv
from pufferlib.exceptions import ContractError
from pufferlib.spaces import difference, value_at
from pufferlib.testing.breach import breach, require
from pufferlib.testing.infos import InfosCheck
from pufferlib.testing.returns import check_reset_rows, check_step_rows, reset_bare, step_bare
from pufferlib.testing.rows import check_actions, check_rows

Rows = tuple[NDArray[Any], ...]  # in the order of Buffers


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

    Rewards are NaN before each call. Where the environment is deterministic it plays once more with
    flags that are cleared before each step and other stale final observations: both are written by
    the step itself, not read back or left from the one before.

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
        first = _first_play(env, seed, steps, allow_nan)
        if is_deterministic:
            _check_again(env, seed, steps, first)
        emulated = env.user_env
        if isinstance(emulated, (GymnasiumPufferEnv, PettingZooPufferEnv)):
            _check_inside(emulated.env, seed, steps)
            if not getattr(emulated, "to_puffer", False):  # that returns rows, as this has already
                _check_alone(emulated, seed, steps)
    finally:
        env.close()
    if is_deterministic:
        twin = native(env_creator(*args, **kwargs))
        try:
            again = list(_play(twin, seed, steps, allow_nan))
            _check_equal(first, again, "in a second instance")
        finally:
            twin.close()


def _check_spaces(env: PufferEnv) -> None:
    space = env.single_observation_space
    require(
        isinstance(space, gymnasium.spaces.Box),
        f"single_observation_space is {space}",
        "a flat Box; wrap the environment with pufferlib.emulation",
    )
    require(
        isinstance(
            env.single_action_space,
            (gymnasium.spaces.Discrete, gymnasium.spaces.MultiDiscrete, gymnasium.spaces.Box),
        ),
        f"single_action_space is {env.single_action_space}",
        "a Discrete, MultiDiscrete or Box",
    )
    require(
        isinstance(env.num_agents, int) and env.num_agents > 0,
        f"num_agents is {env.num_agents!r}",
        "a whole number above 0, constant over the environment's life",
    )
    layout = getattr(env, "observation_layout", None)
    require(
        layout is None or layout.space == space,
        f"observation_layout describes rows of {layout and layout.space}",
        f"those of single_observation_space, {space}; or no observation_layout",
    )


def _first_play(env: PufferEnv, seed: int, steps: int, allow_nan: bool) -> list[Rows]:
    try:
        return list(_play(env, seed, steps, allow_nan))
    except ContractError:
        raise
    except Exception:  # writing the rows fails in any way; what was to be written has words for it
        if isinstance(env.user_env, (GymnasiumPufferEnv, PettingZooPufferEnv)):
            _check_inside(env.user_env.env, seed, steps)
        raise


def _play(
    env: PufferEnv, seed: int, steps: int, allow_nan: bool, past: list[Rows] | None = None
) -> Iterator[Rows]:
    """Yield copies of all rows, after the reset and each step, having checked them.

    Args:
        env: to play.
        seed: of the environment and of the actions.
        steps: how many to play.
        allow_nan: observations may hold NaN.
        past: of a play whose values were checked. Theirs are not, and what is to be written anew
            holds something else before each call.
    """
    space, agents = env.single_observation_space, env.num_agents
    layout = getattr(env, "observation_layout", None) or Layout.of(space)
    rows = Buffers.allocate(space, agents)
    env.bind(rows)
    action_space = gymnasium.vector.utils.batch_space(env.single_action_space, agents)
    action_space.seed(seed)
    rows.rewards[:] = np.nan  # so that a row that is not written shows
    if past is not None:
        _leave(rows, past)
    first = env.reset(seed)
    check_reset_rows(first, rows)
    infos = InfosCheck()
    infos.check(first[1], "reset", rows)
    require(
        not (rows.terminals.any() or rows.truncations.any()),
        "terminals or truncations are set after reset",
        "False: no episode has ended, whatever the last step of the play before has set",
    )
    if past is None:
        check_rows(rows, layout, agents, "reset", allow_nan)
    yield tuple(array.copy() for array in rows)
    for step in range(1, steps + 1):
        where = f"step {step}"
        was_acting = rows.masks.copy()
        rows.rewards[:] = np.nan
        if past is not None:
            _disturb(rows, layout)
        actions = action_space.sample()
        given = actions.copy()
        result = env.step(actions)
        check_step_rows(result, rows, where)
        check_actions(actions, given, where)
        infos.check(result[4], where, (*rows, actions))
        ends = rows.terminals | rows.truncations
        require(
            not ends[~was_acting].any(),
            f"{where} ends the episode of an agent whose masks were False before it",
            "terminals and truncations False for agents that had no part in the step",
        )
        if past is None:
            check_rows(rows, layout, agents, where, allow_nan)
        rows.final_observations[~ends] = 0
        yield tuple(array.copy() for array in rows)


def _leave(rows: Buffers, past: list[Rows]) -> None:
    """Leave rows to a reset as a play may: observed, absent and ended wherever it had them so."""
    observations, _, terminals, truncations, masks, _ = zip(*past, strict=True)
    rows.observations[:] = observations[-1]
    rows.terminals[:] = np.any(terminals, axis=0)
    rows.truncations[:] = np.any(truncations, axis=0)
    rows.masks[:] = np.all(masks, axis=0)


def _disturb(rows: Buffers, layout: Layout) -> None:
    """Clear flags, and fill what no step has written: a step's own, whatever was there before."""
    rows.terminals[:] = rows.truncations[:] = False
    parts = layout.unflatten(rows.final_observations)
    for field in layout.fields:  # the bytes between them are nobody's to write
        value_at(parts, field.leaf.path)[...] = 1


def _check_alone(env: Any, seed: int, steps: int) -> None:
    """Play an emulated environment by itself: what it returns is the caller's to keep."""
    held: list[tuple[NDArray[Any], NDArray[Any]]] = []
    before = ""
    for where, observations in _moments(env, seed, steps):
        for observation, as_returned in held:
            require(
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
            require(
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
    yield "reset", reset_bare(env, "reset", seed=seed)
    for step in range(1, steps + 1):
        observations, has_ended = step_bare(env, actions.sample(), f"step {step}")
        yield f"step {step}", observations
        if has_ended:
            yield (where := f"the reset after step {step}"), reset_bare(env, where)


def _parallel_moments(env: Any, seed: int, steps: int) -> Iterator[tuple[str, dict[Any, Any]]]:
    actions = {agent: copy.deepcopy(env.action_space(agent)) for agent in env.possible_agents}
    for number, space in enumerate(actions.values()):
        space.seed(seed + number)
    yield "reset", reset_bare(env, "reset", seed=seed)
    for step in range(1, steps + 1):
        chosen = {agent: actions[agent].sample() for agent in env.agents}
        observations, has_ended = step_bare(env, chosen, f"step {step}")
        yield f"step {step}", observations
        if has_ended:
            yield (where := f"the reset after step {step}"), reset_bare(env, where)


def _check_again(env: PufferEnv, seed: int, steps: int, first: list[Rows]) -> None:
    """Play again, in rows that hold other things before each call."""
    fault = _difference(first, list(_play(env, seed, steps, True, past=first)))
    if fault is None:
        return
    plain = list(_play(env, seed, steps, True))  # differs by chance alone
    _check_equal(first, plain, "after reset with the same seed")
    raise breach(
        f"{fault} with what the rows held before the call",
        "every row written in reset; in step all rewards, flags (False again where nothing ends) "
        "and, where an episode ends, its last observation in final_observations",
    )


def _check_equal(first: list[Rows], second: list[Rows], when: str) -> None:
    fault = _difference(first, second)
    require(
        fault is None,
        f"{fault} {when}",
        "the same stream from the same seed: draw all chance from a generator seeded in "
        "reset, or pass is_deterministic=False if it cannot be",
    )


def _difference(first: list[Rows], second: list[Rows]) -> str | None:
    for step, (rows, again) in enumerate(zip(first, second, strict=True)):
        for name, array, other in zip(Buffers._fields, rows, again, strict=True):
            if not np.array_equal(array, other, equal_nan=array.dtype.kind == "f"):
                return f"{name} of step {step} differ"
    return None
