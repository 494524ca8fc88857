"""A central critic sees what all agents of a game observe; actions do not."""

import functools
import math
import warnings

import numpy as np
import pytest
import torch
from role_environments import Blind, Roles

from pufferlib import vector
from pufferlib.agent_policies import AgentPolicies
from pufferlib.central_critic import CentralCritic
from pufferlib.emulation import PettingZooPufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.models import Default, LSTMWrapper
from pufferlib.ppo import TrainConfig
from pufferlib.training import Trainer, evaluate
from pufferlib.vtrace import VTraceConfig

SMALL = {"horizon": 8, "minibatches": 2, "threads": 1, "normalize_rewards": False}
SMALL |= {"total_timesteps": 10_000}


class Weighted(CentralCritic):
    """Its value is the step that the agent sees, plus 10 times the next agent's, and 100 times."""

    def _values(self, joint):
        steps = joint[..., 1].reshape(-1, 3)
        return steps @ torch.tensor([[1.0], [10.0], [100.0]]) + 0 * self.critic[0].weight.sum()


def make_env(game, **kwargs):
    return PettingZooPufferEnv(game(**kwargs))


def vecenv_of(game=Roles, num_envs=2, backend=vector.Serial, vec=None, **env):
    creator = functools.partial(make_env, game, **env)
    return vector.make(creator, num_envs=num_envs, backend=backend, **(vec or {}))


def central(vecenv, cls=CentralCritic, memory=False, agents=3, **kwargs):
    policy = Default(vecenv, hidden_size=8)
    policy = LSTMWrapper(vecenv, policy) if memory else policy
    return cls(vecenv, policy, agents, hidden_size=8, **kwargs)


def grouped(vecenv, **kwargs):
    """Return a policy for the givers and one for the taker."""
    policies = {name: central(vecenv, **kwargs) for name in ("giver", "taker")}
    return AgentPolicies(policies, ["giver", "taker", "giver"])


# Of an agent at steps 1 to 4: all three are there at first; the taker leaves before step 3.
FIRST = [111, 222, 303, 404]  # the giver in the first row: itself, the taker, the other giver
LAST = [111, 222, 33, 44]  # the giver in the last row: itself, the first giver, the taker


def test_a_traced_policy_gets_a_critic_too():
    vecenv = vecenv_of()
    policy = Default(vecenv, hidden_size=8)
    observations = torch.zeros(2, *vecenv.single_observation_space.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated, and says what it leaves out
        traced = torch.jit.trace(policy, observations, check_trace=False)
    found = CentralCritic(vecenv, traced, 3)(observations)[0]
    torch.testing.assert_close(found, policy(observations)[0])


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("is_grouped", [False, True])
def test_values_are_of_what_all_agents_of_the_game_see(is_grouped, memory):
    vecenv = vecenv_of(cut=2, is_truncated=True, is_shown=True)
    make = grouped if is_grouped else central
    trainer = Trainer(TrainConfig(**SMALL), vecenv, make(vecenv, cls=Weighted, memory=memory))
    rollout = trainer.collect()
    first, last = 0, 2
    if is_grouped:
        taker, rollout, last = rollout["taker"], rollout["giver"], 1
    else:
        taker = None
    for env in (0, 1):
        columns = [env * (2 if is_grouped else 3) + place for place in (first, last)]
        assert rollout.values[:8, columns[0]].tolist() == FIRST * 2
        assert rollout.values[:8, columns[1]].tolist() == LAST * 2
        # Both are cut off at step 5, when the taker has left.
        final = rollout.final_values[[3, 7]]
        assert final[:, columns].tolist() == [[505, 55]] * 2
    if taker is not None:
        assert taker.values[:2, 0].tolist() == [111, 222]
    # What is learned from shows the critic the same.
    [sequences] = [rollout.sequences(np.arange(len(rollout.columns)))]
    assert sequences.joint.shape == (len(rollout.columns), 8, 3, 2)
    steps = sequences.joint[..., 1] @ torch.tensor([1.0, 10.0, 100.0])
    assert steps[columns[0]].tolist() == FIRST * 2
    assert steps[columns[1]].tolist() == LAST * 2
    generator = torch.Generator().manual_seed(0)
    advantages = torch.zeros(8, len(rollout.columns))
    for piece in rollout.minibatches(2, advantages, generator):
        seen = piece.joint[..., 1] @ torch.tensor([1.0, 10.0, 100.0])
        assert torch.equal(seen.flatten(), piece.values)


LONG = [pytest.param(kind, marks=pytest.mark.long) for kind in ("memory", "normalized", "vtrace")]


@pytest.mark.parametrize("kind", ["one", "several", *LONG])
def test_what_another_agent_sees_explains_the_rewards_of_a_blind_one(kind):
    explained = {}
    for is_central in (False, True):
        torch.manual_seed(1)
        vecenv = vecenv_of(Blind, num_envs=16)
        policies = {}
        for name in ("giver", "taker"):
            policy = Default(vecenv, hidden_size=16, critic="separate")
            policy = LSTMWrapper(vecenv, policy) if kind == "memory" else policy
            if is_central:
                policy = CentralCritic(vecenv, policy, 2, 16, kind == "normalized")
            policies[name] = policy
        group = AgentPolicies(policies, ["giver", "taker"])
        config = VTraceConfig if kind == "vtrace" else TrainConfig
        settings = {**SMALL, "gamma": 0.0, "learning_rate": 0.01, "update_epochs": 4}
        policy = policies["taker"] if kind == "one" else group
        trainer = Trainer(config(**settings), vecenv, policy)
        for _ in range(15):
            metrics = trainer.step()
        name = "loss/explained_variance" if kind == "one" else "loss/taker/explained_variance"
        explained[is_central] = metrics[name]
    assert explained[True] > 0.9
    # A policy for all sees the sign in the giver's rows, half of the variance.
    assert explained[False] < (0.7 if kind == "one" else 0.2)


def test_actions_do_not_depend_on_what_others_see():
    policy = central(vecenv_of())
    observations, joint = torch.randn(4, 2), torch.randn(4, 3, 2)
    one, value = policy(observations, joint_observations=joint)
    other, _ = policy(observations, joint_observations=-joint)
    alone, none = policy(observations)
    assert torch.equal(one, other)
    assert torch.equal(one, alone)
    assert value.shape == none.shape == (4, 1)
    assert value.isfinite().all()
    assert none.isnan().all()


def test_the_gradient_of_values_reaches_the_critic_only():
    policy = central(vecenv_of())
    policy(torch.randn(4, 2), joint_observations=torch.randn(4, 3, 2))[1].sum().backward()
    for name, weight in policy.named_parameters():
        assert (weight.grad is not None) == name.startswith("critic."), name


def test_absent_agents_are_zero_to_the_critic():
    policy = central(vecenv_of(), is_normalized=True)
    policy.normalizer.mean.fill_(5.0)
    seen = []
    policy.critic.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    joint = torch.tensor([[[1.0, 6.0], [0.0, 0.0], [5.0, 4.0]]])
    policy(torch.randn(1, 2), joint_observations=joint)
    assert seen[0].tolist() == [[-4.0, 1.0, 0.0, 0.0, 0.0, -1.0]]


def test_statistics_are_of_all_agents_that_are_there():
    vecenv = vecenv_of(cut=2, is_shown=True)
    policy = grouped(vecenv, is_normalized=True)
    trainer = Trainer(TrainConfig(**SMALL), vecenv, policy)
    trainer.step()
    # In games of four steps: places 0 and 2 in all of them, 1 in the first two.
    places = [0] * 4 + [1] * 2 + [2] * 4
    mean = policy.policies["taker"].normalizer.mean[0].item()
    assert mean == pytest.approx(sum(places) / len(places), rel=1e-3)


@pytest.mark.parametrize("memory", [False, True])
def test_a_policy_is_evaluated_without_its_critic(memory):
    vecenv = vecenv_of()
    policy = central(vecenv, memory=memory)
    assert hasattr(policy, "initial_state") == memory
    assert math.isfinite(evaluate(vecenv, policy, seed=0).mean)


@pytest.mark.long
def test_a_pool_shows_the_critic_its_own_game():
    vec = {"num_workers": 2, "batch_size": 1}
    vecenv = vecenv_of(Roles, 2, vector.Multiprocessing, vec, cut=2, is_shown=True)
    try:
        trainer = Trainer(TrainConfig(**SMALL), vecenv, central(vecenv, cls=Weighted))
        for _ in range(3):
            rollout = trainer.collect()
            values = rollout.values[:8, rollout.columns]
            for game in range(len(rollout.columns) // 3):
                assert values[:, 3 * game].tolist() == FIRST * 2
                assert values[:, 3 * game + 2].tolist() == LAST * 2
            trainer.update(rollout)
    finally:
        vecenv.close()


def test_another_number_of_agents_is_refused():
    vecenv = vecenv_of()
    with pytest.raises(ArgumentError, match=r"environments of 2 agents.*have \[3\]"):
        Trainer(TrainConfig(**SMALL), vecenv, central(vecenv, agents=2))
    with pytest.raises(ArgumentError, match="num_agents=1"):
        central(vecenv, agents=1)
