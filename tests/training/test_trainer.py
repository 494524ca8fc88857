"""The training loop: rollouts, recurrent state, learning and checkpoints."""

import functools

import gymnasium
import numpy as np
import pettingzoo
import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Tuple
from gymnasium.wrappers import TimeLimit
from torch.distributions import Normal
from training_environments import Dial

from pufferlib import vector
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError, CheckpointError, ContractError, SettingError
from pufferlib.models import Default, LSTMWrapper
from pufferlib.ppo import TrainConfig, Trainer
from pufferlib.ppo.advantage import advantages
from pufferlib.pytorch import sample_actions
from pufferlib.registry.ocean import make_env as make_squared
from pufferlib.training.evaluation import evaluate
from pufferlib.vtrace import VTraceConfig


class Clock(PufferEnv):
    """Counts the steps of an episode; ends by `limit`, as `kind` says; the reward is 1."""

    def __init__(self, kind="truncations", limit=5, num_agents=2, absent=None, buffers=None):
        self.single_observation_space = gymnasium.spaces.Box(0, 100, (2,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        self.num_agents, self.kind, self.limit, self.absent = num_agents, kind, limit, absent
        super().__init__(buffers)

    def reset(self, seed=None):
        self.random = np.random.default_rng(seed)
        self.count = 0
        self.terminals[:] = self.truncations[:] = False
        self._fill(self.observations)
        return self.observations, []

    def step(self, actions):
        self.count += 1
        ended = self.count == self.limit
        getattr(self, self.kind)[:] = ended
        if ended:
            self._fill(self.final_observations)
            self.count = 0
        self._fill(self.observations)
        return self.observations, self.rewards, self.terminals, self.truncations, []

    def _fill(self, rows):
        rows[:] = [self.count, 1]
        self.rewards[:], self.masks[:] = 1, True
        if self.absent is not None:
            rows[self.absent] = 0
            self.rewards[self.absent], self.masks[self.absent] = 0, False
            for flags in (self.terminals, self.truncations):
                flags[self.absent] = False


class CountingPolicy(torch.nn.Module):
    """Values an observation at ten times its count."""

    hidden_size = 4

    def __init__(self):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(2))

    def forward(self, observations):
        rows = len(observations)
        return self.logits.expand(rows, 2), 10 * observations[:, :1] + 0 * self.logits.sum()


def trainer_of(policy, recurrent=False, seed=1, config=None, **env):
    vecenv = vector.make(Clock, env_kwargs=env, num_envs=2, backend="Serial")
    torch.manual_seed(seed)
    network = policy(vecenv) if policy is Default else policy()
    if recurrent:
        network = LSTMWrapper(vecenv, network)
    settings = {"horizon": 8, "minibatches": 2, "total_timesteps": 64, "seed": seed}
    settings |= {"normalize_rewards": False, "update_epochs": 4}
    return Trainer(TrainConfig(**{**settings, **(config or {})}), vecenv, network)


def test_a_rollout_stores_each_action_with_its_observation_and_results():
    rollout = trainer_of(CountingPolicy).collect()
    assert rollout.observations[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert rollout.values[:, 0].tolist() == [0, 10, 20, 30, 40, 0, 10, 20, 30]
    assert rollout.truncations[:, 0].tolist() == [False] * 4 + [True] + [False] * 3
    assert rollout.starts[:, 0].tolist() == [True] + [False] * 4 + [True] + [False] * 2
    assert rollout.rewards.eq(1).all()
    assert rollout.valid.all()


class ScalingPolicy(CountingPolicy):
    """Scales observations in place."""

    def forward(self, observations):
        return super().forward(observations.div_(255))


def test_a_policy_that_writes_to_its_observations_leaves_the_stored_ones():
    rollout = trainer_of(ScalingPolicy).collect()
    assert rollout.observations[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]


@pytest.mark.parametrize(("num_seeds", "used"), [(1, 4), (3, 12)])
def test_seeds_that_environments_use_count_as_used(num_seeds, used, monkeypatch):
    monkeypatch.setattr(Clock, "num_seeds", num_seeds)
    trainer = trainer_of(CountingPolicy)  # 2 environments
    for _ in range(2):
        trainer.step()
    assert trainer.state_dict()["seeds_used"] == used


def test_a_pause_counts_as_a_part_of_the_profile_and_not_as_training(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("pufferlib.training.profile.time.perf_counter", lambda: clock[0])
    trainer = trainer_of(CountingPolicy)
    for _ in range(2):
        clock[0] += 2
        trainer.step()  # of 32 timesteps: 2 environments, 2 agents, a horizon of 8
        with trainer.pausing("evaluation"):
            clock[0] += 10
    assert trainer.metrics()["steps_per_second"] == 2 * 32 / (2 + 2)
    assert trainer.profile.seconds["evaluation"] == 20


def test_a_truncated_episode_has_the_value_of_its_last_observation():
    rollout = trainer_of(CountingPolicy).collect()
    assert rollout.final_values[:, 0].tolist() == [0, 0, 0, 0, 50, 0, 0, 0]


def test_a_recurrent_policy_values_the_last_observation_of_a_truncated_episode():
    trainer = trainer_of(Default, recurrent=True)
    state, values = None, []
    for count in range(6):  # a whole episode, and the observation it would have continued from
        with torch.no_grad():
            _, value, state = trainer.policy(torch.tensor([[count, 1.0]]), state)
        values.append(value.item())
    for truncated in ([4], [1, 6]):  # the second rollout begins in the middle of an episode
        rollout = trainer.collect()
        assert rollout.truncations[:, 0].nonzero().ravel().tolist() == truncated
        final = rollout.final_values[truncated, 0].tolist()
        assert final == pytest.approx([values[5]] * len(truncated), rel=1e-5)


def test_a_terminated_episode_has_no_final_value():
    rollout = trainer_of(CountingPolicy, kind="terminals").collect()
    assert rollout.final_values.eq(0).all()
    assert rollout.terminals[:, 0].tolist() == [False] * 4 + [True] + [False] * 3


def test_absent_agents_do_not_count():
    trainer = trainer_of(Default, absent=1)
    rollout = trainer.collect()
    assert rollout.valid[:, [0, 2]].all()
    assert not rollout.valid[:, [1, 3]].any()
    assert trainer_of(Default, absent=1).step()["timesteps"] == 8 * 2  # two of four rows


def test_training_in_which_no_agent_ever_acts_ends_with_an_error():
    trainer = trainer_of(Default, absent=slice(None))
    for _ in range(19):
        trainer.step()
    with pytest.raises(ContractError, match="No agent has acted in the last 160 steps"):
        trainer.step()


def test_values_in_absent_rows_do_not_affect_the_weights():
    weights = []
    for noise in (0.0, 1e3):
        trainer = trainer_of(Default, recurrent=True, absent=1)
        rollout = trainer.collect()
        for tensor in (rollout.observations, rollout.rewards, rollout.values[:-1]):
            tensor[:, [1, 3]] = noise
        rollout.log_probabilities[:, [1, 3]] = -noise
        trainer.update(rollout)
        weights.append(torch.cat([w.flatten() for w in trainer.policy.parameters()]))
    assert torch.equal(*weights)


class Fragile(Clock):
    """Raises in its third step, once."""

    def __init__(self, broken, **kwargs):
        super().__init__(**kwargs)
        self.broken, self.steps = broken, 0

    def step(self, actions):
        self.steps += 1
        if self.steps == 3 and not self.broken.exists():
            self.broken.touch()
            raise ValueError("broken")
        return super().step(actions)


def test_a_step_that_was_lost_with_its_worker_is_not_trained_on(tmp_path):
    vecenv = vector.make(
        [Fragile, Clock],
        env_kwargs=[{"broken": tmp_path / "broken"}, {}],
        backend=vector.Multiprocessing,
        num_envs=2,
        num_workers=2,
        on_failure="restart",
    )
    rows = vecenv.agents_per_env[0]
    config = TrainConfig(horizon=6, minibatches=1, seed=1, normalize_rewards=False)
    trainer = Trainer(config, vecenv, CountingPolicy())
    rollout = trainer.collect()
    valid = rollout.valid
    vecenv.close()
    # Lost on its third step; on the fourth its rows are empty; the fifth acts in a new episode.
    assert valid[:, 0].tolist() == [True, True, False, False, True, True]
    assert valid[:, rows].tolist() == [True] * 6
    estimates = advantages(
        rollout.rewards,
        rollout.values,
        rollout.terminals,
        rollout.truncations,
        rollout.final_values,
        gamma=0.9,
        gae_lambda=0.8,
    )
    before, lost = estimates[1:3, 0].tolist()
    assert lost == 0
    assert before == pytest.approx(1 + 0.9 * 20 - 10)  # of this step alone; values: 10 per count


class Pair(pettingzoo.ParallelEnv):
    """Two agents; `a` dies on step 2, `b` on step 3, with which the episode ends."""

    metadata = {"name": "pair"}  # noqa: RUF012  # as PettingZoo declares it
    possible_agents = ["a", "b"]  # noqa: RUF012
    render_mode = None

    def observation_space(self, agent):
        return gymnasium.spaces.Box(0, 9, (2,), np.float32)

    def action_space(self, agent):
        return gymnasium.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.steps, self.agents = 0, ["a", "b"]
        return self._all(np.array([1, 0], np.float32)), self._all({})

    def step(self, actions):
        self.steps += 1
        result = [self._all(np.array([1, self.steps], np.float32)), self._all(1.0)]
        ends = {agent: self.steps == {"a": 2, "b": 3}[agent] for agent in self.agents}
        result += [ends, self._all(False), self._all({})]
        self.agents = [agent for agent in self.agents if not ends[agent]]
        return tuple(result)

    def _all(self, value):
        return dict.fromkeys(self.agents, value)


def test_an_agent_that_dies_before_the_others_does_not_act_until_the_next_episode():
    vecenv = vector.make(Pair)
    config = TrainConfig(horizon=6, minibatches=1, normalize_rewards=True)
    trainer = Trainer(config, vecenv, LSTMWrapper(vecenv, Default(vecenv)))
    rollout = trainer.collect()
    assert rollout.observations[:, 0].tolist() == [[1, 0], [1, 1], [0, 0]] * 2
    assert rollout.valid[:, 0].tolist() == [True, True, False] * 2
    assert rollout.valid[:, 1].all()
    assert rollout.terminals[:, 0].tolist() == [False, True, False] * 2
    assert rollout.starts[:, 0].tolist() == [True, False, True, True, False, True]
    again = Trainer(config, vecenv, LSTMWrapper(vecenv, Default(vecenv)))
    assert again.step()["timesteps"] == 4 + 6
    assert [r > 0 for r in rollout.rewards[:, 0].tolist()] == [True, True, False] * 2


# Action spaces, and the bounds of their columns.
ACTIONS = {
    "discrete": (Discrete(3), 0, 2),
    "multi-discrete": (MultiDiscrete([3, 2, 3]), 0, [2, 1, 2]),
    "continuous": (Box(-0.5, 0.5, (2,)), -0.5, 0.5),
    "mixed": (
        Tuple((Discrete(3), Box(-0.5, 0.5, (2,)), Discrete(2))),
        [0, -0.5, -0.5, 0],
        [2, 0.5, 0.5, 1],
    ),
}


def trainer_acting_in(space, recurrent=False, precision="float32", rescales=True):
    """Return a trainer of two environments that are truncated on every third step, and them."""
    envs = [Sampler(Box(-1, 1, (4,)), space) for _ in range(2)]
    vecenv = vector.make([functools.partial(TimeLimit, env, 3) for env in envs], num_envs=2)
    torch.manual_seed(1)
    network = Default(vecenv)
    network.rescale_actions = rescales
    if recurrent:
        network = LSTMWrapper(vecenv, network)
    config = TrainConfig(horizon=8, minibatches=2, precision=precision)
    return Trainer(config, vecenv, network), envs


def as_float64(head):
    if isinstance(head, Normal):
        return Normal(head.loc.double(), head.scale.double())
    return head.double()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("recurrent", [False, True], ids=["", "recurrent"])
@pytest.mark.parametrize("actions", ACTIONS)
def test_the_ratio_is_one_before_the_first_gradient_step(actions, recurrent, precision):
    # Sums of another order, over other batches, may round otherwise: bfloat16 to 1 / 256 of logits
    # that are hundredths. Log-probabilities of that precision would be off by as much as 0.008.
    tolerance = {"rtol": 0, "atol": 1e-5 if precision == "float32" else 1e-3}
    trainer, _ = trainer_acting_in(ACTIONS[actions][0], recurrent, precision)
    for _ in range(2):  # the second rollout begins in the middle of an episode
        rollout = trainer.collect()
        minibatches = rollout.minibatches(2, torch.zeros(8, 2), torch.Generator().manual_seed(0))
        for part in minibatches:
            given = (part.state, part.starts) if recurrent else ()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                heads = trainer.policy(part.observations, *given)[0]
            exact = [as_float64(h) for h in heads] if isinstance(heads, list) else as_float64(heads)
            log_probabilities = sample_actions(exact, part.actions)[1]
            ratio = (log_probabilities - part.log_probabilities).exp()
            torch.testing.assert_close(ratio, torch.ones_like(ratio), **tolerance)


@pytest.mark.parametrize("rescales", [True, False])
@pytest.mark.parametrize(("space", "low", "high"), ACTIONS.values(), ids=ACTIONS)
def test_an_environment_gets_sampled_actions_within_its_bounds(space, low, high, rescales):
    trainer, envs = trainer_acting_in(space, rescales=rescales)
    drawn = trainer.collect().actions.numpy().reshape(8, 2, -1)
    given = np.clip(drawn * np.where(np.equal(low, -0.5) & rescales, 0.5, 1), low, high)
    for row, env in enumerate(envs):
        assert all(space.contains(action) for action in env.actions)
        taken = [np.hstack(a if isinstance(a, tuple) else (a,)) for a in env.actions]
        np.testing.assert_array_equal(taken, given[:, row])
    is_continuous = drawn.dtype == np.float32
    assert (drawn != given).any() == is_continuous  # a Normal has no bounds


def test_recurrent_state_is_carried_across_rollouts_and_reset_at_ends_only():
    trainer = trainer_of(Default, recurrent=True, limit=5)
    network = trainer.policy
    torch.manual_seed(3)
    observed, values = [], []
    for _ in range(3):
        rollout = trainer.collect()
        observed.append(rollout.observations[:, 0].clone())
        values.append(rollout.values[:-1, 0].clone())
    expected, state = [], None
    for observation in torch.cat(observed):
        if observation[0] == 0:
            state = None  # the first of an episode
        with torch.no_grad():
            _, value, state = network(observation[None], state)
        expected.append(value.item())
    torch.testing.assert_close(torch.cat(values).tolist(), expected)


def test_every_sample_is_in_one_minibatch():
    rollout = trainer_of(Default).collect()
    marks = torch.arange(32.0).reshape(8, 4)
    parts = list(rollout.minibatches(7, marks, torch.Generator().manual_seed(0)))
    assert [len(part.advantages) for part in parts] == [5, 5, 5, 5, 4, 4, 4]
    assert sorted(torch.cat([part.advantages for part in parts]).tolist()) == list(range(32))


@pytest.mark.parametrize("keeps_absent", [False, True])
@pytest.mark.parametrize(
    ("valid", "sizes"),
    # Of 2 samples there are no 3 minibatches.
    [(32, (11, 11, 10)), (16, (6, 5, 5)), (3, (1, 1, 1)), (2, (11, 11, 10)), (0, (11, 11, 10))],
)
def test_a_stateless_policy_learns_from_the_samples_of_present_agents(valid, sizes, keeps_absent):
    rollout = trainer_of(Default).collect()
    rollout.valid[:] = torch.arange(32).reshape(8, 4) < valid
    marks = torch.arange(32.0).reshape(8, 4)
    generator = torch.Generator().manual_seed(0)
    parts = list(rollout.minibatches(3, marks, generator, keeps_absent))
    expected = (11, 11, 10) if keeps_absent else sizes
    assert tuple(len(part.advantages) for part in parts) == expected
    found = torch.cat([part.advantages for part in parts]).tolist()
    assert sorted(found) == list(range(sum(expected)))
    kept = torch.cat([part.valid for part in parts]).tolist()
    assert kept == [mark < valid for mark in found]


@pytest.mark.parametrize(("target_kl", "gradient_steps"), [(None, 4), (1e6, 4), (1e-3, 2)])
def test_an_update_stops_when_the_policy_is_too_far_from_the_old_one(target_kl, gradient_steps):
    # Before the first step it is the old one itself; such a step takes it far away.
    config = {"learning_rate": 0.1, "minibatches": 1, "target_kl": target_kl}
    trainer = trainer_of(Default, config=config)
    trainer.step()
    taken = {state["step"].item() for state in trainer.algorithm.optimizer.state.values()}
    assert taken == {gradient_steps}


@pytest.mark.parametrize("is_annealed", [False, True])
def test_annealed_coefficients_are_halved_halfway(is_annealed):
    config = {"learning_rate": 0.01, "entropy_coefficient": 0.4, "minibatches": 1}
    config |= {"anneal_learning_rate": is_annealed, "anneal_entropy": is_annealed}
    trainer = trainer_of(Default, config=config)
    for share in (1, 0.5 if is_annealed else 1):
        metrics = trainer.step()
        assert metrics["learning_rate"] == pytest.approx(0.01 * share)
        others = metrics["loss/policy"] + 0.5 * metrics["loss/value"]
        coefficient = (others - metrics["loss/total"]) / metrics["loss/entropy"]
        assert coefficient == pytest.approx(0.4 * share, rel=1e-4)
    assert trainer.is_done


def test_the_learning_rate_follows_the_progress_before_the_rollout(monkeypatch):
    # As when time runs out while environments step: their rollout is still learned from.
    trainer = trainer_of(Default, config={"learning_rate": 0.01, "anneal_learning_rate": True})
    started = property(lambda self: 1.0 if self._collector.timesteps else 0.25)
    monkeypatch.setattr(Trainer, "progress", started)
    assert trainer.step()["learning_rate"] == pytest.approx(0.0075)


class OneValue(torch.nn.Module):
    """Returns the same value for all observations."""

    def __init__(self):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(2))
        self.value = torch.nn.Parameter(torch.zeros(1))

    def forward(self, observations):
        rows = len(observations)
        return self.logits.expand(rows, 2), self.value.expand(rows, 1)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # Time runs out, the task does not: 1 / (1 - 0.9).
        ("truncations", 10.0),
        # Mean over an episode of what is left of it: 1 + 0.9 + ... of 5, 4, 3, 2 and 1 steps.
        ("terminals", (4.0951 + 3.439 + 2.71 + 1.9 + 1) / 5),
    ],
)
def test_the_value_of_a_constant_reward_is_learned(kind, expected):
    config = {"horizon": 10, "minibatches": 1, "learning_rate": 0.1, "total_timesteps": 4000}
    config |= {"gamma": 0.9, "gae_lambda": 1.0}
    trainer = trainer_of(OneValue, kind=kind, config=config)
    while not trainer.is_done:
        trainer.step()
    assert trainer.policy.value.item() == pytest.approx(expected, rel=0.01)


def test_the_same_seed_trains_the_same_weights_with_any_number_of_workers():
    weights = []
    for seed, num_workers in ((1, None), (1, 1), (1, 2), (1, 4), (2, None)):
        backend = {"backend": "Multiprocessing", "num_workers": num_workers} if num_workers else {}
        # Of CartPole the seed decides how it begins, and the actions how it goes on.
        vecenv = vector.make(gymnasium.make, ["CartPole-v1"], num_envs=4, **backend)
        torch.manual_seed(seed)
        policy = LSTMWrapper(vecenv, Default(vecenv, hidden_size=16))
        config = TrainConfig(horizon=32, minibatches=2, total_timesteps=512, seed=seed)
        trainer = Trainer(config, vecenv, policy)
        while not trainer.is_done:
            trainer.step()
        weights.append(torch.cat([w.flatten() for w in policy.parameters()]))
        vecenv.close()
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])
    assert torch.equal(weights[0], weights[3])
    assert not torch.equal(weights[0], weights[4])


def test_a_checkpoint_restores_weights_optimizer_and_progress(tmp_path):
    first = trainer_of(Default)
    first.step()
    first.save(tmp_path / "checkpoint.pt")
    second = trainer_of(Default, seed=5)
    second.load(tmp_path / "checkpoint.pt")
    assert (second.timesteps, second.updates) == (32, 1)
    assert second.progress == 0.5
    assert second.seconds >= first.profile.seconds["train"]
    rollout = first.collect()
    for trainer in (first, second):
        trainer.algorithm.update(rollout, first.progress)
    for one, other in zip(first.policy.parameters(), second.policy.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("config", [TrainConfig, VTraceConfig])
@pytest.mark.parametrize("is_annealed", [False, True])
def test_a_resumed_run_learns_at_its_new_learning_rate(tmp_path, config, is_annealed):
    def trainer_at(rate):
        vecenv = vector.make(Clock, num_envs=2)
        settings = {"horizon": 8, "minibatches": 2, "total_timesteps": 64}
        annealing = {"learning_rate": rate, "anneal_learning_rate": is_annealed}
        return Trainer(config(**settings, **annealing), vecenv, Default(vecenv))

    first, second = trainer_at(0.01), trainer_at(0.002)
    first.step()
    first.save(tmp_path / "checkpoint.pt")
    second.load(tmp_path / "checkpoint.pt")
    expected = 0.002 * (0.5 if is_annealed else 1)  # 32 of 64 steps were taken
    assert second.step()["learning_rate"] == pytest.approx(expected)


def test_a_resumed_run_plays_other_episodes_and_counts_its_own_speed(tmp_path):
    def trainer_of_cartpole():
        vecenv = vector.make(gymnasium.make, ["CartPole-v1"], num_envs=2)
        config = TrainConfig(horizon=8, minibatches=1)
        return Trainer(config, vecenv, Default(vecenv))

    first, second = trainer_of_cartpole(), trainer_of_cartpole()
    opening = first.collect().observations[0].clone()
    first.step()
    first.save(tmp_path / "checkpoint.pt")
    assert torch.equal(second.collect().observations[0], opening)
    second.load(tmp_path / "checkpoint.pt")
    assert second.metrics()["steps_per_second"] == 0
    assert not torch.equal(second.collect().observations[0], opening)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    trainer_of(Default).save(tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="another architecture"):
        trainer_of(Default, recurrent=True).load(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"horizon": 0}, "train.horizon must be at least 1; got 0"),
        ({"checkpoint_interval": 0}, "train.checkpoint_interval must be at least 1; got 0"),
        ({"threads": 0}, "train.threads must be at least 1; got 0"),
        ({"learning_rate": -1.0}, "train.learning_rate must be above 0; got -1.0"),
        ({"entropy_coefficient": -0.1}, "train.entropy_coefficient must be at least 0"),
        ({"device": "tpu"}, "train.device must be one of auto, cpu.*; got 'tpu'"),
        ({"gamma": 1.5}, r"train.gamma must lie within \[0, 1\]; got 1.5"),
        ({"minibatches": 33}, "at most the 32 samples of a rollout; got 33"),
    ],
)
def test_invalid_settings_are_refused(settings, match):
    with pytest.raises(SettingError, match=match):
        trainer_of(Default, config=settings)


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
def test_a_vectorizer_in_another_autoreset_mode_is_refused(autoreset):
    vecenv = vector.make(gymnasium.make, ["CartPole-v1"], num_envs=2, autoreset=autoreset)
    with pytest.raises(ArgumentError, match=r"Trainer needs .* Pass autoreset='same_step' to "):
        Trainer(TrainConfig(), vecenv, Default(vecenv))


@pytest.mark.slow
@pytest.mark.learn
def test_a_recurrent_policy_solves_squared_from_scratch():
    # A random walk reaches the target in its three moves in about one game of a hundred.
    vecenv = vector.make(make_squared, env_kwargs={"num_agents": 64})
    torch.manual_seed(1)
    policy = LSTMWrapper(vecenv, Default(vecenv))
    config = TrainConfig(
        threads=1,
        total_timesteps=150_000,
        horizon=32,
        minibatches=4,
        update_epochs=4,
        learning_rate=3e-3,
        entropy_coefficient=0.01,
        gamma=0.95,
        normalize_rewards=False,
    )
    trainer = Trainer(config, vecenv, policy)
    while not trainer.is_done:
        metrics = trainer.step()
    assert metrics["episode/score"] > 0.95


MIXED = Tuple((Discrete(3), Box(1000, 1001, (1,))))


@pytest.mark.parametrize(
    ("space", "target"),
    [
        pytest.param(Box(1000, 1001, (2,)), 1000.7, id="far", marks=pytest.mark.long),
        pytest.param(Box(-2, 2, (1,)), -1.4, id="Pendulum"),
        pytest.param(Box(-0.4, 0.4, (1,)), 0.2, id="narrow", marks=pytest.mark.long),
        pytest.param(Box(0, 10, (1,), np.int64), 8, id="integers", marks=pytest.mark.long),
        pytest.param(MIXED, 1000.2, id="mixed", marks=pytest.mark.long),
    ],
)
def test_an_action_anywhere_between_finite_bounds_is_learned(space, target):
    vecenv = vector.make(Dial, [space, target], num_envs=32)
    torch.manual_seed(0)
    policy = Default(vecenv, 32)
    config = TrainConfig(
        total_timesteps=16_000, horizon=16, learning_rate=5e-3, entropy_coefficient=0.0
    )
    trainer = Trainer(config, vecenv, policy)
    while not trainer.is_done:
        trainer.step()
    # A uniform draw is 0.25 or more away, on average, from any target.
    assert evaluate(vecenv, policy, seed=0).mean > -0.15
    vecenv.close()
