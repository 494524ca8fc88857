"""V-trace against numbers worked by hand, eq. 1 of the paper as a sum, n-step returns and GAE."""

import weakref

import numpy as np
import pytest
import torch
from training_environments import Constant, OneValue, Roster, weights_of

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, CheckpointError
from pufferlib.models import Default, GRUWrapper, LSTMWrapper
from pufferlib.ppo import PPOConfig
from pufferlib.ppo.advantage import advantages as generalized_advantages
from pufferlib.training import Trainer
from pufferlib.vtrace import VTraceConfig
from pufferlib.vtrace.algorithm import vtrace_loss, vtrace_targets

GAMMA = 0.5
POLICIES = {
    "stateless": lambda vecenv: Default(vecenv, hidden_size=16),
    "lstm": lambda vecenv: LSTMWrapper(vecenv, Default(vecenv, hidden_size=16)),
    "gru": lambda vecenv: GRUWrapper(vecenv, Default(vecenv, hidden_size=16)),
}
over_policies = pytest.mark.parametrize("kind", POLICIES)


def one_row(ratios, terminals=(), truncations=(), final_values=(0.0, 0.0), absent=(), **settings):
    """Return targets and advantages of two steps with rewards 1, 2 and values 2, 4, then 8."""
    flags = [torch.zeros(1, 2, dtype=torch.bool) for _ in range(3)]
    for flag, steps in zip(flags, (terminals, truncations, absent), strict=True):
        flag[:, list(steps)] = True
    targets, advantages = vtrace_targets(
        log_ratios=torch.tensor([ratios]).log(),
        rewards=torch.tensor([[1.0, 2.0]]),
        values=torch.tensor([[2.0, 4.0, 8.0]]),
        terminals=flags[0],
        truncations=flags[1],
        final_values=torch.tensor([final_values]),
        valid=~flags[2] if absent else None,
        **{"gamma": GAMMA, **settings},
    )
    return targets[0].tolist(), advantages[0].tolist()


def test_a_ratio_above_the_clips_counts_as_one():
    # Step 1: rho (r + gamma V - V) = 0.5 (2 + 4 - 4) = 1, so v_1 = 5.
    # Step 0: v_0 = 2 + 1 (1 + 2 - 2) + 0.5 * 1 (5 - 4) = 3.5; advantage 1 + 0.5 * 5 - 2 = 1.5.
    targets, advantages = one_row([2.0, 0.5])
    assert targets == pytest.approx([3.5, 5.0])
    assert advantages == pytest.approx([1.5, 2.0])


def test_a_ratio_below_the_clips_weighs_its_own_error_and_those_that_follow():
    # v_1 = 4 + 1 (2 + 4 - 4) = 6; v_0 = 2 + 0.5 (1 + 2 - 2) + 0.5 * 0.5 (6 - 4) = 3.
    targets, advantages = one_row([0.5, 2.0])
    assert targets == pytest.approx([3.0, 6.0])
    assert advantages == pytest.approx([2.0, 2.0])  # 1 + 0.5 * 6 - 2


def test_each_clip_bounds_a_weight_of_its_own():
    # Ratios of 4: rho 3 and c 2. v_1 = 4 + 3 * 2 = 10; v_0 = 2 + 3 * 1 + 0.5 * 2 * 6 = 11.
    targets, advantages = one_row([4.0, 4.0], rho_clip=3.0, c_clip=2.0)
    assert targets == pytest.approx([11.0, 10.0])
    assert advantages == pytest.approx([4.0, 2.0])  # 1 + 0.5 * 10 - 2


def test_lambda_shortens_the_sum():
    # v_0 = 2 + 1 + 0.5 * 0.5 (6 - 4) = 3.5; advantage: 1 + 0.5 (4 + 0.5 * 2) - 2 = 1.5.
    targets, advantages = one_row([1.0, 1.0], gae_lambda=0.5)
    assert targets == pytest.approx([3.5, 6.0])
    assert advantages == pytest.approx([1.5, 2.0])


@pytest.mark.parametrize(
    ("ends", "target", "advantage"),
    [
        ({"terminals": [0]}, 1.0, -1.0),  # 1 and nothing after it
        ({"truncations": [0], "final_values": (6.0, 0.0)}, 4.0, 2.0),  # 1 + 0.5 * 6
        ({"terminals": [0], "truncations": [0], "final_values": (6.0, 0.0)}, 1.0, -1.0),
    ],
    ids=["terminated", "truncated", "both"],
)
def test_nothing_leaks_across_the_end_of_an_episode(ends, target, advantage):
    targets, advantages = one_row([1.0, 1.0], **ends)
    assert targets == pytest.approx([target, 6.0])
    assert advantages == pytest.approx([advantage, 2.0])


def test_an_absent_agent_has_no_target_and_gives_no_error_to_the_step_before():
    # What remains of step 0 is its own error: v_0 = 2 + (1 + 0.5 * 4 - 2).
    targets, advantages = one_row([1.0, float("nan")], absent=[1])
    assert (targets, advantages) == ([3.0, 0.0], [1.0, 0.0])


def random_arrays(rows=7, steps=23, is_on_policy=False):
    random = np.random.default_rng(0)
    return {
        "log_ratios": random.normal(size=(rows, steps)) * (not is_on_policy),
        "rewards": random.normal(size=(rows, steps)),
        "values": random.normal(size=(rows, steps + 1)),
        "terminals": random.random((rows, steps)) < 0.1,
        "truncations": random.random((rows, steps)) < 0.1,
        "final_values": random.normal(size=(rows, steps)),
        "valid": random.random((rows, steps)) < 0.9,
    }


def equation_1(a, row, first, gamma, gae_lambda, rho_clip, c_clip):
    """Return v of eq. 1 as the sum it is written as; c as in remark 2."""
    total, product = a["values"][row, first], 1.0
    for t in range(first, a["rewards"].shape[1]):
        if not a["valid"][row, t]:
            break
        ratio = np.exp(a["log_ratios"][row, t])
        following = a["values"][row, t + 1]
        if a["truncations"][row, t]:
            following = a["final_values"][row, t]
        if a["terminals"][row, t]:
            following = 0.0
        error = a["rewards"][row, t] + gamma * following - a["values"][row, t]
        total += gamma ** (t - first) * product * min(rho_clip, ratio) * error
        if a["terminals"][row, t] or a["truncations"][row, t]:
            break
        product *= gae_lambda * min(c_clip, ratio)
    return total


@pytest.mark.parametrize(
    ("gae_lambda", "rho_clip", "c_clip"),
    [(1.0, 1.0, 1.0), (0.8, 1.3, 0.9), (0.0, 1.0, 1.0), (1.0, float("inf"), 1.0)],
)
def test_targets_are_the_sum_of_equation_1(gae_lambda, rho_clip, c_clip):
    arrays, settings = random_arrays(), (0.9, gae_lambda, rho_clip, c_clip)
    targets, _ = vtrace_targets(
        **{name: torch.tensor(array) for name, array in arrays.items()},
        gamma=0.9,
        gae_lambda=gae_lambda,
        rho_clip=rho_clip,
        c_clip=c_clip,
    )
    rows, steps = arrays["rewards"].shape
    for row in range(rows):
        for t in range(steps):
            expected = equation_1(arrays, row, t, *settings) if arrays["valid"][row, t] else 0.0
            assert targets[row, t].item() == pytest.approx(expected)


def test_on_policy_with_lambda_1_targets_are_n_step_returns():
    arrays = random_arrays(is_on_policy=True)
    arrays["valid"][:] = True
    targets, advantages = vtrace_targets(
        **{name: torch.tensor(array) for name, array in arrays.items()}, gamma=0.9
    )
    rows, steps = arrays["rewards"].shape
    for row in range(rows):
        total = arrays["values"][row, steps]
        for t in reversed(range(steps)):
            if arrays["truncations"][row, t]:
                total = arrays["final_values"][row, t]
            if arrays["terminals"][row, t]:
                total = 0.0
            total = arrays["rewards"][row, t] + 0.9 * total
            assert targets[row, t].item() == pytest.approx(total)
            assert advantages[row, t].item() == pytest.approx(total - arrays["values"][row, t])


@pytest.mark.parametrize("gae_lambda", [0.0, 0.7, 1.0])
def test_on_policy_advantages_are_generalized_advantage_estimates(gae_lambda):
    arrays = random_arrays(is_on_policy=True)
    arrays["valid"][:] = True
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    _, advantages = vtrace_targets(**tensors, gamma=0.9, gae_lambda=gae_lambda)
    names = ("rewards", "values", "terminals", "truncations", "final_values")
    expected = generalized_advantages(*(tensors[name].T for name in names), 0.9, gae_lambda)
    torch.testing.assert_close(advantages, expected.T)


def test_unclipped_targets_are_the_value_of_the_policy_that_learns():
    # One step and two actions with rewards 1 and 5, drawn with 0.8 and 0.2; the policy that learns
    # would draw them with 0.4 and 0.6, whose mean reward is 3.4.
    drawn, learning = torch.tensor([[0.8], [0.2]]), torch.tensor([[0.4], [0.6]])
    none = torch.zeros(2, 1, dtype=torch.bool)
    targets, _ = vtrace_targets(
        log_ratios=(learning / drawn).log(),
        rewards=torch.tensor([[1.0], [5.0]]),
        values=torch.zeros(2, 2),
        terminals=~none,
        truncations=none,
        final_values=torch.zeros(2, 1),
        valid=~none,
        gamma=0.9,
        rho_clip=float("inf"),
    )
    assert (drawn * targets).sum().item() == pytest.approx(3.4)


def test_shapes_that_disagree_are_refused():
    tensors = {name: torch.tensor(array) for name, array in random_arrays(3, 4).items()}
    with pytest.raises(ArgumentError, match=r"values must be \(3, 5\) and the rest \(3, 4\)"):
        vtrace_targets(**{**tensors, "values": tensors["values"][:, :-1]}, gamma=0.9)


def loss_of(log_probabilities, valid=(True, True), **changed):
    given = {
        "log_probabilities": log_probabilities,
        "old_log_probabilities": torch.tensor([0.5, 0.5]).log(),
        "entropies": torch.tensor([0.3, 0.5]),
        "values": torch.tensor([1.0, 2.0]),
        "targets": torch.tensor([4.0, 2.0]),
        "advantages": torch.tensor([2.0, -3.0]),
        "valid": torch.tensor(valid),
        "rho_clip": 1.0,
        "value_coefficient": 0.5,
        "entropy_coefficient": 0.1,
    }
    return vtrace_loss(**{**given, **changed})


def test_the_parts_of_the_loss_are_those_worked_by_hand():
    # Ratios 0.5 and 1.5, clipped to 0.5 and 1.
    log_probabilities = torch.tensor([0.25, 0.75]).log().requires_grad_()
    loss = loss_of(log_probabilities)
    assert loss.value.item() == pytest.approx(0.5 * 9 / 2)
    assert loss.entropy.item() == pytest.approx(0.4)
    assert loss.importance_weight.item() == pytest.approx(0.75)
    kl = ((0.5 - 1 - np.log(0.5)) + (1.5 - 1 - np.log(1.5))) / 2
    assert loss.approximate_kl.item() == pytest.approx(kl)
    total = loss.policy + 0.5 * loss.value - 0.1 * loss.entropy
    assert loss.total.item() == pytest.approx(total.item())
    loss.total.backward()
    # Of section 4.2, negative: rho times advantage, over two samples.
    assert log_probabilities.grad.tolist() == pytest.approx([-0.5 * 2 / 2, 1 * 3 / 2])


def test_what_absent_samples_hold_reaches_neither_loss_nor_gradient():
    nothing = float("nan")
    log_probabilities = torch.tensor([0.25, nothing]).log().requires_grad_()
    values = torch.tensor([1.0, nothing], requires_grad=True)
    loss = loss_of(
        log_probabilities,
        valid=(True, False),
        values=values,
        old_log_probabilities=torch.tensor([0.5, nothing]).log(),
        entropies=torch.tensor([0.3, nothing]),
        advantages=torch.tensor([2.0, nothing]),
        targets=torch.tensor([4.0, nothing]),
    )
    assert loss.value.item() == pytest.approx(4.5)
    assert loss.entropy.item() == pytest.approx(0.3)
    assert loss.importance_weight.item() == 0.5
    loss.total.backward()
    assert log_probabilities.grad.tolist() == [-1.0, 0.0]
    assert values.grad.tolist() == [-1.5, 0.0]


def trainer_of(kind, seed=1, make_env=Roster, env_kwargs=None, num_envs=3, **settings):
    vecenv = vector.make(make_env, env_kwargs=env_kwargs, num_envs=num_envs)
    torch.manual_seed(seed)
    policy = POLICIES[kind](vecenv) if kind in POLICIES else kind()
    defaults = {"horizon": 8, "minibatches": 2, "total_timesteps": 1000, "device": "cpu"}
    return Trainer(VTraceConfig(**{**defaults, "seed": seed, **settings}), vecenv, policy)


@over_policies
def test_the_policy_that_acted_has_a_weight_of_one(kind):
    trainer = trainer_of(kind, minibatches=1, learning_rate=1e-2)
    for _ in range(3):  # later rollouts begin in the middle of an episode
        metrics = trainer.step()
        assert metrics["loss/importance_weight"] == pytest.approx(1, abs=1e-5)
        assert metrics["loss/approximate_kl"] == pytest.approx(0, abs=1e-5)


@over_policies
def test_a_policy_that_has_changed_since_has_a_smaller_weight(kind):
    trainer = trainer_of(kind, minibatches=1, update_epochs=4, learning_rate=1e-2)
    assert trainer.step()["loss/importance_weight"] < 0.999


@over_policies
def test_what_the_rows_of_absent_agents_hold_changes_no_weight(kind):
    weights = []
    for noise in (0.0, 1e3):
        trainer = trainer_of(kind)
        trainer.step()
        rollout = trainer.collect()
        absent = ~rollout.valid
        assert absent.any()
        assert not absent.all()
        for tensor in (rollout.rewards, rollout.values[:-1], rollout.final_values):
            tensor[absent] = noise
        rollout.observations[:, absent.all(0)] = noise  # memory sees the others' earlier ones
        rollout.log_probabilities[absent] = -noise
        trainer.update(rollout)
        weights.append(weights_of(trainer))
    assert torch.equal(*weights)


@pytest.mark.parametrize(
    ("is_truncated", "expected"),
    [
        # Time runs out, the task goes on: 1 / (1 - 0.9).
        (True, 10.0),
        # Mean over an episode of what is left of it: 1 + 0.9 + ... of 5, 4, 3, 2 and 1 steps.
        (False, (4.0951 + 3.439 + 2.71 + 1.9 + 1) / 5),
    ],
    ids=["truncated", "terminated"],
)
def test_a_value_learns_what_a_constant_reward_is_worth(is_truncated, expected):
    trainer = trainer_of(
        OneValue,
        make_env=Constant,
        env_kwargs={"is_truncated": is_truncated},
        num_envs=2,
        horizon=10,
        minibatches=1,
        learning_rate=0.1,
        total_timesteps=6000,
        gamma=0.9,
        gae_lambda=1.0,
    )
    while not trainer.is_done:
        trainer.step()
    assert trainer.policy.value.item() == pytest.approx(expected, rel=0.01)


@over_policies
def test_a_checkpoint_restores_weights_optimizer_and_order_of_the_minibatches(kind, tmp_path):
    first, second = trainer_of(kind), trainer_of(kind, seed=5)
    first.step()
    first.save(tmp_path / "checkpoint.pt")
    second.load(tmp_path / "checkpoint.pt")
    rollout = first.collect()
    for trainer in (first, second):
        trainer.algorithm.update(rollout, first.progress)
    assert torch.equal(weights_of(first), weights_of(second))


@over_policies
def test_an_exactly_resumed_run_ends_with_the_same_weights(kind, tmp_path):
    settings = {"exact_resume": True, "checkpoint_interval": 2}
    whole, before, after = (trainer_of(kind, **settings) for _ in range(3))
    for _ in range(4):
        whole.step()
    for _ in range(2):
        before.step()
    before.save(tmp_path / "checkpoint.pt")
    after.load(tmp_path / "checkpoint.pt")
    for _ in range(2):
        after.step()
    assert torch.equal(weights_of(whole), weights_of(after))
    assert not torch.equal(weights_of(before), weights_of(after))


def test_a_checkpoint_of_ppo_is_refused(tmp_path):
    vecenv = vector.make(Roster, num_envs=3)
    ppo = Trainer(PPOConfig(horizon=8), vecenv, POLICIES["stateless"](vecenv))
    ppo.save(tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="ppo"):
        trainer_of("stateless").load(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("is_annealed", [False, True])
def test_the_learning_rate_is_halved_halfway_where_it_is_annealed(is_annealed):
    trainer = trainer_of(
        "stateless",
        make_env=Constant,
        env_kwargs={"is_truncated": True},
        num_envs=2,
        total_timesteps=32,
        learning_rate=0.01,
        anneal_learning_rate=is_annealed,
    )
    assert [trainer.step()["learning_rate"] for _ in range(2)] == [
        pytest.approx(0.01),
        pytest.approx(0.005 if is_annealed else 0.01),
    ]
    assert trainer.is_done


def run_eagerly(graph, inputs):
    """Compile nothing: return the graph that was traced."""
    return graph.forward


# Dynamo asks each input of a graph for its gradient, and some are what the LSTM gave.
@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@over_policies
def test_a_compiled_policy_trains_as_it_does_uncompiled(kind):
    torch.compiler.reset()
    torch.compiler.set_default_backend(run_eagerly)
    try:
        weights = []
        for compiled in ("none", "default"):
            trainer = trainer_of(kind, compile=compiled)
            for _ in range(4):
                trainer.step()
            weights.append(weights_of(trainer))
    finally:
        torch.compiler.set_default_backend(None)
        torch.compiler.reset()
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-5)


class Watched(torch.autograd.Function):
    """Returns its input, and notes a tensor that lives as long as the graph does."""

    @staticmethod
    def forward(ctx, values, found):
        ctx.kept = values.clone()
        found.append(weakref.ref(ctx.kept))
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class WatchedValues(Default):
    def __init__(self, vecenv):
        super().__init__(vecenv, hidden_size=8)
        self.found = []

    def forward(self, observations):
        heads, values = super().forward(observations)
        return heads, Watched.apply(values, self.found)


def test_no_graph_of_a_minibatch_outlives_its_gradient_step():
    vecenv = vector.make(Roster, num_envs=4)
    policy = WatchedValues(vecenv)
    config = VTraceConfig(horizon=8, minibatches=2, update_epochs=2, device="cpu", threads=1)
    trainer = Trainer(config, vecenv, policy)
    rollout = trainer.collect()
    policy.found.clear()
    alive = []  # graphs of the minibatches before, at each
    policy.register_forward_pre_hook(
        lambda *_: alive.append(sum(each() is not None for each in policy.found))
    )
    trainer.update(rollout)
    assert len(alive) >= 4
    assert not any(alive)
    assert not any(each() is not None for each in policy.found)
