"""A vectorizer as a `VecEnv` of Stable-Baselines3."""

import copy
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from pufferlib.annotations import Array, Rendered
from pufferlib.emulation.results import ResetInfo
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError
from pufferlib.frameworks.sb3.absence import Presence
from pufferlib.frameworks.sb3.spaces import check_vecenv, mask_layout, spaces_of, whole_columns
from pufferlib.vector.batch import Batch, Infos
from pufferlib.vector.interface import VectorEnv

_MASKS = "action_masks"  # the method that MaskablePPO calls

StepReturn = tuple[Array, NDArray[np.float32], NDArray[np.bool_], list[Info]]


class PufferVecEnv(VecEnv):
    """A vectorizer as a `VecEnv`: an environment of Stable-Baselines3 is a row, which is an agent.

    >>> import gymnasium
    >>> from pufferlib.vector import make
    >>> envs = PufferVecEnv(make(gymnasium.make, ["CartPole-v1"], num_envs=2))
    >>> envs.seed(0)
    [0, 1]
    >>> envs.reset().shape
    (2, 4)
    >>> envs.close()

    Observations and actions are flat, observations and flags copies. Actions of a Box of integers
    are rounded to the nearest.

    Where an episode ended, `infos[row]` has `terminal_observation`, and `episode` as `Monitor`
    reports it: that of the environment if it has a `Monitor` or `EpisodeStats`, else counted here.
    `TimeLimit.truncated` is in all. Rows of an agent that is absent are zeros. When it returns, the
    row is "done" without an `episode`, so that a policy's state is cleared. To leave such rows out
    of learning, see `leave_out_absent`. With several agents, infos do not name theirs: the first of
    an environment's rows has them as `agent_infos`.

    `get_attr`, `set_attr` and `env_method` take indices of rows, and reach the environment of each
    once. `action_masks` is that method of the environment, or else the "action_mask" of its
    observation.

    Args:
        vecenv: steps all its environments at once and resets in the same step. From now on call the
            methods of the result only.

    Attributes:
        vecenv: the vectorizer.
        masks: bool (num_envs,), the agent is there to act on the last observation.
        presence: the same, and which rows acted in the last step, for `leave_out_absent`.

    Raises:
        ArgumentError: not a vectorizer, a pool, another autoreset mode, or an action space without
            finite bounds.
    """

    def __init__(self, vecenv: VectorEnv) -> None:
        check_vecenv(vecenv)
        self.vecenv = vecenv
        agents = np.array(vecenv.agents_per_env)
        self._env_of: list[int] = np.repeat(np.arange(len(agents)), agents).tolist()
        self._first_rows: list[int] = (np.cumsum(agents) - agents).tolist()
        self._is_alone = agents == 1
        self._whole = whole_columns(vecenv)
        self._mask_layout = mask_layout(vecenv)
        self.presence = Presence(vecenv.num_agents)
        self.masks = np.zeros(vecenv.num_agents, np.bool_)
        self._observations: Array = np.zeros(0)
        self._returns = np.zeros(vecenv.num_agents)
        self._lengths = np.zeros(vecenv.num_agents, np.int64)
        self._began_s = time.monotonic()
        super().__init__(vecenv.num_agents, *spaces_of(vecenv))
        self.metadata = dict(vecenv.metadata)

    def seed(self, seed: int | None = None) -> list[int]:
        """Set the seeds of the next reset; return those of the rows.

        Args:
            seed: that of environment 0; environment i gets `seed + i`, whatever its agents. Of
                native environments of several games, each game gets the next one. None: a random
                one.
        """
        first: int = super().seed(seed)[0]
        games = self.vecenv.num_seeds // self.vecenv.num_envs  # of an environment
        agents = self.vecenv.agents_per_env
        seeds = [
            first + env * games + (row - self._first_rows[env]) * games // agents[env]
            for row, env in enumerate(self._env_of)
        ]
        self._seeds: list[int | None] = [*seeds]
        return seeds

    def reset(self) -> Array:
        """Reset all environments; return the observations. Infos are in `reset_infos`."""
        seeds: list[Any] = [self._seeds[row] for row in self._first_rows]
        options = self._common_options()
        keywords = {"options": options} if options else {}
        self.vecenv.async_reset(seed=_joined_seed(seeds), **keywords)
        batch = self.vecenv.recv()
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = self._lengths[:] = 0
        self.reset_infos: list[Info] = [{} for _ in range(self.num_envs)]
        for env, own in _by_env(batch.infos).items():
            self.reset_infos[self._first_rows[env]] = self._joined(env, own)
        return self._observed(batch)

    def step_async(self, actions: ArrayLike) -> None:
        """Begin to step all rows with `actions`, (num_envs, *action_space.shape)."""
        array = np.asarray(actions)
        if self._whole is not None:
            array = np.where(self._whole, np.rint(array), array)
            array = array.astype(self.vecenv.single_action_space.dtype)
        self.vecenv.send(array)

    def step_wait(self) -> StepReturn:
        """Wait for the step; return (observations, rewards, dones, infos)."""
        batch = self.vecenv.recv()
        acted = self.masks & ~batch.lost
        ended = batch.terminals | batch.truncations
        returned = batch.masks & ~self.masks & ~ended  # an agent that was absent
        self.presence.update(acted)
        self._returns += np.where(acted, batch.rewards, 0)
        self._lengths += acted
        infos: list[Info] = [{} for _ in range(self.num_envs)]
        self._add_infos(batch, ended, infos)
        cut = batch.truncations & ~batch.terminals
        for info, is_cut in zip(infos, cut.tolist(), strict=True):
            info["TimeLimit.truncated"] = is_cut
        for row in np.flatnonzero(ended).tolist():
            infos[row]["terminal_observation"] = batch.final_observations[row].copy()
            if acted[row]:
                infos[row]["episode"] = self._episode(row, infos[row])
        for row in np.flatnonzero(returned).tolist():
            infos[row]["terminal_observation"] = np.zeros_like(batch.observations[row])
        dones = ended | returned
        self._returns[dones] = self._lengths[dones] = 0
        return self._observed(batch), batch.rewards.copy(), dones, infos

    def close(self) -> None:
        """Close the vectorizer. May be called again."""
        self.vecenv.close()

    def has_attr(self, attr_name: str) -> bool:
        """Return whether every environment has the attribute."""
        if attr_name == _MASKS and self._mask_layout is not None:
            return True
        return self.vecenv.has_attr(attr_name)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the environment of each row."""
        rows, envs = self._reached(indices)
        values = dict(zip(envs, self._of_envs("get_attr", envs, attr_name), strict=True))
        return [values[self._env_of[row]] for row in rows]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the environment of each row to the same value."""
        _, envs = self._reached(indices)
        self._of_envs("set_attr", envs, attr_name, [value] * len(envs))

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the environment of each row, once for each environment."""
        rows, envs = self._reached(indices)
        if method_name == _MASKS and self._mask_layout is not None:
            return self._masks_of(rows)
        found = self._of_envs("call", envs, method_name, *method_args, **method_kwargs)
        results = dict(zip(envs, found, strict=True))
        return [results[self._env_of[row]] for row in rows]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Return whether the environment of each row is wrapped in a class.

        True for `Monitor`, as `infos` have the `episode` that a `Monitor` reports.
        """
        rows, _ = self._reached(indices)
        if wrapper_class is Monitor:
            return [True] * len(rows)
        if not self.vecenv.has_attr("is_wrapped_in"):  # native environments have no wrappers
            return [False] * len(rows)
        found: list[bool] = self.env_method("is_wrapped_in", wrapper_class, indices=indices)
        return found

    def get_images(self) -> Sequence[Rendered]:
        """Return a picture of each environment of the vectorizer."""
        if self.render_mode != "rgb_array":
            warnings.warn(
                f"render_mode is {self.render_mode}, so there are no pictures. Make the "
                f"environments with render_mode='rgb_array'.",
                stacklevel=2,
            )
            return [None] * self.vecenv.num_envs
        return self.vecenv.render()

    def _observed(self, batch: Batch) -> Array:
        """Return the observations of a batch, and keep who is there."""
        self.masks = self.presence.present = batch.masks.copy()
        self._observations = batch.observations.copy()
        return self._observations.copy()

    def _masks_of(self, rows: list[int]) -> list[Any]:
        """Return the "action_mask" of the last observation of each row, bool (choices,)."""
        assert self._mask_layout is not None
        found = self._mask_layout.unflatten(self._observations[rows])["action_mask"]
        return list(found.reshape(len(rows), -1) != 0)

    def _episode(self, row: int, info: Info) -> Info:
        """Return the episode that ended in `row`: its return, length, and when it ended."""
        episode = info.get("episode")
        if isinstance(episode, dict) and {"r", "l"} <= episode.keys():
            return episode
        ended_s = round(time.monotonic() - self._began_s, 6)
        if {"episode_return", "episode_length"} <= info.keys():
            returned, length = info["episode_return"], info["episode_length"]
            return {"r": float(returned), "l": int(length), "t": ended_s}
        return {"r": float(self._returns[row]), "l": int(self._lengths[row]), "t": ended_s}

    def _add_infos(self, batch: Batch, ended: NDArray[np.bool_], infos: list[Info]) -> None:
        """Put the environments' infos of a step into those of their rows.

        Where an episode ended, that of the reset which followed it goes to `reset_infos`.
        """
        own_infos = _by_env(batch.infos)
        for env in {self._env_of[row] for row in np.flatnonzero(ended).tolist()} | own_infos.keys():
            own, row = own_infos.get(env, []), self._first_rows[env]
            if self._is_alone[env] and ended[row]:
                final = [] if own and isinstance(own[0], ResetInfo) else own[:1]
                infos[row].update(self._joined(env, final))
                self.reset_infos[row] = self._joined(env, own[len(final) :])
            else:
                infos[row].update(self._joined(env, own))

    def _joined(self, env: int, own: list[Info]) -> Info:
        """Return the infos of an environment as one."""
        if self._is_alone[env]:
            return {key: value for info in own for key, value in info.items()}
        return {"agent_infos": own} if own else {}

    def _reached(self, indices: Any) -> tuple[list[int], list[int]]:
        """Return the rows of `indices`, counted from 0, and their environments, each once."""
        rows = [int(row) for row in np.arange(self.num_envs)[list(self._get_indices(indices))]]
        return rows, list(dict.fromkeys(self._env_of[row] for row in rows))

    def _of_envs(self, method: str, envs: list[int], *args: Any, **kwargs: Any) -> list[Any]:
        """Call a method of the vectorizer for some of its environments."""
        if envs != list(range(self.vecenv.num_envs)):
            kwargs["indices"] = envs
        return getattr(self.vecenv, method)(*args, **kwargs) or []

    def _common_options(self) -> Info:
        """Return the options of the next reset.

        Raises:
            ArgumentError: they differ among the environments.
        """
        options = self._options[0]
        if any(each != options for each in self._options):
            raise ArgumentError(
                "A vectorizer passes the same options to all its environments; got different ones. "
                "Pass one dict to set_options."
            )
        return dict(options)


def _joined_seed(seeds: list[Any]) -> Any:
    """Return seeds s, s + 1 ... as s, and no seeds as None."""
    first = seeds[0]
    is_same = seeds == [None if first is None else first + env for env in range(len(seeds))]
    return first if is_same else seeds


def _by_env(infos: Infos) -> dict[int, list[Info]]:
    """Return the infos of each environment, copied."""
    found: dict[int, list[Info]] = {}
    for env, info in zip(infos.env_indices, infos, strict=True):
        found.setdefault(env, []).append(copy.copy(info))
    return found
