"""The opponents of a run with self-play, from its settings."""

import dataclasses
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from torch import nn

from pufferlib import config as presets
from pufferlib.exceptions import ArgumentError, CheckpointError, SettingError
from pufferlib.rating.games import RANDOM
from pufferlib.runs.folder import locate
from pufferlib.runs.run import Run
from pufferlib.selfplay.config import load_players
from pufferlib.selfplay.opponents import PoolOpponents
from pufferlib.selfplay.pool import POOL, Member, read_member
from pufferlib.selfplay.seats import LEARNER
from pufferlib.selfplay.sides import agent_names, sides_of
from pufferlib.training.distributed import DistributedContext
from pufferlib.vector import VectorEnv


class Plan(NamedTuple):
    """What the opponents of a run are made from, besides its settings.

    Attributes:
        sides: of each agent of an environment, the number of its side.
        first: the members of other runs that the pool begins with.
    """

    sides: tuple[int, ...]
    first: list[Member]


def plan_opponents(run: Run) -> Plan | None:
    """Check the settings of self-play before any process starts; None if it is off.

    Raises:
        SettingError: an environment with one side, or two members with one name.
        CheckpointError: a member cannot be read, or is of another architecture or other spaces.
        UnknownNameError, ArgumentError: a player of your own is missing.
    """
    settings = run.config.selfplay
    if not settings.is_on:
        return None
    load_players(settings.mixture())
    with closing(run.in_this_process().make_vecenv()) as one:
        try:
            sides = sides_of(agent_names(one), settings.sides)
        except ArgumentError as error:
            raise SettingError(
                f"selfplay.opponents cannot be used with {run.config.env.task}. {error}"
            ) from error
        if settings.first is None or run.resumes:
            return Plan(sides, [])
        policy = run.make_policy(one)
    members: dict[str, Member] = {}
    for name in settings.first.split(","):
        member = _member(Path(name.strip()), policy, run.config.env.task)
        if member.name in members:
            raise SettingError(
                f"selfplay.first must name runs with different names; got {settings.first}, in "
                f"which {member.name} occurs twice. Rename a folder."
            )
        members[member.name] = member
    return Plan(sides, list(members.values()))


def make_opponents(
    run: Run,
    vecenv: VectorEnv,
    policy: nn.Module,
    context: DistributedContext,
    plan: Plan | None,
) -> PoolOpponents | None:
    """Return the opponents of a run; None if the policy plays all sides.

    Args:
        run: whose folder gets the pool and the record of games.
        vecenv: of the run.
        policy: that learns.
        context: the processes that learn together.
        plan: see `plan_opponents`.
    """
    if plan is None:
        return None
    config = run.config
    assert config.run is not None
    about = {"config": presets.as_json(config), "version": version("pufferlib")}
    return PoolOpponents(
        config.selfplay,
        vecenv,
        plan.sides,
        policy,
        config.run,
        config.env.task,
        context,
        plan.first,
        about,
    )


def _member(run: Path, policy: nn.Module, task: str) -> Member:
    """Return the latest weights of another run, or those in a checkpoint."""
    folder, path = locate(run)
    try:
        member = read_member(path, policy)
    except CheckpointError as error:
        raise CheckpointError(
            f"{run} (selfplay.first) cannot play {task} in the pool, whose members need the same "
            f"network and the same spaces of observations and actions. {error}"
        ) from error
    stem = folder.resolve().name if folder.is_dir() else path.stem
    if path.resolve().parent.name == POOL:  # a member of another pool, named by its run
        stem = path.resolve().parent.parent.name
    stem = stem.partition("@")[0]
    if stem in (LEARNER, RANDOM):
        raise SettingError(
            f"selfplay.first must name runs by other names than {LEARNER} and {RANDOM}; got {run}: "
            f"{stem} is the name of a player of every run. Rename it."
        )
    name = f"{stem}@{member.timesteps}"
    return dataclasses.replace(member, name=name, is_kept=True)
