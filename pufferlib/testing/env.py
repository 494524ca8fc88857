"""Check an environment by random play: as rows, emulated, and inside its emulation."""

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from pufferlib.annotations import Agent, Array, EnvCreator, GymnasiumEnv, Observation, UserEnv
from pufferlib.emulation import GymnasiumPufferEnv, Layout, PettingZooPufferEnv, native
from pufferlib.emulation.description import describe
from pufferlib.environment import Buffers, PufferEnv
from pufferlib.exceptions import ContractError, OldInterfaceWarning
from pufferlib.old_interfaces import old_interfaces
from pufferlib.spaces import difference, value_at
from pufferlib.testing.breach import breach, require
from pufferlib.testing.infos import InfosCheck
from pufferlib.testing.returns import check_reset_rows, check_step_rows, reset_bare, step_bare
from pufferlib.testing.rows import check_actions, check_rows
from pufferlib.vector.attributes import base_env

Rows = tuple[Array, ...]  # in the order of Buffers


def check_env(
    env_creator: EnvCreator,
    *args: Any,
    seed: int = 0,
    steps: int = 200,
    is_deterministic: bool = True,
    allow_nan: bool = True,
    **kwargs: Any,
) -> None:
    """Play an environment at random; check every row it writes and everything it returns.

    For an emulated environment, the emulation and the environment inside it are also played
    separately: their observations must not change later, and must belong to their spaces.

    Rewards are NaN before each call. A deterministic environment plays once more with flags that
    are cleared before each step and with other stale final observations, because each step must
    write both itself, without reading or keeping the previous ones.

    Args:
        env_creator: returns a PufferEnv, or a Gymnasium or PettingZoo environment.
        *args: passed to `env_creator`.
        seed: seeds the environment and the actions.
        steps: number of steps to play, over any number of episodes.
        is_deterministic: the same seed must give the same results, in one instance and in two.
        allow_nan: observations may contain NaN.
        **kwargs: passed to `env_creator`.

    Warns of what is old (OldInterfaceWarning) if an adapter was chosen for the environment.

    Raises:
        ContractError: for the first breach found.
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
            if not getattr(emulated, "to_puffer", False):  # its rows have been checked already
                _check_alone(emulated, seed, steps)
            _warn_of_old_interfaces(emulated.env)
    finally:
        env.close()
    if is_deterministic:
        twin = native(env_creator(*args, **kwargs))
        require(
            base_env(twin) is not base_env(env),
            "a second call of env_creator returned the same environment",
            "a new environment; make it inside env_creator",
        )
        try:
            again = list(_play(twin, seed, steps, allow_nan))
            _check_equal(first, again, "in a second instance")
        finally:
            twin.close()


def _warn_of_old_interfaces(env: UserEnv) -> None:
    found = old_interfaces(env)
    if not isinstance(env, gymnasium.Env) and not hasattr(env, "metadata"):
        found.append(f"{env} has no metadata. Add metadata = {{'name': ..., 'render_modes': []}}.")
    for text in found:
        warnings.warn(text, OldInterfaceWarning, stacklevel=3)


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
        "a whole number above 0 that never changes",
    )
    layout = getattr(env, "observation_layout", None)
    require(
        layout is None or layout.space == space,
        f"observation_layout describes rows of {layout and layout.space}",
        f"rows of single_observation_space, {space}; or no observation_layout",
    )


def _first_play(env: PufferEnv, seed: int, steps: int, allow_nan: bool) -> list[Rows]:
    try:
        return list(_play(env, seed, steps, allow_nan))
    except ContractError:
        raise
    except Exception:  # writing the rows may fail in any way; the values explain it better
        if isinstance(env.user_env, (GymnasiumPufferEnv, PettingZooPufferEnv)):
            _check_inside(env.user_env.env, seed, steps)
        raise


def _play(
    env: PufferEnv, seed: int, steps: int, allow_nan: bool, past: list[Rows] | None = None
) -> Iterator[Rows]:
    """Check all rows after the reset and after each step, and yield copies of them.

    Args:
        env: the environment to play.
        seed: seeds the environment and the actions.
        steps: number of steps to play.
        allow_nan: observations may contain NaN.
        past: rows of an earlier play whose values were checked. With it, values are not checked
            again, and the rows that a call must overwrite hold other values before it.
    """
    space, agents = env.single_observation_space, env.num_agents
    layout = describe(env).observation_layout
    rows = Buffers.allocate(space, agents)
    env.bind(rows)
    action_space = gymnasium.vector.utils.batch_space(env.single_action_space, agents)
    action_space.seed(seed)
    rows.rewards[:] = np.nan  # reveals a row that is not written
    if past is not None:
        _fill_before_reset(rows, past)
    first = env.reset(seed)
    check_reset_rows(first, rows)
    infos = InfosCheck()
    infos.check(first[1], "reset", rows)
    require(
        not (rows.terminals.any() or rows.truncations.any()),
        "terminals or truncations are set after reset",
        "False, because no episode has ended",
    )
    if past is None:
        check_rows(rows, layout, agents, "reset", allow_nan)
    yield tuple(array.copy() for array in rows)
    for step in range(1, steps + 1):
        where = f"step {step}"
        was_acting = rows.masks.copy()
        rows.rewards[:] = np.nan
        if past is not None:
            _fill_before_step(rows, layout)
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
            "terminals and truncations False for agents that took no part in the step",
        )
        if past is None:
            check_rows(rows, layout, agents, where, allow_nan)
        rows.final_observations[~ends] = 0
        yield tuple(array.copy() for array in rows)


def _fill_before_reset(rows: Buffers, past: list[Rows]) -> None:
    """Fill rows as a play may leave them: every agent absent or ended that ever was."""
    observations, _, terminals, truncations, masks, _ = zip(*past, strict=True)
    rows.observations[:] = observations[-1]
    rows.terminals[:] = np.any(terminals, axis=0)
    rows.truncations[:] = np.any(truncations, axis=0)
    rows.masks[:] = np.all(masks, axis=0)


def _fill_before_step(rows: Buffers, layout: Layout) -> None:
    """Clear flags and fill final observations with ones: a step must not depend on either."""
    rows.terminals[:] = rows.truncations[:] = False
    parts = layout.unflatten(rows.final_observations)
    for field in layout.fields:  # padding between fields is never written
        value_at(parts, field.leaf.path)[...] = 1


def _check_alone(env: UserEnv, seed: int, steps: int) -> None:
    """Play an emulated environment by itself: its observations must not change later."""
    copies: list[tuple[Array, Array]] = []
    before = ""
    for where, observations in _moments(env, seed, steps):
        for observation, as_returned in copies:
            require(
                observation.tobytes() == as_returned.tobytes(),
                f"the observation that {before} of the emulated environment returned has changed "
                f"after {where}",
                "a new array from each call: return a copy of arrays that are written again",
            )
        copies = [(observation, observation.copy()) for observation in observations.values()]
        before = where


def _check_inside(env: UserEnv, seed: int, steps: int) -> None:
    """Play the environment inside an emulated one: all its results must belong to its spaces."""
    for where, observations in _moments(env, seed, steps):
        for agent, observation in observations.items():
            is_single = isinstance(env, gymnasium.Env)
            space = env.observation_space if is_single else env.observation_space(agent)
            fault = difference(observation, space)
            require(
                fault is None,
                f"{where} of {env} returns an observation outside its space: {fault}",
                "a value of observation_space on every step: fix observation_space or the returned "
                "observation",
            )


def _moments(env: UserEnv, seed: int, steps: int) -> Iterator[tuple[str, dict[Agent, Observation]]]:
    """Play at random; yield the name of each call and its observations by agent."""
    if isinstance(env, gymnasium.Env):
        return _gymnasium_moments(env, seed, steps)
    return _parallel_moments(env, seed, steps)


def _gymnasium_moments(
    env: GymnasiumEnv, seed: int, steps: int
) -> Iterator[tuple[str, dict[Agent, Observation]]]:
    actions = copy.deepcopy(env.action_space)
    actions.seed(seed)
    yield "reset", reset_bare(env, "reset", seed=seed)
    for step in range(1, steps + 1):
        observations, has_ended = step_bare(env, actions.sample(), f"step {step}")
        yield f"step {step}", observations
        if has_ended:
            yield (where := f"the reset after step {step}"), reset_bare(env, where)


def _parallel_moments(
    env: UserEnv, seed: int, steps: int
) -> Iterator[tuple[str, dict[Agent, Observation]]]:
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
    """Play again, in rows that hold other values before each call."""
    fault = _difference(first, list(_play(env, seed, steps, True, past=first)))
    if fault is None:
        return
    plain = list(_play(env, seed, steps, True))  # differs only if the environment is random
    _check_equal(first, plain, "after reset with the same seed")
    raise breach(
        f"{fault} if the rows held other values before the call",
        "every row written in reset; in step all rewards, all flags (False again if nothing ends) "
        "and, if an episode ends, its last observation in final_observations",
    )


def _check_equal(first: list[Rows], second: list[Rows], when: str) -> None:
    fault = _difference(first, second)
    require(
        fault is None,
        f"{fault} {when}",
        "the same results from the same seed: draw all random numbers from a generator seeded in "
        "reset, or pass is_deterministic=False if that is impossible",
    )


def _difference(first: list[Rows], second: list[Rows]) -> str | None:
    for step, (rows, again) in enumerate(zip(first, second, strict=True)):
        for name, array, other in zip(Buffers._fields, rows, again, strict=True):
            if not np.array_equal(array, other, equal_nan=array.dtype.kind == "f"):
                return f"{name} of step {step} differ"
    return None
