"""Show what `trained_agents` wrote: the film, the learning curve and the scores of a family."""

import functools
import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
_PLAYERS = {
    "random": "random actions",
    "sampled": "trained, sampled actions",
    "greedy": "trained, most probable actions",
}

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
    actions = {"greedy": "its most probable", "sampled": "sampled"}[film["actions"]]
    end = "" if film["has_ended"] else " so far"
    is_better = any(_is_better(scores) for scores in found["scores"].values())
    caution = "" if is_better else ", which is no better than random play by its scores"
    return f"""```{{image}} ../images/trained/{family}.webp
:alt: An episode of {found["task"]}, played by a trained agent
```

`{found["task"]}`, played by the [agent trained below](#trained-agent){caution},
with {actions} actions: {film["steps"]:,} steps, a return of {film["return"]:.2f}{end}."""


def section(family: str) -> str:
    """Return the section about the trained agent; nothing if there is none."""
    found = record(family)
    if found is None:
        return ""
    return f"""## Trained agent

    {found["command"]}

{found["measure"].capitalize()}, from seeds that training never saw, with its 95% interval:

{_table(found["scores"])}

{verdict(found)}

```{{image}} ../images/trained/{family}.svg
:alt: {found["curve"]} by timesteps, of {found["task"]}
:width: 480px
```

{_facts(family, found)}

"""


def verdict(found: dict[str, Any]) -> str:
    """Return in words whether the scores show more than random play."""
    is_game = found["curve"].startswith("selfplay/")
    by_seed = [_is_better(scores) for scores in found["scores"].values()]
    if all(by_seed):
        reason = "its interval is above 0.5" if is_game else "the intervals do not overlap"
        text = f"It is better than random play: {reason}."
    elif any(by_seed):
        text = f"{sum(by_seed)} of {len(by_seed)} agents are better than random play."
    else:
        reason = "the interval includes 0.5" if is_game else "the intervals overlap"
        text = f"**By these numbers it is no better than random play:** {reason}."
    return f"{text} {found['note']}" if "note" in found else text


def _is_better(scores: dict[str, Any]) -> bool:
    """Return whether an agent's interval is above that of random play, in games above 0.5."""
    random = scores["random"]["interval"][1] if "random" in scores else 0.5
    return any(scores[name]["interval"][0] > random for name in ("sampled", "greedy"))


def _table(scores: dict[str, Any]) -> str:
    """Return a row for random play, which is the same for all seeds, and two for each training."""
    rows = ["| | mean | 95% interval |", "|---|---|---|"]
    for run, results in scores.items():
        for name, result in results.items():
            if name == "random" and len(rows) > 2:
                continue
            low, high = result["interval"]
            seed = f", {run.replace('-', ' ')}" if len(scores) > 1 and name != "random" else ""
            rows.append(
                f"| {_PLAYERS[name]}{seed} | {result['mean']:.2f} | {low:.2f}, {high:.2f} |"
            )
    return "\n".join(rows)


def _facts(family: str, found: dict[str, Any]) -> str:
    """Return what the training took, and where its record is."""
    seeds = len(found["scores"])
    each = " with each seed" if seeds > 1 else ""
    cpu_s = found["cpu_seconds"]
    took = f" took {' and '.join(f'{seconds:,}' for seconds in cpu_s)} CPU seconds" if cpu_s else ""
    is_known = found["commit"] and not found["is_dirty"]
    commit = f", commit {found['commit'][:8]}" if is_known else ""
    is_timed = "--seconds" in found["command"].split()
    link = f"{{download}}`Record <../records/trained/{family}.json>`"
    return (
        f"{found['timesteps']:,} agent steps{each}{took}; {found['date']}, "
        f"{found['machine']}{commit}. {TIMED if is_timed else ''}{link}."
    )
