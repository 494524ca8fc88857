"""`puffer eval`."""

import dataclasses
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from pufferlib import registry
from pufferlib.cli.film import film
from pufferlib.cli.run import check_checkpoint, load_policy, make_vecenv, settings
from pufferlib.cli.run_folder import CHECKPOINT, latest_checkpoint, read_config
from pufferlib.cli.video import check_video
from pufferlib.config import Config, VecConfig
from pufferlib.exceptions import ArgumentError
from pufferlib.ppo import Evaluation, evaluate
from pufferlib.ppo.evaluate import Actor
from pufferlib.vector import VectorEnv


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
    elif checkpoint_path.is_dir():
        checkpoint_path /= CHECKPOINT
    if checkpoint_path is not None and not checkpoint_path.exists():
        raise ArgumentError(f"There is no checkpoint {checkpoint_path}. Name a run's folder.")
    base = None if checkpoint_path is None else read_config(checkpoint_path.parent)
    config = settings(env, flags, "eval", base)
    if video is not None:
        check_video(video)
    with console.status("Playing whole episodes"):
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
        episodes: how many at least, those of each agent counted, in two games at least; each
            environment has a seed of its own.
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


def print_comparison(
    console: Console, config: Config, results: dict[str, Evaluation], seed: int
) -> None:
    """Print a line for each evaluation: mean return, its 95% interval, length."""
    one = next(iter(results.values()))
    episodes, games = len(one.returns), len(set(one.games.tolist()))
    among = "" if games == episodes else f" of agents in {games} games"
    console.print(
        f"[bold]{config.env.task}[/bold], return of {episodes} episodes{among}, seeds from {seed}: "
        f"mean [95% interval]".replace("[95%", r"\[95%"),
        highlight=False,
        soft_wrap=True,
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


def _make_rows(config: Config, episodes: int) -> VectorEnv:
    """Return environments with at least `episodes` rows and two games, as few as have them."""
    module, _ = registry.resolve(config.env.task)
    with closing(make_vecenv(config, module, num_envs=1)) as one:
        agents = one.num_agents
        least = 2 if agents > 1 and one.get_attr("is_one_game")[0] else 1
    return make_vecenv(config, module, num_envs=max(least, -(-episodes // agents)))
