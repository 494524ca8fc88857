"""The policy of a run: which one, its arguments, its memory, its weights."""

import functools
import math
from contextlib import closing

import gymnasium
import numpy as np
import pytest
import torch
from environments import Sampler
from torch import nn

from pufferlib import emulation, registry, vector
from pufferlib.config import PolicyConfig
from pufferlib.distributions import TanhNormal
from pufferlib.exceptions import ArgumentError, NotInstalledError, SettingError, UnknownNameError
from pufferlib.models import (
    ActionHeads,
    Default,
    GRUWrapper,
    LSTMWrapper,
    NormalizedObservations,
)
from pufferlib.policies import POLICIES
from pufferlib.pytorch import action_converter
from pufferlib.runs.policy import check_policy, make_policy, policy_class

MINE = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self, env, hidden_size=8, depth=1, *, scale=1.0):
        super().__init__()
        self.hidden_size, self.depth, self.scale = hidden_size, depth, scale
        self.encoder = nn.Linear(4, hidden_size)
        self.decoder = nn.Linear(hidden_size, 2)
        self.value = nn.Linear(hidden_size, 1)

    def forward(self, observations):
        return self.decode_actions(*self.encode_observations(observations))

    def encode_observations(self, observations):
        return torch.tanh(self.encoder(observations)), None

    def decode_actions(self, hidden, lookup):
        return self.decoder(hidden), self.value(hidden)

class Whole(nn.Module):
    def __init__(self, env):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, observations):
        found = self.layer(observations)
        return found[:, :2], found[:, 2:]

class Remembering(Whole):
    state_batch_dim = 0

    def initial_state(self, rows, device=None):
        return torch.zeros(rows, 3, device=device)

    def forward(self, observations, state=None, starts=None):
        raise NotImplementedError

class Taking(Whole):
    def __init__(self, env, **kwargs):
        super().__init__(env)
        self.kwargs = kwargs

def make_number(env):
    return 3

instance = Whole(None)
number = 3
"""


@pytest.fixture(scope="module")
def vecenv():
    creator = functools.partial(emulation.GymnasiumPufferEnv, env_creator=cartpole)
    with closing(vector.make(creator, num_envs=3, backend="Serial")) as vecenv:
        yield vecenv


def cartpole():
    return gymnasium.make("CartPole-v1")


@pytest.fixture
def mine(tmp_path):
    """Return a function that returns the reference to a policy in a file."""
    path = tmp_path / "policy_of_mine.py"
    path.write_text(MINE)
    return lambda name: f"{path}:{name}"


def made(vecenv, seed=1, given=(), **settings):
    return make_policy(PolicyConfig(**settings), Default, vecenv, seed, given)


def outputs(policy, vecenv):
    """Return the output of a policy for a batch of each row; actions are two logits."""
    observations = torch.tensor(vecenv.reset(0)[0])
    heads, value, *state = policy(observations)
    assert (heads.shape, value.shape) == ((3, 2), (3, 1))
    return heads, value, *state


def test_without_a_name_the_policy_is_that_of_the_environment(vecenv):
    policy = made(vecenv)
    assert type(policy) is NormalizedObservations  # Default asks for it
    assert type(policy.policy) is Default
    assert policy.policy.hidden_size == PolicyConfig().hidden_size
    assert type(made(vecenv, normalize_observations=False)) is Default
    outputs(policy, vecenv)


@pytest.mark.parametrize("name", ["auto", "default", "masked"])
def test_the_value_has_layers_of_its_own_unless_the_settings_share_them(vecenv, name):
    outputs_of = {}
    for critic in ("separate", "shared"):
        policy = made(vecenv, name=name, critic=critic, normalize_observations=False)
        _, value = outputs(policy, vecenv)
        value.sum().backward()
        outputs_of[critic] = policy.encoder[0].weight.grad
    assert outputs_of["separate"] is None  # the gradient of the value does not reach the actions'
    assert outputs_of["shared"].abs().sum() > 0


def test_a_policy_with_a_method_of_that_name_is_not_normalized(vecenv, mine, monkeypatch):
    name = mine("Mine")
    assert not isinstance(made(vecenv, name=name), NormalizedObservations)
    own = policy_class(name)
    monkeypatch.setattr(own, "normalize_observations", lambda self: None, raising=False)
    assert type(made(vecenv, name=name)).__name__ == "Mine"
    monkeypatch.setattr(own, "normalize_observations", True)
    assert isinstance(made(vecenv, name=name), NormalizedObservations)


def test_with_a_memory_the_value_shares_the_layers(vecenv):
    settings = {"name": "default", "normalize_observations": False}
    assert made(vecenv, memory="lstm", **settings).policy.critic is None
    with pytest.raises(SettingError, match=r"critic must be 'shared' with policy.memory 'gru'"):
        made(vecenv, memory="gru", critic="separate", given=["policy.critic"], **settings)


def test_a_critic_is_refused_by_policies_that_do_not_take_it(vecenv, mine):
    assert made(vecenv, name="mlp", critic="shared") is not None  # from a preset
    for name in ("mlp", mine("Mine")):
        with pytest.raises(SettingError, match=r"policy.critic has no effect: .* no argument crit"):
            made(vecenv, name=name, critic="shared", given=["policy.critic"])


@pytest.mark.parametrize("name", POLICIES)
def test_every_name_is_that_of_a_class_or_function(name):
    assert callable(policy_class(name))


def test_a_policy_of_two_networks_acts_and_has_no_memory(vecenv):
    outputs(made(vecenv, name="mlp", hidden_size=16, kwargs={"layers": 3}), vecenv)
    with pytest.raises(ArgumentError, match=r"MLP has no method encode_obs.*--policy.memory none"):
        check_policy(PolicyConfig(name="mlp", memory="lstm"), Default)


@pytest.mark.parametrize("name", ["auto", "default"])
@pytest.mark.parametrize("memory", ["none", "lstm", "gru"])
def test_named_policies_act_with_every_memory(vecenv, name, memory):
    policy = made(vecenv, name=name, memory=memory, hidden_size=16)
    wrapper = {"lstm": LSTMWrapper, "gru": GRUWrapper}.get(memory)
    assert wrapper is None or type(policy) is wrapper
    assert len(outputs(policy, vecenv)) == (2 if wrapper is None else 3)
    assert policy.hidden_size == 16


@pytest.mark.parametrize("name", ["cnn", "impala"])
def test_policies_of_pictures_say_that_there_are_none(vecenv, name):
    with pytest.raises(ArgumentError, match="Box"):
        made(vecenv, name=name)


def test_a_policy_is_named_by_file_or_module(vecenv, mine, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for name in (mine("Mine"), "policy_of_mine:Mine"):
        policy = made(vecenv, name=name)
        assert (type(policy).__name__, policy.hidden_size) == ("Mine", 128)
        outputs(policy, vecenv)
    for memory in ("lstm", "gru"):
        policy = made(vecenv, name=mine("Mine"), memory=memory, hidden_size=9)
        assert (type(policy.policy).__name__, policy.hidden_size) == ("Mine", 9)
        outputs(policy, vecenv)


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("defualt", UnknownNameError, "no policy 'defualt'. Did you mean 'default'.* or file.py:"),
        ("torch.nn:Linaer", UnknownNameError, "no attribute 'Linaer'. Did you mean .*Linear"),
        ("no_such_module:Mine", UnknownNameError, "no module 'no_such_module'"),
        ("no_such_file.py:Mine", UnknownNameError, "There is no file .*no_such_file.py"),
        ("no_such_file.py", ArgumentError, "names a file but nothing in it"),
    ],
)
def test_a_wrong_name_says_what_is_allowed(name, error, match):
    with pytest.raises(error, match=match):
        policy_class(name)


def test_a_file_that_needs_a_missing_package_says_so(tmp_path):
    path = tmp_path / "needing.py"
    path.write_text("import is_not_here\n")
    with pytest.raises(NotInstalledError, match="imports is_not_here, which is not installed"):
        policy_class(f"{path}:Mine")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("instance", "instance is an instance of Whole. Name its class"),
        ("number", "number is an instance of int. Name its class"),
    ],
)
def test_what_makes_no_policy_is_refused_by_name(mine, name, match):
    with pytest.raises(SettingError, match=match):
        policy_class(mine(name))


def test_what_is_no_module_is_refused(vecenv, mine):
    name = mine("make_number")
    with pytest.raises(SettingError, match=r"must make a torch.nn.Module; .* an instance of int"):
        made(vecenv, name=name)


def test_arguments_are_passed_and_others_refused_with_a_suggestion(vecenv, mine):
    policy = made(vecenv, name=mine("Mine"), kwargs={"depth": 3, "scale": 0.5})
    assert (policy.depth, policy.scale) == (3, 0.5)
    for kwargs, match in (
        ({"dept": 3}, "policy.kwargs.dept is not an argument of .*:Mine. Did you mean 'depth'"),
        (
            {"env": 3},
            "policy.kwargs.env is not an argument of .* arguments: hidden_size, depth",
        ),
        ({"hidden_size": 3}, "hidden_size is the setting policy.hidden_size. Use --policy.hidden-"),
    ):
        with pytest.raises(SettingError, match=match):
            check_policy(PolicyConfig(name=mine("Mine"), kwargs=kwargs), Default)
    with pytest.raises(SettingError, match=r"depth is not an argument of .* Its arguments: none"):
        check_policy(PolicyConfig(name=mine("Whole"), kwargs={"depth": 3}), Default)
    with pytest.raises(SettingError, match="width is not an argument of Default"):
        check_policy(PolicyConfig(kwargs={"width": 3}), Default)
    policy = made(vecenv, name=mine("Taking"), kwargs={"anything": 3})
    assert policy.kwargs == {"hidden_size": 128, "anything": 3}


def test_the_width_is_passed_where_it_is_an_argument_and_else_refused_if_given(vecenv, mine):
    assert made(vecenv, name=mine("Mine"), hidden_size=9).hidden_size == 9
    outputs(made(vecenv, name=mine("Whole"), hidden_size=9), vecenv)  # of a preset
    settings = PolicyConfig(name=mine("Whole"), hidden_size=9)
    with pytest.raises(
        SettingError, match=r"hidden_size has no effect: .*:Whole takes no argument .* Leave it out"
    ):
        check_policy(settings, Default, {"policy.hidden_size"})
    with pytest.raises(SettingError, match=r"policy\.hidden_size has no effect"):
        make_policy(settings, Default, vecenv, 1, {"policy.hidden_size"})


@pytest.mark.parametrize("memory", ["lstm", "gru"])
@pytest.mark.parametrize("is_normalized", [False, True])
def test_a_policy_that_cannot_have_a_memory_says_what_to_write(vecenv, mine, memory, is_normalized):
    match = "Whole has no method encode_observations. .*--policy.memory none"
    with pytest.raises(ArgumentError, match=match):
        made(vecenv, name=mine("Whole"), memory=memory, normalize_observations=is_normalized)


def test_a_policy_with_its_own_memory_gets_no_other(vecenv, mine):
    name = mine("Remembering")
    of_preset = {"memory": "lstm", "normalize_observations": True}
    assert type(made(vecenv, name=name, **of_preset)).__name__ == "Remembering"
    for setting in of_preset:
        given = f"policy.{setting}"
        with pytest.raises(
            SettingError, match=f"{given} is for policies without memory; Remembering has its own"
        ):
            made(vecenv, name=name, given={given}, **of_preset)
    made(vecenv, name=name, given={"policy.memory"}, memory="none")


def test_observations_are_normalized_before_policy_and_memory(vecenv, mine):
    policy = made(vecenv, name=mine("Whole"), normalize_observations=True)
    assert type(policy) is NormalizedObservations
    policy = made(vecenv, name=mine("Mine"), normalize_observations=True, memory="gru")
    assert (type(policy), type(policy.policy)) == (GRUWrapper, NormalizedObservations)
    observed = torch.tensor(np.full((1, 3, 4), 7, np.float32))
    policy.observe(observed, torch.ones(1, 3, dtype=torch.bool))
    assert policy.policy.mean.tolist() == pytest.approx([7] * 4, abs=0.01)


def test_bytes_are_not_normalized():
    source = registry.resolve("performance")
    with closing(vector.make(source.creator(), num_envs=1, backend="Serial")) as vecenv:
        if np.issubdtype(vecenv.single_observation_space.dtype, np.floating):
            pytest.skip("its observations are floats")
        assert type(made(vecenv)) is Default
        with pytest.raises(ArgumentError, match="Only float observations can be normalized"):
            made(vecenv, normalize_observations=True)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, False),
        (-1.0, 1.0, False),
        (-1.0, np.inf, True),
        (-0.07, 0.07, True),  # a speed of MountainCar
        (np.array([-1, -8]), np.array([1, 8]), True),
    ],
)
def test_floats_are_normalized_unless_their_bounds_are_1(low, high, expected):
    shape = (2,) if np.ndim(low) == 0 else None
    env = emulation.GymnasiumPufferEnv(Sampler(gymnasium.spaces.Box(low, high, shape)))
    assert isinstance(made(env), NormalizedObservations) == expected
    assert isinstance(made(env, normalize_observations=True), NormalizedObservations)


@pytest.mark.parametrize("memory", ["none", "lstm", "gru"])
def test_the_seed_draws_the_weights_and_torchs_generator_is_left_as_it_was(vecenv, mine, memory):
    def weights(seed):
        policy = made(vecenv, seed, name=mine("Mine"), memory=memory)
        return nn.utils.parameters_to_vector(policy.parameters())

    policy_class(mine("Mine"))  # this file draws numbers as it is loaded
    before = torch.get_rng_state()
    first = weights(1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert torch.equal(weights(1), first)
    assert not torch.equal(weights(2), first)


def test_a_policy_that_cannot_be_called_is_refused_before_anything_starts():
    def needs_more(env, layers):
        raise AssertionError

    def takes_nothing():
        raise AssertionError

    for make, match in ((needs_more, "missing a required argument: 'layers'"), (takes_nothing, "")):
        with pytest.raises(SettingError, match=f"cannot be called with an environment.*{match}"):
            check_policy(PolicyConfig(), make)


@pytest.mark.parametrize("memory", ["none", "lstm"])
def test_actions_are_rescaled_unless_the_settings_say_otherwise(memory):
    env = emulation.GymnasiumPufferEnv(gymnasium.make("Pendulum-v1"))
    for rescale, expected in ((True, [1.0]), (False, [0.5])):
        settings = PolicyConfig(memory=memory, rescale_actions=rescale)
        policy = make_policy(settings, Default, env, seed=0)
        rows = action_converter(env, policy)(torch.tensor([[0.5]]), torch.zeros(1, 1))
        assert rows.tolist() == [expected]
    env.close()


@pytest.mark.parametrize("gaussian", ["independent", "state-dependent", "squashed"])
@pytest.mark.parametrize("name", ["default", "mlp"])
def test_the_settings_choose_the_gaussian_of_continuous_actions(name, gaussian):
    env = emulation.GymnasiumPufferEnv(gymnasium.make("Pendulum-v1"))
    settings = PolicyConfig(name=name, gaussian=gaussian, normalize_observations=False)
    policy = make_policy(settings, Default, env, seed=0)
    names = {name for name, _ in policy.named_parameters()}
    assert ("decoder.log_std" in names) == (gaussian == "independent")
    heads, _ = policy(torch.zeros(2, 3))
    assert isinstance(heads[0], TanhNormal) == (gaussian == "squashed")
    env.close()


@pytest.mark.parametrize(("initial_std", "expected"), [(None, 2.0), (0.25, 0.25)])
@pytest.mark.parametrize("gaussian", [None, "state-dependent"])
def test_the_settings_choose_the_initial_standard_deviation(gaussian, initial_std, expected):
    def wide(env):
        policy = Default(env)
        policy.decoder = ActionHeads(env, policy.hidden_size, initial_std=2.0)
        return policy

    env = emulation.GymnasiumPufferEnv(gymnasium.make("Pendulum-v1"))
    settings = PolicyConfig(
        gaussian=gaussian, initial_std=initial_std, normalize_observations=False
    )
    policy = make_policy(settings, wide, env, seed=0)
    heads, _ = policy(torch.zeros(2, 3))
    torch.testing.assert_close(heads[0].scale, torch.full((2, 1), expected))
    assert hasattr(policy.decoder, "log_std_layer") == (gaussian == "state-dependent")
    env.close()


def test_an_initial_standard_deviation_keeps_the_gaussian_of_a_policy():
    def squashed(env):
        policy = Default(env)
        policy.decoder.set_gaussian("squashed")
        return policy

    env = emulation.GymnasiumPufferEnv(gymnasium.make("Pendulum-v1"))
    settings = PolicyConfig(initial_std=0.25, normalize_observations=False)
    heads, _ = make_policy(settings, squashed, env, seed=0)(torch.zeros(2, 3))
    assert isinstance(heads[0], TanhNormal)
    torch.testing.assert_close(heads[0].normal.scale, torch.full((2, 1), 0.25))
    too_low = PolicyConfig(initial_std=0.001)
    with pytest.raises(SettingError, match=r"policy.initial_std must be between 0.0067 and 7.39"):
        make_policy(too_low, squashed, env, seed=0)
    env.close()


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_an_impossible_initial_standard_deviation_is_refused(value):
    with pytest.raises(
        SettingError, match=rf"policy.initial_std must be above 0 and finite; got {value}"
    ):
        PolicyConfig(initial_std=value).check()


@pytest.mark.parametrize(("setting", "value"), [("gaussian", "squashed"), ("initial_std", 0.5)])
def test_a_gaussian_for_a_policy_without_one_is_refused_if_it_was_given(
    vecenv, mine, setting, value
):
    for name, match in (
        ("default", "no effect: Default has no continuous actions here"),
        (mine("Mine"), "no effect: Mine has no pufferlib.models.ActionHeads"),
    ):
        assert made(vecenv, name=name, **{setting: value}) is not None  # from a preset
        with pytest.raises(SettingError, match=f"policy.{setting} has {match}"):
            made(vecenv, name=name, **{setting: value}, given=[f"policy.{setting}"])
