"""Flatten the spaces of any PettingZoo environment, with a constant number of agents."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
from numpy.typing import NDArray

from pufferlib.annotations import (
    Action,
    Agent,
    Array,
    EnvCreator,
    Observation,
    Options,
    ParallelReset,
    ParallelStep,
    Rendered,
    Space,
    UserEnv,
)
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.creation import create
from pufferlib.emulation.description import carry_layouts
from pufferlib.emulation.layout import Layout
from pufferlib.emulation.multi_rows import PettingZooRows
from pufferlib.emulation.published import EmulatedNames
from pufferlib.emulation.results import of_agent
from pufferlib.exceptions import (
    ActionError,
    ArgumentError,
    CallOrderError,
    ObservationError,
    SpaceError,
)
from pufferlib.old_interfaces import adapted, checked_reset, explain_step, five_results
from pufferlib.old_interfaces.nesting import wrapped_envs
from pufferlib.spaces import difference


class PettingZooPufferEnv(EmulatedNames, pettingzoo.ParallelEnv[Agent, Array, Action]):
    """Wrap a PettingZoo environment as a parallel one with flat observations and actions.

    An AEC environment is converted with `pettingzoo.utils.aec_to_parallel`. Agents that have died,
    or not yet joined, have rows only when the environment is vectorized (`PettingZooRows`) or with
    `to_puffer`; otherwise the dicts hold the agents that take part, as in PettingZoo.

    Args:
        env: the environment to wrap, or
        env_creator: a function or class that returns it,
        env_args: positional arguments for `env_creator`,
        env_kwargs: keyword arguments for `env_creator`.
        to_puffer: `reset` and `step` exchange arrays with a row for every possible agent, as
            `PufferEnv` does, and start the next episode in the step that ends one; `masks` and
            `final_observations` are those of `PufferEnv`.

    Attributes:
        observation_layout: how an agent's observation lies in its row.
        action_layout: the same for actions.
        num_agents: length of `possible_agents` when vectorized; otherwise the number of agents
            now alive, as in PettingZoo.
        is_one_game: True, see `PufferEnv`.

    Raises:
        ArgumentError: if both or neither of `env` and `env_creator` are given, `env` is a class, or
            the environment is not a PettingZoo environment with `possible_agents`.
        SpaceError: if agents have different spaces, or a space has no fixed size.
    """

    is_one_game = True

    def __init__(
        self,
        env: UserEnv = None,
        env_creator: EnvCreator | None = None,
        env_args: Sequence[object] = (),
        env_kwargs: Mapping[str, object] | None = None,
        to_puffer: bool = False,
    ) -> None:
        env = adapted(create(env, env_creator, env_args, env_kwargs))
        if isinstance(env, pettingzoo.AECEnv):
            env = pettingzoo.utils.aec_to_parallel(env)
        if not isinstance(env, pettingzoo.ParallelEnv):
            raise ArgumentError(
                f"PettingZooPufferEnv wraps a pettingzoo.ParallelEnv or AECEnv, got "
                f"{type(env).__module__}.{type(env).__name__}. Gymnasium environments take "
                f"GymnasiumPufferEnv; any other object needs reset, step and possible_agents."
            )
        if not getattr(env, "possible_agents", None):
            raise ArgumentError(
                f"{env} has no possible_agents, so the number of rows is not known. Set it to "
                f"a list of every agent that may take part, in a fixed order."
            )
        self.env = env
        self.metadata = getattr(env, "metadata", {})
        self.possible_agents = list(env.possible_agents)
        first = self.possible_agents[0]
        structure = _shared_space(env.observation_space, self.possible_agents, "observation")
        action_structure = _shared_space(env.action_space, self.possible_agents, "action")
        self.observation_layout = Layout.of(structure)
        self.action_layout = ActionLayout.of(action_structure)
        self.single_observation_space = self.observation_layout.space
        self.single_action_space = self.action_layout.space
        carry_layouts(self)
        self._action_spaces = {first: self.single_action_space}  # one per agent: own random state
        self.is_action_checked = self._observation_checked = self._was_reset = False
        self.to_puffer = to_puffer
        self._compile()

    def _compile(self) -> None:
        self._rebuild_action = self.action_layout.rebuilder()
        flat = self.single_observation_space
        self._row = np.zeros(flat.shape, flat.dtype)
        self._write = self.observation_layout.writer(self._row)
        self._rows = PettingZooRows(self) if self.to_puffer else None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out generated functions and rows: a copy must write into its own rows."""
        generated = {"_rebuild_action", "_row", "_write", "_rows"}
        return {name: value for name, value in self.__dict__.items() if name not in generated}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._compile()

    @property
    def agents(self) -> list[Agent]:
        """The agents now alive."""
        return self.env.agents

    @property
    def done(self) -> bool:
        """True if no agent is alive: the episode has ended, or none has started."""
        return not self.env.agents

    @property
    def masks(self) -> NDArray[np.bool_]:
        """With `to_puffer`: bool (possible agents,), see `PufferEnv`."""
        return self._puffer_rows().masks

    @property
    def final_observations(self) -> Array:
        """With `to_puffer`: the last observation of each agent whose episode ended."""
        return self._puffer_rows().final_observations

    @property
    def unwrapped(self) -> UserEnv:
        return self.env.unwrapped

    @property
    def render_mode(self) -> str | None:
        return getattr(self.env, "render_mode", None)

    def observation_space(self, agent: Agent) -> gymnasium.spaces.Box:
        """Return the flat observation space, the same object for every agent."""
        return self.single_observation_space

    def action_space(self, agent: Agent) -> Space:
        """Return the agent's flat action space, the same object on every call."""
        if agent not in self._action_spaces:
            self._action_spaces[agent] = ActionLayout.of(self.env.action_space(agent)).space
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: Options | None = None) -> tuple[Any, Any]:
        """Start an episode; return (observations, infos) of the agents that take part.

        Observations are new arrays. With `to_puffer`: rows, and a list of the non-empty infos.
        """
        if self._rows is not None:
            return self._rows.reset(seed, options)
        observations, infos = self.reset_structured(seed, options)
        return self._flat(observations), infos

    def step(self, actions: Any) -> tuple[Any, ...]:
        """Take one step; return (observations, rewards, terminations, truncations, infos).

        Args:
            actions: a flat action for each living agent; with `to_puffer` a row for every possible
                agent.

        Raises:
            ActionError: if one of the first actions is outside its space.
            CallOrderError: before the first reset.
        """
        if self._rows is not None:
            return self._rows.step(actions)
        observations, *rest = self.step_structured(actions)
        return self._flat(observations), *rest

    def render(self) -> Rendered:
        """Return the environment's rendering."""
        return self.env.render()

    def state(self) -> Array:
        """Return the environment's global state."""
        return self.env.state()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def is_wrapped_in(self, wrapper_class: type) -> bool:
        """Return whether `wrapper_class` is among the wrappers of the environment inside."""
        return any(isinstance(each, wrapper_class) for each in wrapped_envs(self.env))

    def reset_structured(
        self, seed: int | None = None, options: Options | None = None
    ) -> ParallelReset[Agent]:
        """Start an episode; return the environment's structured observations, and infos."""
        observations, infos = checked_reset(self.env, seed, options)
        self._was_reset = True
        if not self._observation_checked and observations:
            self._check_observation(*next(iter(observations.items())))
        return observations, infos

    def step_structured(self, actions: dict[Agent, Action]) -> ParallelStep[Agent]:
        """Take one step with flat actions; return the environment's unchanged results."""
        if not self.is_action_checked:
            self.check_actions(actions)
        rebuild = self._rebuild_action
        rebuilt = {agent: rebuild(action) for agent, action in actions.items()}
        try:
            result = self.env.step(rebuilt)
        except (TypeError, ValueError) as error:
            explain_step(self.env, error)
            raise
        results: ParallelStep[Agent] = five_results(self.env, result)
        return results

    def check_actions(self, actions: Mapping[Agent, Action]) -> None:
        """Check the first flat actions against their space.

        Raises:
            ActionError: if an action is outside its space, or its agent is unknown.
            CallOrderError: before the first reset.
        """
        if not self._was_reset:
            raise CallOrderError("step before reset. Call reset first.")
        for agent, action in actions.items():
            if agent not in self.possible_agents:
                raise ActionError(
                    f"There is no agent {agent!r}; possible_agents are {self.possible_agents}. "
                    f"Pass actions of living agents only."
                )
            fault = difference(action, self.single_action_space)
            if fault:
                raise ActionError(
                    f"The first action of agent {agent!r} does not belong to the flat action space "
                    f"{self.single_action_space}: {fault.replace('value', 'action', 1)}."
                )
        self.is_action_checked = bool(actions)

    def _flat(self, observations: dict[Agent, Observation]) -> dict[Agent, Array]:
        flat = {}
        for agent, observation in observations.items():
            try:
                self._write(observation)
            except ObservationError as error:
                raise of_agent(error, agent) from error.__cause__
            flat[agent] = self._row.copy()
        return flat

    def _puffer_rows(self) -> "PettingZooRows":
        if self._rows is None:
            raise ArgumentError(
                "masks and final_observations exist only with to_puffer=True. Without it, the "
                "dicts that reset and step return hold the agents that take part."
            )
        return self._rows

    def _check_observation(self, agent: Agent, observation: Observation) -> None:
        fault = difference(observation, self.observation_layout.original)
        if fault:
            raise ObservationError(
                f"The first observation of agent {agent!r} of {self.env} does not belong to its "
                f"observation space: {fault}. Fix observation_space or the returned observation."
            )
        self._observation_checked = True


def _shared_space(space_of: Callable[[Agent], Space], agents: list[Agent], what: str) -> Space:
    first = space_of(agents[0])
    for agent in agents[1:]:
        if space_of(agent) != first:
            raise SpaceError(
                f"Agents differ in their {what} space: {agents[0]!r} has {first}, {agent!r} has "
                f"{space_of(agent)}. All rows must have the same space: wrap the environment first "
                f"with pufferlib.wrappers.EqualSpaceTeams, which gives every agent a part for each "
                f"kind of agent, or with pufferlib.wrappers.Teams, if its teams have equal spaces."
            )
    return first
