"""The players of a match, from their names on the command line."""

import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from pufferlib import registry
from pufferlib.annotations import Space
from pufferlib.emulation.description import describe
from pufferlib.exceptions import ArgumentError, CheckpointError, UnknownNameError, suggestion
from pufferlib.matches.score import GREEDY, MCTS, PERFECT
from pufferlib.matches.spiel import Solver, SpielPlayer, check_search, mcts, perfect, spiel_game
from pufferlib.matches.versions import version_of_script, version_of_weights
from pufferlib.rating.games import RANDOM
from pufferlib.references import is_reference, load_attribute
from pufferlib.registry import EnvSource, same_source
from pufferlib.runs import Run
from pufferlib.runs.folder import CONFIG, GROUP, locate, read_task
from pufferlib.runs.settings import Overrides
from pufferlib.selfplay import NetworkPlayer, Player, RandomPlayer
from pufferlib.selfplay.scripted import ScriptedPlayer, check_script, player_name
from pufferlib.training import checkpoint
from pufferlib.training.config import choose_device
from pufferlib.vector import VectorEnv

FORMS = (
    "the folder of a run, a checkpoint file, random, mcts:SIMULATIONS and perfect (games of "
    "OpenSpiel), module:function or file.py:function (observation -> action)"
)


@dataclass(frozen=True)
class Contender:
    """Someone who can be made a player of games.

    Attributes:
        name: in the record of games.
        make: returns the player, with random numbers from a seed.
        version: a digest of what it is made of; "" if its name says it all.
    """

    name: str
    make: Callable[[int], Player]
    version: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint of a run.

    Attributes:
        run: it is of.
        path: of the checkpoint.
        name: the name of the run's folder, with that of its group, and after how many timesteps.
        state: what the checkpoint holds.
    """

    run: Run
    path: Path
    name: str
    state: dict[str, Any]

    @classmethod
    def open(cls, text: str, overrides: Overrides, env: str | None = None) -> "Snapshot":
        """Return the checkpoint that a path means; of a folder, the latest.

        Args:
            text: path of the folder of a run or of a checkpoint: the latest, the best, or one in a
                folder in the run's.
            overrides: settings that change. Of a run of another environment than `env`, those of
                the environment do not: they mean the one that is played.
            env: the environment that is played; None: that of the run.

        Raises:
            CheckpointError: there is none, or it is damaged.
            UnknownNameError, NotInstalledError: its environment is missing here.
        """
        settings, path = locate(Path(text))
        if path.is_file() and settings == path and (path.parent.parent / CONFIG).is_file():
            settings = path.parent.parent
        if env is not None and not _is_of(read_task(settings), env):
            env = None
            overrides = {key: overrides[key] for key in overrides if not key.startswith("env.")}
        run, state = Run.open(settings, overrides, env), checkpoint.load(path)
        if not isinstance(state.get("policy"), dict):
            raise CheckpointError(f"{path} holds no weights of a policy. Name another checkpoint.")
        folder = (settings if settings.is_dir() else path.parent).absolute()
        group = f"{folder.parent.name}/" if (folder.parent / GROUP).is_file() else ""
        steps = state.get("timesteps", path.stem)
        return cls(run, path, f"{group}{folder.name}@{steps}", state)

    def policy(self, env: VectorEnv, task: str, device: str) -> nn.Module:
        """Return the policy, in eval mode.

        Args:
            env: that it plays.
            task: the name of `env`.
            device: that the policy runs on.

        Raises:
            ArgumentError: the run is of another environment, with other spaces.
            CheckpointError: it is of another architecture.
            SettingError: there is no such device here.
        """
        if not same_source(self.run.config.env.task, task):
            self._check_spaces(env, task)
        policy = self.run.make_policy(env)
        checkpoint.load_policy(policy, self.state, self.path)
        return policy.to(choose_device(device, "device")).eval()

    def _check_spaces(self, env: VectorEnv, task: str) -> None:
        """Refuse another environment than that of the run, if it has other spaces."""
        with closing(self.run.in_this_process().make_vecenv(1)) as own:
            trained, played = _spaces(own), _spaces(env)
        for kind, one, other in zip(("observations", "actions"), trained, played, strict=True):
            if one != other:
                raise ArgumentError(
                    f"{self.path} cannot play {task}: it was trained in "
                    f"{self.run.config.env.task}, whose {kind} are {one}; those of {task} are "
                    f"{other}. Name a run of an environment with the same spaces."
                )


def is_path(text: str) -> bool:
    """Return whether a player is a run or a checkpoint."""
    return Path(text).exists() and not text.endswith(".py")


def _spaces(env: VectorEnv) -> tuple[Space, Space]:
    """Return the spaces of observations and actions of one agent, as before emulation."""
    found = describe(env)
    actions = found.action_layout
    own = found.single_action_space if actions is None else actions.original
    return found.observation_layout.original, own


def run_of(snapshots: Sequence[Snapshot], env: str | None, overrides: Overrides) -> Run:
    """Return the run whose environment is played: that of the snapshots, or a new one of `env`.

    With `env`, snapshots of other environments only play.

    Raises:
        ArgumentError: they differ in their environment or its arguments; or there is neither a
            snapshot nor `env`.
    """
    if env is not None:
        snapshots = [each for each in snapshots if _is_of(each.run.config.env.task, env)]
    if not snapshots:
        if env is None:
            raise ArgumentError(
                "Of these players none is a run, which would say what is played. Name the "
                "environment with --env."
            )
        return Run.configure(env, overrides)
    first = snapshots[0]
    for other in snapshots[1:]:
        one, its = first.run.config.env, other.run.config.env
        if not same_source(one.task, its.task):
            raise ArgumentError(
                f"Players must play the same environment: {first.path} is of {one.task}, "
                f"{other.path} of {its.task}. Name the one that all play with --env, if its "
                f"spaces are those of both."
            )
        keys = sorted({*one.kwargs, *its.kwargs})
        unequal = [key for key in keys if one.kwargs.get(key) != its.kwargs.get(key)]
        if unequal:
            key = unequal[0]
            raise ArgumentError(
                f"Players must play the same environment: env.kwargs.{key} is "
                f"{one.kwargs.get(key)!r} in {first.path}, {its.kwargs.get(key)!r} in "
                f"{other.path}. Give it for all: --env.kwargs.{key} VALUE."
            )
    return first.run


def _is_of(task: str, env: str) -> bool:
    return same_source(task, registry.resolve(env).name)


def contender(
    text: str, snapshot: Snapshot | None, run: Run, vecenv: VectorEnv, is_greedy: bool, device: str
) -> Contender:
    """Return the player that a name means.

    Args:
        text: on the command line.
        snapshot: its checkpoint, if it is one.
        run: whose environment is played.
        vecenv: of this environment, in this process.
        is_greedy: snapshots take the most probable actions.
        device: that snapshots run on.

    Raises:
        UnknownNameError: it means none.
        CheckpointError: the checkpoint is of another architecture.
        ArgumentError: the environment is not one that the player plays, or its spaces are not
            those of the snapshot's.
    """
    task = run.config.env.task
    if snapshot is not None:
        return _of_snapshot(snapshot, vecenv, task, is_greedy, device)
    if text == RANDOM:
        return Contender(text, lambda seed: RandomPlayer(vecenv, seed))
    if text == PERFECT:
        solver = Solver(spiel_game(vecenv, PERFECT, task), task)
        return Contender(text, lambda seed: SpielPlayer(text, vecenv, perfect(solver, seed)))
    if text.partition(":")[0] == MCTS:
        return _mcts(text, vecenv, task)
    scripts = _family_players(run.source)
    if text not in scripts and not is_reference(text):
        known = [RANDOM, PERFECT, f"{MCTS}:200", *scripts]
        own = f" Of {task} also {', '.join(scripts)}." if scripts else ""
        raise UnknownNameError(
            f"There is no player {text!r}.{suggestion(text, known)} Players are {FORMS}.{own}"
        )
    reference = scripts.get(text, text)
    script = load_attribute(reference)
    name = player_name(text)
    check_script(name, script)
    version = version_of_script(reference, script)
    return Contender(name, lambda seed: ScriptedPlayer(name, script, vecenv), version)


def _of_snapshot(
    snapshot: Snapshot, vecenv: VectorEnv, task: str, is_greedy: bool, device: str
) -> Contender:
    name = f"{snapshot.name}{GREEDY}" if is_greedy else snapshot.name
    policy = snapshot.policy(vecenv, task, device)
    rows = vecenv.num_agents
    return Contender(
        name,
        lambda seed: NetworkPlayer(name, policy, vecenv, rows, seed, is_greedy),
        version_of_weights(snapshot.state["policy"]),
    )


def _mcts(text: str, vecenv: VectorEnv, task: str) -> Contender:
    if not re.fullmatch(rf"{MCTS}:[1-9][0-9]*", text):
        raise ArgumentError(
            f"{text!r} must be {MCTS}:SIMULATIONS, a whole number of at least 1: {MCTS}:200."
        )
    simulations = int(text.partition(":")[2])
    game = spiel_game(vecenv, text, task)
    check_search(game, text, task)
    return Contender(text, lambda seed: SpielPlayer(text, vecenv, mcts(game, simulations, seed)))


def _family_players(source: EnvSource) -> dict[str, str]:
    """Return the scripted players of a family for the task: references, by name."""
    if source.family is None:
        return {}
    module = registry.load(source.family.name)
    players: dict[str, dict[str, str]] = getattr(module, "PLAYERS", {})
    return players.get(source.name, {})
