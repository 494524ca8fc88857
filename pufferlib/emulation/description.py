"""Describe an environment to a policy: its flat spaces, and how to unflatten them."""

from dataclasses import dataclass
from typing import Protocol

import gymnasium

from pufferlib.annotations import Space
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.layout import Layout


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
    return EnvDescription(
        space,
        env.single_action_space,
        getattr(env, "observation_layout", None) or Layout.of(space),
        getattr(env, "action_layout", None),
        int(num_agents),
    )
