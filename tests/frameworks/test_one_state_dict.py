"""One state_dict gives the same logits, log-probabilities and values in every library."""

import functools

import numpy as np
import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from torch.distributions import Categorical, Normal

from pufferlib import vector
from pufferlib.frameworks import cleanrl, sb3
from pufferlib.models import Default, LSTMWrapper

pytestmark = [
    pytest.mark.leaves_threads,  # RLlib and TorchRL import Ray, whose allocator has one
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]
B, WIDTH = 64, 8
OBSERVATION = Dict(place=Box(-1, 1, (2,), np.float32), picture=Box(0, 255, (3, 2), np.uint8))
ACTIONS = {
    "discrete": Discrete(4),
    "multi-discrete": MultiDiscrete([3, 2]),
    "continuous": Box(-1, 1, (2,), np.float32),
}


def creator(env, memory):
    policy = Default(env, hidden_size=WIDTH)
    return LSTMWrapper(env, policy) if memory else policy


def parts_of(heads):
    """Return (B, columns): logits, or means and logarithms of standard deviations."""
    heads = list(heads) if isinstance(heads, list | tuple) else [heads]
    if isinstance(heads[0], Normal):
        heads = [head.mean for head in heads] + [head.stddev.log() for head in heads]
    return torch.cat(heads, 1)


def log_probabilities_of(parts, actions, space):
    """Return those of torch's own distributions."""
    if isinstance(space, Box):
        means, logarithms = parts.chunk(2, 1)
        return Normal(means, logarithms.exp()).log_prob(actions).sum(1)
    columns = parts.split([space.n] if isinstance(space, Discrete) else space.nvec.tolist(), 1)
    chosen = actions.reshape(B, -1).unbind(1)
    pairs = zip(columns, chosen, strict=True)
    return sum(Categorical(logits=column).log_prob(choice) for column, choice in pairs)


def of_cleanrl(envs, make, state, rows, actions, memory):
    policy = make(envs)
    policy.load_state_dict(state)
    if not memory:
        _, log_probabilities, _, values = cleanrl.Policy(policy)(rows, actions)
        return parts_of(policy(rows)[0]), log_probabilities, values
    agent = cleanrl.LSTMPolicy(policy)
    zeros = torch.zeros(1, B, WIDTH)
    result = agent.get_action_and_value(rows, (zeros, zeros), torch.ones(B), actions)
    return parts_of(policy(rows)[0]), result[1], result[3]


def of_sb3(envs, make, state, rows, actions, memory):
    form = sb3.RecurrentPolicy if memory else sb3.Policy
    spaces = envs.single_observation_space, envs.single_action_space
    policy = form(*spaces, lambda _: 1e-3, policy_creator=make)
    policy.network.load_state_dict(state)
    zeros = torch.zeros(1, B, WIDTH)
    packed, starts = RNNStates((zeros, zeros), (zeros, zeros)), torch.ones(B)
    more = (packed, starts) if memory else ()
    values, log_probabilities, _ = policy.evaluate_actions(rows, actions, *more)
    found = policy.get_distribution(rows, *((packed.pi, starts) if memory else ()))
    heads = found[0].heads if memory else found.heads
    return parts_of(heads), log_probabilities, values


def of_rllib(envs, make, state, rows, actions, memory):
    rllib = pytest.importorskip("pufferlib.frameworks.rllib", exc_type=ImportError)
    module = rllib.PufferRLModule(
        observation_space=envs.single_observation_space,
        action_space=envs.single_action_space,
        model_config={"policy_creator": make, "max_seq_len": 1},
    )
    module.policy.load_state_dict(state)
    batch = {"obs": rows}
    if memory:
        begin = module.get_initial_state().items()
        states = {key: torch.as_tensor(part).expand(B, 1, WIDTH) for key, part in begin}
        batch = {"obs": rows[:, None], "state_in": states}
    output = module.forward_train(batch)
    heads = output["action_dist_inputs"].reshape(B, -1)
    distribution = module.get_train_action_dist_cls().from_logits(heads)
    values = module.compute_values(batch, output["embeddings"])
    return heads, distribution.logp(actions), values.reshape(B, 1)


def of_torchrl(envs, make, state, rows, actions, memory):
    pytest.importorskip("torchrl")
    from pufferlib.frameworks import torchrl

    policy = make(envs)
    policy.load_state_dict(state)
    networks = torchrl.actor_critic(policy, envs)
    data = torchrl.make_env(envs, policy).reset()  # has the keys of the state
    data["observation"] = rows
    distribution = networks.get_policy_operator().get_dist(data)
    values = networks.get_value_operator()(data)["state_value"]
    heads = data["logits"] if "logits" in data else parts_of(Normal(data["loc"], data["scale"]))
    return heads, distribution.log_prob(actions), values


@pytest.mark.parametrize("memory", [False, True], ids=["stateless", "lstm"])
@pytest.mark.parametrize("space", ACTIONS.values(), ids=ACTIONS)
@pytest.mark.parametrize("numbers", [of_cleanrl, of_sb3, of_rllib, of_torchrl])
@torch.no_grad()
def test_numbers_are_those_of_the_policy_itself(numbers, space, memory, tmp_path):
    space.seed(1)
    envs = vector.make(Sampler, [OBSERVATION, space], num_envs=B)
    torch.manual_seed(1)
    make = functools.partial(creator, memory=memory)
    policy = make(envs)
    for parameter in policy.parameters():  # far from uniform
        torch.nn.init.normal_(parameter, std=0.5)
    torch.save(policy.state_dict(), tmp_path / "policy.pt")
    rows = torch.as_tensor(envs.reset(seed=0)[0].copy())
    actions = torch.as_tensor(np.stack([space.sample() for _ in range(B)]))
    heads, values, *_ = policy(rows)
    expected = parts_of(heads), log_probabilities_of(parts_of(heads), actions, space), values
    state = torch.load(tmp_path / "policy.pt", weights_only=True)
    found = numbers(envs, make, state, rows, actions, memory)
    envs.close()
    for actual, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-6, atol=1e-6)
