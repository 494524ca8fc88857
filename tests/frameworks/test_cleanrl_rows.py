"""The loop of CleanRL's scripts runs over every kind of vectorizer, with the policy's numbers."""

import gymnasium
import numpy as np
import pytest
import torch
from environments import Population
from sb3_environments import OneLegal

from pufferlib import vector
from pufferlib.frameworks.cleanrl import Policy
from pufferlib.models import Default
from pufferlib.policies.masked import MaskedDefault
from pufferlib.registry import ocean

WORKERS = {"backend": vector.Multiprocessing, "num_workers": 2}
VECTORIZERS = {
    "pettingzoo": (Population, [], {}, Default),
    "native": (ocean.make_env, ["squared"], {}, Default),
    "workers": (gymnasium.make, ["CartPole-v1"], WORKERS, Default),
    "legal actions": (OneLegal, [], {}, MaskedDefault),  # an illegal one raises
}


@pytest.mark.parametrize(
    ("creator", "args", "options", "form"), VECTORIZERS.values(), ids=VECTORIZERS
)
@torch.no_grad()
def test_a_rollout_is_evaluated_like_its_steps(creator, args, options, form):
    torch.manual_seed(0)
    envs = vector.to_gymnasium(vector.make(creator, args, num_envs=4, **options))
    agent = Policy(form(envs))
    x = torch.Tensor(envs.reset(seed=1)[0])
    shape = (24, envs.num_envs)
    observations = torch.zeros(shape + envs.single_observation_space.shape)
    actions, log_probabilities, are_there = torch.zeros(shape), torch.zeros(shape), []
    for t in range(24):
        observations[t] = x
        are_there.append(envs.masks)
        actions[t], log_probabilities[t], _, value = agent.get_action_and_value(x)
        assert torch.equal(agent.get_value(x), value)
        x = torch.Tensor(envs.step(actions[t].long().numpy())[0])
    envs.close()
    chosen = torch.tensor(np.array(are_there))  # (24, num_envs), as the docs leave rows out
    assert chosen.all() == (creator is not Population)
    assert not observations[~chosen].any()
    found = agent.get_action_and_value(observations[chosen], actions[chosen])[1]
    torch.testing.assert_close(found, log_probabilities[chosen])
