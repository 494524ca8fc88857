"""Policies without memory and with any kind of it pass the same tests; helpers for their state."""

import copy
import functools
import itertools
from typing import NamedTuple

import pytest
import torch
from memory_policies import DictMemory, NestedMemory
from training_environments import Roster, weights_of

from pufferlib import vector
from pufferlib.exceptions import ContractError
from pufferlib.models import Default, GRUWrapper, LSTMWrapper, NormalizedObservations
from pufferlib.policy import (
    is_recurrent,
    map_state,
    state_rows,
    takes_start_steps,
    write_state_rows,
)
from pufferlib.ppo import PPOConfig
from pufferlib.pytorch import sample_actions
from pufferlib.training import Trainer, evaluate
from pufferlib.training.policy_runner import PolicyRunner
from pufferlib.training.torch_state import torch_threads
from pufferlib.vtrace import VTraceConfig

HORIZON = 8
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread():
    """Compute small networks with one thread: more wait for each other on a busy machine."""
    with torch_threads(1):
        yield


def normalized(vecenv):
    return NormalizedObservations(vecenv, Default(vecenv, hidden_size=16))


POLICIES = {
    "stateless": normalized,
    "lstm": lambda vecenv: LSTMWrapper(vecenv, normalized(vecenv)),
    "gru": lambda vecenv: GRUWrapper(vecenv, normalized(vecenv)),
    "dict": DictMemory,
    "nested": NestedMemory,
}
RECURRENT = [kind for kind in POLICIES if kind != "stateless"]
over_policies = pytest.mark.parametrize("kind", POLICIES)
over_recurrent = pytest.mark.parametrize("kind", RECURRENT)
ALGORITHMS = {"ppo": PPOConfig, "vtrace": VTraceConfig}
VECTORIZERS = {
    "serial": {"num_envs": 4},
    "pool": {"backend": "Multiprocessing", "num_envs": 4, "num_workers": 2, "batch_size": 2},
}


@pytest.fixture(params=VECTORIZERS)
def vecenv(request):
    made = vector.make(Roster, **VECTORIZERS[request.param])
    yield made
    made.close()


@pytest.fixture
def serial():
    return vector.make(Roster, num_envs=4)


def policy_of(kind, vecenv, seed=1):
    torch.manual_seed(seed)
    return POLICIES[kind](vecenv)


def trainer_of(kind, vecenv, algorithm="ppo", seed=1, **settings):
    defaults = {"horizon": HORIZON, "minibatches": 2, "total_timesteps": 10_000, "device": "cpu"}
    config = ALGORITHMS[algorithm](**{**defaults, "seed": seed, **settings})
    return Trainer(config, vecenv, policy_of(kind, vecenv, seed))


def example_of(kind, rows=3, steps=7):
    """Return a policy, observations (rows, steps, 3), a state amid an episode, and starts."""
    policy = policy_of(kind, vector.make(Roster, num_envs=1))
    random = torch.Generator().manual_seed(0)
    before, observations = torch.randn(2, rows, steps, 3, generator=random)
    with torch.no_grad():
        state = policy(before)[2]
    starts = torch.rand(rows, steps, generator=random) < 0.25
    starts[0, 0], starts[1, 0] = True, False
    return policy, observations, state, starts


def tensors_of(state):
    found = []
    map_state(lambda tensor: found.append(tensor) or tensor, state)
    return found


@over_policies
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_weight_is_trained(kind, algorithm, vecenv):
    trainer = trainer_of(kind, vecenv, algorithm, learning_rate=1e-2)
    before = {name: weight.clone() for name, weight in trainer.policy.named_parameters()}
    for _ in range(3):
        metrics = trainer.step()
    assert metrics["timesteps"] > 0
    for name, weight in trainer.policy.named_parameters():
        assert weight.isfinite().all()
        assert not torch.equal(weight, before[name]), name


@over_policies
@torch.no_grad()
def test_learning_starts_from_what_was_acted(kind, vecenv):
    # State is that of its row, carried across rollouts, and cleared where acting cleared it.
    trainer = trainer_of(kind, vecenv)
    for _ in range(3):
        rollout = trainer.collect()
        seen = rollout.sequences(torch.arange(len(rollout.columns)))
        given = (seen.state, seen.starts) if kind != "stateless" else ()
        observations = seen.observations if given else seen.observations.flatten(0, 1)
        heads, values = trainer.policy(observations, *given)[:2]
        log_probabilities = sample_actions(heads, seen.actions.flatten())[1]
        torch.testing.assert_close(log_probabilities, seen.log_probabilities.flatten())
        torch.testing.assert_close(values.flatten(), seen.values[:, :-1].flatten())


@over_recurrent
@torch.no_grad()
def test_state_is_carried_across_rollouts_and_cleared_at_starts_only(kind, serial):
    trainer = trainer_of(kind, serial)
    state = None
    for _ in range(3):
        rollout = trainer.collect()
        for t in range(HORIZON):
            row = rollout.observations[t, :1]
            state = None if rollout.starts[t, 0] else state  # a fresh policy for each episode
            _, value, state = trainer.policy(row, state)
            torch.testing.assert_close(rollout.values[t, :1], value[0])


@over_policies
def test_evaluation_plays_the_same_episodes_whatever_was_played_before(kind, serial):
    trainer = trainer_of(kind, serial)
    first = evaluate(vector.make(Roster, num_envs=4), trainer.policy, seed=5)
    trainer.collect()
    torch.rand(3)
    again = evaluate(vector.make(Roster, num_envs=4), trainer.policy, seed=5)
    assert first.returns.tolist() == again.returns.tolist()
    assert first.lengths.tolist() == [5, 2] * 4  # the third agent of each never takes part
    assert trainer.policy.training


@over_policies
def test_a_resumed_run_ends_with_the_same_weights(kind, tmp_path):
    settings = {"exact_resume": True, "checkpoint_interval": 2}
    envs = [vector.make(Roster, num_envs=4) for _ in range(3)]
    whole, before, after = (
        trainer_of(kind, env, seed=seed, **settings)
        for env, seed in zip(envs, (1, 1, 1), strict=True)
    )
    for _ in range(4):
        whole.step()
    for _ in range(2):
        before.step()
    before.save(tmp_path / "checkpoint.pt")
    after.load(tmp_path / "checkpoint.pt")
    for _ in range(2):
        after.step()
    assert torch.equal(weights_of(whole), weights_of(after))


@over_policies
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bfloat16_acts_and_learns_alike(kind, algorithm, vecenv):
    trainer = trainer_of(kind, vecenv, algorithm, precision="bfloat16", minibatches=1)
    runner = trainer.algorithm._runner
    for _ in range(3):  # without updates: after one, a pool's rollout begins with the older policy
        rollout = trainer.collect()
        assert rollout.values.dtype == rollout.log_probabilities.dtype == torch.float32
        seen = rollout.sequences(torch.arange(len(rollout.columns)))
        observations = seen.observations if runner.is_recurrent else seen.observations.flatten(0, 1)
        with torch.no_grad():
            heads, _, _ = runner.forward(observations, seen.state, seen.starts)
        ratio = sample_actions(heads, seen.actions.flatten())[1] - seen.log_probabilities.flatten()
        # A bfloat16 has 8 significant bits; another batch may sum in another order, layer by layer.
        assert ratio.abs().max() < 2**-7
    before = weights_of(trainer)
    for _ in range(2):
        trainer.step()
    assert weights_of(trainer).isfinite().all()
    assert not torch.equal(weights_of(trainer), before)


@over_policies
def test_observe_is_called_with_each_rollout(kind, serial):
    trainer = trainer_of(kind, serial)
    seen = 0
    for _ in range(2):
        rollout = trainer.collect()
        trainer.update(rollout)
        seen += int(rollout.valid.sum())
        buffers = dict(trainer.policy.named_buffers())
        name = next(name for name in buffers if name.endswith(("observed", "count")))
        assert buffers[name].item() == pytest.approx(seen, abs=1e-3)  # a mean starts with 1e-4


@over_policies
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_the_rows_of_absent_agents_hold_changes_no_weight(kind, algorithm):
    weights = []
    for noise in (0.0, 1e3):
        trainer = trainer_of(kind, vector.make(Roster, num_envs=4), algorithm)
        trainer.step()
        rollout = trainer.collect()
        absent = ~rollout.valid
        assert absent.any()
        rollout.observations[:, absent.all(0)] = noise
        rollout.rewards[absent] = noise
        rollout.log_probabilities[absent] = -noise
        trainer.update(rollout)
        weights.append(weights_of(trainer))
    assert torch.equal(*weights)


@over_recurrent
@pytest.mark.parametrize("has_starts", [True, False], ids=["with starts", "without"])
@torch.no_grad()
def test_a_sequence_gives_what_its_steps_give(kind, has_starts):
    policy, observations, state, starts = example_of(kind)
    starts = starts if has_starts else None
    heads, values, last = policy(observations, state, starts)
    expected = []
    for t in range(observations.shape[1]):
        step_starts = None if starts is None else starts[:, t]
        *outputs, state = policy(observations[:, t], state, step_starts)
        expected.append(outputs)
    for found, parts in zip((heads, values), zip(*expected, strict=True), strict=True):
        torch.testing.assert_close(found, torch.stack(parts, 1).flatten(0, 1))
    torch.testing.assert_close(tensors_of(last), tensors_of(state))


@over_recurrent
@torch.no_grad()
def test_each_episode_plays_as_a_fresh_policy_would(kind):
    policy, observations, state, starts = example_of(kind)
    rows, steps = starts.shape
    values = policy(observations, state, starts)[1].view(rows, steps)
    for row in range(rows):
        cuts = [0, *(starts[row, 1:].nonzero().ravel() + 1).tolist(), steps]
        for begin, end in itertools.pairwise(cuts):
            chosen = slice(row, row + 1)
            own = None if starts[row, begin] else state_rows(state, chosen, policy.state_batch_dim)
            alone = policy(observations[chosen, begin:end], own)[1]
            torch.testing.assert_close(values[row, begin:end], alone.flatten())


@over_recurrent
@torch.no_grad()
def test_no_state_is_the_initial_state_and_the_callers_is_left_unchanged(kind):
    policy, observations, state, starts = example_of(kind)
    initial = policy.initial_state(len(observations))
    for given, other in ((None, initial), (state, copy.deepcopy(state))):
        found = policy(observations[:, 0], given, starts[:, 0])
        expected = policy(observations[:, 0], other, starts[:, 0])
        assert torch.equal(found[1], expected[1])
        assert all(map(torch.equal, tensors_of(found[2]), tensors_of(expected[2])))
    assert all(map(torch.equal, tensors_of(state), tensors_of(other)))
    assert all(
        part.shape[policy.state_batch_dim] == len(observations) for part in tensors_of(initial)
    )


@over_recurrent
@torch.no_grad()
def test_a_runner_keeps_the_state_of_each_row(kind):
    # A policy may pass on a part of the state that it was given, and learn the initial one.
    policy, observations, _, starts = example_of(kind, rows=4)
    starts[:, 0] = True
    expected = policy(observations, None, starts)[1].view(4, -1)
    splits = {
        "whole": [slice(None)],
        "slices": [slice(0, 3), slice(3, 4)],
        "indices": [torch.tensor([2, 0]), torch.tensor([1, 3])],
    }
    for parts in splits.values():
        runner = PolicyRunner(policy, 4, CPU)
        for t in range(observations.shape[1]):
            for rows in parts:
                values = runner.act(observations[rows, t], starts[rows, t], rows).values
                torch.testing.assert_close(values, expected[rows, t])


class Pair(NamedTuple):
    """A NamedTuple of state."""

    one: torch.Tensor
    other: torch.Tensor


def numbered(*shape):
    count = torch.Size(shape).numel()
    return torch.arange(float(count)).view(shape)


def test_map_state_keeps_the_structure():
    state = {"a": Pair(numbered(2), numbered(3)), "b": [numbered(1), (numbered(4),)]}
    doubled = map_state(lambda tensor: 2 * tensor, state)
    assert list(doubled) == ["a", "b"]
    assert type(doubled["a"]) is Pair
    assert (type(doubled["b"]), type(doubled["b"][1])) == (list, tuple)
    assert doubled["a"].other.tolist() == [0, 2, 4]
    assert doubled["b"][1][0].tolist() == [0, 2, 4, 6]
    zero = map_state(lambda one, other: one - other, doubled, doubled)
    assert not any(tensor.any() for tensor in tensors_of(zero))


def test_map_state_takes_a_tensor_alone():
    assert map_state(torch.neg, numbered(2)).tolist() == [0, -1]


@pytest.mark.parametrize("state", [None, 3, {"a": None}, (numbered(1), "b")])
def test_a_state_of_anything_but_tensors_is_refused(state):
    with pytest.raises(ContractError, match="must be tensors in tuples, lists and dicts; got"):
        map_state(torch.neg, state)


@pytest.mark.parametrize(
    ("state", "other", "part"),
    [
        ({"a": numbered(1)}, {"b": numbered(1)}, "'a'"),
        ((numbered(1), numbered(1)), (numbered(1),), "1"),
        ({"a": numbered(1)}, (numbered(1),), "'a'"),
    ],
)
def test_states_of_other_structures_are_refused(state, other, part):
    with pytest.raises(ContractError, match=f"part {part} is missing"):
        map_state(torch.add, state, other)


@pytest.mark.parametrize("batch_dim", [0, 1, 2])
def test_rows_of_a_state_are_read_and_written_along_their_dimension(batch_dim):
    shape = [2, 3, 4]
    shape[batch_dim] = 5
    state = (numbered(*shape), [numbered(*shape) + 100])
    whole = copy.deepcopy(state)
    view = state_rows(state, slice(1, 3), batch_dim)
    assert view[0].untyped_storage().data_ptr() == state[0].untyped_storage().data_ptr()
    assert torch.equal(view[1][0], whole[1][0].narrow(batch_dim, 1, 2))
    index = torch.tensor([4, 0])
    copied = state_rows(state, index, batch_dim)
    assert torch.equal(copied[0], whole[0].index_select(batch_dim, index))
    write_state_rows(state, index, batch_dim, map_state(torch.neg, copied))
    for found, before in zip(tensors_of(state), tensors_of(whole), strict=True):
        assert torch.equal(
            found.index_select(batch_dim, index), -before.index_select(batch_dim, index)
        )
        others = torch.tensor([1, 2, 3])
        assert torch.equal(
            found.index_select(batch_dim, others), before.index_select(batch_dim, others)
        )


def test_rows_may_be_written_from_views_of_the_state_itself():
    state = Pair(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    view = state_rows(state, slice(0, 1), 0)
    write_state_rows(state, slice(0, 1), 0, Pair(view.other, view.one))
    assert (state.one.tolist(), state.other.tolist()) == ([3, 2], [1, 4])


def test_rows_are_written_in_the_dtype_of_the_state():
    state = numbered(3)
    write_state_rows(state, slice(0, 2), 0, torch.tensor([7, 8], dtype=torch.bfloat16))
    assert (state.dtype, state.tolist()) == (torch.float32, [7, 8, 2])


class WithInitialState:
    """Has `initial_state`, and perhaps the rest."""

    def initial_state(self, rows, device=None):
        return torch.zeros(rows)


def test_a_policy_is_recurrent_if_it_has_an_initial_state():
    assert not is_recurrent(torch.nn.Linear(1, 1))
    policy = WithInitialState()
    policy.state_batch_dim = 0
    assert is_recurrent(policy)


@pytest.mark.parametrize("batch_dim", [None, "0", 1.0, -1, True])
def test_a_recurrent_policy_without_a_batch_dimension_is_refused(batch_dim):
    policy = WithInitialState()
    if batch_dim is not None:
        policy.state_batch_dim = batch_dim
    with pytest.raises(ContractError, match=r"WithInitialState has initial_state.* Set it to"):
        is_recurrent(policy)


def fixed(forward):
    """Return a forward of three arguments that looks as the one it calls."""

    @functools.wraps(forward)
    def called(self, observations, state=None, starts=None):
        return forward(self, observations, state, starts)

    return called


class FixedLSTM(LSTMWrapper):
    """Its forward takes no `start_steps`, though `functools.wraps` says so."""

    forward = fixed(LSTMWrapper.forward)


def test_a_decorated_forward_is_called_with_what_it_takes(serial):
    policy = FixedLSTM(serial, Default(serial, hidden_size=8))
    assert takes_start_steps(LSTMWrapper(serial, Default(serial, hidden_size=8)))
    assert not takes_start_steps(policy)
    config = PPOConfig(horizon=HORIZON, minibatches=2, total_timesteps=10_000, device="cpu")
    assert Trainer(config, serial, policy).step()["timesteps"] > 0
