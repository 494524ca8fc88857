"""Opponents from a pool: the policy's past, and others, in the seats that it does not play."""

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pufferlib.annotations import Array, StateDict
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError
from pufferlib.rating import Game
from pufferlib.rating.games import RANDOM
from pufferlib.selfplay.config import SelfPlayConfig, load_players
from pufferlib.selfplay.matchmaking import MATCHMAKERS
from pufferlib.selfplay.players import CheckedPlayer, NetworkPlayer, Player, RandomPlayer
from pufferlib.selfplay.pool import Member, Pool
from pufferlib.selfplay.record import GameRecord
from pufferlib.selfplay.scripted import player_name
from pufferlib.selfplay.seats import LEARNER, Seats
from pufferlib.training.distributed import DistributedContext
from pufferlib.vector import Batch, VectorEnv

_PER_AGENT = ("episode_return", "episode_length")


class PoolOpponents:
    """Lets the learner play some games against itself, and others against a pool.

    Each game has a new lineup. Snapshots enter the pool
    after every so many updates, in all processes alike; the games of all processes count.

    Args:
        config: the settings.
        vecenv: whose rows are played.
        sides: of each agent of an environment, the number of its side: `sides_of`.
        policy: the learner, whose snapshots fill the pool.
        folder: of the run: it has the pool and the record of games.
        task: in the record of games.
        context: the processes that learn together; this one alone if None.
        first: members of other runs that the pool begins with.
        about: what the files of the pool contain besides the weights.

    Raises:
        ArgumentError: an environment has another number of agents.
    """

    def __init__(
        self,
        config: SelfPlayConfig,
        vecenv: VectorEnv,
        sides: Sequence[int],
        policy: nn.Module,
        folder: Path,
        task: str,
        context: DistributedContext | None = None,
        first: Iterable[Member] = (),
        about: dict[str, Any] | None = None,
    ) -> None:
        self._config, self._vecenv, self._policy = config, vecenv, policy
        self._task = task
        self._context = context or DistributedContext()
        mixture = config.mixture()
        self._scripts = load_players(mixture)
        self._mixture = {player_name(kind): share for kind, share in mixture.items()}
        if set(vecenv.agents_per_env) != {len(sides)}:
            raise ArgumentError(
                f"Self-play needs environments with the same agents; got {len(sides)} sides' "
                f"numbers for environments of {sorted(set(vecenv.agents_per_env))} agents. Make "
                f"them with the same arguments."
            )
        self._seats = Seats(sides, vecenv.num_envs)
        self._pool = Pool(folder, config.pool_size, about)
        self._pool.members = {member.name: member for member in first}
        self._template = copy.deepcopy(policy).eval().requires_grad_(False)
        self._record = GameRecord(folder, config.window, self._context.is_main)
        self._players: dict[str, Player] = {}
        self._active: list[str] = []
        self._chances = np.zeros((0, 0))  # cumulative: (learner's sides, active)
        self._ended: list[Game] = []  # of this process, since the last update
        self._num_games = self._snapshot_timesteps = 0
        self._counted = self._counts()
        self._generator = np.random.default_rng(0)

    @property
    def learns(self) -> NDArray[np.bool_]:
        """Which rows the learner plays now: bool (rows,)."""
        return self._seats.learns

    def begin(self, seed: int) -> None:
        """Begin new games; see `Opponents`."""
        self._generator = np.random.default_rng(seed)
        self._players = {}
        self._choose_active()
        self._begin_games(range(self._vecenv.num_envs))

    def act(self, batch: Batch, starts: NDArray[np.bool_], rows: slice, actions: Array) -> Array:
        """Return actions with those of the opponents, each in one forward; see `Opponents`."""
        chosen, observations = np.array(actions), batch.observations
        for name, own in self._seats.rows_of(rows).items():
            if name in self._scripts:  # scripts do not see the zeros of absent agents
                own = own[batch.masks[own]]
            if len(own) == 0:
                continue
            chosen[own] = self._players[name].act(observations[own], starts[own], own + rows.start)
        return chosen

    def step(self, batch: Batch, acted: NDArray[np.bool_], rows: slice) -> list[Info]:
        """Record games that have ended; see `Opponents`.

        Environments' infos count in games in which the learner plays all sides. The return and the
        length of episodes are those of the learner's agents, in any game.
        """
        over, lost = self._seats.step(batch, acted, rows)
        infos = [
            {key: value for key, value in info.items() if key not in _PER_AGENT}
            for env, info in zip(batch.infos.env_indices, batch.infos, strict=True)
            if self._is_alone(env)
        ]
        for env in over:
            infos += self._seats.episodes(env)
            self._num_games += 1
            is_alone = self._is_alone(env)
            game = self._seats.game(env, self._task)
            if not is_alone:
                self._ended.append(game)
        if over or lost:
            self._begin_games([*over, *lost])
        return infos

    def advance(self, updates: int, timesteps: int) -> None:
        """Count the games of all processes, and take a snapshot if it is due; see `Opponents`."""
        for game in self._gathered():
            self._record.add(game, self._present_name)
        self._counted = self._counts()
        if updates % self._config.snapshot_interval == 0:
            self._record.rate(self._present_name)
            self._take_snapshot(timesteps)
        self._choose_active()

    def metrics(self) -> dict[str, float]:
        """Return numbers to log: games, the pool, the balance of seats, scores and ratings."""
        seats = self._seats.counts.sum(0)
        return {
            "selfplay/games": self._num_games,
            "selfplay/pool": len(self._pool.members),
            "selfplay/seat_imbalance": int(seats.max() - seats.min()),
            **self._record.metrics(self._pool.members),
        }

    def save_files(self) -> None:
        """Write new members and games; see `Opponents`."""
        self._pool.save_files()
        self._record.save()

    def remove_files(self) -> None:
        """Remove the files of members that were dropped; see `Opponents`."""
        self._pool.remove_files()

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps, once `save_files` was called."""
        return {
            "pool": self._pool.state_dict(),
            "record": self._record.state_dict(),
            **self._counted,
            "snapshot_timesteps": self._snapshot_timesteps,
        }

    def load_state_dict(self, state: StateDict | None, timesteps: int) -> None:
        """Continue from `state_dict`, with the pool and games it refers to; see `Opponents`.

        Raises:
            CheckpointError: a member of the pool is missing, damaged or of another architecture; or
                an earlier version kept the scores in another form.
        """
        self._ended = []
        record = None if state is None else state["record"]
        self._record.load_state_dict(record, self._context.is_main)
        if state is None:
            self._pool.members = {n: m for n, m in self._pool.members.items() if m.is_kept}
            self._take_snapshot(timesteps)
            return
        self._pool.load_state_dict(state["pool"], self._template)
        self._seats.load_state_dict(state["seats"])
        self._num_games = state["games"]
        self._counted = self._counts()
        self._snapshot_timesteps = state["snapshot_timesteps"]

    def _counts(self) -> StateDict:
        """Return the games so far; a checkpoint has those before its update, as the record has."""
        return {"seats": self._seats.state_dict(), "games": self._num_games}

    def _is_alone(self, env: int) -> bool:
        return all(name == LEARNER for name in self._seats.lineups[env])

    def _begin_games(self, envs: Sequence[int]) -> None:
        """Draw the players of new games, for the side that the learner has in each."""
        is_alone = self._generator.random(len(envs)) < self._config.self_share
        numbers = self._generator.random((len(envs), self._seats.num_sides))
        for env, alone, drawn in zip(envs, is_alone.tolist(), numbers, strict=True):
            side = self._seats.next_seat(env)
            picks = np.searchsorted(self._chances[side, :-1], drawn, "right").tolist()
            lineup = [LEARNER if alone else self._active[pick] for pick in picks]
            lineup[side] = LEARNER
            self._seats.assign(env, tuple(lineup))
            for name in lineup:
                self._keep_player(name)

    def _choose_active(self) -> None:
        """Draw the opponents of the games that begin until the next update.

        They are drawn for all sides together, so that as few as possible act. A game chooses among
        them for the learner's side, by how much likelier each is there than over all sides.
        """
        names = [*self._pool.members, *(kind for kind in self._mixture if kind not in MATCHMAKERS)]
        odds = np.array([self._odds(names, side) for side in range(self._seats.num_sides)])
        overall = odds.mean(0)
        drawn = self._generator.choice(len(names), size=self._config.active, p=overall)
        self._active = [names[index] for index in drawn]
        weights = odds[:, drawn] / overall[drawn]
        self._chances = (weights / weights.sum(1, keepdims=True)).cumsum(1)
        used = {*self._active, *(name for lineup in self._seats.lineups for name in lineup)}
        used |= self._scripts.keys()  # made once: a user's may take long, or remember
        self._players = {name: each for name, each in self._players.items() if name in used}

    def _odds(self, names: Sequence[str], side: int) -> NDArray[np.float64]:
        """Return how likely each of `names`, those of the pool first, is met on a side."""
        candidates = self._record.candidates(self._pool.members.values(), side)
        odds = np.zeros(len(names))
        for kind, share in self._mixture.items():
            if kind in MATCHMAKERS:
                weights = MATCHMAKERS[kind](candidates, self._record.rating)
                odds[: len(weights)] += share * weights / weights.sum()
            else:
                odds[names.index(kind)] += share
        return odds

    def _keep_player(self, name: str) -> None:
        """Make a player for its first game; it stays in memory until its last one has ended."""
        if name != LEARNER and name not in self._players:
            seed = int(self._generator.integers(2**31))  # one that is dropped and met again: new
            self._players[name] = self._make_player(name, seed)

    def _make_player(self, name: str, seed: int) -> Player:
        if name == RANDOM:
            return RandomPlayer(self._vecenv, seed)
        if name in self._scripts:
            return CheckedPlayer(name, self._scripts[name], self._vecenv, seed)
        policy = copy.deepcopy(self._template)
        policy.load_state_dict(self._pool.members[name].weights)
        device = next(self._policy.parameters()).device
        return NetworkPlayer(name, policy.to(device), self._vecenv, self._vecenv.num_agents, seed)

    def _take_snapshot(self, timesteps: int) -> None:
        self._snapshot_timesteps = timesteps
        self._pool.add(f"{LEARNER}@{timesteps}", timesteps, self._policy)
        self._record.scores.keep([*self._pool.members, RANDOM, *self._scripts])

    @property
    def _present_name(self) -> str:
        """The learner's name in the record of games: that of its last snapshot, and a plus."""
        return f"{LEARNER}@{self._snapshot_timesteps}+"

    def _gathered(self) -> list[Game]:
        """Return the games that have ended since the last update, of all processes."""
        ended, self._ended = self._ended, []
        return [game for games in self._context.gather(ended) for game in games]
