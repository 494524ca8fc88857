"""Play one episode of a policy, frame by frame, and film it."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from torch import nn

from pufferlib.annotations import Rendered
from pufferlib.exceptions import ArgumentError
from pufferlib.runs.evaluation import load_policy
from pufferlib.runs.run import Run
from pufferlib.runs.video import write_video
from pufferlib.training.evaluation import acting
from pufferlib.training.torch_state import torch_threads
from pufferlib.vector import VectorEnv

MAX_FRAMES = 5000
_MODES = ("rgb_array", "ansi")  # modes that need no display, the best first
_FPS = 15.0  # for environments that name none


class Episode:
    """One episode, frame by frame.

    Args:
        vecenv: one environment.
        policy: None plays at random.
        seed: of the episode.
        is_greedy: the policy takes the most probable actions; otherwise they are sampled.
        every: render before every so many steps only.

    Attributes:
        steps: taken so far.
        total: the first agent's return so far.
        has_ended: whether the first agent's episode is over.
    """

    def __init__(
        self,
        vecenv: VectorEnv,
        policy: nn.Module | None,
        seed: int,
        is_greedy: bool = False,
        every: int = 1,
    ) -> None:
        self._vecenv, self._policy, self._seed = vecenv, policy, seed
        self._is_greedy, self._every = is_greedy, every
        self.steps, self.total, self.has_ended = 0, 0.0, False

    def frames(self) -> Iterator[Rendered]:
        """Yield what `render` returns before a step, until the end or `MAX_FRAMES` steps."""
        with acting(self._vecenv, self._policy, self._seed, self._is_greedy) as act:
            observations, _ = self._vecenv.reset(self._seed)
            ends = np.ones(self._vecenv.num_agents, np.bool_)
            while not self.has_ended and self.steps < MAX_FRAMES:
                if self.steps % self._every == 0:
                    yield self._vecenv.render()[0]
                actions = act(observations, ends)
                observations, rewards, terminals, truncations, _ = self._vecenv.step(actions)
                ends = terminals | truncations
                self.steps += 1
                self.total += float(rewards[0])
                self.has_ended = bool(ends[0])


@contextmanager
def one_episode(
    run: Run, path: Path | None, seed: int, is_greedy: bool = False, every: int = 1
) -> Iterator[Episode]:
    """Yield an episode of one environment, played by the policy of a checkpoint, or at random."""
    with torch_threads(run.config.train.threads), closing(run.make_vecenv(num_envs=1)) as vecenv:
        policy = None if path is None else load_policy(run, vecenv, path)
        yield Episode(vecenv, policy, seed, is_greedy, every)


def film(
    run: Run, path: Path | None, seed: int, out: Path, is_greedy: bool = False
) -> tuple[Episode, float]:
    """Film one episode into the file `out`; return the episode, and the frames per second.

    Needs no display.

    Raises:
        ArgumentError: the environment draws neither pictures nor text.
    """
    with _without_display():
        run, fps = rendering(run)
        with one_episode(run, path, seed, is_greedy) as episode:
            fps = write_video(out, episode.frames(), fps)
    return episode, fps


@contextmanager
def _without_display() -> Iterator[None]:
    """Let pygame draw without a display; leave the environment variables as they were."""
    if "SDL_VIDEODRIVER" in os.environ:
        yield
        return
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    try:
        yield
    finally:
        os.environ.pop("SDL_VIDEODRIVER", None)


def rendering(run: Run, wanted: Sequence[str] = _MODES) -> tuple[Run, float]:
    """Return `run` with one environment that renders without a display, and frames per second.

    Environments are made without a render mode otherwise: some pay for one at every step.

    Args:
        run: whose environment it is.
        wanted: render modes, the best first; the first that the environment has is used.

    Raises:
        ArgumentError: it has none of them.
    """
    source, config = run.source, run.config
    # A native environment draws nothing: film one of its games, which has the same rows.
    kwargs = dict(config.env.kwargs)
    if "num_envs" in kwargs:
        kwargs = {name: kwargs[name] for name in kwargs if name not in ("num_envs", "num_threads")}
    with closing(source.creator(kwargs)(**kwargs)) as env:
        metadata = getattr(env, "metadata", None) or {}
        mode = getattr(env, "render_mode", None)
    modes = [name for name in wanted if name in (mode, *metadata.get("render_modes", ()))]
    if not modes or (modes[0] != mode and not source.takes("render_mode")):
        raise ArgumentError(
            f"{source.name} cannot be shown: it renders as none of {', '.join(wanted)}. Leave out "
            f"--video or --render."
        )
    if modes[0] != mode:
        kwargs["render_mode"] = modes[0]
    env_config = dataclasses.replace(config.env, kwargs=kwargs)
    run = dataclasses.replace(run, config=dataclasses.replace(config, env=env_config))
    return run.in_this_process(), float(metadata.get("render_fps") or _FPS)
