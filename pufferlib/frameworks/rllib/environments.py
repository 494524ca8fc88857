"""Environments as RLlib steps them: single ones, several agents, and vectorizers."""

from typing import Any

import gymnasium
import pettingzoo
from ray.rllib.env.env_context import EnvContext
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from pufferlib.annotations import Action, Agent, Array, EnvCreator, Info, Options, Rendered, UserEnv
from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv, to_pettingzoo
from pufferlib.emulation import to_gymnasium as native_to_gymnasium
from pufferlib.emulation.native_multi import NativeParallelEnv
from pufferlib.emulation.native_single import NativeGymnasiumEnv
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError, ContractError
from pufferlib.old_interfaces import adapted
from pufferlib.vector import to_gymnasium
from pufferlib.vector.autoreset import check_autoreset

StepResult = tuple[
    dict[Agent, Array], dict[Agent, float], dict[Agent, bool], dict[Agent, bool], dict[Agent, Info]
]


def environment_class(env_creator: EnvCreator, vectorized: bool = False) -> type:
    """Return a class for `config.environment(env=...)`: RLlib calls it with an `EnvContext`.

    It is pickled with what it refers to, so that env runners and restored checkpoints find it.

    Args:
        env_creator: called with the entries of `env_config`; see `make_env` for what it may return.
        vectorized: `env_creator` takes `num_envs`, too, and returns a vectorizer; see
            `make_vector_env`. For `gym_env_vectorize_mode="vector_entry_point"`.
    """
    make = make_vector_env if vectorized else make_env

    def new(cls: type, context: EnvContext) -> Any:
        return make(env_creator(**context))

    return type("PufferEnvironment", (), {"__new__": new})


def make_env(env: UserEnv) -> gymnasium.Env[Any, Any]:
    """Return an environment with flat spaces that RLlib can step.

    Args:
        env: a Gymnasium environment, emulated or not; a PettingZoo environment, which becomes a
            `PettingZooMultiAgentEnv`; or a native `PufferEnv`, which becomes one of the two.

    Raises:
        ArgumentError: it is something else, or a native environment of several separate games.
    """
    if _is_vectorizer(env) or isinstance(env, gymnasium.vector.VectorEnv):
        raise ArgumentError(
            f"RLlib makes num_envs_per_env_runner environments itself; got the vectorizer "
            f"{type(env).__name__}. Pass a creator of single environments, or vectorized=True for "
            f"a creator that takes num_envs."
        )
    env = adapted(env)
    if isinstance(env, PufferEnv):
        env = native_to_gymnasium(env) if env.num_agents == 1 else to_pettingzoo(env)
    if isinstance(env, (pettingzoo.ParallelEnv, pettingzoo.AECEnv)):
        is_flat = isinstance(env, (PettingZooPufferEnv, NativeParallelEnv))
        return PettingZooMultiAgentEnv(env if is_flat else PettingZooPufferEnv(env))
    is_flat = isinstance(env, (GymnasiumPufferEnv, NativeGymnasiumEnv))
    return env if is_flat else GymnasiumPufferEnv(env)


def make_vector_env(envs: Any) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
    """Return a vectorizer as the vector environment of an env runner.

    Args:
        envs: the result of `pufferlib.vector.make` with `autoreset="next_step"`, or of
            `to_gymnasium` over it, also in vector wrappers of Gymnasium.

    Raises:
        ArgumentError: it is something else, a pool, or resets in another mode; or its environments
            have several agents.
    """
    inner = envs if _is_vectorizer(envs) else getattr(_unwrapped(envs), "vecenv", None)
    if inner is None:
        raise ArgumentError(
            f"With vectorized=True, the creator must return a vectorizer; got "
            f"{type(envs).__name__}. Return pufferlib.vector.make(..., num_envs=num_envs, "
            f"autoreset='next_step'), or leave vectorized out."
        )
    try:
        check_autoreset(inner, "next_step", "RLlib")
        if inner.num_agents != inner.num_envs:
            raise ArgumentError(
                f"RLlib steps several agents in single environments only; got a vectorizer of "
                f"{inner.num_envs} environments with {inner.num_agents} agents in all. Leave "
                f"vectorized out, and pass a creator of one environment."
            )
        return to_gymnasium(inner) if inner is envs else envs
    except ArgumentError:
        inner.close()
        raise


def _unwrapped(envs: object) -> object:
    return envs.unwrapped if isinstance(envs, gymnasium.vector.VectorEnv) else None


def _is_vectorizer(envs: object) -> bool:
    return hasattr(envs, "agents_per_env")


class PettingZooMultiAgentEnv(MultiAgentEnv):
    """A PettingZoo environment with flat spaces as RLlib's `MultiAgentEnv`.

    Agents are in the order of `possible_agents` in every process. Dicts hold the agents that act
    next, and those that end in this step, with their last observation and a reward. An agent that
    leaves without a flag counts as truncated. An episode ends when no agent is left. An agent may
    join during an episode, and leave for good: RLlib has no agents that return.

    In its last step, `truncateds["__all__"]` alone ends the agents that are truncated. RLlib takes
    an episode as terminated if every agent has a flag, and would not bootstrap from their last
    observations.

    Args:
        env: the environment, with flat spaces.
    """

    def __init__(self, env: PettingZooPufferEnv | NativeParallelEnv) -> None:
        self.env: Any = env
        self.possible_agents = list(env.possible_agents)
        self.agents = list(env.possible_agents)
        super().__init__()
        self.metadata, self.render_mode = dict(env.metadata), env.render_mode
        self.observation_spaces = {a: env.observation_space(a) for a in self.possible_agents}
        self.action_spaces = {a: env.action_space(a) for a in self.possible_agents}
        self._last: dict[Agent, Array] = {}
        self._have_left: set[Agent] = set()

    def reset(
        self, *, seed: int | None = None, options: Options | None = None
    ) -> tuple[dict[Agent, Array], dict[Agent, Info]]:
        """Start an episode; return (observations, infos) of the agents that take part."""
        observations, infos = self.env.reset(seed, options)
        living = set(self.env.agents)
        self._have_left.clear()
        self.agents = [a for a in self.possible_agents if a in living and a in observations]
        self._last = {agent: observations[agent] for agent in self.agents}
        return dict(self._last), {agent: infos.get(agent, {}) for agent in self.agents}

    def step(self, action_dict: dict[Agent, Action]) -> StepResult:
        """Take one step; return (observations, rewards, terminateds, truncateds, infos).

        Raises:
            ContractError: an agent is back that has left in this episode.
        """
        before = set(self.env.agents)
        seen, paid, ends, cuts, known = self.env.step(action_dict)
        living = set(self.env.agents)
        took_part = [a for a in self.possible_agents if a in before or a in living]
        if returned := [a for a in took_part if a in self._have_left]:
            raise ContractError(
                f"{returned} left and returned in the same episode, which RLlib does not allow. "
                f"Let agents that return take another name, or train with puffer train or "
                f"Stable-Baselines3."
            )
        terminateds = {a: bool(ends.get(a, False)) for a in took_part}
        truncateds = {a: bool(cuts.get(a, False)) for a in took_part}
        for agent in took_part:
            truncateds[agent] |= agent not in living and not terminateds[agent]
        has_ended = {a: terminateds[a] or truncateds[a] for a in took_part}
        self._last.update((a, seen[a]) for a in took_part if a in seen)
        self._have_left.update(a for a in took_part if has_ended[a])
        self.agents = [a for a in took_part if a in seen or has_ended[a]]
        is_over = all(has_ended.values())
        is_cut = is_over and any(truncateds[a] and not terminateds[a] for a in took_part)
        if is_over:
            truncateds = dict.fromkeys(took_part, False)
        return (
            {agent: self._last[agent] for agent in self.agents},
            {agent: float(paid.get(agent, 0)) for agent in self.agents},
            {agent: terminateds[agent] for agent in self.agents}
            | {"__all__": is_over and not is_cut},
            {agent: truncateds[agent] for agent in self.agents} | {"__all__": is_cut},
            {agent: known.get(agent, {}) for agent in self.agents},
        )

    def render(self) -> Rendered:
        """Return the environment's rendering."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()
