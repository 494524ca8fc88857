"""The training loop: collect a rollout, learn from it, tell how it goes."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pufferlib.exceptions import NotFiniteError, SettingError
from pufferlib.models import LSTMWrapper
from pufferlib.ppo import checkpoint
from pufferlib.ppo.advantage import advantages
from pufferlib.ppo.collector import Collector
from pufferlib.ppo.config import TrainConfig, choose_device
from pufferlib.ppo.loss import normalized, ppo_loss
from pufferlib.ppo.peers import Peers
from pufferlib.ppo.player import Player
from pufferlib.ppo.profile import Profile
from pufferlib.ppo.statistics import EpisodeStatistics, RewardScale
from pufferlib.ppo.storage import Minibatch, Rollout
from pufferlib.pytorch import sample_actions
from pufferlib.vector import VectorEnv


class Trainer:
    """Trains `policy` on `vecenv`. Call `step` until `is_done`; it says how it goes.

    The same seed trains the same weights on the CPU, whatever the number of workers, unless
    `vecenv` is a pool.

    Args:
        config: the settings.
        vecenv: synchronous, or a pool with `zero_copy`; stays the caller's to close.
        policy: returns (actions, value); an `LSTMWrapper` keeps its memory across rollouts. One
            with a method `observe(observations, valid, total)` is shown each rollout after it was
            learned from; `total` sums a tensor over the processes.
        peers: the processes that learn together; this one alone if None.

    Attributes:
        timesteps: of agents, taken so far, by all processes.
        updates: rollouts learned from so far.
        is_amid_update: an update has begun and not ended, as one that raised never does: the
            weights are neither those before it nor those after it.
        profile: seconds by part: environment, copy, forward, train.
        device: that the policy is on.

    Raises:
        SettingError: settings that cannot be; `exact_resume` with peers.
        NotFiniteError: an observation is NaN or infinite.
    """

    def __init__(
        self,
        config: TrainConfig,
        vecenv: VectorEnv,
        policy: nn.Module,
        peers: Peers | None = None,
    ) -> None:
        self._is_recurrent = isinstance(policy, LSTMWrapper)
        config.check()
        is_pool = vecenv.batch_size != vecenv.num_envs
        config.check_rows(vecenv.num_agents, self._is_recurrent, is_pool)
        peers = peers or Peers()
        if config.exact_resume and peers.count > 1:
            raise SettingError(
                f"train.exact_resume is for one process; got {peers.count}. Leave it out, or start "
                f"without torchrun."
            )
        config.use_threads()
        self.config = config
        self.device = choose_device(config.device)
        self.policy = policy.to(self.device)
        self.timesteps = self.updates = 0
        self.is_amid_update = False
        self._peers = peers
        self._peers.share_weights(policy)
        self._vecenv = vecenv
        self._optimizer = torch.optim.Adam(policy.parameters(), config.learning_rate, eps=1e-5)
        self.profile = Profile()  # from here on: Adam's first use loads seconds of torch
        self._seed = config.seed + self._peers.rank * vecenv.num_envs
        self._generator = torch.Generator().manual_seed(self._seed)
        self._scale = RewardScale(vecenv.num_agents, config.gamma)
        self._losses: dict[str, float] = {}
        self._seconds_before = 0.0  # this and the steps: of the runs that this one resumes
        self._timesteps_before = 0
        self._timesteps_at_rollout = 0  # of this process, when the latest was begun
        self._progress_at_rollout = 0.0
        self._seconds_agreed = 0.0
        self._player = Player(policy, config, self.device)
        self._collector = Collector(
            vecenv,
            self._player,
            config.horizon,
            self.device,
            storage_device(config, vecenv, self.device),
            self._scale if config.normalize_rewards else None,
            self.profile,
        )
        torch.manual_seed(self._seed)
        self._collector.begin(self._seed)

    @property
    def is_done(self) -> bool:
        """The steps, or the seconds, are used up."""
        return self.progress >= 1

    @property
    def seconds(self) -> float:
        """Wall time of training so far, that of resumed runs counted in."""
        return self._seconds_before + self.profile.elapsed_s

    @property
    def episodes(self) -> EpisodeStatistics:
        """What episodes of this process reported."""
        return self._collector.episodes

    @property
    def progress(self) -> float:
        """How much of the training is done, in [0, 1]."""
        done = self.timesteps / self.config.total_timesteps
        if self.config.max_seconds is not None:
            is_alone = self._peers.count == 1
            seconds = self.seconds if is_alone else self._seconds_agreed  # all must end together
            done = max(done, seconds / self.config.max_seconds)
        return min(1.0, done)

    def step(self) -> dict[str, float]:
        """Collect a rollout and learn from it; return the metrics so far.

        Raises:
            NotFiniteError: a reward, an observation, a loss or a gradient is NaN or infinite. The
                weights are those before it; see `is_amid_update`.
        """
        return self.update(self.collect())

    def collect(self) -> Rollout:
        """Step the environments for a rollout; return it, valid until the next call."""
        self._timesteps_at_rollout = self._collector.timesteps
        self._progress_at_rollout = self.progress
        return self._collector.collect()

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Learn from the rollout just collected, and count it; return the metrics so far.

        Raises:
            NotFiniteError: a loss or a gradient is NaN or infinite.
        """
        self.is_amid_update = True
        if self.config.anneal_learning_rate:  # by what was done before: time ran on meanwhile
            for group in self._optimizer.param_groups:
                group["lr"] = self.config.learning_rate * (1 - self._progress_at_rollout)
        with self.profile.part("train"):
            self.learn(rollout)
        told = [float(self._collector.timesteps - self._timesteps_at_rollout), self.seconds]
        taken, seconds = self._peers.total(torch.tensor(told, device=self.device)).tolist()
        self.timesteps += int(taken)
        self._seconds_agreed = seconds / self._peers.count
        self.updates += 1
        if self.config.exact_resume and self.updates % self.config.checkpoint_interval == 0:
            self._begin_episodes()
        self.is_amid_update = False
        return self.metrics()

    def metrics(self) -> dict[str, float]:
        """Return what there is to know, by name: counts, losses, and means over episodes."""
        new_timesteps = self.timesteps - self._timesteps_before
        return {
            "timesteps": self.timesteps,
            "updates": self.updates,
            "seconds": self.seconds,
            "steps_per_second": new_timesteps / self.profile.elapsed_s,
            "learning_rate": self._optimizer.param_groups[0]["lr"],
            **{f"loss/{name}": value for name, value in self._losses.items()},
            **{f"episode/{name}": value for name, value in self.episodes.means().items()},
        }

    def learn(self, rollout: Rollout) -> None:
        """Take the gradient steps that one rollout is good for."""
        config = self.config
        estimates = advantages(
            rollout.part(rollout.rewards),
            rollout.part(rollout.values),
            rollout.part(rollout.terminals),
            rollout.part(rollout.truncations),
            rollout.part(rollout.final_values),
            config.gamma,
            config.gae_lambda,
        )
        totals: dict[str, float] = {}
        steps = 0
        for _ in range(config.update_epochs):
            for minibatch in rollout.minibatches(
                *(config.minibatches, estimates, self._generator),
                keeps_absent=self._player.is_compiled,
            ):
                losses = self._descend(minibatch.to(self.device))
                for name, value in losses.items():
                    totals[name] = totals.get(name, 0.0) + value
                steps += 1
                if config.target_kl is not None and losses["approximate_kl"] > config.target_kl:
                    break
            else:
                continue
            break
        self._losses = {name: total / steps for name, total in totals.items()}
        observe = getattr(self.policy, "observe", None)
        if observe is not None:
            seen = rollout.part(rollout.observations), rollout.part(rollout.valid)
            observe(*seen, self._peers.total)
        if config.normalize_rewards:
            self._scale.agree(self._peers.total, self.device)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: all that later updates and their metrics depend on."""
        return {
            "policy": self.policy.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "timesteps": self.timesteps,
            "updates": self.updates,
            "seconds": self.seconds,
            "reward_scale": self._scale.state_dict(),
            "episodes": self.episodes.state_dict(),
            "generator": self._generator.get_state(),
            "torch_generator": torch.get_rng_state(),
            "cuda_generator": torch.cuda.get_rng_state(self.device) if self._is_on_gpu else None,
        }

    def save(self, path: Path | str) -> None:
        """Write a checkpoint, whole or not at all."""
        checkpoint.save(Path(path), self.state_dict())

    def load(self, path: Path | str) -> None:
        """Go on from a checkpoint; the environments begin new episodes, of other seeds.

        Raises:
            CheckpointError: it cannot be read, or is of another architecture.
        """
        path = Path(path)
        state = checkpoint.load(path)
        checkpoint.load_policy(self.policy, state, path)
        self._optimizer.load_state_dict(state["optimizer"])
        self.timesteps = self._timesteps_before = state["timesteps"]
        self.updates = state["updates"]
        self._seconds_before = self._seconds_agreed = state["seconds"]
        self._scale.load_state_dict(state["reward_scale"])
        self.episodes.load_state_dict(state["episodes"])
        self.is_amid_update = False
        self._load_generators(state)
        self._begin_episodes()

    def _load_generators(self, state: dict[str, Any]) -> None:
        """Go on drawing as the first process would have; the others draw on their own."""
        if not self._peers.is_first:
            self._generator.manual_seed(self._next_seed)
            torch.manual_seed(self._next_seed)
            return
        self._generator.set_state(state["generator"])
        torch.set_rng_state(state["torch_generator"])
        drawn_on_gpu = state["cuda_generator"]
        if self._is_on_gpu and drawn_on_gpu is not None:
            torch.cuda.set_rng_state(drawn_on_gpu, self.device)

    @property
    def _is_on_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def _next_seed(self) -> int:
        """A seed from which on no earlier episode of the run was begun."""
        return self._seed + self.updates * self._vecenv.num_envs * self._peers.count

    def _begin_episodes(self) -> None:
        """Reset the environments, with seeds that no earlier episode of the run had."""
        self._scale.restart()
        self._collector.begin(self._next_seed)

    def _descend(self, minibatch: Minibatch) -> dict[str, float]:
        """Take one gradient step; return the losses by name."""
        config = self.config
        heads, values, _ = self._player(minibatch.observations, minibatch.state, minibatch.starts)
        _, log_probabilities, entropies = sample_actions(heads, minibatch.actions)
        estimates = minibatch.advantages
        if config.normalize_advantages:
            estimates = normalized(estimates, minibatch.valid, self._peers.total)
        loss = ppo_loss(
            log_probabilities=log_probabilities,
            old_log_probabilities=minibatch.log_probabilities,
            entropies=entropies,
            values=values,
            advantages=estimates,
            returns=minibatch.returns,
            valid=minibatch.valid,
            clip_coefficient=config.clip_coefficient,
            value_coefficient=config.value_coefficient,
            entropy_coefficient=self._entropy_coefficient,
            old_values=minibatch.values,
            value_clip=config.value_clip,
            count=self._peers.total(minibatch.valid.sum()).clamp(min=1),
        )
        told = self._peers.total(torch.stack([part.detach() for part in loss])).tolist()
        losses = dict(zip(loss._fields, told, strict=True))
        for name, value in losses.items():
            self._check_finite(f"{name} loss", value)
        self._optimizer.zero_grad()
        loss.total.backward()
        self._peers.add_gradients(self.policy)
        norm = nn.utils.clip_grad_norm_(self.policy.parameters(), config.max_gradient_norm)
        self._check_finite("gradient's norm", norm.item())
        self._optimizer.step()
        return losses

    def _check_finite(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            raise NotFiniteError(
                f"The {what} is {value} in update {self.updates + 1}, after {self.timesteps:,} "
                f"timesteps; the weights are those before it. Lower train.learning_rate or "
                f"train.max_gradient_norm, or normalize what is large."
            )

    @property
    def _entropy_coefficient(self) -> float:
        share = 1 - self.progress if self.config.anneal_entropy else 1.0
        return self.config.entropy_coefficient * share


def storage_device(config: TrainConfig, vecenv: VectorEnv, device: torch.device) -> torch.device:
    """Return where rollouts are kept."""
    cpu = torch.device("cpu")
    if device.type != "cuda" or config.storage == "cpu":
        return cpu if config.storage == "cpu" else device
    space = vecenv.single_observation_space
    rows = (2 * vecenv.num_envs // vecenv.batch_size - 1) * vecenv.agents_per_batch
    needed = config.horizon * rows * math.prod(space.shape) * np.dtype(space.dtype).itemsize
    fits = needed <= torch.cuda.mem_get_info(device)[0] / 2
    return device if fits or config.storage == "device" else cpu
