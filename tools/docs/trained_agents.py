"""Train an agent for the page of a family: a film, a learning curve, and a record of both.

    python tools/docs/trained_agents.py classic_control --seeds 3
    python tools/docs/trained_agents.py NetHackScout-v0 --env.kwargs.max-episode-steps 500
    python tools/docs/trained_agents.py classic_control --draw runs/trained/CartPole-v1

ENV is a family, whose default task is trained, or a task. All other flags are those of `puffer
train`. The files are FAMILY.webp, .png and .svg in docs/images/trained/, and FAMILY.json in
docs/records/trained/; then `make docs` and `python tools/docs/environments_page.py` show them.
"""

import argparse
import itertools
import json
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from animation import MOST_FRAMES, write_animation
from PIL import Image

from pufferlib import registry
from pufferlib.annotations import Kwargs
from pufferlib.matches import play, score
from pufferlib.rating.games import RANDOM
from pufferlib.runs import Run
from pufferlib.runs.curves import curve, plot
from pufferlib.runs.film import one_episode, rendering
from pufferlib.runs.folder import CHECKPOINT, read_config, read_facts
from pufferlib.runs.seeds import is_group, members
from pufferlib.runs.video import as_frames
from pufferlib.training import Evaluation
from pufferlib.training.loggers import read_metrics

DOCS = Path(__file__).parents[2] / "docs"
IMAGES, RECORDS = DOCS / "images" / "trained", DOCS / "records" / "trained"
FIRST_SEED = 1_000_000  # of the episodes: training never saw them
GAMES = 200  # against random play, of a run with self-play
LEAST_GAMES = 8  # with fewer the bootstrap says nothing
LEAST_LEVELS = 5  # different values of a curve; with fewer it shows nothing


def main() -> None:
    """Train, unless a run is given; write the pictures and the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("env", help="a family or a task")
    parser.add_argument("--seeds", type=int, default=1, help="how many trainings, from seed 1 on")
    parser.add_argument("--episodes", type=int, default=32, help="of each evaluation (default 32)")
    parser.add_argument(
        "--draw", type=Path, metavar="RUN", help="a run, or a folder of seeds, that exists already"
    )
    parser.add_argument(
        "--film-kwargs", type=json.loads, default={}, metavar="JSON", help="of the filmed game"
    )
    parser.add_argument("--film-steps", type=int, help="film the first steps of a long game only")
    parser.add_argument("--note", help="what the page says of the agent, in a sentence")
    given, flags = parser.parse_known_args()
    source = registry.resolve(given.env)
    if source.family is None:
        parser.error(f"{given.env} is in no family.")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    folder = given.draw or train(source.name, source.label, given.seeds, flags)
    IMAGES.mkdir(exist_ok=True)
    RECORDS.mkdir(exist_ok=True)
    filming = Filming(given.film_kwargs, given.film_steps)
    record = draw(folder, source.family.name, given.episodes, filming)
    if given.note:
        record["note"] = given.note
    text = json.dumps(record, indent=2) + "\n"
    (RECORDS / f"{source.family.name}.json").write_text(text)
    print(text)


def train(task: str, label: str, seeds: int, flags: Sequence[str]) -> Path:
    """Train by `puffer train`; return the folder of the run, or of the runs of several seeds."""
    group = Path("runs", "trained", label)
    folder = group if seeds > 1 else group / "seed-1"
    several = ["--seeds", str(seeds)] if seeds > 1 else []
    command = [sys.executable, "-m", "pufferlib.cli", "train", task, *several, *flags]
    subprocess.run([*command, "--run", str(folder)], check=True)
    return folder


class Filming(NamedTuple):
    """What is filmed: arguments of the environment, and only the first steps, if not None."""

    kwargs: Kwargs
    steps: int | None


def draw(folder: Path, family: str, episodes: int, filming: "Filming") -> dict[str, Any]:
    """Write the film, its still and the curve of a run, if it has one; return the record."""
    runs = members(folder) if is_group(folder) else [folder]
    first = Run.open(runs[0])
    is_game = first.config.selfplay.is_on
    metric = "selfplay/score_random" if is_game else "episode/episode_return"
    facts = provenance(first, runs, metric)
    has_curve = draw_curve(folder, metric, IMAGES / f"{family}.svg")
    scores = {run.name: games(run) if is_game else returns(run, episodes) for run in runs}
    of_first = scores[runs[0].name]
    is_greedy = of_first["greedy"]["mean"] >= of_first["sampled"]["mean"]
    of_filmed = of_first["greedy" if is_greedy else "sampled"]
    filmed = Run.open(runs[0], {f"env.kwargs.{key}": filming.kwargs[key] for key in filming.kwargs})
    steps = filming.steps or of_filmed.get("length", MOST_FRAMES)
    every = math.ceil(steps / MOST_FRAMES)
    return {
        **facts,
        "has_curve": has_curve,
        "measure": f"score in {GAMES} games against random play: 1 for a win, 0.5 for a tie"
        if is_game
        else f"mean return of {counted(of_first['random'])}",
        "first_seed": FIRST_SEED,
        "scores": scores,
        "film": film(
            *(filmed, runs[0] / CHECKPOINT, family, is_greedy),
            *(every, filming.steps),
        ),
    }


def draw_curve(folder: Path, metric: str, out: Path) -> bool:
    """Draw a learning curve; return False, without a picture, if it has too few values."""
    runs = members(folder) if is_group(folder) else [folder]
    curves = [curve(run, metric, "timesteps") for run in runs]
    if min(len(set(values)) for _, values in curves) < LEAST_LEVELS:
        out.unlink(missing_ok=True)
        return False
    names = {} if is_group(folder) else {folder: f"seed {read_config(folder).train.seed}"}
    plot([folder], metric, "timesteps", out, names)
    return True


def provenance(run: Run, folders: Sequence[Path], metric: str) -> dict[str, Any]:
    """Return what was trained, how, when and where.

    Raises:
        ValueError: a run has no metrics.
    """
    facts = [read_facts(folder) for folder in folders]
    logged = [metrics(folder) for folder in folders]
    git, cores = facts[0]["git"]["pufferlib"], facts[0]["cores"]
    return {
        "task": run.config.env.task,
        "command": command_of(facts[0]["command"]),
        "timesteps": logged[0][-1]["timesteps"],
        "cpu_seconds": [round(cpu_seconds(lines, cores)) for lines in logged],
        "is_cpu_estimated": any("cpu_seconds" not in lines[-1] for lines in logged),
        "curve": metric,
        "date": facts[0]["time"][:10],
        "commit": git and git["commit"],
        "is_dirty": git and git["is_dirty"],
        "machine": f"{processor()}, {cores} core{'' if cores == 1 else 's'}, with other programs",
        "versions": facts[0]["versions"],
    }


def metrics(folder: Path) -> Sequence[Mapping[str, float]]:
    """Return the lines of metrics of a run.

    Raises:
        ValueError: there are none.
    """
    lines = read_metrics(folder)
    if not lines:
        raise ValueError(f"{folder} has no metrics. Give a run that has been trained.")
    return lines


def cpu_seconds(lines: Sequence[Mapping[str, float]], cores: int) -> float:
    """Return the CPU seconds of a run.

    They are logged with evaluations. Of a run without any they are estimated, from the share of the
    cores that each line of metrics has, which is measured once a second at most.
    """
    if "cpu_seconds" in lines[-1]:
        return lines[-1]["cpu_seconds"]
    since_s = [0.0, *(line["seconds"] for line in lines)]
    shares = [line.get("utilization/cpu_percent", 0) / 100 for line in lines]
    return cores * sum(
        share * (after_s - before_s)
        for share, (before_s, after_s) in zip(shares, itertools.pairwise(since_s), strict=True)
    )


def command_of(words: Sequence[str]) -> str:
    """Return the command of a run, or of a script that trained it, without paths outside."""
    scripts = [index for index, word in enumerate(words) if word.endswith(".py")]
    if scripts:
        words = ["python", *words[scripts[0] :]]
    else:
        words = ["puffer", *words[words.index("train") :]]
    if "--run" in words:
        place = words.index("--run")
        del words[place : place + 2]
    return shlex.join(words)


def processor() -> str:
    """Return the name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def returns(folder: Path, episodes: int) -> dict[str, Any]:
    """Return mean returns of random play, and of the agent with sampled and greedy actions."""
    results = Run.open(folder).evaluate(folder / CHECKPOINT, episodes, FIRST_SEED)
    return {name: summary(result) for name, result in results.items()}


def summary(result: Evaluation) -> dict[str, Any]:
    """Return the mean of an evaluation, and its interval unless there are too few games."""
    agents = np.unique(result.games, return_counts=True)[1]
    rounded = _rounded(result.mean, result.interval())
    if len(agents) < LEAST_GAMES:
        rounded["interval"] = None
    length = round(float(result.lengths.mean()), 1)
    return {**rounded, "length": length, "games": len(agents), "agents": int(agents.max())}


def counted(result: dict[str, Any]) -> str:
    """Return how many games were played: agents of one game are no independent episodes."""
    if result["agents"] == 1:
        return f"{result['games']} episodes"
    return f"{result['games']} games of {result['agents']} agents"


def games(folder: Path) -> dict[str, Any]:
    """Return the scores of the agent against random play, with sampled and greedy actions."""
    found = {}
    for name in ("sampled", "greedy"):
        played = play([str(folder), RANDOM], games=GAMES, is_greedy=name == "greedy")
        (agent,) = {player for game in played for player in game.players} - {RANDOM}
        result = score(played, agent, RANDOM)
        found[name] = _rounded(result.mean, result.interval())
    return found


def _rounded(mean: float, interval: tuple[float, float]) -> dict[str, Any]:
    return {"mean": round(mean, 4), "interval": [round(end, 4) for end in interval]}


def film(
    run: Run, checkpoint: Path, family: str, is_greedy: bool, every: int, steps: int | None = None
) -> dict[str, Any]:
    """Film every so many steps of one episode, or of its first steps; return what it shows."""
    run, fps = rendering(run)
    is_text = run.config.env.kwargs.get("render_mode") == "ansi"
    with one_episode(run, checkpoint, FIRST_SEED, is_greedy, every) as episode:
        last = None if steps is None else math.ceil(steps / every)
        frames = as_frames(itertools.islice(episode.frames(), last))
        still = write_animation(IMAGES / f"{family}.webp", frames, fps / every, is_text)
    few_colors(still).save(IMAGES / f"{family}.png", optimize=True)
    actions = "greedy" if is_greedy else "sampled"
    return {
        "actions": actions,
        "seed": FIRST_SEED,
        "steps": episode.steps,
        "return": round(episode.total, 4),
        "has_ended": episode.has_ended,
    }


def few_colors(image: Image.Image) -> Image.Image:
    """Return a picture of at most 256 colors, for a small file."""
    if image.getcolors(256):
        return image.quantize(256)  # exact
    # The median cut, Pillow's default, gives small things of a dark picture its main color.
    return image.quantize(256, method=Image.Quantize.FASTOCTREE)


if __name__ == "__main__":
    main()
