"""The snippets of the published guides run, with the slips of the guides fixed.

Each test is a snippet: 0.2 (the announcement), 0.4 to 0.7 (the user guide), 1.0 (the API
reference). The classes that stand for `nmmo.Env` take seconds less to make.
"""

import functools

import numpy as np
import pytest
import torch
from environments import Population, Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple
from torch import nn

MIXED = Dict(image=Box(0, 255, (4, 4), np.uint8), numbers=Box(-1, 1, (3,), np.float32))
ACTIONS = Tuple((Discrete(3), Discrete(2)))
make_sampler = functools.partial(Sampler, MIXED, ACTIONS)


def make_emulated():
    import pufferlib.emulation

    return pufferlib.emulation.GymPufferEnv(env_creator=make_sampler)


def make_population():
    import pufferlib.emulation

    return pufferlib.emulation.PettingZooPufferEnv(env_creator=Population)


@pytest.mark.long
def test_nethack_and_neural_mmo_are_emulated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # Neural MMO writes its maps there
    import pufferlib.emulation

    nle = pytest.importorskip("nle")
    nmmo = pytest.importorskip("nmmo")
    nethack = pufferlib.emulation.GymPufferEnv(env_creator=nle.env.NLE)
    neural_mmo = pufferlib.emulation.PettingZooPufferEnv(env_creator=nmmo.Env)
    assert nethack.observation_space.contains(nethack.reset(seed=0)[0])
    observations, _ = neural_mmo.reset(seed=0)
    for agent, observation in observations.items():
        assert neural_mmo.observation_space(agent).contains(observation)
    nethack.close()

    binding = pufferlib.emulation.Binding(
        env_cls=nmmo.Env,
        env_name="Neural MMO",
    )
    assert binding.single_observation_space == neural_mmo.single_observation_space


@pytest.mark.parametrize("make", [make_emulated, make_population])
@pytest.mark.parametrize("backend", ["Serial", "Multiprocessing"])
def test_both_ways_to_step_a_vectorizer_give_four_results(backend, make):
    import pufferlib.vectorization

    envs = getattr(pufferlib.vectorization, backend)(make, num_envs=2, num_workers=2)
    actions = np.zeros_like(envs.action_space.sample())

    # Synchronous vectorization
    obs = envs.reset(seed=42)
    first = obs.copy()
    obs, rewards, dones, infos = envs.step(actions)
    assert isinstance(infos, list)
    second = obs.copy(), rewards.copy()

    # Asynchronous vectorization
    envs.async_reset(42)
    obs, rewards, dones, _ = envs.recv()
    np.testing.assert_array_equal(obs, first)
    assert not rewards.any()
    assert not dones.any()
    envs.send(actions)
    obs, rewards, _, _ = envs.recv()
    np.testing.assert_array_equal(obs, second[0])
    np.testing.assert_array_equal(rewards, second[1])
    envs.close()


class LinearPolicy(nn.Module):
    """The policy that the guide writes; it works with any environment with several actions."""

    def __init__(self, envs, input_size=128, hidden_size=128):
        super().__init__()
        size = np.prod(envs.single_observation_space.shape)
        self.encoder = nn.Linear(size, hidden_size)
        self.decoders = nn.ModuleList(
            [nn.Linear(hidden_size, n) for n in envs.single_action_space.nvec]
        )
        self.value_head = nn.Linear(hidden_size, 1)

    def forward(self, env_outputs):
        env_outputs = env_outputs.reshape(env_outputs.shape[0], -1).float()
        hidden = self.encoder(env_outputs)
        actions = [dec(hidden) for dec in self.decoders]
        value = self.value_head(hidden)
        return actions, value


def test_a_vanilla_policy_is_wrapped_for_cleanrl():
    import pufferlib.frameworks.cleanrl
    import pufferlib.vectorization

    envs = pufferlib.vectorization.Serial(make_emulated, num_envs=2, num_workers=2)
    policy = pufferlib.frameworks.cleanrl.CleanRL(LinearPolicy(envs))
    obs = torch.as_tensor(envs.reset(seed=42))
    action, logprob, entropy, value = policy.get_action_and_value(obs)
    assert MultiDiscrete([3, 2]).contains(action[0].numpy())
    assert (logprob.shape, entropy.shape, value.shape) == ((2,), (2,), (2, 1))
    envs.step(action.numpy())


def test_the_default_policy_is_wrapped_for_cleanrl():
    import pufferlib.frameworks.cleanrl
    import pufferlib.models
    import pufferlib.vectorization

    envs = pufferlib.vectorization.Serial(make_emulated, num_envs=2, num_workers=2)
    policy = pufferlib.models.Default(envs)
    policy = pufferlib.frameworks.cleanrl.CleanRL(policy)
    assert policy.get_value(torch.as_tensor(envs.reset(seed=42))).shape == (2, 1)


def test_a_recurrent_policy_plays_nethack():
    pytest.importorskip("nle")
    import pufferlib.frameworks.cleanrl
    import pufferlib.models
    import pufferlib.registry.nethack
    import pufferlib.vectorization

    make_env = pufferlib.registry.nethack.make_env
    envs = pufferlib.vectorization.Serial(env_creator=make_env, num_workers=2, envs_per_worker=2)

    policy = pufferlib.registry.nethack.Policy(envs)
    policy = pufferlib.models.Recurrent(policy)
    policy = pufferlib.frameworks.cleanrl.Policy(policy)

    # Standard environment loop
    obs = envs.reset(seed=42)
    for _ in range(8):
        actions = policy.get_action_and_value(torch.Tensor(obs))[0].numpy()
        obs, reward, done, info = envs.step(actions)
    assert (len(obs), reward.shape, done.shape, type(info)) == (4, (4,), (4,), list)
    envs.close()


def test_a_policy_unflattens_what_it_observes():
    import pufferlib.emulation
    import pufferlib.vectorization

    class Policy(LinearPolicy):
        def __init__(self, envs):
            super().__init__(envs)
            self.envs = envs
            self.encoder = nn.Linear(16 + 3, 128)

        def forward(self, env_outputs):
            env_outputs = pufferlib.emulation.unpack_batched_obs(
                env_outputs, self.envs.flat_observation_space
            )
            self.seen = env_outputs
            parts = [env_outputs["image"].flatten(1).float(), env_outputs["numbers"]]
            return super().forward(torch.cat(parts, 1))

    envs = pufferlib.vectorization.Serial(make_emulated, num_envs=2, num_workers=2)
    policy = Policy(envs)
    policy(torch.as_tensor(envs.reset(seed=42)))
    for row in range(2):  # environment i has the seed 42 + i
        bare = make_sampler().reset(seed=42 + row)[0]
        for key, value in bare.items():
            np.testing.assert_array_equal(policy.seen[key][row].numpy(), value)


def test_the_policy_of_a_1_0_environment_is_the_default_one():
    import pufferlib.environments.ocean

    import pufferlib.models

    env = pufferlib.environments.ocean.make_env("squared")
    policy = pufferlib.environments.ocean.torch.Policy
    assert policy is pufferlib.environments.ocean.Policy is pufferlib.models.Default
    assert pufferlib.environments.ocean.env_creator("squared")().num_agents == env.num_agents
