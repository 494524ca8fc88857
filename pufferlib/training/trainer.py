"""The training loop: collect a rollout, let the algorithm learn from it, keep count."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pufferlib.annotations import StateDict
from pufferlib.exceptions import SettingError
from pufferlib.global_random import GlobalStreams
from pufferlib.training import checkpoint
from pufferlib.training.algorithm import Algorithm
from pufferlib.training.config import LoopConfig, choose_device
from pufferlib.training.curriculum import Choose, Curriculum
from pufferlib.training.distributed import DistributedContext
from pufferlib.training.episodes import EpisodeCounts, IdleCheck
from pufferlib.training.finite import locating_update
from pufferlib.training.learners import Learners, Rollouts
from pufferlib.training.opponents import Opponents
from pufferlib.training.profile import Profile, Throughput
from pufferlib.training.statistics import EpisodeStatistics
from pufferlib.training.torch_state import RandomStreams, torch_threads
from pufferlib.vector import VectorEnv, check_autoreset


class Trainer:
    """Trains `policy` on `vecenv`. Call `step` until `is_done`; it returns metrics.

    The same seed trains the same weights on the CPU, whatever the number of workers, unless
    `vecenv` is a pool. Torch's default generators and number of threads are used while training,
    and are left as they were.

    Args:
        config: the settings, which also say which algorithm learns.
        vecenv: synchronous, or a pool with `zero_copy`; with autoreset="same_step". The caller
            closes it.
        policy: a `Policy` or a `RecurrentPolicy`, whose state is kept across rollouts; or
            `AgentPolicies`, each of which learns from the rows of its agents, by an instance of
            the algorithm. Left on `device`, in training mode unless frozen.
        context: the processes that learn together; this one alone if None.
        curriculum: chooses attributes of the environments; see `Curriculum`.
        opponents: play some of the rows; None: the policy plays all of them.

    Attributes:
        timesteps: steps of agents so far, of all processes, without those of frozen policies.
        updates: rollouts learned from so far.
        is_updating: an update has begun and not ended; one that raised never ends. The weights are
            then neither those before it nor those after it.
        profile: seconds by part: environment, copy, forward, train.
        opponents: as given.
        device: of the policy.

    Raises:
        SettingError: impossible settings; `exact_resume` in several processes.
        ArgumentError: a vectorizer in another autoreset mode.
        NotFiniteError: an observation is NaN or infinite.
    """

    def __init__(
        self,
        config: LoopConfig,
        vecenv: VectorEnv,
        policy: nn.Module,
        context: DistributedContext | None = None,
        curriculum: Choose | None = None,
        opponents: Opponents | None = None,
    ) -> None:
        config.check()
        check_autoreset(vecenv, "same_step", "Trainer")
        self._context = context or DistributedContext()
        if config.exact_resume and self._context.world_size > 1:
            raise SettingError(
                f"train.exact_resume is for one process; got {self._context.world_size}. Leave it "
                f"out, or start without torchrun."
            )
        self.config = config
        self.device = choose_device(config.device)
        self.policy = policy.to(self.device).train()
        self.timesteps = self.updates = 0
        self.is_updating = False
        self._context.broadcast_weights(policy)
        self._vecenv = vecenv
        self._seed = config.seed + self._context.rank * vecenv.num_seeds
        self._random = RandomStreams(self._seed, self.device)
        self._global_random = GlobalStreams(self._seed)  # of environments in this process
        self._metrics: dict[str, float] = {}
        self._seconds_before = 0.0  # of the runs that this one resumes
        self._counts_at_rollout = (0, 0)  # timesteps and steps of this process, when it was begun
        self._progress_at_rollout = 0.0
        self._shared_seconds = 0.0
        self._idle_check = IdleCheck(config.horizon)
        self._seeds_used = 0  # of environments, of all processes
        self._learners = Learners(config, vecenv, policy, self.device, self._context, self._seed)
        self.profile = Profile()  # from here on: an optimizer's first use loads seconds of torch
        self._collector = self._learners.collector(self.profile, opponents)
        self.opponents = opponents
        self._opponents_before: StateDict | None = None  # of a run that plays without for now
        self._advance_opponents()
        self._curriculum: Curriculum | None = None
        if curriculum is not None:
            self._curriculum = Curriculum(curriculum, vecenv, self._context, self.device)
        self._advance_curriculum({})
        with self._torch_settings():
            self._collector.begin(self._seed)
        self._throughput = Throughput()

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm; of several policies that of the first."""
        return next(iter(self._learners.algorithms.values()))

    @property
    def is_done(self) -> bool:
        """Whether the steps, or the seconds, are used up."""
        return self.progress >= 1

    @property
    def seconds(self) -> float:
        """Wall time of training so far, including resumed runs."""
        return self._seconds_before + self.profile.elapsed_s

    @property
    def episodes(self) -> EpisodeStatistics:
        """Statistics of the episodes of this process."""
        return self._collector.episodes

    @property
    def counts(self) -> EpisodeCounts:
        """Counts of the episodes of this process, whatever the infos report."""
        return self._collector.counts

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the environments that the curriculum set last; none without one."""
        return {} if self._curriculum is None else self._curriculum.attributes

    @property
    def progress(self) -> float:
        """The share of the training that is done, in [0, 1]."""
        done = self.timesteps / self.config.total_timesteps
        if self.config.max_seconds is not None:
            is_alone = self._context.world_size == 1
            seconds = self.seconds if is_alone else self._shared_seconds  # all must end together
            done = max(done, seconds / self.config.max_seconds)
        return min(1.0, done)

    def step(self) -> dict[str, float]:
        """Collect a rollout and learn from it; return the metrics so far.

        Raises:
            NotFiniteError: a reward, an observation, a loss or a gradient is NaN or infinite. The
                weights are those before it; see `is_updating`.
        """
        return self.update(self.collect())

    def collect(self) -> Rollouts:
        """Step the environments for a rollout; return it, valid until the next call."""
        self._counts_at_rollout = self._collector.timesteps, self._collector.steps
        self._progress_at_rollout = self.progress
        with self._torch_settings():
            return self._learners.rollouts(self._collector.collect())

    def update(self, rollout: Rollouts) -> dict[str, float]:
        """Learn from the rollout just collected, and count it; return the metrics so far.

        Raises:
            NotFiniteError: a loss or a gradient is NaN or infinite.
            ContractError: no agent has acted in the last twenty rollouts.
        """
        self.is_updating = True
        located = locating_update(self.updates + 1, self.timesteps)
        with self.profile.part("train"), self._torch_settings(), located:
            progress = self._progress_at_rollout
            self._metrics = self._learners.update(rollout, progress, self.updates)
        timesteps, steps = self._counts_at_rollout
        counts = [
            float(self._collector.timesteps - timesteps),
            float(self._collector.steps - steps),
            self.seconds,
        ]
        sums = self._context.all_reduce_sum(torch.tensor(counts, device=self.device))
        taken, acted, seconds = sums.tolist()
        self.timesteps += int(taken)
        self._idle_check(int(acted), self.timesteps)
        self._shared_seconds = seconds / self._context.world_size
        self.updates += 1
        self._seeds_used += self._vecenv.num_seeds * self._context.world_size
        self._throughput.add(self.timesteps)
        self._advance_opponents()
        metrics = self.metrics()
        self._advance_curriculum(metrics)
        if self.config.exact_resume and self.updates % self.config.checkpoint_interval == 0:
            self._begin_episodes()
        self.is_updating = False
        return metrics

    @contextlib.contextmanager
    def pausing(self, part: str) -> Iterator[None]:
        """Count the time of this block to a part of the profile, not to `steps_per_second`."""
        began_s = time.perf_counter()
        try:
            with self.profile.part(part):
                yield
        finally:
            self._throughput.skip(time.perf_counter() - began_s)

    def metrics(self) -> dict[str, float]:
        """Return the latest metrics by name: counts, losses, and means over episodes."""
        return {
            "timesteps": self.timesteps,
            "updates": self.updates,
            "seconds": self.seconds,
            "steps_per_second": self._throughput.steps_per_second,
            **self._metrics,
            **self.counts.metrics(),
            **{f"episode/{name}": value for name, value in self.episodes.means().items()},
            **({} if self._curriculum is None else self._curriculum.metrics()),
            **({} if self.opponents is None else self.opponents.metrics()),
        }

    def _advance_opponents(self) -> None:
        if self.opponents is not None:
            self.opponents.advance(self.updates, self.timesteps)

    def _advance_curriculum(self, metrics: dict[str, float]) -> None:
        """Let the curriculum change the environments; if it did, begin new means of episodes."""
        if self._curriculum is not None and self._curriculum.advance(self.progress, metrics):
            self._collector.begin_task()

    @contextlib.contextmanager
    def _torch_settings(self) -> Iterator[None]:
        """Use this trainer's threads and random streams, and restore the previous ones."""
        with (
            torch_threads(self.config.threads),
            self._random.active(),
            self._global_random.active(),
        ):
            yield

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps: all that later updates and their metrics depend on."""
        return {
            "policy": self.policy.state_dict(),
            "timesteps": self.timesteps,
            "updates": self.updates,
            "seconds": self.seconds,
            "seeds_used": self._seeds_used,
            "episodes": self.episodes.state_dict(),
            "episode_counts": self.counts.state_dict(),
            "curriculum": self.attributes,
            **self._learners.state_dict(),
            **self._opponents_state(),
            **self._random.state_dict(),
        }

    def _opponents_state(self) -> StateDict:
        """Return the state of the opponents, or that to take up once there are some again."""
        if self.opponents is not None:
            return {"selfplay": self.opponents.state_dict()}
        return {} if self._opponents_before is None else {"selfplay": self._opponents_before}

    def save(self, path: Path | str) -> None:
        """Write a checkpoint, whole or not at all."""
        checkpoint.save(Path(path), self.state_dict())

    def load(self, path: Path | str) -> None:
        """Resume from a checkpoint. The environments begin new episodes, with new seeds.

        Raises:
            CheckpointError: it cannot be read, or is of another architecture or algorithm.
        """
        path = Path(path)
        state = checkpoint.load(path)
        checkpoint.load_policy(self.policy, state, path)
        checkpoint.check_algorithm(self.config.algorithm, state, path)
        self._learners.load_state_dict(state)
        self.timesteps = state["timesteps"]
        self.updates = state["updates"]
        self._seconds_before = self._shared_seconds = state["seconds"]
        used = self.updates * self._vecenv.num_seeds * self._context.world_size  # of older versions
        self._seeds_used = state.get("seeds_used", used)
        self.episodes.load_state_dict(state["episodes"])
        if "episode_counts" in state:  # not of earlier versions
            self.counts.load_state_dict(state["episode_counts"])
        self.is_updating = False
        if self._curriculum is not None:
            self._curriculum.set(state.get("curriculum", {}))
        self._opponents_before = state.get("selfplay")
        if self.opponents is not None:
            self.opponents.load_state_dict(self._opponents_before, self.timesteps)
        self._throughput = Throughput(self.timesteps)
        if self._context.is_main:
            self._random.load_state_dict(state)
        else:  # the other processes draw other numbers
            self._learners.seed(self._next_seed)
            self._random.seed(self._next_seed)
        self._begin_episodes()

    def start_from(self, path: Path | str) -> None:
        """Begin a new run with what the weights of a checkpoint depend on, besides themselves.

        Raises:
            CheckpointError: it cannot be read.
        """
        self._learners.start_from(checkpoint.load(Path(path)))

    @property
    def _next_seed(self) -> int:
        """The first seed that no earlier episode of the run has used."""
        return self._seed + self._seeds_used

    def _begin_episodes(self) -> None:
        """Reset the environments, with seeds that no earlier episode of the run has used."""
        self._learners.restart()
        self._global_random.seed(self._next_seed)
        with self._torch_settings():
            self._collector.begin(self._next_seed)
