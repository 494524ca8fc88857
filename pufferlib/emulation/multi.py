"""Make any PettingZoo parallel environment look flat, with a constant number of agents."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import pettingzoo
from numpy.typing import NDArray

from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.creation import create
from pufferlib.emulation.layout import Layout
from pufferlib.environment import Buffers, Info, PufferEnv, StepResult
from pufferlib.exceptions import (
    ActionError,
    ArgumentError,
    CallOrderError,
    ObservationError,
    SpaceError,
)
from pufferlib.spaces import difference

Agent = Any


class PettingZooPufferEnv(pettingzoo.ParallelEnv[Agent, NDArray[Any], Any]):
    """A PettingZoo parallel environment with flat observations and actions; itself one.

    An AEC environment is converted with `pettingzoo.utils.aec_to_parallel`. Rows of agents that
    have died, or not yet joined, appear only when vectorized (`PettingZooRows`); used alone, the
    dicts hold the agents that take part, as PettingZoo has it.

    Args:
        env: the environment to wrap, or
        env_creator: a function or class that returns it,
        env_args: positional arguments for `env_creator`,
        env_kwargs: keyword arguments for `env_creator`.

    Attributes:
        observation_layout: how an agent's observation lies in its row.
        action_layout: the same for actions.
        num_agents: length of `possible_agents` when vectorized; PettingZoo's own meaning, the
            agents now alive, when used alone.

    Raises:
        ArgumentError: both or neither of `env` and `env_creator`, a class as `env`, or something
            that is not a PettingZoo environment with `possible_agents`.
        SpaceError: agents with different spaces, or a space of no fixed size.
    """

    def __init__(
        self,
        env: Any = None,
        env_creator: Callable[..., Any] | None = None,
        env_args: Sequence[Any] = (),
        env_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        env = create(env, env_creator, env_args, env_kwargs)
        if isinstance(env, pettingzoo.AECEnv):
            env = pettingzoo.utils.aec_to_parallel(env)
        if not isinstance(env, pettingzoo.ParallelEnv):
            raise ArgumentError(
                f"PettingZooPufferEnv wraps a pettingzoo.ParallelEnv or AECEnv, got "
                f"{type(env).__module__}.{type(env).__name__}. Gymnasium environments take "
                f"GymnasiumPufferEnv; pufferlib.wrappers adapts other interfaces."
            )
        if not getattr(env, "possible_agents", None):
            raise ArgumentError(
                f"{env} has no possible_agents, so the number of rows is not known. Set it to "
                f"every agent that may ever take part, in a fixed order."
            )
        self.env = env
        self.metadata = env.metadata
        self.possible_agents = list(env.possible_agents)
        first = self.possible_agents[0]
        structure = _shared_space(env.observation_space, self.possible_agents, "observation")
        action_structure = _shared_space(env.action_space, self.possible_agents, "action")
        self.observation_layout = Layout.of(structure)
        self.action_layout = ActionLayout.of(action_structure)
        self.single_observation_space = self.observation_layout.space
        self.single_action_space = self.action_layout.space
        self._action_spaces = {first: self.single_action_space}  # seeded apart, so one an agent
        self._rebuild_action = self.action_layout.rebuilder()
        self._was_reset = self._action_checked = self._observation_checked = False

    @property
    def agents(self) -> list[Agent]:
        """The agents now alive."""
        return self.env.agents

    @property
    def unwrapped(self) -> Any:
        return self.env.unwrapped

    @property
    def render_mode(self) -> str | None:
        return getattr(self.env, "render_mode", None)

    def observation_space(self, agent: Agent) -> gymnasium.spaces.Box:
        """Return the flat observation space, the same object for every agent."""
        return self.single_observation_space

    def action_space(self, agent: Agent) -> gymnasium.Space[Any]:
        """Return the agent's flat action space, the same object on every call."""
        if agent not in self._action_spaces:
            self._action_spaces[agent] = ActionLayout.of(self.action_layout.structure).space
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Agent, NDArray[Any]], dict[Agent, Info]]:
        """Start an episode; return (observations, infos) of the agents that take part."""
        observations, infos = self.reset_structured(seed, options)
        return self._flat(observations), infos

    def step(self, actions: dict[Agent, Any]) -> tuple[dict[Agent, Any], ...]:
        """Take one step; return (observations, rewards, terminations, truncations, infos).

        Args:
            actions: a flat action for each living agent.

        Raises:
            ActionError: a first action is outside its space.
            CallOrderError: before the first reset.
        """
        observations, *rest = self.step_structured(actions)
        return self._flat(observations), *rest

    def render(self) -> Any:
        """Return the environment's own rendering."""
        return self.env.render()

    def state(self) -> NDArray[Any]:
        """Return the environment's own global state."""
        return self.env.state()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def reset_structured(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Agent, Any], dict[Agent, Info]]:
        """Start an episode; return the environment's own observations, and infos."""
        observations, infos = self.env.reset(seed=seed, options=options)
        self._was_reset = True
        if not self._observation_checked and observations:
            self._check_observation(*next(iter(observations.items())))
        return observations, infos

    def step_structured(self, actions: dict[Agent, Any]) -> tuple[dict[Agent, Any], ...]:
        """Take one step with flat actions; return what the environment itself returns."""
        if not self._action_checked:
            self._check_actions(actions)
        rebuild = self._rebuild_action
        return self.env.step({agent: rebuild(action) for agent, action in actions.items()})

    def _flat(self, observations: dict[Agent, Any]) -> dict[Agent, NDArray[Any]]:
        flatten = self.observation_layout.flatten
        return {agent: flatten(observation) for agent, observation in observations.items()}

    def _check_observation(self, agent: Agent, observation: Any) -> None:
        fault = difference(observation, self.observation_layout.structure)
        if fault:
            raise ObservationError(
                f"The first observation of agent {agent!r} of {self.env} does not belong to its "
                f"observation space: {fault}. Mend the environment's space or what it returns."
            )
        self._observation_checked = True

    def _check_actions(self, actions: dict[Agent, Any]) -> None:
        if not self._was_reset:
            raise CallOrderError("step before reset. Call reset first.")
        for agent, action in actions.items():
            if agent not in self.possible_agents:
                raise ActionError(
                    f"There is no agent {agent!r}; possible_agents are {self.possible_agents}."
                )
            fault = difference(action, self.single_action_space)
            if fault:
                raise ActionError(
                    f"The first action of agent {agent!r} does not belong to the flat action space "
                    f"{self.single_action_space}: {fault.replace('value', 'action', 1)}."
                )
        self._action_checked = bool(actions)


class PettingZooRows(PufferEnv):
    """A `PettingZooPufferEnv` that writes a row for every possible agent, alive or not.

    An agent that dies has its last observation in `final_observations`, its reward and flags in
    their rows on that step, and from then on `masks` False and an observation of zeros. When nobody
    is left alive the next episode starts in the same step.
    """

    def __init__(self, env: PettingZooPufferEnv) -> None:
        self.env = env
        self.single_observation_space = env.single_observation_space
        self.single_action_space = env.single_action_space
        self.observation_layout, self.action_layout = env.observation_layout, env.action_layout
        self.num_agents = len(env.possible_agents)
        self.render_mode = env.render_mode
        self._rows = {agent: row for row, agent in enumerate(env.possible_agents)}
        super().__init__()

    def bind(self, buffers: Buffers) -> None:
        """Write into these rows from now on."""
        super().bind(buffers)
        writer = self.env.observation_layout.writer
        rows = range(self.num_agents)  # indexed with ..., which views a row of no axes too
        self._write = [writer(buffers.observations[row, ...]) for row in rows]
        self._write_final = [writer(buffers.final_observations[row, ...]) for row in rows]

    def reset(self, seed: int | None = None) -> tuple[NDArray[Any], list[Info]]:
        """Start an episode; return (observations, infos)."""
        self._clear()
        observations, infos = self.env.reset_structured(seed)
        self._begin(observations)
        return self.observations, _present(infos)

    def step(self, actions: NDArray[Any]) -> StepResult:
        """Step all living agents; where nobody is left, start the next episode."""
        env, rows = self.env, self._rows
        chosen = {agent: actions[rows[agent]] for agent in env.agents}
        observations, rewards, terminations, truncations, infos = env.step_structured(chosen)
        self._clear()
        kept = _present(infos)
        alive = set(env.agents)
        for agent in [*chosen, *(agent for agent in env.agents if agent not in chosen)]:
            row = rows[agent]
            self.rewards[row] = rewards.get(agent, 0)
            self.terminals[row] = terminations.get(agent, False)
            self.truncations[row] = truncations.get(agent, False)
            if agent not in alive and not self.terminals[row]:
                self.truncations[row] = True  # it is gone, whether it was told so or not
            if self.terminals[row] or self.truncations[row]:
                self._finish(row, observations.get(agent))
            else:
                self.masks[row] = True
                if agent in observations:
                    self._write[row](observations[agent])
        if not alive:
            observations, infos = env.reset_structured()
            self._begin(observations)
            kept += _present(infos)
        return self.observations, self.rewards, self.terminals, self.truncations, kept

    @property
    def user_env(self) -> PettingZooPufferEnv:
        """The environment that is adapted."""
        return self.env

    def render(self) -> Any:
        """Return the environment's own rendering."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _clear(self) -> None:
        self.observations[:] = 0
        self.rewards[:] = 0
        self.terminals[:] = self.truncations[:] = self.masks[:] = False

    def _begin(self, observations: dict[Agent, Any]) -> None:
        for agent, observation in observations.items():
            self._write[self._rows[agent]](observation)
            self.masks[self._rows[agent]] = True

    def _finish(self, row: int, observation: Any | None) -> None:
        """Keep an agent's last observation; zeros where the environment showed it none."""
        if observation is None:
            self.final_observations[row] = 0
        else:
            self._write_final[row](observation)


def _shared_space(
    space_of: Callable[[Agent], gymnasium.Space[Any]], agents: list[Agent], what: str
) -> gymnasium.Space[Any]:
    first = space_of(agents[0])
    for agent in agents[1:]:
        if space_of(agent) != first:
            raise SpaceError(
                f"Agents differ in their {what} space: {agents[0]!r} has {first}, {agent!r} has "
                f"{space_of(agent)}. Rows must be alike: group agents into teams of equal spaces, "
                f"or pad the smaller space, before wrapping."
            )
    return first


def _present(infos: Mapping[Agent, Info]) -> list[Info]:
    return [info for info in infos.values() if info]
