"""A vectorizer as a `gymnasium.vector.VectorEnv`: what is written for that works on it."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.arguments import as_whole
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError
from pufferlib.vector.batch import Batch, Infos
from pufferlib.vector.interface import VectorEnv

VectorResult = tuple[
    NDArray[Any], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
]


def to_gymnasium(vecenv: VectorEnv, copy: bool = True) -> "GymnasiumVectorEnv":
    """Return `vecenv` as a `gymnasium.vector.VectorEnv` that autoresets in the same step.

    >>> from pufferlib.vector import make
    >>> envs = to_gymnasium(make(gymnasium.make, ["CartPole-v1"], num_envs=2))
    >>> envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(envs)
    >>> observations, infos = envs.reset(seed=0)
    >>> observations.shape
    (2, 4)
    >>> envs.close()

    Args:
        vecenv: a vectorizer that steps all its environments at once. It is the result's from now
            on: step, reset and close it there only.
        copy: return copies of the observations. If False, views that the next step overwrites, and
            that nobody else may write to.

    Raises:
        ArgumentError: a pool, or something that is no vectorizer.
    """
    return GymnasiumVectorEnv(vecenv, copy)


class GymnasiumVectorEnv(gymnasium.vector.VectorEnv[NDArray[Any], NDArray[Any], NDArray[Any]]):
    """What `to_gymnasium` returns. Gives what `SyncVectorEnv(autoreset_mode=SAME_STEP)` gives.

    An "environment" is a row, so `num_envs` is the vectorizer's `num_agents`. Observations and
    actions are the flat ones. Rewards are float64 as Gymnasium's, of float32's precision.

    Where an episode ended, `infos["final_obs"]` has the true last observation and
    `infos["final_info"]` the info of the step that ended it; what lies beside them is the info of
    the reset. A vectorizer gives the two in this order, without the empty ones. If there is only
    one, it is taken for the reset's where the environment's last `reset` gave an info, for the
    ending step's elsewhere: so an environment that gives an info in some of its resets only, and
    none when an episode ends, has some of them in the wrong place.

    Of several agents of an environment nobody says whose an info is: `infos["agent_infos"]` has
    them all in a list, at the environment's first agent, and `final_info` is empty. A dead agent's
    row is zeros until a new episode begins for all; `masks` is False there, as in rows lost with
    their worker. A wrapper that counts steps counts these too.

    Gymnasium's vector wrappers of observations (`NormalizeObservation`, `FlattenObservation` ...)
    refuse same-step autoreset, its own `SyncVectorEnv`'s too: use those of single environments.

    Attributes:
        vecenv: the vectorizer.
        copy: observations are copies.
        masks: bool (num_envs,), the agent is there to act on the last observation.
    """

    def __init__(self, vecenv: VectorEnv, copy: bool = True) -> None:
        if isinstance(vecenv, type) or not hasattr(vecenv, "agents_per_env"):
            given = vecenv.__name__ if isinstance(vecenv, type) else type(vecenv).__name__
            raise ArgumentError(
                f"to_gymnasium takes what pufferlib.vector.make returns, got {given}. Make a "
                f"vectorizer first."
            )
        if vecenv.batch_size < vecenv.num_envs:
            raise ArgumentError(
                f"to_gymnasium steps all environments at once; got a pool with batch_size="
                f"{vecenv.batch_size} of num_envs={vecenv.num_envs}. Use batch_size=None."
            )
        self.vecenv, self.copy = vecenv, copy
        self.num_envs = vecenv.num_agents
        self.metadata = dict(vecenv.metadata)
        self.render_mode = getattr(vecenv, "render_mode", None)
        self.single_observation_space = vecenv.single_observation_space
        self.single_action_space = vecenv.single_action_space
        self.observation_space = vecenv.observation_space
        self.action_space = vecenv.action_space
        self.masks = np.zeros(self.num_envs, np.bool_)
        agents = np.array(vecenv.agents_per_env)
        self._first_rows: list[int] = (np.cumsum(agents) - agents).tolist()
        self._has_company = np.repeat(agents > 1, agents)
        self._informs_at_reset = np.zeros(self.num_envs, np.bool_)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Reset all; return (observations, infos).

        Args:
            seed: environment i gets `seed + i`; None: none. A list with a seed for each environment
                must say the same: s, s + 1, s + 2 ...
            options: none are taken.

        Raises:
            ArgumentError: other seeds, or options.
        """
        if options:
            raise ArgumentError(
                f"A vectorizer has no way to hand options to its environments; got options="
                f"{options!r}. Give them to the creator instead, as env_kwargs."
            )
        first = first_seed(seed, self.vecenv.num_envs)
        super().reset(seed=first)
        self.vecenv.async_reset(first)
        batch = self.vecenv.recv()
        self._informs_at_reset[:] = False
        infos: dict[str, Any] = {}
        for row, given in self._by_first_row(batch.infos).items():
            self._informs_at_reset[row] = True
            for info in given:
                infos = self._add_info(infos, info, row)
        return self._observations(batch), infos

    def step(self, actions: Any) -> VectorResult:
        """Step all; return (observations, rewards, terminations, truncations, infos)."""
        self.vecenv.send(actions)
        batch = self.vecenv.recv()
        return (
            self._observations(batch),
            batch.rewards.astype(np.float64),
            batch.terminals.copy(),
            batch.truncations.copy(),
            self._step_infos(batch),
        )

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of every environment of the vectorizer; return the results."""
        return tuple(self.vecenv.call(name, *args, **kwargs))

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute of every environment of the vectorizer."""
        return tuple(self.vecenv.get_attr(name))

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of every environment: a list has a value for each, else one for all."""
        self.vecenv.set_attr(name, values)

    def render(self) -> tuple[Any, ...]:
        """Return what each environment's `render` returns."""
        return tuple(self.vecenv.render())

    def close_extras(self, **kwargs: Any) -> None:
        """Close the vectorizer."""
        self.vecenv.close()

    def _observations(self, batch: Batch) -> NDArray[Any]:
        self.masks = batch.masks.copy()
        return batch.observations.copy() if self.copy else batch.observations

    def _step_infos(self, batch: Batch) -> dict[str, Any]:
        """Return the infos of a step in the order and form of Gymnasium's SyncVectorEnv."""
        ended = set(np.flatnonzero(batch.terminals | batch.truncations).tolist())
        given = self._by_first_row(batch.infos)
        infos: dict[str, Any] = {}
        for row in sorted(ended | given.keys()):
            own = given.get(row, [])
            if row in ended:
                final_info, own = self._split(row, own)
                final_obs = self.vecenv.final_observations[row].copy()
                final = {"final_obs": final_obs, "final_info": final_info}
                infos = self._add_info(infos, final, row)
            for info in own:
                infos = self._add_info(infos, info, row)
        return infos

    def _split(self, row: int, own: list[Info]) -> tuple[Info, list[Info]]:
        """Return the info of the step that ended an episode, and those that came after it."""
        is_from_reset = len(own) == 1 and self._informs_at_reset[row]
        if not own or is_from_reset or self._has_company[row]:
            return {}, own
        return own[0], own[1:]

    def _by_first_row(self, infos: Infos) -> dict[int, list[Info]]:
        """Return the infos of each environment that has any, by the row of its first agent."""
        given: dict[int, list[Info]] = {}
        for env, info in zip(infos.env_indices, infos, strict=True):
            given.setdefault(self._first_rows[env], []).append(info)
        return {
            row: [{"agent_infos": own}] if self._has_company[row] else own
            for row, own in given.items()
        }


def first_seed(seed: Any, num_envs: int) -> int | None:
    """Return the seed from which the others are counted; None where none is given.

    Raises:
        ArgumentError: neither a whole number nor a list of `num_envs` consecutive ones.
    """
    is_list = isinstance(seed, (list, tuple, np.ndarray))
    seeds = list(seed) if is_list else [seed]
    first = as_whole(seeds[0]) if seeds else None
    expected = [None if first is None else first + i for i in range(num_envs if is_list else 1)]
    if seeds != expected:
        raise ArgumentError(
            f"seed must be a whole number s, or num_envs={num_envs} consecutive ones, since "
            f"environment i gets s + i; got {seed!r}. Use seed={first or 0}."
        )
    return first
