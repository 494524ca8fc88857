"""One episode of a policy, filmed."""

import dataclasses
import inspect
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn

from pufferlib import registry
from pufferlib.cli.run import load_policy, make_vecenv
from pufferlib.cli.video import write_video
from pufferlib.config import Config, VecConfig
from pufferlib.exceptions import ArgumentError
from pufferlib.ppo.evaluate import Actor
from pufferlib.vector import VectorEnv

MAX_FRAMES = 5000
_MODES = ("rgb_array", "ansi")  # that need no display, the best first
_FPS = 15.0  # where the environment asks for none


def film(
    console: Console, config: Config, checkpoint_path: Path | None, seed: int, out: Path
) -> None:
    """Play one episode into the video file `out`; needs no display.

    Raises:
        ArgumentError: the environment draws neither pictures nor text.
    """
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # else pygame complains of no display
    config, fps = rendering(config)
    module, _ = registry.resolve(config.env.task)
    with closing(make_vecenv(config, module, num_envs=1)) as vecenv:
        policy = None
        if checkpoint_path is not None:
            policy = load_policy(config, vecenv, checkpoint_path)
        episode = Episode(vecenv, policy, seed)
        fps = write_video(out, episode.frames(), fps)
    console.print(
        f"Filmed {out}: {episode.steps} frames, {fps:g} a second; return {episode.total:.2f}"
        f"{'' if episode.has_ended else ', the episode not over'}",
        highlight=False,
        soft_wrap=True,
    )


class Episode:
    """One episode, frame by frame.

    Args:
        vecenv: one environment.
        policy: None plays at random.
        seed: of the episode.

    Attributes:
        steps: taken so far.
        total: the first agent's return so far.
        has_ended: whether the first agent's episode is over.
    """

    def __init__(self, vecenv: VectorEnv, policy: nn.Module | None, seed: int) -> None:
        self._vecenv, self._seed = vecenv, seed
        self._act = Actor(vecenv, policy, seed)
        self.steps, self.total, self.has_ended = 0, 0.0, False

    def frames(self) -> Iterator[Any]:
        """Yield what `render` returns before each step, until the end or `MAX_FRAMES`."""
        torch.manual_seed(self._seed)
        observations, _ = self._vecenv.reset(self._seed)
        ends = np.ones(self._vecenv.num_agents, np.bool_)
        while not self.has_ended and self.steps < MAX_FRAMES:
            yield self._vecenv.render()[0]
            actions = self._act(observations, ends)
            observations, rewards, terminals, truncations, _ = self._vecenv.step(actions)
            ends = terminals | truncations
            self.steps += 1
            self.total += float(rewards[0])
            self.has_ended = bool(ends[0])


def rendering(config: Config) -> tuple[Config, float]:
    """Return `config` with one environment that renders without a display, and frames a second.

    Raises:
        ArgumentError: it cannot.
    """
    module, task = registry.resolve(config.env.task)
    # One game of those that a native environment plays, which draws none: its rows are the same.
    kwargs = dict(config.env.kwargs)
    if "num_envs" in kwargs:
        kwargs = {name: kwargs[name] for name in kwargs if name not in ("num_envs", "num_threads")}
    with closing(module.env_creator(task)(**kwargs)) as env:
        metadata = getattr(env, "metadata", None) or {}
        mode = getattr(env, "render_mode", None)
    modes = [name for name in _MODES if name in (mode, *metadata.get("render_modes", ()))]
    if not modes or (
        modes[0] != mode and "render_mode" not in inspect.signature(module.make_env).parameters
    ):
        raise ArgumentError(
            f"{task} cannot be filmed: it renders as none of {', '.join(_MODES)}. Leave out "
            f"--video."
        )
    if modes[0] != mode:
        kwargs["render_mode"] = modes[0]
    env_config = dataclasses.replace(config.env, kwargs=kwargs)
    serial = VecConfig(backend="Serial", num_envs=1)
    config = dataclasses.replace(config, env=env_config, vec=serial)
    return config, float(metadata.get("render_fps") or _FPS)
