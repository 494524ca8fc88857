"""The vectorizers of PufferLib 0.x: four results a step, and environments counted per worker.

    envs = pufferlib.vectorization.Serial(env_creator=make_env, num_workers=2, envs_per_worker=2)
    observations = envs.reset(seed=42)
    observations, rewards, dones, infos = envs.step(actions)

They are those of `pufferlib.vector`. `dones` are its `terminals | truncations`, which a learner
must handle differently: use `pufferlib.vector.make`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from pufferlib import vector
from pufferlib.annotations import Array, EnvCreator
from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError
from pufferlib.published.binding import Binding

OldStep = tuple[Array, Array, Array, list[Any]]


class Serial:
    """`pufferlib.vector.Serial`, with the interface of 0.x. Other attributes are those of today's.

    Args:
        env_creator: a function or class that returns an environment, or a `Binding`.
        env_args: positional arguments for it.
        env_kwargs: keyword arguments for it.
        num_envs: environments; `num_workers * envs_per_worker` if None.
        num_workers: processes, among which they are divided evenly; of `Serial` without effect.
        envs_per_worker: environments of each.

    Raises:
        ArgumentError: the three numbers contradict each other.
    """

    _backend: type[vector.VectorEnv] = vector.Serial

    def __init__(
        self,
        env_creator: EnvCreator | Binding,
        env_args: Sequence[object] = (),
        env_kwargs: Mapping[str, object] | None = None,
        num_envs: int | None = None,
        num_workers: int | None = None,
        envs_per_worker: int | None = None,
    ) -> None:
        creator = env_creator.env_creator if isinstance(env_creator, Binding) else env_creator
        num_envs, num_workers = _sizes(num_envs, num_workers, envs_per_worker)
        self._envs = vector.make(
            creator, env_args, env_kwargs, self._backend, num_envs, num_workers=num_workers
        )

    def __getattr__(self, name: str) -> Any:
        if name == "_envs":  # not made: the constructor failed
            raise AttributeError(name)
        return getattr(self._envs, name)

    def reset(self, seed: int | None = None) -> Array:
        """Reset all environments; return the observations."""
        return self._envs.reset(seed)[0]

    def step(self, actions: ArrayLike) -> OldStep:
        """Step all environments; return (observations, rewards, dones, infos)."""
        self.send(actions)
        return self.recv()

    def recv(self) -> OldStep:
        """Wait for the rows; return (observations, rewards, dones, infos).

        Returns:
            dones: bool (rows,), the episode ended and the next one has begun.
            infos: those that are not empty. At the end of an episode `episode` has its return "r"
                and its length "l".
        """
        batch = self._envs.recv()
        infos = [_with_episode(info) for info in batch.infos]
        return batch.observations, batch.rewards, batch.terminals | batch.truncations, infos

    def step_async(self, actions: ArrayLike) -> None:
        """Begin to step, as `send` does."""
        self.send(actions)

    def step_wait(self) -> OldStep:
        """Wait for the rows, as `recv` does."""
        return self.recv()

    def unpack_batched_obs(self, batched_obs: Any) -> Any:
        """Return flat observations in the environment's structure."""
        from pufferlib.published.pytorch import unpack_batched_obs  # loads torch

        return unpack_batched_obs(batched_obs, self._envs.single_observation_space)


class Multiprocessing(Serial):
    """`pufferlib.vector.Multiprocessing`, with the interface of 0.x; see `Serial`."""

    _backend = vector.Multiprocessing


class Ray(Serial):
    """`pufferlib.vector.Ray`, with the interface of 0.x; see `Serial`."""

    _backend = vector.Ray


class RayVecEnv(Ray):
    """The vectorizer of 0.2.

    Args:
        binding: a `Binding`, or a function that returns an environment.
        num_workers: actors of Ray.
        envs_per_worker: environments of each.
    """

    def __init__(
        self, binding: EnvCreator | Binding, num_workers: int = 1, envs_per_worker: int = 1
    ) -> None:
        super().__init__(binding, num_workers=num_workers, envs_per_worker=envs_per_worker)
        self._seed: int | None = None

    def seed(self, seed: int) -> None:
        """Use `seed` at the next reset."""
        self._seed = seed

    def reset(self, seed: int | None = None) -> Array:
        """Reset all environments; return the observations."""
        seed, self._seed = self._seed if seed is None else seed, None
        return super().reset(seed)


def _sizes(
    num_envs: int | None, num_workers: int | None, envs_per_worker: int | None
) -> tuple[int, int]:
    """Return (environments, workers), of which two of the three numbers are enough."""
    if num_workers is None:
        each = whole_number("envs_per_worker", envs_per_worker or 1)
        num_workers = 1 if num_envs is None else max(1, whole_number("num_envs", num_envs) // each)
    num_workers = whole_number("num_workers", num_workers)
    if num_envs is None:
        num_envs = num_workers * whole_number("envs_per_worker", envs_per_worker or 1)
    if envs_per_worker is not None and num_envs != num_workers * envs_per_worker:
        raise ArgumentError(
            f"num_envs must be num_workers * envs_per_worker; got num_envs={num_envs}, num_workers="
            f"{num_workers}, envs_per_worker={envs_per_worker}. Leave one of them out."
        )
    return num_envs, num_workers


def _with_episode(info: dict[str, Any]) -> dict[str, Any]:
    if "episode" in info or not {"episode_return", "episode_length"} <= info.keys():
        return info
    return info | {"episode": {"r": info["episode_return"], "l": info["episode_length"]}}
