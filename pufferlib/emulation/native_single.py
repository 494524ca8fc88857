"""A native `PufferEnv` of one agent as a Gymnasium environment."""

import gymnasium
import numpy as np

from pufferlib.annotations import Action, Array, Options, Rendered, UserEnv
from pufferlib.emulation.native_episodes import (
    Episodes,
    advice_for_agents,
    check_action,
    check_native,
    merged,
    no_episode,
    take_layouts,
)
from pufferlib.emulation.published import NativeNames
from pufferlib.emulation.single import GymnasiumPufferEnv
from pufferlib.environment import Info, PufferEnv
from pufferlib.exceptions import ArgumentError


def to_gymnasium(env: UserEnv) -> "GymnasiumPufferEnv | NativeGymnasiumEnv":
    """Return a native environment of one agent as a `gymnasium.Env`, which does not autoreset.

    >>> from pufferlib.registry import ocean
    >>> env = to_gymnasium(ocean.make_env("memory"))
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    >>> bool(terminated)
    False

    Args:
        env: a `PufferEnv` with one agent. A `GymnasiumPufferEnv` and the result of this function,
            which are Gymnasium environments already, are returned as they are, so every
            environment of the registry that has one agent can be passed. From now on call reset,
            step and close of the result only.

    Raises:
        ArgumentError: another object, or several agents.
    """
    if isinstance(env, (GymnasiumPufferEnv, NativeGymnasiumEnv)):
        return env
    check_native(env, "to_gymnasium")
    if env.num_agents > 1:
        raise ArgumentError(
            f"A Gymnasium environment has one agent; this {type(env).__name__} has "
            f"num_agents={env.num_agents}. {advice_for_agents(env)}"
        )
    return NativeGymnasiumEnv(env)


class NativeGymnasiumEnv(NativeNames, gymnasium.Env[Array, Action]):
    """The result of `to_gymnasium`: a native environment of one agent.

    `reset()` after the end of an episode returns the observation with which the native environment
    has begun the next one, so the episodes are those of the native environment. `reset(seed)`
    passes the seed on; `reset()` before the end of an episode draws one from `np_random`. `options`
    are passed on if the native `reset` takes them, and ignored otherwise.

    The info of a step has all entries of the infos that the native environment returned. After the
    last step of an episode, `render` shows the first picture of the next.

    Attributes:
        env: the native environment. `pufferlib.vector.make` steps it directly.
        observation_layout: that of `env`, if it has one; the spaces carry their layouts too.
        action_layout: the same for actions.
    """

    def __init__(self, env: PufferEnv) -> None:
        self.env = env
        self.metadata = {"render_modes": [], **env.metadata}
        self.render_mode = env.render_mode
        take_layouts(self, env)
        self.observation_space = self.single_observation_space = env.single_observation_space
        self.action_space = self.single_action_space = env.single_action_space
        self.num_agents = 1
        self._episodes = Episodes(env)
        self._is_over, self._is_action_checked = True, False

    @property
    def done(self) -> bool:
        """No episode is running."""
        return self._is_over

    def reset(
        self, *, seed: int | None = None, options: Options | None = None
    ) -> tuple[Array, Info]:
        """Begin an episode; return (observation, info). The observation is a new array."""
        super().reset(seed=seed)
        infos = self._episodes.begin(seed, options, self.np_random)
        self._is_over = False
        return self.env.observations[0].copy(), merged(infos)

    def step(self, action: Action) -> tuple[Array, float, bool, bool, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info).

        Raises:
            ActionError: the first action is outside `action_space`.
            CallOrderError: before the first reset, or after the end of an episode.
        """
        if self._is_over:
            raise no_episode()
        if not self._is_action_checked:
            check_action(action, self.action_space, "The first action")
            self._is_action_checked = True
        row = np.asarray(action, self.action_space.dtype)[np.newaxis]
        *_, infos = self.env.step(row)
        terminated, truncated = bool(self.env.terminals[0]), bool(self.env.truncations[0])
        self._is_over = self._episodes.is_next_ready = terminated or truncated
        rows = self.env.final_observations if self._is_over else self.env.observations
        return rows[0].copy(), float(self.env.rewards[0]), terminated, truncated, merged(infos)

    def render(self) -> Rendered:
        """Return the native environment's rendering."""
        return self.env.render()

    def close(self) -> None:
        """Close the native environment."""
        self.env.close()
