"""An environment, played at random: alone, emulated, and inside of its emulation."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.emulation import GymnasiumPufferEnv, Layout, PettingZooPufferEnv, native
from pufferlib.environment import Buffers, PufferEnv
from pufferlib.spaces import difference
from pufferlib.testing.breach import require
from pufferlib.testing.infos import InfosCheck
from pufferlib.testing.rows import check_actions, check_rows


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
    infos = InfosCheck()
    infos.check(returned, "reset", rows)
    check_rows(rows, layout, agents, "reset", allow_nan)
    require(
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
        check_actions(actions, given, where)
        infos.check(returned, where, (*rows, actions))
        ends = rows.terminals | rows.truncations
        require(
            not ends[~was_acting].any(),
            f"{where} ends the episode of an agent whose masks were False before it",
            "terminals and truncations False for agents that had no part in the step",
        )
        check_rows(rows, layout, agents, where, allow_nan)
        rows.final_observations[~ends] = 0
        yield tuple(array.copy() for array in rows)


def _check_result(observations: Any, rows: NDArray[Any], where: str) -> None:
    require(
        isinstance(observations, np.ndarray) and np.shares_memory(observations, rows),
        f"{where} returns observations that are not the rows it is bound to",
        "self.observations, filled in place: self.observations[:] = ...",
    )


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


def _check_equal(first: list[Any], second: list[Any], when: str) -> None:
    for step, (rows, again) in enumerate(zip(first, second, strict=True)):
        for name, array, other in zip(Buffers._fields, rows, again, strict=True):
            require(
                np.array_equal(array, other, equal_nan=array.dtype.kind == "f"),
                f"{name} of step {step} differ {when}",
                "the same stream from the same seed: draw all chance from a generator seeded in "
                "reset, or pass is_deterministic=False if it cannot be",
            )
