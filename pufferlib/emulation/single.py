"""Flatten the spaces of any Gymnasium environment."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, SupportsFloat, TypeVar

import gymnasium
import numpy as np

from pufferlib.annotations import (
    Action,
    Array,
    EnvCreator,
    GymnasiumEnv,
    GymnasiumReset,
    GymnasiumStep,
    GymnasiumWrapper,
    Observation,
    Options,
    UserEnv,
)
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.creation import create
from pufferlib.emulation.description import carry_layouts
from pufferlib.emulation.layout import Layout
from pufferlib.emulation.published import EmulatedNames
from pufferlib.emulation.results import ResetInfo
from pufferlib.emulation.rows import EmulatedRows
from pufferlib.emulation.twin import NextStepRow, StepRow
from pufferlib.environment import Buffers, Info, StepResult
from pufferlib.exceptions import (
    ActionError,
    ArgumentError,
    CallOrderError,
    ObservationError,
)
from pufferlib.old_interfaces import adapted, checked_reset, explain_step, five_results
from pufferlib.old_interfaces.nesting import wrapped_envs
from pufferlib.spaces import difference

_Layout = TypeVar("_Layout", Layout, ActionLayout)


class GymnasiumPufferEnv(EmulatedNames, GymnasiumWrapper, gymnasium.utils.RecordConstructorArgs):
    """Wrap a Gymnasium environment as one with flat observations and actions.

    The first observation and the first action are checked fully against their spaces, later
    observations for nesting, shape and dtype.

    >>> env = GymnasiumPufferEnv(env_creator=gymnasium.make, env_args=["CartPole-v1"])
    >>> observation, info = env.reset(seed=0)
    >>> observation.shape
    (4,)

    Args:
        env: the environment to wrap, or
        env_creator: a function or class that returns it,
        env_args: positional arguments for `env_creator`,
        env_kwargs: keyword arguments for `env_creator`.

    Attributes:
        observation_layout: how an observation lies in its row; `unflatten` gives it back.
        action_layout: the same for actions.
        num_agents: 1.
        done: the episode has ended, or none has started; False in a vectorizer, which resets it.

    Raises:
        ArgumentError: if both or neither of `env` and `env_creator` are given, `env` is a class, or
            the environment is not a Gymnasium environment.
        SpaceError: if a space has no fixed size; names the path to the leaf.
    """

    num_agents = 1

    def __init__(
        self,
        env: UserEnv = None,
        env_creator: EnvCreator | None = None,
        env_args: Sequence[object] = (),
        env_kwargs: Mapping[str, object] | None = None,
    ) -> None:
        env = adapted(create(env, env_creator, env_args, env_kwargs))
        if not isinstance(env, gymnasium.Env):
            raise ArgumentError(
                f"GymnasiumPufferEnv wraps a gymnasium.Env, got {type(env).__module__}."
                f"{type(env).__name__}. PettingZoo environments take PettingZooPufferEnv; other "
                f"objects need reset, step, observation_space and action_space."
            )
        gymnasium.utils.RecordConstructorArgs.__init__(self)  # lets `spec` recreate this wrapper
        gymnasium.Wrapper.__init__(self, env)
        self._layout = Layout.of(env.observation_space)
        self._action_layout = ActionLayout.of(env.action_space)
        self.observation_layout = _inner(env, "observation_layout", self._layout)
        self.action_layout = _inner(env, "action_layout", self._action_layout)
        self.observation_space = self.single_observation_space = self._layout.space
        self.action_space = self.single_action_space = self._action_layout.space
        carry_layouts(self)
        self._seed: int | None = None
        self.done = True
        self._was_reset = self.is_action_checked = self._observation_checked = False
        self._compile()

    def _compile(self) -> None:
        self._rebuild_action = self._action_layout.rebuilder()
        flat = self._layout.space
        self._row = np.zeros(flat.shape, flat.dtype)
        self._write = self._layout.writer(self._row)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out generated functions and the row: a copy must write into its own row."""
        generated = {"_rebuild_action", "_row", "_write"}
        return {name: value for name, value in self.__dict__.items() if name not in generated}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._compile()

    def reset(self, seed: int | None = None, options: Options | None = None) -> tuple[Array, Info]:
        """Start an episode; return (observation, info). The observation is a new array."""
        observation, info = self.reset_structured(seed, options)
        self._write(observation)
        return self._row.copy(), info

    def step(self, action: Action) -> tuple[Array, SupportsFloat, bool, bool, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info).

        Args:
            action: a value of `action_space`.

        Raises:
            ActionError: if the first action is outside `action_space`.
            CallOrderError: before the first reset.
            ObservationError: if the observation does not fit its row.
        """
        results = five_results(self.env, self.step_structured(action))
        observation, reward, terminated, truncated, info = results
        self._write(observation)
        self.done = bool(terminated or truncated)
        return self._row.copy(), reward, terminated, truncated, info

    def seed(self, seed: int | None) -> None:
        """Set the seed of the next `reset` that is called without one."""
        self._seed = seed

    def is_wrapped_in(self, wrapper_class: type) -> bool:
        """Return whether `wrapper_class` is among the wrappers of the environment inside."""
        return any(isinstance(each, wrapper_class) for each in wrapped_envs(self.env))

    def rows_rebuilder(self) -> Callable[[Array], list[Action]]:
        """Return a function that converts rows of flat actions to a list of original actions."""
        return self._action_layout.rows_rebuilder()

    def bind(self, buffers: Buffers, same_step: bool = True) -> StepRow:
        """Return a `StepRow` that steps the environment and writes into one row of `buffers`.

        With `same_step` False, a `NextStepRow`.
        """
        layout = self._layout
        views = layout.views(buffers.observations[0, ...])
        final_views = layout.views(buffers.final_observations[0, ...])
        row, restart = (
            (StepRow, self._restart) if same_step else (NextStepRow, self.reset_structured)
        )
        return row(self.env.step, restart, layout.plan(), views, final_views, buffers)

    def _restart(self) -> GymnasiumReset:
        """Start the next episode in the step that ended one."""
        observation, info = self.reset_structured()
        return observation, ResetInfo(info) if info else info

    def reset_structured(
        self, seed: int | None = None, options: Options | None = None
    ) -> GymnasiumReset:
        """Start an episode; return the environment's structured observation, and info."""
        if seed is None:
            seed, self._seed = self._seed, None
        reset = self.env.reset if self._was_reset else partial(checked_reset, self.env)
        observation, info = reset(seed=seed, options=options)
        self._was_reset, self.done = True, False
        if not self._observation_checked:
            self._check_observation(observation)
        return observation, info

    def step_structured(self, action: Action) -> GymnasiumStep:
        """Take one step with a flat action; return the environment's unchanged results."""
        if not self.is_action_checked:
            self.check_action(action)
        rebuilt = self._rebuild_action(action)
        try:
            return self.env.step(rebuilt)
        except (TypeError, ValueError) as error:
            explain_step(self.env, error)
            raise

    def _check_observation(self, observation: Observation) -> None:
        fault = difference(observation, self.env.observation_space)
        if fault:
            raise ObservationError(
                f"The first observation of {self.env} does not belong to its observation space: "
                f"{fault}. Fix observation_space or the returned observation."
            )
        self._observation_checked = True

    def check_action(self, action: Action) -> None:
        """Check the first flat action.

        Raises:
            ActionError: if it is outside `action_space`.
            CallOrderError: before the first reset.
        """
        if not self._was_reset:
            raise CallOrderError("step before reset. Call reset first.")
        fault = difference(action, self.action_space)
        if fault:
            raise ActionError(
                f"The first action does not belong to the flat action space {self.action_space}: "
                f"{fault.replace('value', 'action', 1)}."
            )
        self.is_action_checked = True


class GymnasiumRows(EmulatedRows[GymnasiumPufferEnv]):
    """A `GymnasiumPufferEnv` that writes rows and starts the next episode itself.

    Args:
        env: the emulated environment.
        same_step: it starts in the step that ends one; if False in the step after that.

    Attributes:
        own_action_space: the action space of the wrapped environment.
        rebuild_rows: converts rows of flat actions to a list of its actions.
        step_row: steps it with one of those actions.
    """

    def __init__(self, env: GymnasiumPufferEnv, same_step: bool = True) -> None:
        self.own_action_space = env.env.action_space
        self.rebuild_rows = env.rows_rebuilder()
        self._same_step = same_step
        super().__init__(env, num_agents=1)

    def bind(self, buffers: Buffers) -> None:
        """Write into `buffers` from now on."""
        super().bind(buffers)
        self.step_row = self.env.bind(buffers, self._same_step)

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> tuple[Array, list[Info]]:
        """Start an episode; return (observations, infos)."""
        observation, info = self.env.reset_structured(seed, options)
        self.step_row.begin(observation)
        return self.observations, [info] if info else []

    def step(self, actions: Array) -> StepResult:
        """Take one step; if it ends the episode, start the next one, as `same_step` says."""
        if not self.env.is_action_checked:
            self.env.check_action(actions[0])
        (action,) = self.rebuild_rows(actions)
        try:
            infos = self.step_row.step(action) or []
        except (TypeError, ValueError) as error:
            explain_step(self.env.env, error)
            raise
        return self.observations, self.rewards, self.terminals, self.truncations, infos


def _inner(env: GymnasiumEnv, name: str, layout: _Layout) -> _Layout:
    """Return the layout of an emulated environment inside `env`, if it still describes the rows.

    Gymnasium wrappers may lie between two emulated environments. Flattening rows that are flat
    already must not lose the structure that a policy needs.
    """
    if env.has_wrapper_attr(name):
        inner = env.get_wrapper_attr(name)
        if inner.space == layout.original:
            return inner
    return layout
