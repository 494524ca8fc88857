"""A vectorizer as a `gymnasium.vector.VectorEnv`, for code written for Gymnasium."""

import contextlib
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import ArrayLike, NDArray

from pufferlib.annotations import Array, Options, Rendered
from pufferlib.emulation.results import ResetInfo
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError, CallOrderError
from pufferlib.vector.arguments import Indices, Seed, check_options, seed_each
from pufferlib.vector.autoreset import first_rows, reset_mask_of
from pufferlib.vector.batch import Batch, Infos
from pufferlib.vector.gymnasium_errors import call_error, wait_error
from pufferlib.vector.interface import VectorEnv
from pufferlib.vector.published import VectorNames

VectorResult = tuple[Array, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], Info]


def to_gymnasium(vecenv: VectorEnv, copy: bool = True) -> "GymnasiumVectorEnv":
    """Return `vecenv` as a `gymnasium.vector.VectorEnv` of the same autoreset mode.

    >>> from pufferlib.vector import make
    >>> envs = to_gymnasium(make(gymnasium.make, ["CartPole-v1"], num_envs=2))
    >>> envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(envs)
    >>> observations, infos = envs.reset(seed=0)
    >>> observations.shape
    (2, 4)
    >>> envs.close()

    Args:
        vecenv: a vectorizer that steps all its environments at once. From now on call reset, step
            and close of the result only.
        copy: return copies of the observations. If False, views that the next step overwrites;
            do not write to them.

    Raises:
        ArgumentError: a pool, or not a vectorizer.
    """
    return GymnasiumVectorEnv(vecenv, copy)


class GymnasiumVectorEnv(gymnasium.vector.VectorEnv[Array, Array, Array]):
    """The result of `to_gymnasium`: behaves like Gymnasium's `SyncVectorEnv` of the same mode.

    An "environment" is a row, so `num_envs` is the vectorizer's `num_agents`. Observations and
    actions are flat. Rewards are float64, as Gymnasium's, with the precision of float32.

    With `autoreset="same_step"`, if an episode ended, `infos["final_obs"]` has its last observation
    and `infos["final_info"]` the info of its last step; the other entries are the info of the
    reset. In the other modes a step has the last observation itself, with the info of that step.

    With several agents per environment, infos do not name their agent: `infos["agent_infos"]` has
    them all in a list, at the environment's first agent, and `final_info` is empty. The row of a
    dead agent is zeros until a new episode begins for all agents; there `masks` is False, as in
    rows lost with their worker. A wrapper that counts steps counts these rows too.

    Gymnasium's vector wrappers of observations (`NormalizeObservation`, `FlattenObservation` ...)
    refuse same-step autoreset, also that of `SyncVectorEnv`: wrap the single environments instead,
    or use another mode.

    Attributes:
        vecenv: the vectorizer.
        autoreset_mode: Gymnasium's name of the vectorizer's `autoreset`.
        copy: observations are copies.
        masks: bool (num_envs,), the agent is there to act on the last observation.
    """

    def __init__(self, vecenv: VectorEnv, copy: bool = True) -> None:
        if not isinstance(vecenv, VectorNames):
            kind = vecenv if isinstance(vecenv, type) else type(vecenv)
            given = f"{kind.__module__}.{kind.__name__}"
            raise ArgumentError(
                f"to_gymnasium takes a vectorizer, got {given}. Pass the result of "
                f"pufferlib.vector.make."
            )
        if vecenv.batch_size < vecenv.num_envs:
            raise ArgumentError(
                f"to_gymnasium steps all environments at once; got a pool with batch_size="
                f"{vecenv.batch_size} of num_envs={vecenv.num_envs}. Use batch_size=None."
            )
        self.vecenv, self.copy = vecenv, copy
        self.num_envs = vecenv.num_agents
        self.metadata = dict(vecenv.metadata)
        self.autoreset_mode = AutoresetMode(self.metadata["autoreset_mode"])
        self.render_mode = vecenv.render_mode
        self.single_observation_space = vecenv.single_observation_space
        self.single_action_space = vecenv.single_action_space
        self.observation_space = vecenv.observation_space
        self.action_space = vecenv.action_space
        self.masks = np.zeros(self.num_envs, np.bool_)
        agents = np.array(vecenv.agents_per_env)
        self._first_rows: list[int] = first_rows(vecenv.agents_per_env).tolist()
        self._has_other_agents = np.repeat(agents > 1, agents)
        self._seeds = [-1] * vecenv.num_envs
        self._pending: str | None = None  # "reset" or "step", between `_async` and `_wait`

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]  # as SyncVectorEnv does
        """The seed of each environment's random state.

        That of its last seeded reset, -1 before it, if the environment has no `np_random_seed`.
        """
        with self._in_order("np_random_seed"):
            has_own = self.vecenv.has_attr("np_random_seed")
        if has_own:
            return self.get_attr("np_random_seed")
        return tuple(self._seeds)

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]  # likewise
        """The random state of each environment, a copy if it is stepped by another process.

        Raises:
            MissingAttributeError: the environments have no `np_random`.
        """
        return self.get_attr("np_random")

    def reset(
        self,
        *,
        seed: Seed = None,
        options: Options | None = None,
    ) -> tuple[Array, Info]:
        """Reset all; return (observations, infos).

        Args:
            seed: environment i gets `seed + i`; of native environments of several games, each game
                the next one. None: no seed; or a list with one for each environment of the
                vectorizer.
            options: passed to the reset of every environment; that of a native one needs an
                argument `options`. One is not passed on: "reset_mask", a bool array (num_envs,),
                says which rows to reset, None all; the rows of an environment's agents only
                together.

        Raises:
            ArgumentError: other seeds, another mask, or options that the environments do not take.
            CallOrderError: a call is pending, or after close.
        """
        self._reset_async("reset", seed, options)
        return self.reset_wait()

    def reset_async(self, seed: Seed = None, options: Options | None = None) -> None:
        """Begin to reset all; `reset_wait` returns the results. See `reset`."""
        self._reset_async("reset_async", seed, options)

    def _reset_async(self, call: str, seed: Seed, options: Options | None) -> None:
        seeds = seed_each(seed, self.vecenv.num_envs, self.vecenv.num_seeds)
        options = check_options(options, takes_options=True)  # the vectorizer knows if it does
        resets = np.ones(self.vecenv.num_envs, np.bool_)
        if options is not None and "reset_mask" in options:
            resets = self._selected_envs(options["reset_mask"])
            options = {**options, "reset_mask": resets}
        with self._in_order(call):
            if self._pending:
                raise CallOrderError
            self.vecenv.async_reset(seeds, options)
        self._pending = "reset"
        for env in np.flatnonzero(resets).tolist():
            new = seeds[env]
            self._seeds[env] = self._seeds[env] if new is None else new

    def reset_wait(self, timeout: None = None) -> tuple[Array, Info]:
        """Wait for the reset that `reset_async` began; return (observations, infos).

        Raises:
            ArgumentError: a timeout; give `timeout_s` to `pufferlib.vector.make` instead.
            CallOrderError: there was no `reset_async`.
        """
        self._end_pending("reset", timeout)
        batch = self.vecenv.recv()
        infos: Info = {}
        for row, own in self._by_first_row(batch.infos).items():
            for info in own:
                infos = self._add_info(infos, info, row)
        return self._observations(batch), infos

    def step(self, actions: ArrayLike) -> VectorResult:
        """Step all; return (observations, rewards, terminations, truncations, infos).

        Raises:
            ActionError: actions that do not fit.
            CallOrderError: before the first reset, while a call is pending, or after close.
        """
        try:
            self.vecenv.send(actions)
        except CallOrderError as error:
            raise call_error("step", self._pending, self.closed, error) from None
        return self._results(self.vecenv.recv())

    def step_async(self, actions: ArrayLike) -> None:
        """Begin to step all; `step_wait` returns the results. See `step`.

        While the workers of `Multiprocessing` and `Ray` step, this process may do other work.
        """
        with self._in_order("step_async"):
            self.vecenv.send(actions)
        self._pending = "step"

    def step_wait(self, timeout: None = None) -> VectorResult:
        """Wait for the step that `step_async` began; return what `step` returns.

        Raises:
            ArgumentError: a timeout; give `timeout_s` to `pufferlib.vector.make` instead.
            CallOrderError: there was no `step_async`.
        """
        self._end_pending("step", timeout)
        return self._results(self.vecenv.recv())

    def _results(self, batch: Batch) -> VectorResult:
        return (
            self._observations(batch),
            batch.rewards.astype(np.float64),
            batch.terminals.copy(),
            batch.truncations.copy(),
            self._step_infos(batch),
        )

    def call(
        self, name: str, *args: object, indices: Indices = None, **kwargs: object
    ) -> tuple[Any, ...]:
        """Call a method of every environment of the vectorizer; see its `call`."""
        with self._in_order("call"):
            return tuple(self.vecenv.call(name, *args, indices=indices, **kwargs))

    def get_attr(self, name: str, indices: Indices = None) -> tuple[Any, ...]:
        """Return an attribute of every environment of the vectorizer."""
        with self._in_order("get_attr"):
            return tuple(self.vecenv.get_attr(name, indices))

    def set_attr(self, name: str, values: object, indices: Indices = None) -> None:
        """Set an attribute of every environment: a list has a value for each, else one for all."""
        with self._in_order("set_attr"):
            self.vecenv.set_attr(name, values, indices)

    def render(self) -> tuple[Rendered, ...]:
        """Return what each environment's `render` returns."""
        with self._in_order("render"):
            return tuple(self.vecenv.render())

    def close_extras(self, **kwargs: Any) -> None:
        """Close the vectorizer."""
        if self._pending:
            gymnasium.logger.warn(
                f"Calling `close` while waiting for a pending call to `{self._pending}` to "
                f"complete."
            )
        self.vecenv.close()

    def _selected_envs(self, reset_mask: object) -> NDArray[np.bool_]:
        """Return which environments of the vectorizer a mask of rows selects."""
        mask = reset_mask_of(reset_mask, self.num_envs)
        selected = np.logical_or.reduceat(mask, self._first_rows)
        in_part = selected & ~np.logical_and.reduceat(mask, self._first_rows)
        if in_part.any():
            raise ArgumentError(
                f"options['reset_mask'] selects some, not all, rows of the vectorizer's "
                f"environments {np.flatnonzero(in_part).tolist()}; its agents reset together. "
                f"Select all their rows, for example when `masks` is False in all of them."
            )
        return selected

    @contextlib.contextmanager
    def _in_order(self, call: str) -> Iterator[None]:
        """Raise a `CallOrderError` of the vectorizer as one that is Gymnasium's, too."""
        try:
            yield
        except CallOrderError as error:
            raise call_error(call, self._pending, self.closed, error) from None

    def _end_pending(self, name: str, timeout: object) -> None:
        """Check that the call `name` is pending; from now on it is not."""
        if timeout is not None:
            raise ArgumentError(
                f"{name}_wait takes no timeout; got {timeout!r}. Give timeout_s to "
                f"pufferlib.vector.make: a worker that exceeds it is an error, or is replaced."
            )
        if self._pending != name:
            raise wait_error(name, self._pending)
        self._pending = None

    def _observations(self, batch: Batch) -> Array:
        self.masks = batch.masks.copy()
        return batch.observations.copy() if self.copy else batch.observations

    def _step_infos(self, batch: Batch) -> Info:
        """Return the infos of a step as Gymnasium's SyncVectorEnv orders and nests them."""
        ended: set[int] = set()
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            ended.update(np.flatnonzero(batch.terminals | batch.truncations).tolist())
        infos_of = self._by_first_row(batch.infos)
        infos: Info = {}
        for row in sorted(ended | infos_of.keys()):
            own = infos_of.get(row, [])
            if row in ended:
                final_info, own = self._split(row, own)
                final_obs = batch.final_observations[row].copy()
                final = {"final_obs": final_obs, "final_info": final_info}
                infos = self._add_info(infos, final, row)
            for info in own:
                infos = self._add_info(infos, info, row)
        return infos

    def _split(self, row: int, own: list[Info]) -> tuple[Info, list[Info]]:
        """Return the info of the step that ended an episode, and those after it."""
        if not own or self._has_other_agents[row] or isinstance(own[0], ResetInfo):
            return {}, own
        return own[0], own[1:]

    def _by_first_row(self, infos: Infos) -> dict[int, list[Info]]:
        """Return the infos of each environment, by the row of its first agent."""
        found: dict[int, list[Info]] = {}
        for env, info in zip(infos.env_indices, infos, strict=True):
            found.setdefault(self._first_rows[env], []).append(info)
        return {
            row: [{"agent_infos": own}] if self._has_other_agents[row] else own
            for row, own in found.items()
        }
