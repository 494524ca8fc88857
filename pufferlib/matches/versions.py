"""What games were played with, so that those of other weights or other code are not mixed up."""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from pufferlib.exceptions import ArgumentError
from pufferlib.rating import Game
from pufferlib.references import Reference
from pufferlib.runs import Run

_DIGITS = 12


def setup_of(run: Run, sides: Sequence[int]) -> str:
    """Return what is played besides the task, as JSON.

    Args:
        run: whose environment is played.
        sides: of each agent.
    """
    facts: dict[str, Any] = {"kwargs": run.config.env.kwargs, "sides": list(sides)}
    if run.source.family is None and "sha256" in (origin := run.source.origin()):
        facts["source"] = origin["sha256"][:_DIGITS]
    return json.dumps(facts, sort_keys=True, default=str)


def version_of_weights(weights: dict[str, Any]) -> str:
    """Return a digest of the state dict of a policy."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(name.encode())
        is_tensor = isinstance(value, torch.Tensor)
        bits = value.detach().cpu().reshape(-1).view(torch.uint8).numpy() if is_tensor else None
        digest.update(repr(value).encode() if bits is None else bits.tobytes())
    return digest.hexdigest()[:_DIGITS]


def version_of_script(reference: str, script: Any) -> str:
    """Return a digest of the files that define a scripted player; "" if there are none.

    Args:
        reference: names it.
        script: what it refers to, which the module may have imported from another.
    """
    modules = [
        Reference.parse(reference).load_module(),
        sys.modules.get(getattr(script, "__module__", None) or ""),
    ]
    files = {getattr(module, "__file__", None) for module in modules}
    digest = hashlib.sha256()
    found = sorted(path for path in files if path is not None and Path(path).is_file())
    for path in found:
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:_DIGITS] if found else ""


def check_same(
    games: Sequence[Game], task: str, setup: str, versions: dict[str, str], file: Path, flag: str
) -> None:
    """Refuse a file of games to which others, of the same names, would be added.

    Games without a seed whose setup is not known, as training writes them, are not checked further.

    Args:
        games: in the file.
        task: that is played.
        setup: that is played, see `setup_of`.
        versions: of the players, by name.
        file: of the games.
        flag: names another file.

    Raises:
        ArgumentError: they are of another environment, other arguments, other sides, other weights
            or another script.
    """
    other = f"Name another file with {flag}"
    num_sides = len(set(json.loads(setup)["sides"]))
    for game in games:
        if game.task != task:
            raise ArgumentError(
                f"{file} has games of {game.task}; the players play {task}. {other}."
            )
        if len(game.players) != num_sides:
            raise ArgumentError(
                f"{file} has games of {len(game.players)} sides; those of the players have "
                f"{num_sides}. {other}, or other --sides."
            )
        if game.setup is None and game.seed is None:
            continue
        if game.setup is None or game.versions is None:
            raise ArgumentError(
                f"{file} has games that do not say which arguments, weights and scripts they were "
                f"played with, so that they cannot be added to. {other}."
            )
        if game.setup != setup:
            raise ArgumentError(
                f"{_difference(file, json.loads(game.setup), json.loads(setup))} {other}."
            )
        for name, version in zip(game.players, game.versions, strict=True):
            if versions.get(name, version) != version:
                raise ArgumentError(
                    f"{file} has games of another {name}: its weights, or the file of the script, "
                    f"have changed since. {other}, or give the player another name."
                )


def _difference(file: Path, then: dict[str, Any], now: dict[str, Any]) -> str:
    """Return a sentence that says in what the games of a file differ from those to be played."""
    if then["sides"] != now["sides"]:
        return (
            f"{file} has games in which the sides of the agents are {then['sides']}; here they are "
            f"{now['sides']}."
        )
    for key in sorted({*then["kwargs"], *now["kwargs"]}):
        one, other = (
            repr(each["kwargs"][key]) if key in each["kwargs"] else "not given"
            for each in (then, now)
        )
        if one != other:
            return f"{file} has games in which env.kwargs.{key} is {one}; here it is {other}."
    return f"{file} has games of another source: the file of the environment has changed since."
