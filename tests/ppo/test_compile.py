"""A policy that is compiled trains as one that is not, and is not compiled again and again."""

import gymnasium
import numpy as np
import pytest
import torch

from pufferlib import vector
from pufferlib.models import Default, LSTMWrapper
from pufferlib.ppo import TrainConfig, Trainer

UPDATES = 8


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


def trainer_of(compiled, is_recurrent):
    vecenv = vector.make(Drawn, num_envs=6)
    torch.manual_seed(0)
    policy = Default(vecenv, hidden_size=16)
    if is_recurrent:
        policy = LSTMWrapper(vecenv, policy)
    config = TrainConfig(horizon=16, minibatches=3, update_epochs=2, device="cpu", compile=compiled)
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
    # Memory is kept from step to step, which what a CUDA graph returns is not.
    assert not any("lstm" in str(node.target) for graph in graphs for node in graph.graph.nodes)


@pytest.mark.parametrize(("compiled", "sizes"), [("default", {6, 32}), ("none", {1, 2, 6, 16})])
@pytest.mark.usefixtures("graphs")
def test_a_compiled_policy_is_asked_about_as_many_rows_each_time(compiled, sizes):
    trainer = trainer_of(compiled, is_recurrent=False)
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
