"""Show what `trained_agents` wrote: the film, the learning curve and the scores of a family."""

import functools
import json
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
_ACTIONS = {"sampled": "sampled actions", "greedy": "its most probable actions"}
_PLAYERS = {
    "random": "random actions",
    "sampled": "trained, sampled actions",
    "greedy": "trained, most probable actions",
}

_WIDTH = 92  # of a command
TIMED = "The command trains for a time, so how many steps it takes depends on the machine. "


@functools.cache
def record(family: str) -> dict[str, Any] | None:
    """Return the record of a family's trained agent; None if there is none."""
    path = DOCS / "records" / "trained" / f"{family}.json"
    return json.loads(path.read_text()) if path.exists() else None


def still(family: str, sample: str) -> tuple[str, str, str]:
    """Return the picture of a family for the table of all, its task, and a note below it."""
    found = record(family)
    if found is None:
        return f"images/environments/{family}.png", sample, "<br>at random"
    return f"images/trained/{family}.png", found["task"], ""


def picture(family: str, sample: str) -> str:
    """Return the film at the top of a page, or the picture of a game played at random."""
    found = record(family)
    if found is None:
        return f"""```{{image}} ../images/environments/{family}.png
:alt: {sample}
:width: 320px
```

`{sample}`, played at random."""
    film = found["film"]
    end = "" if film["has_ended"] else " so far"
    first = next(iter(found["scores"].values()))  # the film is of the first seed
    is_better = _standing(first, film["actions"]) == "better"
    whose = "the first agent's return was" if _agents(first) > 1 else "a return of"
    caution = "" if is_better else ", whose scores do not show that it is better than random play"
    return f"""```{{image}} ../images/trained/{family}.webp
:alt: An episode of {found["task"]}, played by a trained agent
```

`{found["task"]}`, played by the [agent trained below](#trained-agent){caution},
with {_ACTIONS[film["actions"]]}: {film["steps"]:,} steps, {whose}
{film["return"]:.2f}{end}."""


def _agents(scores: dict[str, Any]) -> int:
    """Return how many agents a game has; in self-play, where sides are counted, 1."""
    return scores["random"].get("agents", 1) if "random" in scores else 1


def section(family: str) -> str:
    """Return the section about the trained agent; nothing if there is none."""
    found = record(family)
    if found is None:
        return ""
    return f"""## Trained agent

    {_wrapped(found["command"])}

{found["measure"].capitalize()}, from seeds that training never saw:

{_table(found["scores"])}

{verdict(found)}

{_curve(family, found)}

{_facts(family, found)}

"""


def _wrapped(command: str) -> str:
    """Return a command in lines of at most a hundred columns, as code, broken before its flags."""
    first, *flags = re.split(r" (?=--)", command)
    lines = [first]
    for flag in flags:
        if len(f"{lines[-1]} {flag}") > _WIDTH:
            lines.append(f"    {flag}")
        else:
            lines[-1] += f" {flag}"
    return " \\\n    ".join(lines)


def verdict(found: dict[str, Any]) -> str:
    """Return in words whether the scores show more than random play, for each kind of actions."""
    by_actions = {
        actions: [_standing(scores, actions) for scores in found["scores"].values()]
        for actions in _ACTIONS
    }
    is_game = found["curve"].startswith("selfplay/")
    said = {actions: _said(standings, is_game) for actions, standings in by_actions.items()}
    if len(set(said.values())) == 1:
        text = f"{said['sampled'].capitalize()}."
    else:
        parts = [f"With {_ACTIONS[actions]} {words}." for actions, words in said.items()]
        text = " ".join(parts)
    if not any("better" in standings for standings in by_actions.values()):
        text = f"**{text}**"
    return f"{text} {found['note']}" if "note" in found else text


def _said(standings: list[str], is_game: bool) -> str:
    """Return what the standings of the agents of all seeds say together."""
    if len(set(standings)) > 1:
        better = standings.count("better")
        return f"{better} of {len(standings)} agents are shown to be better than random play"
    return {
        "better": "it is better than random play: "
        + ("its interval is above 0.5" if is_game else "the intervals do not overlap"),
        "worse": "it is worse than random play: "
        + ("its interval is below 0.5" if is_game else "the intervals do not overlap"),
        "unknown": "it is not shown to be better than random play: "
        + ("its interval includes 0.5" if is_game else "the intervals overlap"),
        "uncounted": "it is not shown to be better than random play: the games are too few for "
        "intervals",
    }[standings[0]]


def _standing(scores: dict[str, Any], actions: str) -> str:
    """Return how an agent's interval lies to that of random play, in self-play to 0.5."""
    own = scores[actions]["interval"]
    random = scores["random"]["interval"] if "random" in scores else (0.5, 0.5)
    if own is None or random is None:
        return "uncounted"
    if own[0] > random[1]:
        return "better"
    return "worse" if own[1] < random[0] else "unknown"


def _curve(family: str, found: dict[str, Any]) -> str:
    """Return the learning curve, and what its points are; or why there is none."""
    if not found["has_curve"]:
        return "There is no learning curve: in this training episodes ended too rarely."
    curve = f"""```{{image}} ../images/trained/{family}.svg
:alt: {found["curve"]} by timesteps, of {found["task"]}
:width: 480px
```"""
    if found["curve"].startswith("selfplay/"):
        return curve
    return f"""{curve}

Each point is the mean of the last 100 episodes that had ended by then; the first points leave out
those that took longer."""


def _table(scores: dict[str, Any]) -> str:
    """Return a row for random play, which is the same for all seeds, and two for each training."""
    rows = ["| | mean | 95% interval |", "|---|---|---|"]
    for run, results in scores.items():
        for name, result in results.items():
            if name == "random" and len(rows) > 2:
                continue
            interval = _ends(result["interval"])
            seed = f", {run.replace('-', ' ')}" if len(scores) > 1 and name != "random" else ""
            rows.append(f"| {_PLAYERS[name]}{seed} | {result['mean']:.2f} | {interval} |")
    return "\n".join(rows)


def _ends(interval: list[float] | None) -> str:
    return "too few games" if interval is None else f"{interval[0]:.2f}, {interval[1]:.2f}"


def _facts(family: str, found: dict[str, Any]) -> str:
    """Return what the training took, and where its record is."""
    seeds = len(found["scores"])
    each = " with each seed" if seeds > 1 else ""
    cpu_s = found["cpu_seconds"]
    about = "about " if found.get("is_cpu_estimated") else ""
    numbers = " and ".join(f"{seconds:,}" for seconds in cpu_s)
    took = f" took {about}{numbers} CPU seconds" if cpu_s else ""
    changes = " with changes not committed then" if found["is_dirty"] else ""
    commit = f", commit {found['commit'][:8]}{changes}" if found["commit"] else ""
    is_timed = "--seconds" in found["command"].split()
    link = f"{{download}}`Record <../records/trained/{family}.json>`"
    return (
        f"{found['timesteps']:,} agent steps{each}{took}; {found['date']}, "
        f"{found['machine']}{commit}. {TIMED if is_timed else ''}{link}."
    )
