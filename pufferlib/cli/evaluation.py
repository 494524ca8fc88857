"""`puffer eval`."""

import dataclasses
import inspect
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.text import Text
from torch import nn

from pufferlib import registry
from pufferlib.cli.run import check_checkpoint, make_policy, make_vecenv, settings
from pufferlib.cli.run_folder import latest_checkpoint, read_config
from pufferlib.cli.video import check_video, write_video
from pufferlib.config import Config, VecConfig
from pufferlib.exceptions import ArgumentError
from pufferlib.ppo import Evaluation, checkpoint, evaluate
from pufferlib.ppo.evaluate import Actor
from pufferlib.vector import VectorEnv

MAX_FRAMES = 5000
_MODES = ("rgb_array", "ansi")  # that need no display, the best first
_FPS = 15.0  # where the environment asks for none


def evaluation(
    env: str,
    console: Console,
    flags: Sequence[str],
    checkpoint_path: Path | None,
    episodes: int,
    seed: int,
    render: bool,
    video: Path | None,
) -> dict[str, str]:
    """Evaluate a checkpoint, beside a random policy on the same seeds; return the table's cells.

    Without a checkpoint it is that of the latest run of the task in runs/, if there is one.
    """
    if checkpoint_path is None:
        task = registry.resolve(env)[1]
        checkpoint_path = latest_checkpoint(task)
        found = checkpoint_path or f"none of {task} in runs/, the random policy plays alone"
        console.print(f"Checkpoint: {found}", highlight=False)
    base = None if checkpoint_path is None else read_config(checkpoint_path.parent)
    config = settings(env, flags, "eval", base)
    if video is not None:
        check_video(video)
    results = compare(config, checkpoint_path, episodes, seed)
    print_comparison(console, config, results, seed)
    if render:
        replay(console, config, checkpoint_path, seed)
    if video is not None:
        film(console, config, checkpoint_path, seed, video)
    return {name: str(result) for name, result in results.items()}


def compare(
    config: Config, checkpoint_path: Path | None, episodes: int, seed: int
) -> dict[str, Evaluation]:
    """Return the evaluations of a random policy and of the checkpoint, on the same seeds.

    The checkpoint is checked before any process starts.

    Args:
        config: of the run that made the checkpoint.
        checkpoint_path: None evaluates the random policy alone.
        episodes: how many, each with a seed of its own where an environment has one agent.
        seed: of the first episode.
    """
    if episodes < 2:
        raise ArgumentError(f"--episodes must be at least 2, to tell an interval; got {episodes}.")
    config.policy.check()
    if checkpoint_path is not None:
        check_checkpoint(config, checkpoint_path)
    with closing(_make_rows(config, episodes)) as vecenv:
        results = {"random": evaluate(vecenv, None, seed)}
        if checkpoint_path is not None:
            policy = load_policy(config, vecenv, checkpoint_path)
            results["trained"] = evaluate(vecenv, policy, seed)
    return results


def load_policy(config: Config, vecenv: VectorEnv, path: Path) -> nn.Module:
    """Return the network of a run with the weights of its checkpoint.

    Raises:
        CheckpointError: it cannot be read, or is of another architecture.
    """
    module, _ = registry.resolve(config.env.task)
    policy = make_policy(config, module, vecenv)
    checkpoint.load_policy(policy, checkpoint.load(path), path)
    return policy


def print_comparison(
    console: Console, config: Config, results: dict[str, Evaluation], seed: int
) -> None:
    """Print a line for each evaluation: mean return, its 95% interval, length."""
    episodes = len(next(iter(results.values())).returns)
    console.print(
        f"[bold]{config.env.task}[/bold], return of {episodes} episodes, seeds from {seed}: mean "
        f"[95% interval]".replace("[95%", r"\[95%"),
        highlight=False,
    )
    for name, result in results.items():
        length = f"{result.lengths.mean():.0f} steps an episode"
        console.print(f"  {name:8}  {result}   {length}", highlight=False, markup=False)


def replay(
    console: Console,
    config: Config,
    checkpoint_path: Path | None,
    seed: int,
    max_steps: int = 200,
    steps_per_second: float = 20.0,
) -> None:
    """Play one episode in the terminal, for environments that render as text."""
    serial = dataclasses.replace(config, vec=VecConfig(backend="Serial", num_envs=1))
    module, _ = registry.resolve(config.env.task)
    with closing(make_vecenv(serial, module)) as vecenv:
        policy = None
        if checkpoint_path is not None:
            policy = load_policy(config, vecenv, checkpoint_path)
        torch.manual_seed(seed)
        act = Actor(vecenv, policy, seed)
        observations, _ = vecenv.reset(seed)
        ends = np.ones(vecenv.num_agents, np.bool_)
        if not isinstance(vecenv.render()[0], str):
            console.print(f"{config.env.task} does not render as text.")
            return
        total = 0.0
        with Live(console=console, auto_refresh=False) as live:
            for step in range(1, max_steps + 1):
                observations, rewards, terminals, truncations, _ = vecenv.step(
                    act(observations, ends)
                )
                ends = terminals | truncations
                total += float(rewards[0])
                title = f"{config.env.task}  step {step}  return {total:.2f}"
                screen = Text(str(vecenv.render()[0]), no_wrap=True)
                live.update(Panel.fit(screen, title=title), refresh=console.is_terminal)
                if ends[0]:
                    break
                if console.is_terminal:
                    time.sleep(1 / steps_per_second)  # for the eyes
            live.refresh()


def film(
    console: Console, config: Config, checkpoint_path: Path | None, seed: int, out: Path
) -> None:
    """Play one episode into the video file `out`; needs no display.

    Raises:
        ArgumentError: the environment draws neither pictures nor text.
    """
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # else pygame complains of no display
    config, fps = _rendering(config)
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


def _rendering(config: Config) -> tuple[Config, float]:
    """Return `config` with one environment that renders without a display, and frames a second.

    Raises:
        ArgumentError: it cannot.
    """
    module, task = registry.resolve(config.env.task)
    with closing(module.env_creator(task)(**config.env.kwargs)) as env:
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
    kwargs = dict(config.env.kwargs)
    if modes[0] != mode:
        kwargs["render_mode"] = modes[0]
    env_config = dataclasses.replace(config.env, kwargs=kwargs)
    serial = VecConfig(backend="Serial", num_envs=1)
    config = dataclasses.replace(config, env=env_config, vec=serial)
    return config, float(metadata.get("render_fps") or _FPS)


def _make_rows(config: Config, episodes: int) -> VectorEnv:
    """Return environments with at least `episodes` rows, as few as have them."""
    module, _ = registry.resolve(config.env.task)
    with closing(make_vecenv(config, module, num_envs=1)) as one:
        agents = one.num_agents
    return make_vecenv(config, module, num_envs=-(-episodes // agents))
