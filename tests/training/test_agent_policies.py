"""Several policies act and learn in one environment, each from the rows of its agents."""

import contextlib
import functools

import pytest
import torch
from memory_policies import WIDTH
from role_environments import Roles

from pufferlib import vector
from pufferlib.agent_policies import AgentPolicies
from pufferlib.emulation import PettingZooPufferEnv
from pufferlib.exceptions import ArgumentError, SettingError
from pufferlib.models import Default, LSTMWrapper, NormalizedObservations
from pufferlib.ppo import TrainConfig
from pufferlib.training import Trainer, evaluate
from pufferlib.vtrace import VTraceConfig

POLICY_OF = ["giver", "taker", "giver"]
SMALL = {"horizon": 8, "minibatches": 2, "total_timesteps": 3 * 8 * 2 * 4, "threads": 1}
SMALL |= {"normalize_rewards": False}


def make_roles(**kwargs):
    return PettingZooPufferEnv(Roles(**kwargs))


def vecenv_of(num_envs=2, backend=vector.Serial, vec=None, **env):
    creator = functools.partial(make_roles, **env)
    return vector.make(creator, num_envs=num_envs, backend=backend, **(vec or {}))


def network(vecenv, kind):
    policy = Default(vecenv, hidden_size=WIDTH)
    if kind == "memory":
        return LSTMWrapper(vecenv, policy)
    return NormalizedObservations(vecenv, policy) if kind == "normalized" else policy


def trainer_of(vecenv, kinds=("plain", "plain"), frozen=(), config=TrainConfig, **settings):
    torch.manual_seed(3)
    names = dict.fromkeys(POLICY_OF)
    policies = {n: network(vecenv, kind) for n, kind in zip(names, kinds, strict=True)}
    group = AgentPolicies(policies, POLICY_OF, frozen)
    return Trainer(config(**{**SMALL, **settings}), vecenv, group)


def weights_of(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def are_equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_rows_are_recorded_by_the_policy_of_their_agent():
    # Two environments; the taker leaves after two of four steps.
    rollouts = trainer_of(vecenv_of(cut=2, is_shown=True)).collect()
    giver, taker = rollouts["giver"], rollouts["taker"]
    assert giver.observations[:, :, 0].tolist() == [[0, 2, 0, 2]] * 8
    assert giver.observations[:, 0, 1].tolist() == [1, 2, 3, 4] * 2
    assert taker.observations[:, :, 1].tolist() == [[1, 1], [2, 2], [0, 0], [0, 0]] * 2
    assert giver.valid.all()
    assert taker.valid[:, 0].tolist() == [True, True, False, False] * 2
    assert taker.terminals[:, 0].tolist() == [False, True, False, False] * 2
    # Right are the action 0 of a giver and the action 1 of the taker.
    assert torch.equal(giver.rewards, (giver.actions == 0).float())
    assert torch.equal(taker.rewards, ((taker.actions == 1) & taker.valid).float())


@pytest.mark.parametrize("kinds", [("memory", "plain"), ("plain", "memory")])
def test_policies_with_and_without_memory_act_together(kinds):
    vecenv = vecenv_of(is_shown=True, steps=5)
    trainer = trainer_of(vecenv, kinds)
    trainer.collect()
    rollouts = trainer.collect()  # it begins in the middle of an episode, with a memory of it
    for name, kind in zip(("giver", "taker"), kinds, strict=True):
        rollout, policy = rollouts[name], trainer.policy.policies[name]
        state = rollout.initial_state
        assert (state is not None) == (kind == "memory")
        assert kind == "plain" or state[0].abs().sum() > 0
        for t in range(SMALL["horizon"]):
            seen, starts = rollout.observations[t], rollout.starts[t]
            with torch.no_grad():
                if kind == "memory":
                    _, values, state = policy(seen, state, starts)
                else:
                    _, values = policy(seen)
            torch.testing.assert_close(rollout.values[t], values.flatten())


def test_one_of_one_policy_learns_as_the_policy_alone():
    after = []
    for is_alone in (True, False):
        vecenv = vecenv_of(cut=2, is_shown=True, is_truncated=True)
        torch.manual_seed(3)
        policy = network(vecenv, "memory")
        group = policy if is_alone else AgentPolicies({"all": policy}, ["all"] * 3)
        trainer = Trainer(TrainConfig(**{**SMALL, "normalize_rewards": True}), vecenv, group)
        for _ in range(3):
            metrics = trainer.step()
        after.append(weights_of(policy))
    assert are_equal(*after)
    assert "episode/all/episode_return" in metrics


@pytest.mark.parametrize("config", [TrainConfig, VTraceConfig])
def test_the_rows_of_one_policy_do_not_change_the_others_weights(config):
    after = []
    for wage in (1.0, -50.0):  # of the taker
        trainer = trainer_of(vecenv_of(wage=wage), config=config)
        for _ in range(2):
            trainer.step()
        after.append({n: weights_of(each) for n, each in trainer.policy.policies.items()})
    assert are_equal(after[0]["giver"], after[1]["giver"])
    assert not are_equal(after[0]["taker"], after[1]["taker"])


def test_a_frozen_policy_acts_and_keeps_its_weights():
    trainer = trainer_of(vecenv_of(), ("normalized", "normalized"), frozen=["giver"])
    before = {n: weights_of(each) for n, each in trainer.policy.policies.items()}
    assert list(trainer.collect()) == ["taker"]
    metrics = trainer_of(vecenv_of(), frozen=["giver"]).step()
    assert metrics["timesteps"] == 2 * SMALL["horizon"]  # the taker's, in two environments
    assert "loss/taker/value" in metrics
    assert not any(name.startswith("loss/giver") for name in metrics)
    for _ in range(2):
        trainer.step()
    after = {n: weights_of(each) for n, each in trainer.policy.policies.items()}
    assert are_equal(before["giver"], after["giver"])
    assert not are_equal(before["taker"], after["taker"])


def test_a_policy_whose_agents_are_absent_keeps_its_weights():
    trainer = trainer_of(vecenv_of(cut=1, steps=1000), horizon=4)
    trainer.step()
    before = {n: weights_of(each) for n, each in trainer.policy.policies.items()}
    metrics = trainer.step()  # the taker has left
    after = {n: weights_of(each) for n, each in trainer.policy.policies.items()}
    assert are_equal(before["taker"], after["taker"])
    assert not are_equal(before["giver"], after["giver"])
    assert metrics["rollout/taker/absent"] == 1
    assert "loss/taker/value" not in metrics


def test_returns_are_those_of_the_agents_of_each_policy():
    trainer = trainer_of(vecenv_of(wage=10), normalize_rewards=True)
    rollouts = trainer.collect()
    giver = (rollouts["giver"].actions == 0).float().sum() / 8  # four rows, two episodes
    taker = 10 * (rollouts["taker"].actions == 1).float().sum() / 4
    metrics = trainer.update(rollouts)
    assert metrics["episode/giver/episode_return"] == pytest.approx(giver.item())
    assert metrics["episode/taker/episode_return"] == pytest.approx(taker.item())


def test_rewards_are_scaled_for_each_policy():
    trainer = trainer_of(vecenv_of(wage=100), normalize_rewards=True)
    for _ in range(4):
        rollouts = trainer.collect()
        trainer.update(rollouts)
    largest = {name: each.rewards.max().item() for name, each in rollouts.items()}
    assert 0.1 < largest["taker"] / largest["giver"] < 10  # of one scale it would be 100


@pytest.mark.parametrize(
    ("kinds", "config"),
    [
        (("memory", "normalized"), TrainConfig),
        pytest.param(("plain", "plain"), VTraceConfig, marks=pytest.mark.long),
    ],
)
def test_a_resumed_run_has_the_weights_of_one_that_was_not_stopped(tmp_path, kinds, config):
    settings = {"config": config, "exact_resume": True, "checkpoint_interval": 2}
    whole = trainer_of(vecenv_of(), kinds, **settings)
    for _ in range(2):
        whole.step()
    whole.save(tmp_path / "checkpoint.pt")
    for _ in range(2):
        last = whole.step()
    resumed = trainer_of(vecenv_of(), kinds, **settings)
    resumed.load(tmp_path / "checkpoint.pt")
    for _ in range(2):
        again = resumed.step()
    assert are_equal(weights_of(whole.policy), weights_of(resumed.policy))
    for name in ("loss/giver/value", "loss/taker/value", "episode/taker/episode_return"):
        assert again[name] == last[name]


@pytest.mark.long
@pytest.mark.parametrize("vec", [{}, {"batch_size": 1}])
def test_worker_processes_collect_the_rows_of_each_policy(vec):
    vecenv = vecenv_of(2, vector.Multiprocessing, {"num_workers": 2, **vec}, cut=2, is_shown=True)
    with contextlib.closing(vecenv):
        trainer = trainer_of(vecenv, ("memory", "plain"))
        for _ in range(3):
            rollouts = trainer.collect()
            giver, taker = rollouts["giver"], rollouts["taker"]
            seen = giver.observations[:, giver.columns, 0]
            assert seen.tolist() == [[0, 2] * (len(giver.columns) // 2)] * 8
            own = taker.observations[:, taker.columns][taker.valid[:, taker.columns]]
            assert own[:, 0].eq(1).all()
            trainer.update(rollouts)


def test_an_evaluation_counts_the_episodes_of_each_policy():
    vecenv = vecenv_of(wage=10)
    policies = {name: Always(right) for name, right in (("giver", 0), ("taker", 1))}
    played = evaluate(vecenv, AgentPolicies(policies, POLICY_OF), seed=0)
    own = played.by_policy(POLICY_OF)
    assert own["giver"].returns.tolist() == [4] * 4
    assert own["taker"].returns.tolist() == [40] * 2


class Always(torch.nn.Module):
    """Takes one action, whatever it sees."""

    def __init__(self, action):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.full((2,), -100.0))
        self.logits.data[action] = 100.0

    def forward(self, observations):
        rows = len(observations)
        return self.logits.expand(rows, 2), torch.zeros(rows, 1)


def test_policies_for_another_number_of_agents_are_refused():
    group = AgentPolicies({"all": Always(0)}, ["all"] * 2)
    with pytest.raises(ArgumentError, match=r"environments of 2 agents.*have \[3\]"):
        Trainer(TrainConfig(**SMALL), vecenv_of(), group)
    with pytest.raises(ArgumentError, match="must be a multiple of 2; got 3"):
        evaluate(vecenv_of(1), group, seed=0)


def test_minibatches_are_counted_by_the_rows_of_each_policy():
    with pytest.raises(SettingError, match="at most the 16 samples of a rollout"):
        trainer_of(vecenv_of(), minibatches=17)  # the taker has two rows of 8 steps
