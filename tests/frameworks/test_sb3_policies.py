"""Policies of ours have the same numbers in Stable-Baselines3, and act as in our trainer."""

import functools

import gymnasium
import numpy as np
import pytest
import torch
from environments import Countdown, Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from memory_policies import DictMemory, NestedMemory
from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from sb3_environments import MethodMasks, Mixture, OneLegal
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecFrameStack, VecTransposeImage
from torch.distributions import Beta, Categorical, Normal
from torch.testing import assert_close

from pufferlib import vector
from pufferlib.action_conversion import action_converter
from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.emulation.description import describe
from pufferlib.exceptions import ArgumentError
from pufferlib.frameworks.sb3 import (
    MaskablePolicy,
    Policy,
    PufferVecEnv,
    RecurrentPolicy,
)
from pufferlib.models import Default, GRUWrapper, LSTMWrapper, NormalizedObservations
from pufferlib.policies.masked import MaskedDefault
from pufferlib.pytorch import sample_actions

ROWS = 64
SMALL = {"n_steps": 16, "seed": 0, "device": "cpu"}
ACTIONS = {
    "discrete": Discrete(4, start=1),
    "multi-discrete": MultiDiscrete([3, 2]),
    "multi-binary": MultiBinary(3),
    "continuous": Box(-2, 6, (2,), np.float32),
    "mixed": Tuple((Discrete(3), Box(0, 9, (2,), np.float32), Box(-4, 4, (1,), np.int32))),
}
over_actions = pytest.mark.parametrize("actions", ACTIONS.values(), ids=ACTIONS)
small = functools.partial(Default, hidden_size=8)


def lstm(env):
    return LSTMWrapper(env, small(env))


def gru(env):
    return GRUWrapper(env, small(env))


def emulated(actions):
    return GymnasiumPufferEnv(Sampler(Mixture().observation_space, actions))


def observations_of(env, rows=ROWS):
    env.reset(seed=0)
    env.env.observation_space.seed(0)
    action = env.action_space.sample()
    return torch.as_tensor(np.stack([env.step(action)[0] for _ in range(rows)]))


def pair(form, creator, env):
    """Return a bare policy, and one of Stable-Baselines3 with the same weights."""
    torch.manual_seed(0)
    bare = creator(describe(env))
    for parameter in bare.parameters():  # far from uniform
        torch.nn.init.normal_(parameter, std=0.5)
    made = form(env.observation_space, env.action_space, lambda _: 1e-3, policy_creator=creator)
    made.network.load_state_dict(bare.state_dict())
    return bare.eval(), made


def parts_of(heads):
    return [heads] if isinstance(heads, torch.Tensor) else list(heads)


def assert_same_heads(actual, expected):
    for one, other in zip(parts_of(actual), parts_of(expected), strict=True):
        if isinstance(other, torch.Tensor):
            assert_close(one, other, atol=1e-6, rtol=1e-6)
        else:
            assert_close(one.mean, other.mean, atol=1e-6, rtol=1e-6)
            assert_close(one.stddev, other.stddev, atol=1e-6, rtol=1e-6)


def log_probabilities_of(heads, columns):
    """Return those of torch's own distributions, for samples (B, columns)."""
    total, start = 0, 0
    for head in parts_of(heads):
        if isinstance(head, torch.Tensor):
            total = total + Categorical(logits=head).log_prob(columns[:, start])
            start += 1
        else:
            stop = start + head.mean.shape[1]
            normal = Normal(head.mean, head.stddev)
            total = total + normal.log_prob(columns[:, start:stop]).sum(1)
            start = stop
    return total


def bounds_of(actions):
    """Return (factor, middle) by which samples become actions, worked out by hand for ACTIONS."""
    return {
        "Box": (torch.tensor([4.0, 4.0]), torch.tensor([2.0, 2.0])),
        "Tuple": (torch.tensor([1, 4.5, 4.5, 4]), torch.tensor([0, 4.5, 4.5, 0])),
    }.get(type(actions).__name__, (1, 0))


@over_actions
@torch.no_grad()
def test_a_stateless_policy_has_the_numbers_of_the_bare_one(actions):
    env = emulated(actions)
    bare, made = pair(Policy, small, env)
    rows = observations_of(env)
    assert rows.dtype == torch.uint8  # rows of bytes
    heads, values = bare(rows)
    assert_same_heads(made.get_distribution(rows).heads, heads)
    assert_close(made.predict_values(rows), values, atol=1e-6, rtol=1e-6)
    given, own_values, own = made(rows)
    assert given.shape == (ROWS, *env.action_space.shape)
    assert_close(own_values, values, atol=1e-6, rtol=1e-6)
    factor, middle = bounds_of(actions)
    samples = (given.reshape(ROWS, -1) - middle) / factor
    assert_close(own, log_probabilities_of(heads, samples), atol=1e-5, rtol=0)
    # As PPO gives them from its buffer: float32, and of Discrete int64 in one dimension.
    stored = given if isinstance(env.action_space, Discrete) else given.float()
    again_values, again, entropies = made.evaluate_actions(rows, stored)
    assert_close(again, own, atol=1e-6, rtol=1e-6)
    assert_close(again_values, values, atol=1e-6, rtol=1e-6)
    assert_close(entropies, sample_actions(heads)[2], atol=1e-6, rtol=1e-6)


@over_actions
@pytest.mark.parametrize("creator", [lstm, gru])
@torch.no_grad()
def test_a_recurrent_policy_has_the_numbers_of_the_bare_one(creator, actions):
    env = emulated(actions)
    bare, made = pair(RecurrentPolicy, creator, env)
    rows = observations_of(env).reshape(8, 8, -1)  # eight steps of eight rows
    starts = torch.zeros(8, 8, dtype=torch.bool)
    starts[0], starts[3, 2], starts[5, 7] = True, True, True
    state = bare.initial_state(8)
    width = made.lstm_actor.hidden_size
    zeros = torch.zeros(1, 8, width)
    packed = RNNStates((zeros, zeros), (zeros, zeros))
    for row, start in zip(rows, starts, strict=True):
        heads, values, state = bare(row, state, start)
        distribution, _ = made.get_distribution(row, packed.pi, start.float())
        assert_same_heads(distribution.heads, heads)
        assert_close(
            made.predict_values(row, packed.vf, start.float()), values, atol=1e-6, rtol=1e-6
        )
        given, own_values, own, packed = made(row, packed, start.float())
        assert_close(own_values, values, atol=1e-6, rtol=1e-6)
        factor, middle = bounds_of(actions)
        samples = (given.reshape(8, -1) - middle) / factor
        assert_close(own, log_probabilities_of(heads, samples), atol=1e-5, rtol=0)
    if creator is lstm:
        assert_close(packed.pi, state)  # h and c, as sb3-contrib has them


@pytest.mark.parametrize("creator", [lstm, gru, DictMemory, NestedMemory])
@torch.no_grad()
def test_sequences_are_evaluated_like_their_steps(creator):
    env = GymnasiumPufferEnv(Countdown())
    _, made = pair(RecurrentPolicy, creator, env)
    rows = torch.randn(3, 5, 2)  # three sequences of five steps
    starts = torch.zeros(3, 5)
    starts[0, 0] = starts[2, 0] = starts[1, 3] = 1
    before = torch.randn(2, 1, 3, made.lstm_actor.hidden_size)
    if creator is DictMemory:
        before = torch.zeros_like(before)  # a part of its state counts steps
    packed = states = RNNStates(tuple(before), tuple(before))
    actions, values, log_probabilities = [], [], []
    for t in range(5):
        action, value, log_probability, packed = made(rows[:, t], packed, starts[:, t])
        actions.append(action)
        values.append(value)
        log_probabilities.append(log_probability)
    flat = torch.stack(actions, 1).flatten()
    found = made.evaluate_actions(rows.flatten(0, 1), flat, states, starts.flatten())
    assert_close(found[0], torch.stack(values, 1).flatten(0, 1))
    assert_close(found[1], torch.stack(log_probabilities, 1).flatten())


@torch.no_grad()
def test_the_first_prediction_begins_with_the_initial_state():
    env = GymnasiumPufferEnv(Countdown())
    bare, made = pair(RecurrentPolicy, NestedMemory, env)  # whose initial state is not zero
    rows = torch.randn(4, 2)
    heads, _, state = bare(rows, bare.initial_state(4))
    actions, packed = made.predict(rows.numpy(), deterministic=True)
    assert actions.tolist() == heads.argmax(1).tolist()
    heads, _, _ = bare(rows, state)
    actions, _ = made.predict(rows.numpy(), packed, np.zeros(4, np.bool_), deterministic=True)
    assert actions.tolist() == heads.argmax(1).tolist()


@pytest.mark.parametrize("form", [Policy, MaskablePolicy])
@torch.no_grad()
def test_rows_that_were_cast_to_floats_are_bytes_again(form):
    env = emulated(Discrete(4))
    bare, made = pair(form, small, env)
    rows, dtypes = observations_of(env), []
    made.network.register_forward_pre_hook(lambda network, args: dtypes.append(args[0].dtype))
    assert_close(made.predict_values(rows.float()), bare(rows)[1])
    assert dtypes == [torch.uint8]


class Bounded(Default):
    """Its actions are of a Beta, in [0, 1]."""

    def decode_actions(self, hidden, lookup=None):
        heads, value = super().decode_actions(hidden, lookup)
        return Beta(heads[0].mean.exp() + 1, heads[0].stddev + 1), value


def squashed(env):
    policy = small(env)
    policy.decoder.set_gaussian("squashed")
    return policy


def unscaled(env):
    policy = small(env)
    policy.rescale_actions = False
    return policy


CONTINUOUS = [
    *((small, ACTIONS[name]) for name in ("continuous", "mixed")),
    (squashed, ACTIONS["continuous"]),
    (functools.partial(Bounded, hidden_size=8), ACTIONS["continuous"]),
    (unscaled, ACTIONS["continuous"]),
    (small, Box(np.array([1000, 3], np.float32), np.array([1001, 3], np.float32))),
]


@pytest.mark.parametrize(("creator", "actions"), CONTINUOUS)
@torch.no_grad()
def test_continuous_actions_are_rescaled_as_in_our_trainer(creator, actions):
    env = emulated(actions)
    bare, made = pair(Policy, creator, env)
    rows, space = observations_of(env), env.action_space
    torch.manual_seed(1)
    heads, _ = bare(rows)
    samples = sample_actions(heads)[0]
    torch.manual_seed(1)
    given, _, log_probabilities = made(rows)
    clipped = np.clip(given.numpy(), space.low, space.high)  # as Stable-Baselines3 does
    expected = action_converter(env, bare)(samples, heads)
    if isinstance(actions, Tuple):  # PufferVecEnv rounds integers
        clipped[:, 3] = np.rint(clipped[:, 3])
    np.testing.assert_allclose(clipped, expected, atol=1e-4)
    assert log_probabilities.isfinite().all()
    if isinstance(heads, Beta):  # of the sample, not of the action
        assert_close(log_probabilities, heads.log_prob(samples).sum(1), atol=1e-4, rtol=0)
    assert_close(made.evaluate_actions(rows, given)[1], log_probabilities, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("actions", [Discrete(5), MultiDiscrete([3, 2])])
@torch.no_grad()
def test_masks_leave_out_illegal_actions(actions):
    env = emulated(actions)
    bare, made = pair(MaskablePolicy, small, env)
    rows = observations_of(env)
    generator = np.random.default_rng(0)
    masks = generator.random((ROWS, 5)) < 0.5
    masks[:, 0] = masks[:, 3] = True  # one of each part at least
    widths = [5] if isinstance(actions, Discrete) else [3, 2]
    heads, values = bare(rows)
    legal = torch.as_tensor(masks).split(widths, 1)
    dists = [
        Categorical(logits=head.masked_fill(~part, -torch.inf))
        for head, part in zip(parts_of(heads), legal, strict=True)
    ]
    for _ in range(5):
        given, own_values, own = made(rows, action_masks=masks)
        columns = given.reshape(ROWS, -1)
        for column, part in zip(columns.T, legal, strict=True):
            assert part[torch.arange(ROWS), column].all()
        expected = sum(d.log_prob(c) for d, c in zip(dists, columns.T, strict=True))
        assert_close(own, expected)
        assert_close(own_values, values)
    # From the buffer: masks are floats.
    stored = torch.as_tensor(masks, dtype=torch.float32)
    _, again, entropies = made.evaluate_actions(rows, given, stored)
    assert_close(again, own)
    probabilities = [d.probs for d in dists]
    by_hand = sum(-(p * p.clamp(min=1e-30).log()).sum(1) for p in probabilities)
    assert_close(entropies, by_hand)
    best, _ = made.predict(rows.numpy(), deterministic=True, action_masks=masks)
    modes = torch.stack([d.probs.argmax(1) for d in dists], 1)
    assert best.reshape(ROWS, -1).tolist() == modes.tolist()


@torch.no_grad()
def test_masks_of_the_network_and_of_the_environment_agree():
    env = GymnasiumPufferEnv(OneLegal())
    creator = functools.partial(MaskedDefault, hidden_size=8)
    bare, made = pair(MaskablePolicy, creator, env)
    row, _ = env.reset(seed=0)
    rows = torch.as_tensor(row).unsqueeze(0)
    masks = np.isin(np.arange(5), env.unwrapped.legal)
    with_both = made.get_distribution(rows, masks).heads.softmax(1)
    assert_close(with_both, bare(rows)[0].softmax(1))
    assert (with_both[0, ~masks] == 0).all()
    _, plain = pair(Policy, creator, env)  # for PPO and A2C
    assert_close(plain.get_distribution(rows).heads.softmax(1), with_both)


def test_masks_of_another_width_are_refused():
    env = emulated(Discrete(5))
    _, made = pair(MaskablePolicy, small, env)
    with pytest.raises(ArgumentError, match="a column for each of 5 choices; got 4"):
        made(observations_of(env), action_masks=np.ones((ROWS, 4)))


def cart_poles(num_envs=2):
    return PufferVecEnv(vector.make(gymnasium.make, ["CartPole-v1"], num_envs=num_envs))


def masked(creator=OneLegal):
    return PufferVecEnv(vector.make(creator, num_envs=2))


def mixtures():
    return PufferVecEnv(vector.make(Mixture, num_envs=2))


def normalized(env):
    return NormalizedObservations(env, small(env))


MODELS = {
    "ppo": (PPO, Policy, small, cart_poles, {"batch_size": 16}),
    "ppo, running statistics": (PPO, Policy, normalized, cart_poles, {"batch_size": 16}),
    "ppo of bytes": (PPO, Policy, small, mixtures, {"batch_size": 16}),
    "a2c": (A2C, Policy, small, cart_poles, {}),
    "recurrent, lstm": (RecurrentPPO, RecurrentPolicy, lstm, mixtures, {"batch_size": 16}),
    "recurrent, gru": (RecurrentPPO, RecurrentPolicy, gru, cart_poles, {"batch_size": 16}),
    "masked": (MaskablePPO, MaskablePolicy, small, masked, {"batch_size": 16}),
    "masked by a method": (
        MaskablePPO,
        MaskablePolicy,
        small,
        lambda: masked(MethodMasks),
        {"batch_size": 16},
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_and_predicts_the_same_after_save_and_load(name, tmp_path):
    algorithm, form, creator, make_env, options = MODELS[name]
    env = make_env()
    kwargs = {"policy_creator": creator}
    model = (
        algorithm(form, env, policy_kwargs=kwargs, n_epochs=2, **SMALL, **options)
        if (algorithm is not A2C)
        else algorithm(form, env, policy_kwargs=kwargs, **SMALL)
    )
    before = [weight.clone() for weight in model.policy.network.parameters()]
    model.learn(64)
    assert not all(
        torch.equal(one, other)
        for one, other in zip(before, model.policy.network.parameters(), strict=True)
    )
    model.save(tmp_path / "model")
    loaded = algorithm.load(tmp_path / "model", env=env, device="cpu")
    env.seed(0)
    observations = env.reset()
    expected = model.predict(observations, deterministic=True)[0]
    np.testing.assert_array_equal(loaded.predict(observations, deterministic=True)[0], expected)
    own = model.policy.network.state_dict()
    assert_close(loaded.policy.network.state_dict(), own, atol=0, rtol=0)
    loaded.learn(32)
    model.policy.save(tmp_path / "policy")
    alone = form.load(tmp_path / "policy", device="cpu")
    np.testing.assert_array_equal(alone.predict(observations, deterministic=True)[0], expected)
    assert alone.network.state_dict().keys() == creator(describe(env.vecenv)).state_dict().keys()
    env.close()


@pytest.mark.long
@pytest.mark.parametrize("algorithm", [PPO, RecurrentPPO])
def test_actions_of_several_kinds_are_learned(algorithm):
    form, creator = (Policy, small) if algorithm is PPO else (RecurrentPolicy, lstm)
    for actions in (ACTIONS["mixed"], Box(-5, 5, (2,), np.int32), ACTIONS["multi-binary"]):
        env = PufferVecEnv(
            vector.make(lambda actions=actions: Sampler(Box(0, 1, (2,)), actions), num_envs=2)
        )
        options = {"policy_kwargs": {"policy_creator": creator}, "batch_size": 16, **SMALL}
        model = algorithm(form, env, n_epochs=1, **options)
        model.learn(64)
        assert all(weight.isfinite().all() for weight in model.policy.parameters())
        for received in env.get_attr("actions"):
            assert all(action in actions for action in received)
        env.close()


class Picture(gymnasium.Env):
    """A picture with two channels, last; the left or the right one is bright."""

    observation_space, action_space = Box(0, 255, (12, 8, 2), np.uint8), Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observe(), {}

    def step(self, action):
        return self._observe(), 0.0, False, False, {}

    def _observe(self):
        return self.np_random.integers(0, 256, (12, 8, 2)).astype(np.uint8)


@torch.no_grad()
def test_pictures_reach_the_network_as_the_environment_returns_them():
    vecenv = vector.make(Picture, num_envs=2)
    env = PufferVecEnv(vecenv)
    model = PPO(Policy, env, policy_kwargs={"policy_creator": small}, batch_size=16, **SMALL)
    assert isinstance(model.env, VecTransposeImage)  # Stable-Baselines3 has put it around
    assert model.observation_space.shape == (2, 12, 8)
    bare = small(describe(vecenv))
    bare.load_state_dict(model.policy.network.state_dict())
    env.seed(0)
    rows = torch.as_tensor(env.reset())
    transposed = rows.permute(0, 3, 1, 2)
    assert_close(model.policy.predict_values(transposed), bare(rows)[1])
    chosen = bare(rows)[0].argmax(1).tolist()
    assert model.predict(rows.numpy(), deterministic=True)[0].tolist() == chosen
    assert model.predict(transposed.numpy(), deterministic=True)[0].tolist() == chosen
    env.close()


@pytest.mark.long
def test_stacked_pictures_are_learned():
    env = VecFrameStack(PufferVecEnv(vector.make(Picture, num_envs=2)), 3)
    model = PPO(Policy, env, policy_kwargs={"policy_creator": small}, batch_size=16, **SMALL)
    assert model.policy.description.single_observation_space.shape == (12, 8, 6)
    model.learn(32)
    env.close()


@pytest.mark.parametrize("channels_first", [False, True])
def test_stacked_pictures_with_channels_first_are_not_transposed_on_request(channels_first):
    class First(Picture):
        observation_space = Box(0, 255, (2, 12, 8), np.uint8)

        def _observe(self):
            return super()._observe().transpose(2, 0, 1)

    kwargs = {"policy_creator": small, "channels_first": channels_first}
    env = VecFrameStack(PufferVecEnv(vector.make(First, num_envs=2)), 3)
    model = PPO(Policy, env, policy_kwargs=kwargs, batch_size=16, **SMALL)
    shape = model.policy.description.single_observation_space.shape
    assert shape == ((6, 12, 8) if channels_first else (12, 8, 6))
    rows = env.reset()
    seen = model.policy.extract_features(torch.as_tensor(rows))
    expected = rows if channels_first else rows.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(seen, expected)
    env.close()


def test_running_statistics_are_updated_between_rollouts():
    env = PufferVecEnv(vector.make(Countdown, num_envs=2))
    options = {"policy_kwargs": {"policy_creator": normalized}, "batch_size": 16, **SMALL}
    model = PPO(Policy, env, n_epochs=1, **options)
    network = model.policy.network
    model.learn(32)
    assert network.mean.tolist() == [0, 0]  # those that the update was made with
    model.predict(env.reset())
    assert network.mean.tolist() == [0, 0]  # of a saved model too
    model.learn(32)
    # Episodes of 3 steps, 0 to 2, from 1; 16 steps of both environments.
    seen = np.array([(1 + t // 3, t % 3) for t in range(16)])
    assert_close(network.mean, torch.tensor(seen.mean(0), dtype=torch.float32), atol=1e-3, rtol=0)
    assert network.count == pytest.approx(32, abs=0.01)
    model.predict(env.reset())
    assert network.count == pytest.approx(32, abs=0.01)
    env.close()


def make(form=Policy, creator=small, env=None, **kwargs):
    env = emulated(Discrete(3)) if env is None else env
    options = {"policy_creator": creator, **kwargs}
    return form(env.observation_space, env.action_space, lambda _: 1e-3, **options)


def test_what_cannot_be_a_policy_is_refused():
    with pytest.raises(ArgumentError, match=r'got NoneType.*"policy_creator"'):
        make(creator=None)
    with pytest.raises(ArgumentError, match="got Default"):
        make(creator=small(describe(emulated(Discrete(3)))))
    with pytest.raises(ArgumentError, match=r"must return a torch\.nn\.Module; got int"):
        make(creator=lambda env: 1)
    with pytest.raises(ArgumentError, match=r"LSTMWrapper has a memory.*RecurrentPPO"):
        make(creator=lstm)
    with pytest.raises(ArgumentError, match=r"LSTMWrapper has a memory.*no MaskablePPO"):
        make(MaskablePolicy, lstm)
    with pytest.raises(ArgumentError, match=r"Default has none.*LSTMWrapper"):
        make(RecurrentPolicy, small)
    with pytest.raises(ArgumentError, match="use_sde"):
        make(use_sde=True)
    with pytest.raises(ArgumentError, match=r"flat observations.*Dict"):
        make(env=Mixture())
    with pytest.raises(ArgumentError, match=r"MultiBinary\(3\).*Emulation flattens"):
        make(env=Sampler(Box(0, 1, (2,)), MultiBinary(3)))


def test_a_policy_given_to_the_wrong_algorithm_is_refused():
    env = cart_poles()
    with pytest.raises(ArgumentError, match=r"RecurrentPPO takes policies with memory"):
        RecurrentPPO(Policy, env, policy_kwargs={"policy_creator": small})
    model = PPO(
        RecurrentPolicy, env, policy_kwargs={"policy_creator": lstm}, batch_size=16, **SMALL
    )
    with pytest.raises(ArgumentError, match="needs an algorithm that keeps its state"):
        model.learn(16)
    kwargs = {"policy_creator": small}
    with pytest.raises(ArgumentError, match=r"Policy is a policy of on-policy algorithms: PPO"):
        DQN(Policy, env, policy_kwargs=kwargs, buffer_size=10)
    model = TRPO(Policy, env, policy_kwargs=kwargs, batch_size=16, **SMALL)
    with pytest.raises(ArgumentError, match=r"as TRPO needs. Use PPO"):
        model.learn(16)
    env.close()


def test_dict_spaces_keep_their_layout():
    space = emulated(Discrete(3)).observation_space
    assert isinstance(space.layout.original, Dict)
    assert isinstance(make().description.observation_layout.original, Dict)


def test_evaluate_policy_takes_the_policy_alone():
    env = PufferVecEnv(vector.make(Countdown, num_envs=2))
    made = make(env=env)
    assert evaluate_policy(made, env, n_eval_episodes=4) == (6, 0)
    env.close()
