"""Describe an environment to a policy: its flat spaces, and how to unflatten them."""

from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium

from pufferlib.annotations import Space
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.layout import Layout
from pufferlib.exceptions import ArgumentError


class HasSpaces(Protocol):
    """An object that a policy can be made for.

    This is an emulated Gymnasium or PettingZoo environment, a `PufferEnv`, a vectorizer, or an
    `EnvDescription` itself.
    """

    @property
    def single_observation_space(self) -> gymnasium.spaces.Box:
        """The flat observation space of one agent."""
        ...

    @property
    def single_action_space(self) -> Space:
        """The flat action space of one agent."""
        ...


@dataclass(frozen=True)
class EnvDescription:
    """The spaces and layouts of an environment, without the environment.

    Attributes:
        single_observation_space: of one agent, flat.
        single_action_space: of one agent, flat.
        observation_layout: unflattens observations to the environment's original structure. A
            space that is flat already has a layout of one field, the space itself.
        action_layout: the same for actions; None if they are flat already.
        num_agents: agents of the environment, or rows of the vectorizer.
    """

    single_observation_space: gymnasium.spaces.Box
    single_action_space: Space
    observation_layout: Layout
    action_layout: ActionLayout | None = None
    num_agents: int = 1


def describe(env: HasSpaces) -> EnvDescription:
    """Return the description of `env` that a policy needs."""
    if isinstance(env, EnvDescription):
        return env
    space = env.single_observation_space
    # PettingZoo counts the living agents in `num_agents`, and has none before the first reset.
    possible = getattr(env, "possible_agents", None)
    num_agents = getattr(env, "num_agents", 1) if possible is None else len(possible)
    actions = env.single_action_space
    return EnvDescription(
        space,
        actions,
        _layout(env, "observation_layout", space) or Layout.of(space),
        _layout(env, "action_layout", actions),
        int(num_agents),
    )


def _layout(env: HasSpaces, name: str, space: Space) -> Any:
    """Return a layout of `env`, else the one that its space carries, as through wrappers."""
    return getattr(env, name, None) or getattr(space, "layout", None)


def carry_layouts(env: HasSpaces) -> None:
    """Attach the layouts of `env` to its flat spaces, for code that is given nothing but spaces.

    The attribute `layout` of a space survives pickling and copies. `describe_spaces` reads it.
    """
    for kind in ("observation", "action"):
        layout = getattr(env, f"{kind}_layout", None)
        if layout is not None:
            getattr(env, f"single_{kind}_space").__dict__["layout"] = layout


def describe_spaces(observation_space: Space, action_space: Space) -> EnvDescription:
    """Return the description of an environment of which only the flat spaces are at hand.

    Learning libraries such as RLlib make policies from spaces alone.

    Args:
        observation_space: of one agent of an emulated environment, a vectorizer or a `PufferEnv`;
            with its layout if emulation made it.
        action_space: the same for actions.

    Raises:
        ArgumentError: the observation space is not flat.
    """
    if not isinstance(observation_space, gymnasium.spaces.Box):
        raise ArgumentError(
            f"Policies take flat observations, a Box; got {observation_space}. Wrap the "
            f"environment with pufferlib.emulation.GymnasiumPufferEnv or PettingZooPufferEnv."
        )
    return EnvDescription(
        observation_space,
        action_space,
        getattr(observation_space, "layout", None) or Layout.of(observation_space),
        getattr(action_space, "layout", None),
    )
