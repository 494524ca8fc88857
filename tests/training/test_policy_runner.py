"""A policy runner keeps the state of its rows, for compiled policies too."""

import gymnasium
import numpy as np
import pytest
import torch
from memory_policies import DictMemory, NestedMemory
from training_environments import Roster

from pufferlib import vector
from pufferlib.models import Default, GRUWrapper, LSTMWrapper
from pufferlib.policy import map_state
from pufferlib.ppo import TrainConfig, Trainer
from pufferlib.training.policy_runner import PolicyRunner
from pufferlib.training.torch_state import torch_threads

UPDATES = 8
CPU = torch.device("cpu")
POLICIES = {
    "stateless": Default,
    "lstm": lambda vecenv: LSTMWrapper(vecenv, Default(vecenv)),
    "gru": lambda vecenv: GRUWrapper(vecenv, Default(vecenv)),
    "dict": DictMemory,
    "nested": NestedMemory,
}
over_policies = pytest.mark.parametrize("kind", POLICIES)
ROWS, STEPS = 6, 5
OBSERVATIONS = torch.randn(STEPS, ROWS, 3, generator=torch.Generator().manual_seed(0))
STARTS = torch.rand(STEPS, ROWS, generator=torch.Generator().manual_seed(1)) < 0.3


@pytest.fixture(autouse=True)
def _one_thread():
    """Compute small networks with one thread: more wait for each other on a busy machine."""
    with torch_threads(1):
        yield


def policy_of(kind, seed=1):
    torch.manual_seed(seed)
    return POLICIES[kind](vector.make(Roster))


def act(runner, t, rows):
    """Return the runner's decision for `rows` of step `t`, from random numbers of that step."""
    torch.manual_seed(t)
    return runner.act(OBSERVATIONS[t, rows], STARTS[t, rows], rows)


@over_policies
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (slice(0, 2), slice(2, ROWS)),
        (torch.tensor([5, 0, 3]), torch.tensor([1, 4, 2])),
        (slice(0, 3), torch.tensor([5, 3])),
    ],
    ids=["slices", "indices", "both"],
)
@torch.no_grad()
def test_two_runners_of_one_batch_act_as_each_does_alone(kind, one, other):
    parts = ((policy_of(kind, seed=1), one), (policy_of(kind, seed=2), other))
    together = [(PolicyRunner(policy, ROWS, CPU), rows) for policy, rows in parts]
    found = [[act(runner, t, rows) for runner, rows in together] for t in range(STEPS)]
    for index, (policy, rows) in enumerate(parts):
        alone = PolicyRunner(policy, ROWS, CPU)
        for t in range(STEPS):
            expected = act(alone, t, rows)
            for one_part, other_part in zip(found[t][index], expected, strict=True):
                assert torch.equal(one_part, other_part)


@over_policies
@torch.no_grad()
def test_rows_by_slice_and_by_index_are_the_same(kind):
    policy = policy_of(kind)
    by_slice, by_index = (PolicyRunner(policy, ROWS, CPU) for _ in range(2))
    for t in range(STEPS):
        for start in (0, 3):  # halves in turn
            expected = act(by_slice, t, slice(start, start + 3))
            found = act(by_index, t, torch.arange(start, start + 3))
            for one_part, other_part in zip(found, expected, strict=True):
                assert torch.equal(one_part, other_part)


@over_policies
@torch.no_grad()
def test_a_value_leaves_the_state_as_it_is(kind):
    policy = policy_of(kind)
    asked, other = (PolicyRunner(policy, ROWS, CPU) for _ in range(2))
    for t in range(STEPS):
        asked.values(OBSERVATIONS[t, [4, 1]] + 1, None, torch.tensor([4, 1]))
        asked.values(OBSERVATIONS[t], STARTS[t])
        assert torch.equal(act(asked, t, slice(None)).values, act(other, t, slice(None)).values)


@over_policies
@torch.no_grad()
def test_a_reset_begins_new_episodes_in_all_rows(kind):
    runner = PolicyRunner(policy_of(kind), ROWS, CPU)
    first = [act(runner, t, slice(None)).values for t in range(STEPS)]
    runner.reset()
    assert all(torch.equal(act(runner, t, slice(None)).values, first[t]) for t in range(STEPS))


def test_a_state_is_of_the_rows_asked_for():
    runner = PolicyRunner(policy_of("dict"), ROWS, CPU)
    with torch.no_grad():
        act(runner, 0, slice(2, 4))
    assert runner.state()["step"].tolist() == [0, 0, 1, 1, 0, 0]
    assert runner.state(slice(3, 5))["step"].tolist() == [1, 0]
    assert runner.state(torch.tensor([3, 0]))["step"].tolist() == [1, 0]
    assert PolicyRunner(policy_of("stateless"), ROWS, CPU).state() is None


def test_the_first_state_is_a_copy_of_what_the_policy_learns():
    policy = policy_of("nested")
    initial = policy.initial.detach().clone()
    runner = PolicyRunner(policy, ROWS, CPU)
    map_state(lambda part: part.zero_(), runner.state())
    assert torch.equal(policy.initial, initial)


class Drawn(gymnasium.Env):
    """Episodes are truncated or terminated at random: how many rows end with a step varies."""

    observation_space = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gymnasium.spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observe(), {}

    def step(self, action):
        ends, is_cut = self.np_random.random(2) < (0.2, 0.5)
        reward = float(self.np_random.normal())
        return self._observe(), reward, bool(ends and not is_cut), bool(ends and is_cut), {}

    def _observe(self):
        return self.np_random.uniform(-1, 1, 3).astype(np.float32)


def trainer_of(compiled, is_recurrent, **settings):
    vecenv = vector.make(Drawn, num_envs=6)
    torch.manual_seed(0)
    policy = Default(vecenv, hidden_size=16)
    if is_recurrent:
        policy = LSTMWrapper(vecenv, policy)
    sizes = {"horizon": 16, "minibatches": 3, "update_epochs": 2}
    config = TrainConfig(**sizes, **settings, device="cpu", compile=compiled)
    return Trainer(config, vecenv, policy)


def weights_of(trainer):
    return torch.cat([weight.detach().flatten() for weight in trainer.policy.parameters()])


@pytest.fixture
def graphs():
    """Return the graphs traced so far, each run as it is: generated code would take minutes."""
    traced = []

    def as_it_is(graph, inputs):
        traced.append(graph)
        return graph.forward

    torch.compiler.reset()
    torch.compiler.set_default_backend(as_it_is)
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        yield traced
    torch.compiler.set_default_backend(None)
    torch.compiler.reset()


# Dynamo asks each input of a graph for its gradient, and some are what the LSTM gave.
@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("is_recurrent", [False, True], ids=["", "recurrent"])
def test_a_compiled_policy_trains_as_it_does_uncompiled(graphs, is_recurrent):
    weights = {}
    for compiled in ("none", "default"):
        trainer = trainer_of(compiled, is_recurrent)
        for _ in range(UPDATES // 2):
            trainer.step()
        with torch.compiler.set_stance("fail_on_recompile"):
            for _ in range(UPDATES // 2):
                trainer.step()
        weights[compiled] = weights_of(trainer)
        assert bool(graphs) == (compiled == "default")
    torch.testing.assert_close(weights["default"], weights["none"], rtol=1e-4, atol=1e-5)
    # Recurrent state must last from step to step, unlike the outputs of a CUDA graph.
    assert not any("lstm" in str(node.target) for graph in graphs for node in graph.graph.nodes)


def test_annealing_the_entropy_coefficient_costs_no_compilation(graphs):
    trainer = trainer_of("default", False, entropy_coefficient=0.1, anneal_entropy=True)
    rollout = trainer.collect()
    trainer.algorithm.update(rollout, 0.0)
    compiled = len(graphs)
    trainer.algorithm.update(rollout, 0.5)
    assert len(graphs) == compiled


def reuse_outputs(graph, inputs):
    """Return the graph with outputs that its next run overwrites, as those of a CUDA graph."""
    kept = []

    def run(*arguments):
        outputs = graph.forward(*arguments)
        if not kept:
            kept.extend(outputs)
        else:
            for tensor, value in zip(kept, outputs, strict=True):
                tensor.copy_(value)
        return list(kept)

    return run


@torch.no_grad()
def test_a_compiled_policy_may_reuse_the_memory_of_its_state():
    policy = policy_of("dict")
    torch.compiler.reset()
    torch.compiler.set_default_backend(reuse_outputs)
    try:
        compiled = PolicyRunner(policy, ROWS, CPU, compile_mode="default")
        plain = PolicyRunner(policy, ROWS, CPU)
        for t in range(STEPS):
            starts = torch.zeros(ROWS, dtype=torch.bool)
            compiled.values(OBSERVATIONS[t] + 1, starts)
            found = compiled.act(OBSERVATIONS[t], starts).values.clone()
            torch.testing.assert_close(found, plain.act(OBSERVATIONS[t], starts).values)
    finally:
        torch.compiler.set_default_backend(None)
        torch.compiler.reset()


@pytest.mark.parametrize(("compiled", "sizes"), [("default", {6, 32}), ("none", {1, 2, 6, 16})])
@pytest.mark.usefixtures("graphs")
def test_a_compiled_policy_gets_the_same_number_of_rows_each_time(compiled, sizes):
    trainer = trainer_of(compiled, is_recurrent=False)
    trainer.updates = 1  # one in ten also measures the network, without compiling it
    asked = set()
    trainer.policy.register_forward_pre_hook(lambda _, inputs: asked.add(len(inputs[0])))
    with torch.compiler.set_stance("force_eager"):
        rollout = trainer.collect()
        is_partly_cut = rollout.truncations.any(1) & ~rollout.truncations.all(1)
        assert is_partly_cut.any()
        assert rollout.final_values[rollout.truncations].ne(0).all()
        assert rollout.final_values[~rollout.truncations].eq(0).all()
        rollout.valid[:, 3:] = False  # as if half of the agents were absent
        trainer.update(rollout)
    assert asked == sizes
