"""The same weights give the same distributions and values in RLlib's module as in the policy."""

import copy
import functools
import math
import pickle

import numpy as np
import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple
from memory_policies import DictMemory
from spaces_cases import SPACES
from torch import nn
from torch.distributions import Beta, Categorical, Independent, Normal

from pufferlib.action_heads import ActionHeads
from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.emulation.description import describe
from pufferlib.exceptions import ArgumentError
from pufferlib.models import Default, GRUWrapper, LSTMWrapper
from pufferlib.policies.masked import MaskedDefault
from pufferlib.pytorch import sample_actions

pytestmark = [
    pytest.mark.leaves_threads,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]
rllib = pytest.importorskip("pufferlib.frameworks.rllib", exc_type=ImportError)
B, T = 64, 5
OBSERVED = {"floats": Box(-1, 1, (2,)), "bytes": SPACES["dict of mixed dtypes"]}
ACTIONS = {
    "discrete": Discrete(4, start=-2),
    "multi-discrete": MultiDiscrete([3, 2, 5]),
    "continuous": Box(-2, 3, (3,)),
}
over_actions = pytest.mark.parametrize("action_space", ACTIONS.values(), ids=ACTIONS)
over_memories = pytest.mark.parametrize("memory", [LSTMWrapper, GRUWrapper])


def emulated(action_space, observed="bytes"):
    return GymnasiumPufferEnv(Sampler(OBSERVED[observed], action_space))


def creator(memory=None):
    def make(env):
        policy = Default(env, hidden_size=8)
        for parameter in policy.decoder.parameters():  # far from uniform
            nn.init.normal_(parameter)
        return memory(env, policy) if memory else policy

    return make


def module_for(env, policy_creator, **model_config):
    """Make a module from copies of spaces, as a process of RLlib does."""
    spaces = pickle.loads(pickle.dumps((env.observation_space, env.action_space)))
    return rllib.PufferRLModule(
        observation_space=spaces[0],
        action_space=spaces[1],
        model_config={"policy_creator": policy_creator, **model_config},
    )


def rows_of(env, *shape):
    env.reset(seed=0)
    rows = np.stack([env.reset()[0] for _ in range(math.prod(shape))])
    return torch.as_tensor(rows).unflatten(0, shape)


@pytest.mark.parametrize("observed", OBSERVED)
@over_actions
@torch.no_grad()
def test_logits_log_probabilities_and_values_equal_the_policys(action_space, observed):
    env = emulated(action_space, observed)
    policy, module = creator()(env), module_for(env, creator())
    module.policy.load_state_dict(policy.state_dict())
    rows = rows_of(env, B)
    heads, values = policy(rows)
    actions, log_probabilities, entropies = sample_actions(heads)
    output = module.forward_train({"obs": rows})
    distribution = module.get_train_action_dist_cls().from_logits(output["action_dist_inputs"])
    same = functools.partial(torch.testing.assert_close, rtol=1e-6, atol=1e-6)
    if not isinstance(action_space, Box):
        logits = heads if isinstance(heads, torch.Tensor) else torch.cat(heads, 1)
        assert torch.equal(output["action_dist_inputs"], logits)
    same(distribution.logp(actions), log_probabilities)
    same(distribution.entropy(), entropies)
    same(module.compute_values({"obs": rows}), values.squeeze(1))
    assert torch.equal(module.compute_values({}, output["embeddings"]), values.squeeze(1))
    # And back.
    other = creator()(env)
    other.load_state_dict(module.policy.state_dict())
    same(other(rows)[1], values)


@over_actions
@over_memories
@torch.no_grad()
def test_a_sequence_equals_its_steps_and_the_policys(action_space, memory):
    env = emulated(action_space)
    policy, module = creator(memory)(env), module_for(env, creator(memory), max_seq_len=T)
    module.policy.load_state_dict(policy.state_dict())
    rows = rows_of(env, 8, T)
    first = module.get_initial_state()
    assert module.is_stateful()
    assert all(part.shape == (1, 8) for part in first.values())
    state = {key: torch.as_tensor(part).expand(8, 1, 8) for key, part in first.items()}
    whole = module.forward_train({"obs": rows, "state_in": state})
    heads, values, last = policy(rows)
    parts = [last] if memory is GRUWrapper else last
    for part, own in zip(whole["state_out"].values(), parts, strict=True):
        torch.testing.assert_close(part, own.transpose(0, 1))
    assert whole["embeddings"].shape == (8, T)
    torch.testing.assert_close(whole["embeddings"].flatten(), values.squeeze(1))
    actions, log_probabilities, _ = sample_actions(heads)
    actions = actions.unflatten(0, (8, T))
    distribution = module.get_train_action_dist_cls().from_logits(whole["action_dist_inputs"])
    torch.testing.assert_close(distribution.logp(actions).flatten(), log_probabilities)
    for t in range(T):
        step = module.forward_inference({"obs": rows[:, t : t + 1], "state_in": state})
        state = step["state_out"]
        torch.testing.assert_close(
            step["action_dist_inputs"], whole["action_dist_inputs"][:, t : t + 1]
        )
    torch.testing.assert_close(state, whole["state_out"])


@torch.no_grad()
def test_a_state_of_any_structure_is_kept():
    env = GymnasiumPufferEnv(Sampler(Box(-1, 1, (2,)), Discrete(3)))
    module = module_for(env, DictMemory)
    rows = rows_of(env, 4, T)
    first = {
        k: torch.as_tensor(v).expand(4, *v.shape) for k, v in module.get_initial_state().items()
    }
    half = module.forward_inference({"obs": rows[:, :2], "state_in": first})
    rest = module.forward_inference({"obs": rows[:, 2:], "state_in": half["state_out"]})
    whole = module.forward_inference({"obs": rows})
    torch.testing.assert_close(rest["state_out"], whole["state_out"])
    assert [part.dtype for part in whole["state_out"].values()] == [torch.float32, torch.int64]


@torch.no_grad()
def test_continuous_actions_are_converted_to_the_bounds_that_the_space_has():
    class Given(nn.Module):
        """Means 2, 0 and 5."""

        def forward(self, rows):
            mean = torch.tensor([[2.0, 0.0, 5.0]]).expand(len(rows), 3)
            return Normal(mean, torch.full_like(mean, 0.1)), torch.zeros(len(rows), 1)

    low, high = [-10, 0, -math.inf], [10, 8, 4]
    env = GymnasiumPufferEnv(
        Sampler(Box(-1, 1, (2,)), Box(*(torch.tensor(b).numpy() for b in (low, high))))
    )
    module = module_for(env, lambda _: Given())
    output = module.forward_inference({"obs": torch.zeros(1, 2)})
    assert output["actions"].tolist() == [[2, 0, 5]]
    # [-1, 1] becomes the bounds; without one of them, samples are clipped.
    assert output["actions_for_env"].tolist() == [[10, 4, 4]]
    output = module.forward_exploration({"obs": torch.zeros(1, 2)})
    expected = Normal(torch.tensor([[2.0, 0.0, 5.0]]), 0.1).log_prob(output["actions"]).sum(1)
    torch.testing.assert_close(output["action_logp"], expected)


@pytest.mark.parametrize("action_space", [Discrete(5), MultiDiscrete([3, 2])])
@torch.no_grad()
def test_masked_choices_have_probability_zero(action_space):
    observed = Dict(action_mask=Box(0, 1, (5,), np.int8), x=Box(0, 1, (1,), np.float32))
    env = GymnasiumPufferEnv(Sampler(observed, action_space))
    module = module_for(env, functools.partial(MaskedDefault, hidden_size=8))
    legal = np.array([0, 1, 1, 0, 1], np.int8)
    row = env.observation_space.layout.flatten({"action_mask": legal, "x": np.ones(1, np.float32)})
    rows = torch.as_tensor(row).expand(200, -1)
    output = module.forward_exploration({"obs": rows})
    distribution = module.get_exploration_action_dist_cls().from_logits(
        output["action_dist_inputs"]
    )
    actions = distribution.sample().reshape(200, -1)
    expected = [{1, 2, 4}] if isinstance(action_space, Discrete) else [{1, 2}, {1}]
    assert [set(column.tolist()) for column in actions.T] == expected


class WithHeads(nn.Module):
    """A policy of given heads."""

    def __init__(self, make_heads):
        super().__init__()
        self.make_heads = make_heads

    def forward(self, rows):
        return self.make_heads(torch.ones(len(rows), 2)), torch.zeros(len(rows), 1)


@pytest.mark.parametrize(
    ("space", "make_heads", "expected"),
    [
        (Discrete(2), lambda ones: Categorical(probs=ones / 2), [math.log(0.5)] * 2),
        (Box(-1, 1, (2,)), lambda ones: Independent(Normal(ones, ones), 1), [1, 1, 0, 0]),
        (Box(-1, 1, (2,)), lambda ones: [Normal(ones[:, :1], 1)] * 2, [1, 1, 0, 0]),
    ],
    ids=["categorical", "independent normal", "two normals"],
)
def test_other_forms_of_the_same_distributions_are_heads_too(space, make_heads, expected):
    module = module_for(
        GymnasiumPufferEnv(Sampler(Box(-1, 1, (2,)), space)), lambda _: WithHeads(make_heads)
    )
    output = module.forward_inference({"obs": torch.zeros(1, 2)})
    torch.testing.assert_close(output["action_dist_inputs"], torch.tensor([expected]).float())


@pytest.mark.parametrize(
    ("space", "make", "message"),
    [
        (Tuple((Discrete(3), Box(-1, 1, (2,)))), Default, "heads are logits, Normal for Box"),
        (
            Box(0, 1, (2,)),
            lambda _: WithHeads(lambda ones: Beta(ones, ones)),
            "heads are Beta .*puffer train, which takes any",
        ),
        (Discrete(2), lambda _: WithHeads(lambda ones: Normal(ones, ones)), "heads are Normal for"),
        (Discrete(3), lambda _: WithHeads(lambda ones: ones), "have 2 numbers a row; .* takes 3"),
        (
            Box(-1, 1, (3,)),
            lambda _: WithHeads(lambda ones: Normal(ones, ones)),
            "have 4 .* takes 6",
        ),
        (Discrete(2), None, "must be a class or function that makes a policy .* got None"),
        (Discrete(2), nn.Identity(), "must be a class or function .* got Identity"),
        (Discrete(2), lambda env: 1, r"must return a torch\.nn\.Module; got int"),
    ],
    ids=[
        "mixed",
        "beta",
        "normal of choices",
        "few logits",
        "few means",
        "none",
        "a module",
        "no module",
    ],
)
def test_a_policy_that_rllib_has_no_distribution_for_is_refused(space, make, message):
    env = GymnasiumPufferEnv(Sampler(Box(-1, 1, (2,)), space))
    with pytest.raises(ArgumentError, match=message):
        module_for(env, make)


def test_a_squashed_gaussian_is_refused():
    def squashed(env):
        policy = Default(env)
        [heads] = [part for part in policy.modules() if isinstance(part, ActionHeads)]
        heads.set_gaussian("squashed")
        return policy

    with pytest.raises(ArgumentError, match=r"heads are TanhNormal .*'state-dependent'"):
        module_for(emulated(Box(-1, 1, (2,))), squashed)


def test_an_observation_space_that_is_not_flat_is_refused():
    env = Sampler(Dict(a=Discrete(2)), Discrete(2))
    with pytest.raises(ArgumentError, match="Policies take flat observations"):
        module_for(env, Default)


def test_an_action_space_that_is_not_flat_is_refused():
    env = Sampler(Box(-1, 1, (2,)), Dict(a=Discrete(2)))
    with pytest.raises(ArgumentError, match="no distribution for the action space Dict"):
        module_for(env, Default)


def test_layouts_survive_copies_of_the_spaces():
    env = emulated(Discrete(3))
    module = module_for(env, Default)
    for space in (module.observation_space, copy.deepcopy(module.observation_space)):
        assert space.layout.structure == describe(env).observation_layout.structure
