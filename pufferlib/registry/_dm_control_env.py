"""Build a task of dm_control for a seed, from one of its three collections."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError
from pufferlib.locks import process_lock
from pufferlib.registry._mujoco_headless import mujoco

_SEEDING = process_lock()  # all threads share NumPy's global generator


def build(task: str, arguments: dict[str, Any], seed: int | None) -> Any:
    """Return the task, its generator seeded; with None it seeds itself.

    Raises:
        ArgumentError: arguments for a task that takes none, or a seed.
    """
    mujoco()  # chooses the renderer before dm_control does
    _use_renderer()
    importlib.import_module("dm_control.mujoco")
    mujoco()  # again: dm_control replaces the handler of MuJoCo's warnings on import
    domain, _, rest = task.partition("-")
    if rest:
        from dm_control import suite

        task_kwargs = dict(arguments.get("task_kwargs") or {})
        if "random" in task_kwargs:
            raise ArgumentError(
                f"make_env takes no seed; got random={task_kwargs['random']!r}. Give it to reset: "
                f"env.reset(seed={task_kwargs['random']!r})."
            )
        task_kwargs["random"] = seed
        return suite.load(domain, rest, **{**arguments, "task_kwargs": task_kwargs})
    if arguments:
        raise ArgumentError(
            f"{task} takes no arguments besides those of rendering; got "
            f"{', '.join(sorted(arguments))}. Leave them out, or choose a task of the suite."
        )
    return _composed(task, seed)


def _use_renderer() -> None:
    """Let dm_control use the renderer of MUJOCO_GL, if a library imported it before that was set.

    TorchRL does, and dm_control then takes GLFW, which needs a display.
    """
    render: Any = sys.modules.get("dm_control._render")
    if render is not None and os.environ.get("MUJOCO_GL", render.BACKEND) != render.BACKEND:
        importlib.reload(render)


def _composed(task: str, seed: int | None) -> Any:
    if task[0].islower():
        from dm_control import manipulation

        return manipulation.load(task, seed)
    from dm_control.locomotion.examples import basic_cmu_2019, basic_rodent_2020

    module = basic_cmu_2019 if task.startswith("Cmu") else basic_rodent_2020
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in task)
    random = np.random.RandomState(seed)
    with _numpy_seeded(random):
        env = getattr(module, words.removeprefix("_"))(np.random.RandomState(seed))
    return _Seeded(env, random)


class _Seeded:
    """A locomotion environment for which NumPy's global generator is seeded where it is used."""

    def __init__(self, env: Any, random: np.random.RandomState) -> None:
        self._env, self._random = env, random

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self) -> Any:
        """Start an episode; return its first timestep."""
        with _numpy_seeded(self._random):
            return self._env.reset()

    def step(self, action: Any) -> Any:
        """Take one step; return its timestep."""
        with _numpy_seeded(self._random):
            return self._env.step(action)


@contextlib.contextmanager
def _numpy_seeded(random: np.random.RandomState) -> Iterator[None]:
    """Seed NumPy's global generator inside the block: it draws mazes, food and targets."""
    with _SEEDING:
        before = np.random.get_state()
        np.random.seed(random.randint(2**31))
        try:
            yield
        finally:
            np.random.set_state(before)


def check_picture(env: Any, width: int, height: int, camera_id: int) -> None:
    """Refuse what MuJoCo would refuse to draw.

    Raises:
        ArgumentError: there is no such camera, or the picture is larger than what it draws into.
    """
    model = env.physics.model
    whole_number("width", width, most=int(model.vis.global_.offwidth))
    whole_number("height", height, most=int(model.vis.global_.offheight))
    whole_number("camera_id", camera_id, least=-1, most=int(model.ncam) - 1)


def picture(env: Any, _: Any, height: int, width: int, camera_id: int) -> Any:
    """Return uint8 (height, width, 3)."""
    return env.physics.render(height, width, camera_id)
