"""The contract of an environment that writes into rows it is given.

A `PufferEnv` steps all its agents in one call and writes the results into rows that its caller
owns. The vectorizer passes it a slice of shared memory, so that nothing is stacked or copied
afterwards. An agent may be a player in a shared world, or one of many independent games that the
environment steps together; both have the same interface.

The vectorizer steps only environments with this contract. Gymnasium and PettingZoo environments are
converted by `pufferlib.emulation`; environments written for speed subclass `PufferEnv` directly.
"""

from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import AnySpace, Array, Rendered, Space, UserEnv
from pufferlib.annotations import Info as Info
from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError


class Buffers(NamedTuple):
    """The rows that one or more environments write, one row per agent, in a fixed order.

    Attributes:
        observations: (rows, *single_observation_space.shape), the space's dtype. After the end of
            an episode this is the first observation of the next one.
        rewards: float32 (rows,).
        terminals: bool (rows,), the episode ended by the rules of the environment.
        truncations: bool (rows,), the episode was cut off, by a time limit for example.
        masks: bool (rows,), the agent is present and acts on this observation. If False, the
            observation is zero, and so are reward and flags, except in the step that ended the
            agent's episode.
        final_observations: like `observations`, the last one of an episode; written in rows with
            `terminals | truncations`, stale in all others.
    """

    observations: Array
    rewards: NDArray[np.float32]
    terminals: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    masks: NDArray[np.bool_]
    final_observations: Array

    @classmethod
    def allocate(cls, single_observation_space: gymnasium.spaces.Box, rows: int) -> "Buffers":
        """Return zeroed rows in this process's memory."""
        shape, dtype = (rows, *single_observation_space.shape), single_observation_space.dtype
        return cls(
            observations=np.zeros(shape, dtype),
            rewards=np.zeros(rows, np.float32),
            terminals=np.zeros(rows, np.bool_),
            truncations=np.zeros(rows, np.bool_),
            masks=np.zeros(rows, np.bool_),
            final_observations=np.zeros(shape, dtype),
        )

    def rows(self, start: int, stop: int) -> "Buffers":
        """Return views of the rows from `start` to `stop`, exclusive."""
        return Buffers._make(array[start:stop] for array in self)


StepResult = tuple[Array, NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], list[Info]]


class PufferEnv:
    """An environment that writes into the rows it is bound to.

    A subclass sets `single_observation_space`, `single_action_space` and `num_agents`, calls
    `super().__init__(buffers)`, and implements `reset` and `step`. Its contract:

    - `reset(seed)` starts a new episode for every agent; the same seed gives the same results.
    - `step(actions)` leaves correct values in every row of every buffer; only the environment
      writes to the rows during the call. Each step writes all rewards, flags and final observations
      again, and does not read the previous ones. When an episode ends, the next one starts in the
      same step: the last observation is written to `final_observations`, and the first one of the
      next episode to `observations`.
    - An absent agent has zeros in its rows and `masks` False, from the step that ends its episode
      if no new episode starts for it in that step.
    - `infos` is a list of non-empty dicts, typically one at the end of each episode.

    The arrays that `reset` and `step` return are the rows themselves: copy what you keep.

    >>> class Coin(PufferEnv):
    ...     '''Guess a coin; an episode is one guess.'''
    ...     def __init__(self, num_agents=1, buffers=None):
    ...         self.single_observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    ...         self.single_action_space = gymnasium.spaces.Discrete(2)
    ...         self.num_agents = num_agents
    ...         super().__init__(buffers)
    ...
    ...     def reset(self, seed=None):
    ...         self.random = np.random.default_rng(seed)
    ...         self.coins = self.random.integers(2, size=self.num_agents)
    ...         self.observations[:, 0] = self.coins
    ...         self.rewards[:], self.terminals[:], self.truncations[:] = 0, False, False
    ...         self.masks[:] = True
    ...         return self.observations, []
    ...
    ...     def step(self, actions):
    ...         self.rewards[:] = actions == self.coins
    ...         self.terminals[:] = True
    ...         self.final_observations[:] = self.observations
    ...         self.coins = self.random.integers(2, size=self.num_agents)
    ...         self.observations[:, 0] = self.coins
    ...         return self.observations, self.rewards, self.terminals, self.truncations, []
    >>> env = Coin(num_agents=4)
    >>> observations, infos = env.reset(seed=0)
    >>> observations.ravel()
    array([1., 1., 1., 0.], dtype=float32)
    >>> _, rewards, terminals, _, _ = env.step(np.array([1, 1, 0, 0]))
    >>> rewards
    array([1., 1., 0., 1.], dtype=float32)
    >>> terminals
    array([ True,  True,  True,  True])

    Args:
        buffers: rows to write into; allocated here if None.

    Attributes:
        render_mode: what `render` returns; see Gymnasium.
        metadata: `render_modes` and `render_fps`, as Gymnasium declares them.
        num_seeds: how many seeds `reset(seed)` uses: `seed`, `seed + 1` and so on. A vectorizer
            gives the next environment the seed after these.
        is_one_game: its agents play one game together, so their returns are correlated; False if
            each agent plays a separate game. Confidence intervals of evaluation count games. The
            episodes of all agents that act then end together, which autoreset modes other than
            "same_step" need.

    Raises:
        ArgumentError: if the subclass has not set its spaces and `num_agents`, or the observation
            space is not a Box.
    """

    single_observation_space: gymnasium.spaces.Box
    single_action_space: Space
    num_agents: int
    render_mode: str | None = None
    metadata: dict[str, Any] = {}  # noqa: RUF012  (as Gymnasium declares it)
    num_seeds: int = 1
    is_one_game: bool = False
    emulated: Any = False  # this and `done`: published names, see docs/published-names.md
    done: bool = False

    observations: Array
    rewards: NDArray[np.float32]
    terminals: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    masks: NDArray[np.bool_]
    final_observations: Array

    def __init__(self, buffers: Buffers | None = None) -> None:
        for name in ("single_observation_space", "single_action_space", "num_agents"):
            if not hasattr(self, name):
                raise ArgumentError(
                    f"{type(self).__name__} has no {name}. Set it before super().__init__()."
                )
        if not isinstance(self.single_observation_space, gymnasium.spaces.Box):
            raise ArgumentError(
                f"single_observation_space of {type(self).__name__} must be a Box, got "
                f"{self.single_observation_space}. Emulation flattens other spaces: write a "
                f"Gymnasium or PettingZoo environment and wrap it."
            )
        check_action_space(type(self).__name__, self.single_action_space)
        self.num_agents = whole_number("num_agents", self.num_agents)
        self.bind(buffers or Buffers.allocate(self.single_observation_space, self.num_agents))

    def bind(self, buffers: Buffers) -> None:
        """Write into `buffers` from now on. Called before the first reset."""
        for name, rows in buffers._asdict().items():
            setattr(self, name, rows)

    def reset(self, seed: int | None = None) -> tuple[Array, list[Info]]:
        """Start a new episode for every agent; return (observations, infos)."""
        raise NotImplementedError(f"{type(self).__name__} must implement reset")

    def step(self, actions: Array) -> StepResult:
        """Step all agents; return (observations, rewards, terminals, truncations, infos).

        Args:
            actions: (num_agents, *single_action_space.shape), the space's dtype. Rows of absent
                agents are ignored.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement step")

    @property
    def driver_env(self) -> UserEnv:
        """The environment itself: a published name, see docs/published-names.md."""
        return self

    @property
    def flat_observation_space(self) -> gymnasium.spaces.Box:
        """`single_observation_space`: a published name, see docs/published-names.md."""
        return self.single_observation_space

    flat_observation_structure = unflatten_context = flat_observation_space

    @property
    def user_env(self) -> UserEnv:
        """The environment as its author wrote it: this one, unless it wraps another."""
        return self

    def render(self) -> Rendered:
        """Return a picture of the current state in `render_mode`, or None."""
        return None

    def close(self) -> None:
        """Release resources outside Python's memory."""


def check_action_space(owner: str, space: AnySpace) -> None:
    """Refuse action spaces that policies have no head for."""
    is_flat = (
        isinstance(space, gymnasium.spaces.Box)
        or (isinstance(space, gymnasium.spaces.Discrete) and space.start == 0)
        or (
            isinstance(space, gymnasium.spaces.MultiDiscrete)
            and space.nvec.ndim == 1
            and not np.any(space.start)
        )
    )
    if not is_flat:
        raise ArgumentError(
            f"single_action_space of {owner} must be a Discrete or MultiDiscrete that starts at 0, "
            f"on one axis, or a Box; got {space}. Emulation flattens other spaces: write a "
            f"Gymnasium or PettingZoo environment and wrap it."
        )
