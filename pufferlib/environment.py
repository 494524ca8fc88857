"""The contract of an environment that writes into rows it is given.

A `PufferEnv` steps all its agents in one call and writes what it has to say about them into rows
that somebody else owns: the vectorizer hands it a slice of shared memory, so nothing is stacked or
copied afterwards. An agent may be a player in a shared world, or one of many independent games
that the environment steps together; from outside both look the same.

Everything that the vectorizer steps has this contract. Gymnasium and PettingZoo environments get it
through `pufferlib.emulation`; environments written for speed subclass `PufferEnv` directly.
"""

from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError

Info = dict[str, Any]


class Buffers(NamedTuple):
    """The rows that one or more environments write, one row an agent, in a fixed order.

    Attributes:
        observations: (rows, *single_observation_space.shape), the space's dtype. Where an episode
            ended, already the first observation of the next one.
        rewards: float32 (rows,).
        terminals: bool (rows,), the episode ended by the rules of the environment.
        truncations: bool (rows,), the episode was cut off, by a time limit for example.
        masks: bool (rows,), the agent is there to act on this observation. Where it is not, the
            observation is zero; reward and flags too, but on the step that ended its episode.
        final_observations: as `observations`; the last one of an episode, written where
            `terminals | truncations`, stale everywhere else.
    """

    observations: NDArray[Any]
    rewards: NDArray[np.float32]
    terminals: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    masks: NDArray[np.bool_]
    final_observations: NDArray[Any]

    @classmethod
    def allocate(cls, single_observation_space: gymnasium.spaces.Box, rows: int) -> "Buffers":
        """Return zeroed rows in this process's own memory."""
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
        """Return views of the rows from `start` up to, not including, `stop`."""
        return Buffers._make(array[start:stop] for array in self)


StepResult = tuple[
    NDArray[Any], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], list[Info]
]


class PufferEnv:
    """An environment that writes into the rows it is bound to.

    A subclass sets `single_observation_space`, `single_action_space` and `num_agents`, calls
    `super().__init__(buffers)`, and implements `reset` and `step`. It owes its caller:

    - `reset(seed)` starts every agent's episode anew; the same seed gives the same stream.
    - `step(actions)` leaves every row of every buffer right; nobody else writes to them meanwhile.
      Rewards, flags and final observations each step writes anew, and reads none of them back.
      An episode that ends starts again in the same step: its last observation goes to
      `final_observations`, the first one of the next episode to `observations`.
    - an agent that is absent has zeros in its rows and `masks` False: from the step that ends its
      episode, if no other begins for it then.
    - `infos` is a list of non-empty dicts, most usefully one at each episode's end.

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
        is_one_game: its agents play one game together, so that their returns hang together; False
            where they are games of their own. Evaluation's intervals are over games.

    Raises:
        ArgumentError: if the subclass has not set its spaces and `num_agents`, or the observation
            space is not a Box.
    """

    single_observation_space: gymnasium.spaces.Box
    single_action_space: gymnasium.Space[Any]
    num_agents: int
    render_mode: str | None = None
    is_one_game: bool = False

    observations: NDArray[Any]
    rewards: NDArray[np.float32]
    terminals: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    masks: NDArray[np.bool_]
    final_observations: NDArray[Any]

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
        _check_actions(type(self).__name__, self.single_action_space)
        self.num_agents = whole_number("num_agents", self.num_agents)
        self.bind(buffers or Buffers.allocate(self.single_observation_space, self.num_agents))

    def bind(self, buffers: Buffers) -> None:
        """Write into these rows from now on. Called before the first reset."""
        for name, rows in buffers._asdict().items():
            setattr(self, name, rows)

    def reset(self, seed: int | None = None) -> tuple[NDArray[Any], list[Info]]:
        """Start every agent's episode anew; return (observations, infos)."""
        raise NotImplementedError(f"{type(self).__name__} must implement reset")

    def step(self, actions: NDArray[Any]) -> StepResult:
        """Step all agents; return (observations, rewards, terminals, truncations, infos).

        Args:
            actions: (num_agents, *single_action_space.shape), the space's dtype. Rows of absent
                agents hold anything.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement step")

    @property
    def user_env(self) -> Any:
        """The environment as its author wrote it: this one, unless this only adapts another."""
        return self

    def render(self) -> Any:
        """Return a picture of the current state in `render_mode`, or None."""
        return None

    def close(self) -> None:
        """Free what the environment holds outside Python."""


def _check_actions(owner: str, space: Any) -> None:
    """Refuse what policies have no head for: they choose from 0, on one axis, or real numbers."""
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
