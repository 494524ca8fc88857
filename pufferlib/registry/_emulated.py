"""Flat environments with episode statistics, from whatever an author's function returns."""

import gymnasium
import pettingzoo
from gymnasium.spaces import Discrete

from pufferlib.annotations import Agent, UserEnv
from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.old_interfaces import adapted
from pufferlib.registry._pygame_close import PygameEpisodeStats, PygameMultiAgentEpisodeStats
from pufferlib.wrappers import EpisodeStats, EqualSpaceTeams, MultiAgentEpisodeStats, Turns

FlatEnv = GymnasiumPufferEnv | PettingZooPufferEnv | PufferEnv
"""An environment of the registry, with flat observations and actions."""

_KINDS = (
    "a gymnasium.Env, a pettingzoo.ParallelEnv or AECEnv, an environment emulated by pufferlib, or "
    "a pufferlib.PufferEnv"
)


def emulate(env: UserEnv, source: str) -> FlatEnv:
    """Return `env` flat and with episode statistics; what is there already is not added again.

    Agents with different spaces are made alike by `EqualSpaceTeams`. An AEC environment whose
    agents observe an action mask gets `Turns`, another one PettingZoo's conversion to parallel. An
    environment with an interface of an earlier gym or PettingZoo is adapted. A `PufferEnv` is
    returned as it is: it reports its own episodes.

    Args:
        env: the environment.
        source: who made it, for errors.

    Raises:
        ArgumentError: it is no environment, has no agents, or is an AEC environment that can be
            played neither way.
        SpaceError: a space of no fixed size.
    """
    env = adapted(env)
    if isinstance(env, PufferEnv):
        return env
    if isinstance(env, gymnasium.Env):
        if not _contains(env, EpisodeStats):
            return GymnasiumPufferEnv(PygameEpisodeStats(env))
        return env if isinstance(env, GymnasiumPufferEnv) else GymnasiumPufferEnv(env)
    if isinstance(env, pettingzoo.AECEnv):
        env = _parallel(env, source)
    if not isinstance(env, pettingzoo.ParallelEnv):
        raise ArgumentError(
            f"{source} must return {_KINDS}; it returned "
            f"{'None' if env is None else _type_name(env)}. Return the environment. Any other "
            f"object needs reset, step, observation_space and action_space."
        )
    if not getattr(env, "possible_agents", None):
        raise ArgumentError(
            f"The environment of {source} has no possible_agents, so the number of rows is not "
            f"known. Set it to every agent that may ever take part, in a fixed order."
        )
    has_statistics = _contains(env, MultiAgentEpisodeStats)
    if isinstance(env, PettingZooPufferEnv):
        if not has_statistics:  # inside: emulated twice, it would lose its layout
            env.env = PygameMultiAgentEpisodeStats(env.env)
        return env
    return flat_agents(env) if has_statistics else emulate_agents(env)


def emulate_agents(env: UserEnv) -> PettingZooPufferEnv:
    """Return a parallel environment flat, with statistics of each agent's episode."""
    return flat_agents(PygameMultiAgentEpisodeStats(env))


def flat_agents(env: UserEnv) -> PettingZooPufferEnv:
    """Return a parallel environment flat; agents with different spaces get `EqualSpaceTeams`."""
    first, *others = env.possible_agents
    spaces = env.observation_space(first), env.action_space(first)
    are_equal = all((env.observation_space(a), env.action_space(a)) == spaces for a in others)
    return PettingZooPufferEnv(env if are_equal else EqualSpaceTeams(env))


def _contains(env: UserEnv, wrapper: type) -> bool:
    """Return whether `env` is a `wrapper`, or has one around it further inside."""
    while not isinstance(env, wrapper):
        inner = getattr(env, "env", None) or getattr(env, "aec_env", None)
        if inner is None or inner is env:
            return False
        env = inner
    return True


def _parallel(env: UserEnv, source: str) -> UserEnv:
    """Return an AEC environment as a parallel one."""
    agents = getattr(env, "possible_agents", None) or ()
    if agents and all(_has_turns(env, agent) for agent in agents):
        return Turns(env)
    if not env.metadata.get("is_parallelizable", False):
        raise ArgumentError(
            f"{source} returned an AEC environment in which agents act one after another. Let its "
            f"agents observe a Dict of 'observation' and 'action_mask' and act with Discrete, see "
            f"pufferlib.wrappers.Turns; or set metadata['is_parallelizable'] = True if the game "
            f"only changes at the end of each cycle."
        )
    return pettingzoo.utils.aec_to_parallel(env)


def _has_turns(env: UserEnv, agent: Agent) -> bool:
    parts = getattr(env.observation_space(agent), "spaces", {})
    return set(parts) == {"observation", "action_mask"} and isinstance(
        env.action_space(agent), Discrete
    )


def _type_name(value: object) -> str:
    return f"an instance of {type(value).__module__}.{type(value).__qualname__}"
