"""The training loop: collect a rollout, learn from it, tell how it goes."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pufferlib.exceptions import ArgumentError
from pufferlib.models import LSTMWrapper, State
from pufferlib.ppo import checkpoint
from pufferlib.ppo.actions import to_numpy
from pufferlib.ppo.advantage import advantages
from pufferlib.ppo.config import TrainConfig, choose_device
from pufferlib.ppo.loss import normalized, ppo_loss
from pufferlib.ppo.profile import Profile
from pufferlib.ppo.statistics import EpisodeStatistics, RewardScale
from pufferlib.ppo.storage import Minibatch, Rollout
from pufferlib.pytorch import Heads, sample_actions
from pufferlib.vector import Batch, VectorEnv


class Trainer:
    """Trains `policy` on `vecenv`. Call `step` until `is_done`; it says how it goes.

    The same seed trains the same weights on the CPU, whatever the number of workers.

    Args:
        config: the settings.
        vecenv: synchronous (`batch_size` None); stays the caller's to close.
        policy: returns (actions, value); an `LSTMWrapper` keeps its memory across rollouts.

    Attributes:
        timesteps: of agents, taken so far.
        updates: rollouts learned from so far.
        profile: seconds by part: environment, forward, train.

    Raises:
        SettingError: settings that cannot be.
        ArgumentError: a pool.
    """

    def __init__(self, config: TrainConfig, vecenv: VectorEnv, policy: nn.Module) -> None:
        if vecenv.batch_size != vecenv.num_envs:
            raise ArgumentError(
                f"The trainer steps all environments together; got batch_size={vecenv.batch_size} "
                f"of num_envs={vecenv.num_envs}. Use batch_size=None."
            )
        self._recurrent = policy if isinstance(policy, LSTMWrapper) else None
        config.check()
        config.check_rows(vecenv.num_agents, self._recurrent is not None)
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        self.config = config
        self.device = choose_device(config.device)
        self.policy = policy.to(self.device)
        self.timesteps = self.updates = 0
        self.profile = Profile()
        self.episodes = EpisodeStatistics()
        self._vecenv = vecenv
        self._optimizer = torch.optim.Adam(policy.parameters(), config.learning_rate, eps=1e-5)
        self._generator = torch.Generator().manual_seed(config.seed)
        self._scale = RewardScale(vecenv.num_agents, config.gamma)
        self._losses: dict[str, float] = {}
        self._seconds_before = 0.0  # this and the steps: of the runs that this one resumes
        self._timesteps_before = 0
        self._state: State | None = None  # of a recurrent policy, before the next step
        self._begin_episodes(config.seed)
        with torch.no_grad():
            heads = self._act(self._observations, self._starts)[0]
        self._rollout = Rollout(config.horizon, self._observations, sample_actions(heads)[0])
        torch.manual_seed(config.seed)

    @property
    def is_done(self) -> bool:
        """The steps, or the seconds, are used up."""
        return self.progress >= 1

    @property
    def seconds(self) -> float:
        """Wall time of training so far, that of resumed runs counted in."""
        return self._seconds_before + self.profile.elapsed_s

    @property
    def progress(self) -> float:
        """How much of the training is done, in [0, 1]."""
        done = self.timesteps / self.config.total_timesteps
        if self.config.max_seconds is not None:
            done = max(done, self.seconds / self.config.max_seconds)
        return min(1.0, done)

    def step(self) -> dict[str, float]:
        """Collect a rollout and learn from it; return the metrics so far."""
        if self.config.anneal_learning_rate:
            for group in self._optimizer.param_groups:
                group["lr"] = self.config.learning_rate * (1 - self.progress)
        rollout = self.collect()
        with self.profile.part("train"):
            self.learn(rollout)
        self.updates += 1
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

    @torch.no_grad()
    def collect(self) -> Rollout:
        """Step the environments `horizon` times; return the rollout, valid until the next call."""
        rollout = self._rollout
        rollout.initial_state = self._state
        for t in range(self.config.horizon):
            with self.profile.part("forward"):
                heads, value, self._state = self._act(self._observations, self._starts)
                actions, log_probabilities, _ = sample_actions(heads)
                rollout.observations[t] = self._observations
                rollout.actions[t] = actions
                rollout.log_probabilities[t] = log_probabilities
                rollout.values[t] = value.squeeze(1)
                rollout.starts[t] = self._starts
                chosen = to_numpy(actions, self._vecenv.single_action_space)
            with self.profile.part("environment"):
                self._vecenv.send(chosen)
                batch = self._vecenv.recv()
            lost = torch.tensor(self._vecenv.lost, device=self.device)
            rollout.valid[t] = was_acting = self._acting & ~lost
            self._take(batch)
            self._note(rollout, t, batch, was_acting)
        with self.profile.part("forward"):
            _, value, _ = self._act(self._observations, self._starts)
            rollout.values[-1] = value.squeeze(1)
        return rollout

    def learn(self, rollout: Rollout) -> None:
        """Take the gradient steps that one rollout is good for."""
        config = self.config
        estimates = advantages(
            rollout.rewards,
            rollout.values,
            rollout.terminals,
            rollout.truncations,
            rollout.final_values,
            config.gamma,
            config.gae_lambda,
        )
        totals: dict[str, float] = {}
        steps = 0
        for _ in range(config.update_epochs):
            for minibatch in rollout.minibatches(config.minibatches, estimates, self._generator):
                losses = self._descend(minibatch)
                for name, value in losses.items():
                    totals[name] = totals.get(name, 0.0) + value
                steps += 1
        self._losses = {name: total / steps for name, total in totals.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: weights, optimizer, progress, scale, generators."""
        return {
            "policy": self.policy.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "timesteps": self.timesteps,
            "updates": self.updates,
            "seconds": self.seconds,
            "reward_scale": self._scale.state_dict(),
            "generator": self._generator.get_state(),
            "torch_generator": torch.get_rng_state(),
        }

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        checkpoint.save(path, self.state_dict())

    def load(self, path: Path) -> None:
        """Go on from a checkpoint; the environments begin new episodes, of other seeds.

        Raises:
            CheckpointError: it cannot be read, or is of another architecture.
        """
        state = checkpoint.load(path)
        checkpoint.load_policy(self.policy, state, path)
        self._optimizer.load_state_dict(state["optimizer"])
        self.timesteps = self._timesteps_before = state["timesteps"]
        self.updates, self._seconds_before = state["updates"], state["seconds"]
        self._scale.load_state_dict(state["reward_scale"])
        self._generator.set_state(state["generator"])
        self._begin_episodes(self.config.seed + self.updates * self._vecenv.num_envs)
        torch.set_rng_state(state["torch_generator"])

    def _begin_episodes(self, seed: int) -> None:
        """Reset the environments, and with them what is carried from step to step."""
        rows = self._vecenv.num_agents
        self._vecenv.async_reset(seed)
        self._take(self._vecenv.recv())
        self._starts = torch.ones(rows, dtype=torch.bool, device=self.device)
        self._state = None
        if self._recurrent is not None:
            self._state = self._recurrent.initial_state(rows, self.device)

    def _act(self, observations: Tensor, starts: Tensor) -> tuple[Heads, Tensor, State | None]:
        if self._recurrent is None:
            return *self.policy(observations), None
        heads, value, state = self._recurrent(observations, self._state, starts)
        return heads, value, state

    def _take(self, batch: Batch) -> None:
        """Hold what the policy acts on next: copies, since the vectorizer writes over its rows."""
        self._observations = torch.tensor(batch.observations, device=self.device)
        self._acting = torch.tensor(batch.masks, device=self.device)

    def _note(self, rollout: Rollout, t: int, batch: Batch, was_acting: Tensor) -> None:
        """Store what followed from the actions at t."""
        ends = batch.terminals | batch.truncations
        rewards = batch.rewards
        if self.config.normalize_rewards:
            rewards = self._scale(rewards, ends, was_acting.cpu().numpy())
        rollout.rewards[t] = torch.tensor(rewards)
        rollout.terminals[t] = torch.tensor(batch.terminals)
        rollout.truncations[t] = torch.tensor(batch.truncations)
        if batch.truncations.any():
            with self.profile.part("forward"):
                rollout.final_values[t] = self._final_values(batch.truncations)
        self._starts = torch.tensor(ends, device=self.device) | (self._acting & ~was_acting)
        self.timesteps += int(was_acting.sum())
        self.episodes.add(batch.infos)

    def _final_values(self, truncations: NDArray[np.bool_]) -> Tensor:
        """Return the value of the last observation of each row, 0 where not truncated."""
        cut = torch.from_numpy(truncations.nonzero()[0]).to(self.device)
        final = torch.tensor(self._vecenv.final_observations[truncations], device=self.device)
        if self._recurrent is None:
            value = self.policy(final)[1]
        else:
            assert self._state is not None
            hidden, cell = self._state
            value = self._recurrent(final, (hidden[:, cut], cell[:, cut]))[1]
        values = torch.zeros(len(truncations), device=self.device)
        values[cut] = value.squeeze(1)
        return values

    def _descend(self, minibatch: Minibatch) -> dict[str, float]:
        """Take one gradient step; return the losses by name."""
        config = self.config
        if self._recurrent is None:
            heads, values = self.policy(minibatch.observations)
        else:
            heads, values, _ = self._recurrent(
                minibatch.observations, minibatch.state, minibatch.starts
            )
        _, log_probabilities, entropies = sample_actions(heads, minibatch.actions)
        estimates = minibatch.advantages
        if config.normalize_advantages:
            estimates = normalized(estimates, minibatch.valid)
        loss = ppo_loss(
            log_probabilities=log_probabilities,
            old_log_probabilities=minibatch.log_probabilities,
            entropies=entropies,
            values=values.squeeze(1),
            advantages=estimates,
            returns=minibatch.returns,
            valid=minibatch.valid,
            clip_coefficient=config.clip_coefficient,
            value_coefficient=config.value_coefficient,
            entropy_coefficient=config.entropy_coefficient,
        )
        self._optimizer.zero_grad()
        loss.total.backward()
        nn.utils.clip_grad_norm_(self.policy.parameters(), config.max_gradient_norm)
        self._optimizer.step()
        return {name: value.item() for name, value in loss._asdict().items()}
