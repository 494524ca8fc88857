"""Show evaluations and replays in the terminal."""

import itertools
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text

from pufferlib.exceptions import ArgumentError
from pufferlib.runs.film import one_episode, rendering
from pufferlib.runs.provenance import change_of_environment
from pufferlib.runs.run import Run
from pufferlib.training import Evaluation


def print_change(console: Console, run: Run) -> None:
    """Print a line if the file of the environment has changed since the run was made."""
    if run.config.run is None:  # a checkpoint outside of its run's folder
        return
    change = change_of_environment(run.config.run, run.source)
    if change is not None:
        console.print(f"[yellow]{escape(change)}", highlight=False, soft_wrap=True)


def print_comparison(
    console: Console,
    task: str,
    results: dict[str, Evaluation],
    seed: int,
    policy_of: Sequence[str] = (),
) -> None:
    """Print a line for each evaluation: mean return, its 95% interval, length.

    Another says so if sampled and greedy actions differ by more than their intervals.

    Args:
        console: where to print.
        task: that was played.
        results: by what played.
        seed: of the first episode.
        policy_of: the name of the policy of each agent, for a line for each policy; none: one
            policy acts for all.
    """
    one = next(iter(results.values()))
    episodes, games = len(one.returns), len(set(one.games.tolist()))
    among = "" if games == episodes else f" of agents in {games} games"
    console.print(
        f"[bold]{task}[/bold], return of {episodes} episodes{among}, seeds from {seed}: "
        f"mean [95% interval]".replace("[95%", r"\[95%"),
        highlight=False,
        soft_wrap=True,
    )
    for name, result in results.items():
        length = f"{result.lengths.mean():.0f} steps per episode"
        console.print(f"  {name:8}  {result}   {length}", highlight=False, markup=False)
        for policy, own in result.by_policy(policy_of).items():
            console.print(f"    {policy}  {own}", highlight=False, markup=False)
    if {"sampled", "greedy"} <= results.keys():
        sentence = _difference(results["sampled"], results["greedy"])
        if sentence is not None:
            console.print(f"[yellow]{sentence}", highlight=False, soft_wrap=True)


def _difference(sampled: Evaluation, greedy: Evaluation) -> str | None:
    """Return a sentence that says which actions are better; None if that is not certain."""
    if sampled.is_above(greedy):
        return (
            "This policy is better with sampled actions than with greedy ones, by more than the "
            "intervals. Sample its actions where you use it, or train it for longer."
        )
    if greedy.is_above(sampled):
        return (
            "This policy is better with greedy actions than with sampled ones, by more than the "
            "intervals. Take its most probable actions where you use it."
        )
    return None


def replay(
    console: Console,
    run: Run,
    path: Path | None,
    seed: int,
    max_steps: int = 200,
    steps_per_second: float = 20.0,
    is_greedy: bool = False,
) -> None:
    """Play one episode in the terminal, for environments that render as text.

    Each screen is the one before a step, as in a film: after the last step it would be the next
    episode's.
    """
    task = run.config.env.task
    try:
        run, _ = rendering(run, ("ansi",))
    except ArgumentError:
        console.print(f"{task} does not render as text.")
        return
    with one_episode(run, path, seed, is_greedy) as episode:
        frames = itertools.islice(episode.frames(), max_steps + 1)
        first = next(frames)
        with Live(console=console, auto_refresh=False) as live:
            for screen in itertools.chain([first], frames):
                title = f"{task}  step {episode.steps}  return {episode.total:.2f}"
                panel = Panel.fit(Text(str(screen), no_wrap=True), title=title)
                live.update(panel, refresh=console.is_terminal)
                if console.is_terminal:
                    time.sleep(1 / steps_per_second)  # for the eyes
            live.refresh()
        if not console.is_terminal:
            console.line()  # which `Live` leaves out there
    console.print(
        f"Replayed {episode.steps} steps; return {episode.total:.2f}"
        f"{unfinished(episode.has_ended)}",
        highlight=False,
    )


def unfinished(has_ended: bool) -> str:
    """Return what to add to a line about an episode that may not have ended."""
    return "" if has_ended else " (episode not finished)"
