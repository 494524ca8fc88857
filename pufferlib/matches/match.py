"""Matches: games between players, each with every side equally often."""

import contextlib
import dataclasses
import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError
from pufferlib.global_random import GlobalStreams
from pufferlib.matches.contenders import Contender, Snapshot, contender, is_path, run_of
from pufferlib.matches.playing import Record, play_games
from pufferlib.matches.schedule import Fixture, pairing
from pufferlib.matches.versions import check_same, setup_of
from pufferlib.rating import Game
from pufferlib.runs import Run
from pufferlib.runs.settings import Overrides
from pufferlib.selfplay.sides import SideRule, agent_names, sides_of
from pufferlib.training.torch_state import RandomStreams
from pufferlib.vector import VectorEnv

SEED = 1_000_000
NUM_ENVS = 16
_AT_ONCE = 64  # games of a group


@dataclass(frozen=True)
class Arena:
    """Players, and environments in which they meet.

    Attributes:
        run: whose environment is played.
        contenders: the players.
        sides: of each agent of an environment.
        vecenv: the environments, in this process.
    """

    run: Run
    contenders: tuple[Contender, ...]
    sides: tuple[int, ...]
    vecenv: VectorEnv

    @property
    def task(self) -> str:
        """The name of the environment."""
        return self.run.config.env.task

    @property
    def names(self) -> list[str]:
        """The names of the players."""
        return [each.name for each in self.contenders]

    @property
    def setup(self) -> str:
        """What is played besides the task; see `Game`."""
        return setup_of(self.run, self.sides)

    @property
    def versions(self) -> dict[str, str]:
        """Digests of what the players are made of, by name."""
        return {each.name: each.version for each in self.contenders}

    @property
    def num_sides(self) -> int:
        return len(set(self.sides))

    def schedule(self, games: int, seed: int) -> list[list[Fixture]]:
        """Return the games of all pairings, `games` or a few more of each, in groups.

        In a group the random numbers of the players continue; each group starts new ones. See
        `pairing` for the rest.
        """
        groups = []
        for first, second in itertools.combinations(self.names, 2):
            others = [name for name in self.names if name not in (first, second)]
            fixtures = pairing(first, second, others, self.num_sides, games, seed)
            starts = range(0, len(fixtures), _AT_ONCE)
            groups += [fixtures[start : start + _AT_ONCE] for start in starts]
        return groups

    def check(self, played: Sequence[Game], file: Path, flag: str) -> None:
        """Refuse to add games to those of a file, if there they would not be alike.

        Raises:
            ArgumentError: see `check_same`; says to name another file with `flag`.
        """
        check_same(played, self.task, self.setup, self.versions, file, flag)

    def play(self, groups: Iterable[Sequence[Fixture]], record: Record) -> None:
        """Play groups of games.

        Raises:
            ActionError: see `play_games`.
        """
        setup, versions = self.setup, self.versions

        def keep(ended: list[Game]) -> None:
            record(
                [
                    dataclasses.replace(
                        game, setup=setup, versions=tuple(versions[name] for name in game.players)
                    )
                    for game in ended
                ]
            )

        for fixtures in groups:
            seed = fixtures[0].seed
            with GlobalStreams(seed).active(), RandomStreams(seed).active():
                players = {
                    each.name: each.make((seed + zlib.crc32(each.name.encode())) % 2**31)
                    for each in self.contenders
                }
                play_games(self.vecenv, fixtures, players, self.sides, self.task, keep)


class ArenaOptions(TypedDict, total=False):
    """The options of a match.

    Attributes:
        env: the environment. None: that of the runs.
        overrides: settings of the runs, by dotted name: `{"env.kwargs.size": 5}`. Those of the
            environment change the one that is played, not that of runs of another one.
        sides: which agents win and lose together, see `pufferlib.selfplay.sides.sides_of`; default
            "auto".
        is_greedy: runs take the most probable actions; otherwise they sample them.
        num_envs: games that are played at once; default 16.
        device: that the networks of runs run on; default "cpu".
    """

    env: str | None
    overrides: Overrides
    sides: SideRule
    is_greedy: bool
    num_envs: int
    device: str


@contextlib.contextmanager
def open_arena(players: Sequence[str], **options: Unpack[ArenaOptions]) -> Iterator[Arena]:
    """Make the players and the environments of a match, for a block.

    Args:
        players: paths of runs or checkpoints, random, mcts:SIMULATIONS, perfect, module:function or
            file.py:function.
        **options: those of `ArenaOptions`.

    Raises:
        ArgumentError: fewer than two players, or two that are the same; an environment of one side;
            runs of unlike environments; a player that does not play this environment.
        UnknownNameError: there is no such player.
        CheckpointError: a checkpoint is damaged, or does not fit.
    """
    env, overrides = options.get("env"), options.get("overrides", {})
    num_envs = whole_number("num_envs", options.get("num_envs", NUM_ENVS))
    if len(players) < 2:
        raise ArgumentError(f"A match needs two players or more; got {', '.join(players) or 0}.")
    snapshots = {name: Snapshot.open(name, overrides, env) for name in players if is_path(name)}
    run = run_of(list(snapshots.values()), env, overrides).in_this_process()
    if run.source.is_one_per_process:
        num_envs = 1
    with closing(run.make_vecenv(num_envs)) as vecenv:
        agents = agent_names(vecenv)
        if len(agents) < 2:
            raise ArgumentError(
                f"Matches need an environment of two sides or more; each agent of "
                f"{run.config.env.task} plays alone. Compare its runs with puffer eval."
            )
        own = sides_of(agents, options.get("sides", "auto"))
        is_greedy, device = options.get("is_greedy", False), options.get("device", "cpu")
        made = [
            contender(name, snapshots.get(name), run, vecenv, is_greedy, device) for name in players
        ]
        _check_names(players, made)
        yield Arena(run, tuple(made), own, vecenv)


def _check_names(players: Sequence[str], made: Sequence[Contender]) -> None:
    first: dict[str, str] = {}
    for text, each in zip(players, made, strict=True):
        if each.name in first:
            raise ArgumentError(
                f"Players must have different names: {first[each.name]} and {text} are both "
                f"{each.name}. Leave one out, or rename the folder of a run."
            )
        first[each.name] = text


def play(
    players: Sequence[str],
    games: int = 100,
    seed: int = SEED,
    record: Record | None = None,
    **options: Unpack[ArenaOptions],
) -> list[Game]:
    """Return the games of all pairings of the players.

        games = pufferlib.matches.play(["runs/connect_four", "mcts:200"], games=100)

    Args:
        players: see `open_arena`.
        games: of each pairing; rounded up, so that each player has each side equally often.
        seed: of the games. The same seed gives the same games.
        record: also gets the games, as they end; also where a player fails later.
        **options: those of `ArenaOptions`: `env="open_spiel/hex", is_greedy=True`.

    Raises:
        ActionError: a scripted player raised an error, or chose an action that is not legal.
        ArgumentError, UnknownNameError, CheckpointError: see `open_arena`.
    """
    played: list[Game] = []

    def keep(ended: list[Game]) -> None:
        played.extend(ended)
        if record is not None:
            record(ended)

    games = whole_number("games", games)
    with open_arena(players, **options) as arena:
        arena.play(arena.schedule(games, seed), keep)
    return played
