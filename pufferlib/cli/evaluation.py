"""`puffer eval`."""

import dataclasses
import itertools
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from pufferlib import registry
from pufferlib.arguments import whole_number
from pufferlib.cli.film import Episode, film
from pufferlib.cli.run import check_checkpoint, load_policy, make_vecenv, settings
from pufferlib.cli.run_folder import CHECKPOINT, latest_checkpoint, read_config
from pufferlib.cli.video import check_video
from pufferlib.config import Config, VecConfig
from pufferlib.exceptions import ArgumentError
from pufferlib.ppo import Evaluation, evaluate
from pufferlib.ppo.config import MOST_SEED
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

    Raises:
        ArgumentError: there are too few episodes, or no such seed.
        SettingError: a setting cannot be.
        CheckpointError: it does not fit.
    """
    if episodes < 2:
        raise ArgumentError(f"--episodes must be at least 2, to tell an interval; got {episodes}.")
    whole_number("--seed", seed, 0, MOST_SEED)
    config.policy.check()
    config.train.check_values()
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
    """Play one episode in the terminal, for environments that render as text.

    Each screen is the one before a step, as in a film: after the last step it is the next
    episode's.
    """
    serial = dataclasses.replace(config, vec=VecConfig(backend="Serial", num_envs=1))
    module, _ = registry.resolve(config.env.task)
    with closing(make_vecenv(serial, module)) as vecenv:
        policy = None
        if checkpoint_path is not None:
            policy = load_policy(config, vecenv, checkpoint_path)
        episode = Episode(vecenv, policy, seed)
        frames = itertools.islice(episode.frames(), max_steps + 1)
        first = next(frames)
        if not isinstance(first, str):
            console.print(f"{config.env.task} does not render as text.")
            return
        with Live(console=console, auto_refresh=False) as live:
            for screen in itertools.chain([first], frames):
                title = f"{config.env.task}  step {episode.steps}  return {episode.total:.2f}"
                panel = Panel.fit(Text(screen, no_wrap=True), title=title)
                live.update(panel, refresh=console.is_terminal)
                if console.is_terminal:
                    time.sleep(1 / steps_per_second)  # for the eyes
            live.refresh()
        if not console.is_terminal:
            console.line()  # which `Live` leaves out there
    console.print(
        f"Replayed {episode.steps} steps; return {episode.total:.2f}"
        f"{'' if episode.has_ended else ', the episode not over'}",
        highlight=False,
    )


def _make_rows(config: Config, episodes: int) -> VectorEnv:
    """Return environments with at least `episodes` rows and two games, as few as have them."""
    module, _ = registry.resolve(config.env.task)
    with closing(make_vecenv(config, module, num_envs=1)) as one:
        agents = one.num_agents
        least = 2 if agents > 1 and one.get_attr("is_one_game")[0] else 1
    return make_vecenv(config, module, num_envs=max(least, -(-episodes // agents)))
