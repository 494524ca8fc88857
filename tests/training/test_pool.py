"""Rollouts from a pool: each column holds consecutive steps of one row."""

import contextlib
import time

import gymnasium
import numpy as np
import pytest
import torch

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, SettingError
from pufferlib.models import Default, LSTMWrapper
from pufferlib.ppo import TrainConfig, Trainer
from pufferlib.pytorch import sample_actions

HORIZON, LIMIT = 8, 5
PLAIN = {"horizon": HORIZON, "minibatches": 2, "normalize_rewards": False}


class Tagged(gymnasium.Env):
    """Observes (its seed, episode, step); the reward is the action; truncated after LIMIT steps."""

    observation_space = gymnasium.spaces.Box(0, 1e6, (3,), np.float32)
    action_space = gymnasium.spaces.Discrete(4)

    def __init__(self, delay_s=0.0, gate=None):
        self.delay_s, self.gate, self.tag, self.episode = delay_s, gate, 0, 0

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.tag, self.episode = seed, 0
        self.episode, self.count = self.episode + 1, 0
        return self._observe(), {}

    def step(self, action):
        time.sleep(self.delay_s)
        while self.gate is not None and not self.gate.exists():
            time.sleep(0.001)
        self.count += 1
        return self._observe(), float(action), False, self.count == LIMIT, {}

    def _observe(self):
        return np.array([self.tag, self.episode, self.count], np.float32)


class Reading(torch.nn.Module):
    """Values an observation at 1,000 x its tag + 10 x its episode + its step."""

    def __init__(self):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(4))
        self.register_buffer("weights", torch.tensor([1000.0, 10.0, 1.0]))

    def forward(self, observations):
        logits = self.logits.expand(len(observations), 4)
        return logits, (observations @ self.weights)[:, None] + 0 * logits[:, :1]


def opened(env_kwargs):
    return vector.make(
        [Tagged] * 8,
        env_kwargs=env_kwargs,
        backend="Multiprocessing",
        num_envs=8,
        num_workers=4,
        batch_size=4,
    )


@pytest.fixture
def pool(request):
    delays = getattr(request, "param", [0.0] * 8)
    with contextlib.closing(opened([{"delay_s": delay} for delay in delays])) as vecenv:
        yield vecenv


UNEVEN = [0.0, 0.0, 0.0, 0.0, 0.01, 0.01, 0.01, 0.01]


@pytest.mark.parametrize("pool", [[0.0] * 8, UNEVEN], ids=["even", "uneven"], indirect=True)
def test_each_column_holds_consecutive_steps_of_one_row(pool):
    config = TrainConfig(**PLAIN, total_timesteps=10**6, threads=1)
    trainer = Trainer(config, pool, Reading())
    reached = {}  # by tag: the steps of all its segments so far
    total = 0
    for rollouts in range(500):
        if rollouts >= 6 and len(reached) == 8:
            break
        rollout = trainer.collect()
        assert len(set(rollout.columns.tolist())) == pool.num_agents  # two segments of four rows
        for column in rollout.columns.tolist():
            seen = rollout.observations[:, column].tolist()
            tag = int(seen[0][0])
            begun = reached.get(tag, 0)
            steps = range(begun, begun + HORIZON)
            assert seen == [[tag, 1 + step // LIMIT, step % LIMIT] for step in steps]
            after = begun + HORIZON
            assert rollout.values[:-1, column].tolist() == [value(tag, step) for step in steps]
            assert rollout.values[-1, column].item() == value(tag, after)
            cut = [(step + 1) % LIMIT == 0 for step in steps]
            assert rollout.truncations[:, column].tolist() == cut
            final = rollout.final_values[:, column].tolist()
            assert [found for found, c in zip(final, cut, strict=True) if c] == [
                value(tag, step, is_final=True) for step, c in zip(steps, cut, strict=True) if c
            ]
            assert rollout.starts[:, column].tolist() == [step % LIMIT == 0 for step in steps]
            assert rollout.rewards[:, column].tolist() == rollout.actions[:, column].tolist()
            assert rollout.valid[:, column].all()
            reached[tag] = after
        total += HORIZON * pool.num_agents
        assert total <= trainer._collector.timesteps < total + HORIZON * pool.num_agents
    assert len(reached) == 8  # both groups


def value(tag, step, is_final=False):
    if is_final:  # of the episode that this step ended
        return 1000 * tag + 10 * (1 + step // LIMIT) + LIMIT
    return 1000 * tag + 10 * (1 + step // LIMIT) + step % LIMIT


def test_fast_environments_do_not_wait_for_slow_ones(tmp_path):
    gate = tmp_path / "gate"
    with contextlib.closing(opened([{}] * 4 + [{"gate": gate}] * 4)) as pool:
        trainer = Trainer(TrainConfig(**PLAIN, threads=1), pool, Reading())
        slow = {trainer.config.seed + number for number in range(4, 8)}

        def collected_tags():
            rollout = trainer.collect()
            return set(rollout.observations[0, rollout.columns, 0].int().tolist())

        for _ in range(8):
            assert not collected_tags() & slow
        gate.touch()
        while not collected_tags() & slow:
            pass


def test_recurrent_state_belongs_to_its_row(pool):
    torch.manual_seed(0)
    network = LSTMWrapper(pool, Default(pool))
    trainer = Trainer(TrainConfig(**PLAIN, threads=1), pool, network)
    for _ in range(3):
        rollout = trainer.collect()
        parts = rollout.minibatches(2, torch.zeros(HORIZON, 8), torch.Generator().manual_seed(0))
        for part in parts:
            heads = network(part.observations, part.state, part.starts)[0]
            log_probabilities = sample_actions(heads, part.actions)[1]
            torch.testing.assert_close(log_probabilities, part.log_probabilities)


@pytest.mark.long
def test_a_policy_learns_from_a_pool(pool):
    config = TrainConfig(
        horizon=16, minibatches=2, total_timesteps=8_000, learning_rate=1e-2, gamma=0.5, threads=1
    )
    torch.manual_seed(0)
    trainer = Trainer(config, pool, Default(pool))
    while not trainer.is_done:
        trainer.step()
    assert trainer.collect().rewards.mean() > 2.5  # at random 1.5, at best 3


def test_a_pool_of_any_order_is_refused():
    vecenv = vector.make(
        Tagged, num_envs=6, num_workers=3, batch_size=4, zero_copy=False, backend="Multiprocessing"
    )
    try:
        with pytest.raises(ArgumentError, match="zero_copy=True"):
            Trainer(TrainConfig(), vecenv, Reading())
    finally:
        vecenv.close()


def test_a_pool_cannot_be_resumed_exactly(pool):
    with pytest.raises(SettingError, match=r"train\.exact_resume .* Leave out vec\.batch_size"):
        Trainer(TrainConfig(exact_resume=True), pool, Reading())
