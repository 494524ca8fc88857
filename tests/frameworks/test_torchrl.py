"""TorchRL's checks pass on our environments, and policies give it the numbers they give us."""

import itertools
import runpy
import sys
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch
from environments import Population, Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch.distributions import Beta, Categorical, Independent, Normal

import pufferlib
from pufferlib import vector
from pufferlib.cli.main import main
from pufferlib.exceptions import ArgumentError, ContractError, NotInstalledError
from pufferlib.models import Default, GRUWrapper, LSTMWrapper
from pufferlib.pytorch import action_converter, sample_actions
from pufferlib.registry import ocean
from pufferlib.runs import Run
from pufferlib.runs.checkpoints import save_policy

pytestmark = pytest.mark.leaves_threads  # TorchRL imports Ray, whose allocator has one

OBSERVATION = Dict(a=Box(-1, 1, (2,)), b=Discrete(4), c=Box(0, 255, (3,), "uint8"))  # rows of bytes
ACTIONS = {
    "discrete": Discrete(3),
    "multi-discrete": MultiDiscrete([3, 2]),
    "continuous": Box(-2, 2, (2,)),
    "two discrete": Tuple((Discrete(2), Discrete(4))),
}
MEMORY = {"stateless": None, "lstm": LSTMWrapper, "gru": GRUWrapper}
over_actions = pytest.mark.parametrize("space", ACTIONS.values(), ids=ACTIONS)
over_memory = pytest.mark.parametrize("memory", MEMORY.values(), ids=MEMORY)


@pytest.fixture(scope="module")
def rl():
    """Return names of TorchRL and of its binding, imported here because that takes seconds."""
    pytest.importorskip("torchrl")
    from torchrl.envs import GymWrapper, check_env_specs
    from torchrl.modules import set_recurrent_mode
    from torchrl.objectives import ClipPPOLoss
    from torchrl.objectives.value import GAE

    from pufferlib.frameworks import torchrl

    found = (GymWrapper, check_env_specs, set_recurrent_mode, ClipPPOLoss, GAE)
    return SimpleNamespace(**{**vars(torchrl), **{each.__name__: each for each in found}})


def make(space, memory=None, num_envs=4):
    """Return a vectorizer and a policy far from uniform."""
    torch.manual_seed(0)
    envs = vector.make(Sampler, [OBSERVATION, space], num_envs=num_envs)
    policy = Default(envs, hidden_size=8, critic="separate" if memory is None else "shared")
    for parameter in policy.decoder.parameters():
        torch.nn.init.normal_(parameter)
    return envs, memory(envs, policy) if memory else policy


def parts_of(rl, policy, envs):
    networks = rl.actor_critic(policy, envs)
    return networks.get_policy_operator(), networks.get_value_operator()


@torch.no_grad()
def roll(env, actor, steps=20):
    env.set_seed(0)
    return env.rollout(steps, actor, break_when_any_done=False)


@over_memory
@over_actions
def test_torchrls_check_of_environments_passes(rl, space, memory):
    envs, policy = make(space, memory)
    rl.check_env_specs(rl.make_env(envs, policy))
    envs.close()


def test_torchrls_check_passes_on_native_environments(rl):
    envs = vector.make(ocean.make_env, ["memory"], num_envs=2)
    policy = LSTMWrapper(envs, Default(envs, hidden_size=8))
    rl.check_env_specs(rl.make_env(envs, policy))
    envs.close()


over_modes = pytest.mark.parametrize("mode", ["same_step", "disabled"])


@over_modes
def test_torchrls_check_passes_over_workers_and_without_a_policy(rl, mode):
    options = {"backend": vector.Multiprocessing, "num_workers": 2, "autoreset": mode}
    envs = vector.make(gymnasium.make, ["CartPole-v1"], num_envs=4, **options)
    rl.check_env_specs(rl.make_env(envs))
    envs.close()


@over_modes
def test_torchrls_own_wrapper_takes_the_gymnasium_form(rl, mode):
    envs = vector.make(gymnasium.make, ["CartPole-v1"], num_envs=3, autoreset=mode)
    env = rl.GymWrapper(vector.to_gymnasium(envs))
    rl.check_env_specs(env)
    assert env.rollout(60, break_when_any_done=False)["next", "done"].any()
    env.close()


@over_modes
def test_steps_equal_those_of_gymnasiums_vectorizer(rl, mode):
    from tensordict.nn import TensorDictModule

    own = rl.make_env(vector.make(gymnasium.make, ["CartPole-v1"], num_envs=3, autoreset=mode))
    makers = [lambda: gymnasium.make("CartPole-v1")] * 3
    theirs = SyncVectorEnv(makers, autoreset_mode=AutoresetMode[mode.upper()])
    found = []
    for env in (own, rl.GymWrapper(theirs, categorical_action_encoding=True)):
        env.set_seed(7)
        actions = iter(torch.randint(2, (60, 3), generator=torch.Generator().manual_seed(1)))
        act = TensorDictModule(
            lambda _, actions=actions: next(actions), in_keys=["observation"], out_keys=["action"]
        )
        found.append(env.rollout(60, act, break_when_any_done=False))
        env.close()
    assert found[0]["next", "done"].any()
    for key in ("observation", "action", ("next", "observation"), ("next", "reward")):
        assert torch.equal(found[0][key], found[1][key]), key
    for key in ("done", "terminated", "truncated"):
        assert torch.equal(found[0]["next", key], found[1]["next", key]), key


@over_actions
@torch.no_grad()
def test_numbers_equal_those_of_the_bare_policy(rl, space):
    envs, policy = make(space)
    actor, critic = parts_of(rl, policy, envs)
    data = critic(roll(rl.make_env(envs, policy), actor)).reshape(-1)
    heads, value = policy(data["observation"])
    _, log_probabilities, entropies = sample_actions(heads, data["action"])
    torch.testing.assert_close(data["action_log_prob"], log_probabilities, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(data["state_value"], value, rtol=1e-6, atol=1e-6)
    entropy = actor.get_dist(data).entropy()
    torch.testing.assert_close(entropy, entropies, rtol=1e-6, atol=1e-6)
    envs.close()


def test_distributions_equal_those_of_torch(rl):
    envs, policy = make(Discrete(3))
    data = rl.PolicyModule(policy, envs)(rl.make_env(envs, policy).reset())
    assert torch.equal(data["logits"], policy(data["observation"])[0])
    envs.close()
    envs, policy = make(Box(-2, 2, (2,)))
    actor, _ = parts_of(rl, policy, envs)
    data = actor(rl.make_env(envs, policy).reset())
    expected = Independent(Normal(data["loc"], data["scale"]), 1)
    torch.testing.assert_close(data["action_log_prob"], expected.log_prob(data["action"]))
    envs.close()


def test_probabilities_of_several_choices_are_products(rl):
    logits = torch.linspace(-2, 1, 2 * 5).reshape(2, 5)
    columns = [Categorical(logits=logits[:, :3]), Categorical(logits=logits[:, 3:])]
    found = rl.MultiCategorical(logits, [3, 2])
    entropy = torch.zeros(2)
    for pair in itertools.product(range(3), range(2)):
        expected = columns[0].probs[:, pair[0]] * columns[1].probs[:, pair[1]]
        torch.testing.assert_close(found.log_prob(torch.tensor([pair, pair])).exp(), expected)
        entropy -= expected * expected.log()
    torch.testing.assert_close(found.entropy(), entropy)
    assert found.deterministic_sample.tolist() == [[2, 1], [2, 1]]
    shares = torch.nn.functional.one_hot(found.sample((20_000,))[..., 0]).float().mean(0)
    torch.testing.assert_close(shares, columns[0].probs, rtol=0, atol=0.02)


@pytest.mark.parametrize("memory", [LSTMWrapper, GRUWrapper])
@torch.no_grad()
def test_a_sequence_is_evaluated_like_its_steps(rl, memory):
    envs = vector.make(gymnasium.make, ["CartPole-v1"], num_envs=3)
    torch.manual_seed(0)
    policy = memory(envs, Default(envs, hidden_size=8, critic="shared"))
    for parameter in policy.policy.decoder.parameters():
        torch.nn.init.normal_(parameter)
    actor, critic = parts_of(rl, policy, envs)
    data = roll(rl.make_env(envs, policy), actor, 60)
    envs.close()
    starts = data["episode_start"].squeeze(-1)
    assert starts[:, 1:].any()
    heads, value, _ = policy(data["observation"], None, starts)
    expected = sample_actions(heads, data["action"].reshape(-1))[1]
    torch.testing.assert_close(data["action_log_prob"].reshape(-1), expected, rtol=1e-6, atol=1e-6)
    later = data[:, 20:]  # from a state that is stored
    for mode in (False, True):
        with rl.set_recurrent_mode(mode):
            found = actor.get_dist(later.clone()).log_prob(later["action"])
            values = critic(later.clone())["state_value"]
        torch.testing.assert_close(found, later["action_log_prob"], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(values, value.reshape(3, 60, 1)[:, 20:], rtol=1e-6, atol=1e-6)


@torch.no_grad()
def test_the_value_after_each_step_knows_what_the_policy_remembers(rl):
    envs = vector.make(gymnasium.make, ["CartPole-v1"], num_envs=2)
    torch.manual_seed(0)
    policy = LSTMWrapper(envs, Default(envs, hidden_size=8, critic="shared"))
    actor, critic = parts_of(rl, policy, envs)
    data = roll(rl.make_env(envs, policy), actor, 50)
    envs.close()
    rl.GAE(gamma=0.9, lmbda=0.5, value_network=critic, deactivate_vmap=True)(data)
    state = None
    for t in range(50):
        starts = data["episode_start"][:, t, 0]
        _, _, state = policy(data["observation"][:, t], state, starts)
        expected = policy(data["next", "observation"][:, t], state)[1]
        torch.testing.assert_close(data["next", "state_value"][:, t], expected)


@over_memory
@over_actions
def test_the_loss_of_ppo_reaches_every_parameter(rl, space, memory):
    envs, policy = make(space, memory)
    actor, critic = parts_of(rl, policy, envs)
    data = roll(rl.make_env(envs, policy), actor)
    envs.close()
    with torch.no_grad():
        rl.GAE(gamma=0.9, lmbda=0.9, value_network=critic, deactivate_vmap=bool(memory))(data)
    loss = rl.ClipPPOLoss(actor, critic)
    with rl.set_recurrent_mode(memory is not None):
        parts = loss(data)
    torch.testing.assert_close(parts["mean_ratio"], torch.tensor(1.0))  # the same policy
    (parts["loss_objective"] + parts["loss_critic"] + parts["loss_entropy"]).backward()
    assert all(parameter.grad is not None for parameter in policy.parameters())


def test_actions_of_a_box_are_converted_as_in_training(rl):
    envs = vector.make(gymnasium.make, ["Pendulum-v1"], num_envs=3)  # torques from -2 to 2
    policy = Default(envs, hidden_size=8)
    env = rl.make_env(envs, policy)
    assert env.action_spec.space.high.unique().tolist() == [1]
    env.set_seed(3)
    actions = torch.tensor([[-3.0], [0.25], [0.5]])
    data = env.step(env.reset(seed=3).set("action", actions))
    envs.close()
    plain = [gymnasium.make("Pendulum-v1") for _ in range(3)]
    for row, (each, torque) in enumerate(zip(plain, (-2, 0.5, 1), strict=True)):
        each.reset(seed=3 + row)
        expected, *_ = each.step([torque])
        torch.testing.assert_close(data["next", "observation"][row], torch.tensor(expected))


def test_weights_are_saved_and_loaded(rl, tmp_path):
    envs, policy = make(Discrete(3))
    networks = rl.actor_critic(policy, envs)
    torch.save(networks.state_dict(), tmp_path / "torchrl.pt")
    torch.save(policy.state_dict(), tmp_path / "policy.pt")
    rows = rl.make_env(envs, policy).reset()
    for name in ("torchrl.pt", "policy.pt"):
        torch.manual_seed(1)
        other = Default(envs, hidden_size=8, critic="separate")
        again = rl.actor_critic(other, envs)
        target = again if name == "torchrl.pt" else other
        target.load_state_dict(torch.load(tmp_path / name, weights_only=True))
        found, expected = (each.get_value_operator()(rows.clone()) for each in (again, networks))
        assert torch.equal(found["state_value"], expected["state_value"])
    envs.close()


def test_a_policy_of_puffer_train_acts_as_it_did_there(rl, tmp_path):
    from torchrl.envs import ExplorationType, set_exploration_type

    settings = {"train.total_timesteps": 512, "vec.num_envs": 4, "vec.backend": "Serial"}
    Run.configure("Pendulum-v1", {**settings, "run": tmp_path / "run"}).train()
    loaded = pufferlib.load(tmp_path / "run")
    envs = vector.make(gymnasium.make, ["Pendulum-v1"], num_envs=2)
    actor, _ = parts_of(rl, loaded.network, envs)
    env = rl.make_env(envs, loaded.network)
    env.set_seed(0)
    with torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
        data = env.rollout(5, actor, break_when_any_done=False)
    envs.close()
    convert = action_converter(envs, loaded.network)
    for t in range(5):
        expected = [loaded(row.numpy(), deterministic=True) for row in data["observation"][:, t]]
        found = convert(data["action"][:, t], Normal(0, 1))
        torch.testing.assert_close(torch.as_tensor(found), torch.tensor(np.stack(expected)))


def test_weights_trained_with_torchrl_are_evaluated_by_puffer_eval(rl, tmp_path, capsys):
    small = ["--train.total-timesteps", "512", "--vec.num-envs", "4", "--vec.backend", "Serial"]
    assert main(["train", "CartPole-v1", *small, "--run", str(tmp_path)]) == 0
    trained = pufferlib.load(tmp_path)
    policy, envs = trained.network, vector.make(gymnasium.make, ["CartPole-v1"], num_envs=2)
    before = [parameter.clone() for parameter in policy.parameters()]
    actor, critic = parts_of(rl, policy, envs)
    data = roll(rl.make_env(envs, policy), actor)
    envs.close()
    with torch.no_grad():
        rl.GAE(gamma=0.9, lmbda=0.9, value_network=critic)(data)
    parts = rl.ClipPPOLoss(actor, critic)(data)
    (parts["loss_objective"] + parts["loss_critic"] + parts["loss_entropy"]).backward()
    torch.optim.Adam(policy.parameters(), lr=0.1).step()
    assert not any(map(torch.equal, before, policy.parameters()))
    save_policy(trained.run, policy, tmp_path / "torchrl.pt")
    again = pufferlib.load(tmp_path, "torchrl.pt").network
    for ours, theirs in zip(policy.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    arguments = ["--checkpoint", str(tmp_path / "torchrl.pt"), "--episodes", "2"]
    assert main(["eval", "CartPole-v1", *arguments]) == 0
    assert "greedy" in capsys.readouterr().out


def test_rows_of_absent_agents_are_marked(rl):
    envs = vector.make(Population, num_envs=2)
    env = rl.make_env(envs)
    rl.check_env_specs(env)
    data = env.rollout(12, break_when_any_done=False)
    rows, masks = data.batch_size[0], data["mask"]
    assert rows == sum(envs.agents_per_env)
    assert masks.any()
    assert not masks.all()
    assert not data["observation"][~masks].any()
    envs.close()


class TwoBounds(Default):
    def forward(self, observations):
        _, value = super().forward(observations)
        ones = torch.ones(len(observations), 2)
        return Beta(ones, ones), value


def test_what_torchrl_cannot_take_is_refused(rl):
    pool = vector.make(
        Sampler,
        [OBSERVATION],
        backend=vector.Multiprocessing,
        num_envs=4,
        num_workers=2,
        batch_size=2,
    )
    with pytest.raises(ArgumentError, match="steps all environments at once; got a pool"):
        rl.make_env(pool)
    pool.close()
    envs = vector.make(Sampler, [OBSERVATION], autoreset="next_step")
    with pytest.raises(ArgumentError, match=r'got "next_step"\. Pass autoreset="same_step"'):
        rl.make_env(envs)
    envs.close()
    envs, policy = make(Tuple((Discrete(3), Box(-1, 1, (2,)))))
    for refuse in (lambda: rl.make_env(envs), lambda: rl.actor_critic(policy, envs)):
        with pytest.raises(ArgumentError, match="takes Discrete, MultiDiscrete or Box actions"):
            refuse()
    envs.close()
    envs, _ = make(Box(-1, 1, (2,)))
    actor, _ = parts_of(rl, TwoBounds(envs), envs)
    with pytest.raises(ContractError, match=r"needs Normals for a Box; .*TwoBounds are Beta"):
        actor(rl.make_env(envs).reset())
    envs.close()


def test_a_recurrent_policy_needs_the_keys_of_its_state(rl):
    envs, policy = make(Discrete(3), LSTMWrapper)
    actor, _ = parts_of(rl, policy, envs)
    missing = "episode_start, recurrent_state_0, recurrent_state_1"
    with pytest.raises(ArgumentError, match=f"LSTMWrapper is recurrent and needs .*{missing}"):
        actor(rl.make_env(envs).reset())
    envs.close()


def test_without_torchrl_the_import_says_how_to_install_it(rl, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchrl", None)  # as if it were not installed
    with pytest.raises(NotInstalledError, match=r"not installed.* Run: puffer install torchrl"):
        runpy.run_path(rl.__file__)
