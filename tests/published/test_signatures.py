"""What the API reference of 1.0 lists can be called as it is listed there."""

import contextlib
import importlib
import inspect

import pytest
from environments import Countdown, Population

from pufferlib import emulation, vector

PUBLISHED = [
    "",
    "emulation.GymnasiumPufferEnv(env=None, env_creator=None, env_args, env_kwargs)",
    "emulation.GymnasiumPufferEnv.seed(seed)",
    "emulation.GymnasiumPufferEnv.reset(seed=None)",
    "emulation.GymnasiumPufferEnv.step(action)",
    "emulation.GymnasiumPufferEnv.render()",
    "emulation.GymnasiumPufferEnv.close()",
    "emulation.PettingZooPufferEnv(env=None, env_creator=None, env_args, env_kwargs, to_puffer)",
    "emulation.PettingZooPufferEnv.observation_space(agent)",
    "emulation.PettingZooPufferEnv.action_space(agent)",
    "emulation.PettingZooPufferEnv.reset(seed=None)",
    "emulation.PettingZooPufferEnv.step(actions)",
    "emulation.PettingZooPufferEnv.render()",
    "emulation.PettingZooPufferEnv.close()",
    "environments.ocean.make_env(name)",
    "environments.ocean.env_creator(name)",
    "environments.ocean.torch.Policy(env)",
    "models.Default(env)",
    "models.Default.forward(observations)",
    "models.Default.encode_observations(observations)",
    "models.Default.decode_actions(hidden, lookup, concat)",
    "models.LSTMWrapper(env, policy, input_size, hidden_size, num_layers=1)",
    "models.LSTMWrapper.forward(x, state)",
    "models.Convolutional(env, *, framestack, flat_size)",
    "models.Convolutional.forward(observations)",
    "models.Convolutional.encode_observations(observations)",
    "models.Convolutional.decode_actions(flat_hidden, lookup, concat=None)",
    "models.ProcgenResnet(env, cnn_width=16, mlp_width=256)",
    "models.ProcgenResnet.forward(observations)",
    "models.ProcgenResnet.encode_observations(x)",
    "models.ProcgenResnet.decode_actions(hidden, lookup)",
    "models.ResidualBlock(channels)",
    "models.ResidualBlock.forward(x)",
    "models.ConvSequence(input_shape, out_channels)",
    "models.ConvSequence.forward(x)",
    "models.ConvSequence.get_output_shape()",
    "vector.make(env_creator_or_creators, env_args=None, env_kwargs=None, backend, **kwargs)",
    "vector.make(env_creator_or_creators, env_args, env_kwargs, backend, num_envs=1)",
    "vector.Serial(env_creators, env_args, env_kwargs, num_envs, **kwargs)",
    "vector.Serial.reset(seed=42)",
    "vector.Serial.step(actions)",
    "vector.Serial.async_reset(seed=42)",
    "vector.Serial.send(actions)",
    "vector.Serial.recv()",
    "vector.Serial.close()",
    "vector.Multiprocessing(env_creators, env_args, env_kwargs, num_envs, **kwargs)",
    "vector.Multiprocessing.reset(seed=42)",
    "vector.Multiprocessing.step(actions)",
    "vector.Multiprocessing.recv()",
    "vector.Multiprocessing.send(actions)",
    "vector.Multiprocessing.async_reset(seed=42)",
    "vector.Multiprocessing.close()",
    "vector.Ray(env_creators, env_args, env_kwargs, num_envs, **kwargs)",
    "vector.Ray.reset(seed=42)",
    "vector.Ray.step(actions)",
    "vector.Ray.recv()",
    "vector.Ray.send(actions)",
    "vector.Ray.async_reset(seed=42)",
    "vector.Ray.close()",
    "frameworks.cleanrl.Policy(policy)",
    "frameworks.cleanrl.Policy.get_value(x, state=None)",
    "frameworks.cleanrl.Policy.get_action_and_value(x, action=None)",
    "frameworks.cleanrl.Policy.forward(x, action=None)",
    "frameworks.cleanrl.RecurrentPolicy(policy)",
    "frameworks.cleanrl.RecurrentPolicy.get_value(x, state=None)",
    "frameworks.cleanrl.RecurrentPolicy.get_action_and_value(x, state=None, action=None)",
    "frameworks.cleanrl.RecurrentPolicy.forward(x, state=None, action=None)",
    "vectorization.Serial(env_creator, env_args, env_kwargs, num_workers, envs_per_worker)",
    "vectorization.Multiprocessing(env_creator, num_envs, num_workers, envs_per_worker)",
    "vectorization.Ray(env_creator, num_envs, num_workers, envs_per_worker)",
    "vectorization.RayVecEnv(binding, num_workers, envs_per_worker)",
    "emulation.GymPufferEnv(env=None, env_creator=None)",
    "emulation.Binding(env_cls, env_name)",
    "emulation.unpack_batched_obs(env_outputs, flat_observation_space)",
    "frameworks.cleanrl.CleanRL(policy)",
    "models.Recurrent(policy)",
    "",
][1:-1]
# A network's input is given by position, and every network names it as it likes.
INPUTS = {"x", "flat_hidden", "env_outputs"}
ATTRIBUTES = [
    "emulation.GymnasiumPufferEnv.render_mode",
    "emulation.PettingZooPufferEnv.render_mode",
    "emulation.PettingZooPufferEnv.agents",
    "emulation.PettingZooPufferEnv.done",
    "frameworks.cleanrl.RecurrentPolicy.lstm",
]


def find(path):
    found = importlib.import_module("pufferlib")
    for name in path.split("."):
        if not hasattr(found, name):
            importlib.import_module(f"{found.__name__}.{name}")
        found = getattr(found, name)
    return found


def parse(signature):
    """Return the path of a callable, and its parameters: texts such as "seed=42" and "**kwargs"."""
    path, _, rest = signature.rstrip(")").partition("(")
    return path, [part for part in rest.split(", ") if part]


@pytest.mark.parametrize("signature", PUBLISHED)
def test_a_published_signature_is_accepted(signature):
    path, published = parse(signature)
    today = inspect.signature(find(path))
    is_method = "self" in today.parameters
    names = [part.partition("=")[0] for part in published if not part.startswith("*")]
    keyword_only = names[published.index("*") :] if "*" in published else []
    by_position = [name for name in names if name not in keyword_only]
    today.bind(*["self"] * is_method, *by_position, **dict.fromkeys(keyword_only))
    own = [name for name in names if name not in INPUTS]
    given = today.bind(*["self"] * is_method, *names[: len(names) - len(own)], **dict.fromkeys(own))
    assert set(own) <= given.arguments.keys()  # none is among the **kwargs
    kinds = {each.kind for each in today.parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD in kinds or "**kwargs" not in published
    for name, default in (part.split("=") for part in published if "=" in part):
        assert str(today.parameters[name].default) == default


@pytest.mark.parametrize("path", ATTRIBUTES)
def test_a_published_property_is_there(path):
    assert inspect.isdatadescriptor(find(path))


def test_published_properties_of_instances_are_there():
    bare = Population()
    assert emulation.PettingZooPufferEnv(Population()).possible_agents == bare.possible_agents
    for backend in (vector.Serial, vector.Multiprocessing):
        with contextlib.closing(backend(Countdown, num_envs=2, num_workers=1)) as envs:
            assert envs.num_envs == 2


@pytest.mark.parametrize("option", ["num_workers", "batch_size", "zero_copy"])
def test_workers_take_the_published_options(option):
    assert option in find("vector.VectorOptions").names()
    assert option in find("vector.RayOptions").names()
