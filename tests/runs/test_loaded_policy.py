"""A loaded policy acts in plain environments as it does in training."""

from contextlib import closing
from typing import ClassVar

import gymnasium
import numpy as np
import pettingzoo
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete
from rich.console import Console

import pufferlib
from pufferlib.exceptions import CheckpointError, ObservationError, SettingError
from pufferlib.pytorch import unflatten
from pufferlib.runs import Run
from pufferlib.training import evaluate

QUIET = Console(quiet=True)
SMALL = {
    "vec.backend": "Serial",
    "vec.num_envs": 2,
    "train.horizon": 8,
    "train.total_timesteps": 32,
    "train.device": "cpu",
    "train.minibatches": 1,
    "policy.hidden_size": 8,
    "log.tensorboard": False,
}


class Nested(gymnasium.Env):
    """A Dict of several dtypes; pays for a force near 3 of [0, 4], and for the choice seen."""

    observation_space = Dict(where=Box(-1, 1, (2,), np.float32), seen=Discrete(3, start=5))
    action_space = Dict(force=Box(0, 4, (1,), np.float32), choice=Discrete(3, start=5))

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.now = 0
        return self._look(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        reward = float(action["choice"] == self.seen) - abs(float(action["force"][0]) - 3)
        self.now += 1
        return self._look(), reward, self.now == 6, False, {}

    def _look(self):
        self.seen = int(self.np_random.integers(3)) + 5
        return {"where": self.np_random.uniform(-1, 1, 2).astype(np.float32), "seen": self.seen}


class Pair(pettingzoo.ParallelEnv):
    """The second agent joins after two steps."""

    metadata: ClassVar = {"name": "pair"}
    possible_agents = ("left", "right")
    render_mode = None

    def observation_space(self, agent):
        return Box(-1, 1, (2,), np.float32)

    def action_space(self, agent):
        return Discrete(4, start=2)

    def reset(self, seed=None, options=None):
        self.random, self.now, self.agents = np.random.default_rng(seed), 0, ["left"]
        return self._look(), {}

    def step(self, actions):
        assert set(actions) == set(self.agents)
        self.now += 1
        agents, is_end = self.agents, self.now == 6
        self.agents = [] if is_end else list(self.possible_agents[: 1 + (self.now >= 2)])
        flags = dict.fromkeys(agents, is_end)
        rewards = {agent: float(action) for agent, action in actions.items()}
        return self._look(agents), rewards, flags, dict.fromkeys(agents, False), {}

    def _look(self, agents=()):
        there = [agent for agent in self.possible_agents if agent in (*agents, *self.agents)]
        return {agent: self.random.uniform(-1, 1, 2).astype(np.float32) for agent in there}


def trained(folder, env, **settings):
    """Return the folder of a short run."""
    own = {name.replace("__", "."): value for name, value in settings.items()}
    Run.configure(env, {**SMALL, **own, "run": folder}).train(QUIET)
    return folder


@pytest.fixture(scope="module")
def cartpole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "cartpole"
    normalized = {"policy__memory": "lstm", "policy__normalize_observations": True}
    return trained(folder, "CartPole-v1", **normalized)


@pytest.fixture(scope="module")
def nested(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "nested", f"{__file__}:Nested")


def play(policy, env, seed, deterministic=False):
    """Return the rewards of an episode, as anybody writes it."""
    policy.reset()
    observation, _ = env.reset(seed=seed)
    rewards, is_end = [], False
    while not is_end:
        action = policy(observation, deterministic)
        assert env.action_space.contains(action)
        observation, reward, terminated, truncated, _ = env.step(action)
        rewards.append(reward)
        is_end = terminated or truncated
    return rewards


def memory(policy, rows=slice(None)):
    """Return the state that a policy keeps of rows, the parts of an LSTM's joined: (1, B, size)."""
    (runner,) = policy._actor._runners
    state = runner.state(rows)
    return torch.cat(state, -1) if isinstance(state, tuple) else state.clone()


def test_one_line_plays_the_episodes_of_an_evaluation(cartpole):
    policy = pufferlib.load(cartpole)
    run = Run.open(cartpole)
    with closing(run.make_vecenv(num_envs=1)) as vecenv:
        network = run.load_policy(vecenv, cartpole / "checkpoint.pt")
        expected = [evaluate(vecenv, network, seed).returns[0] for seed in (7, 8)]
    with closing(gymnasium.make("CartPole-v1")) as env:
        for seed, returned in zip((7, 8), expected, strict=True):
            torch.manual_seed(seed)  # with which `evaluate` begins its samples
            assert sum(play(policy, env, seed)) == returned


def test_the_memory_begins_again_at_a_reset(cartpole):
    policy = pufferlib.load(cartpole)
    rows = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)

    def logits():
        """Return what the network sees as the state after the rows."""
        for row in rows:
            policy(row, deterministic=True)
        return memory(policy)

    first, longer = logits(), logits()
    assert not torch.equal(first, longer)
    policy.reset()
    assert torch.equal(logits(), first)
    # The same state as that of torch's own LSTM over the normalized features in one call.
    with torch.no_grad():
        _, _, state = policy.network(torch.tensor(rows)[None], None, None)
    assert torch.allclose(torch.cat(state, -1), first, atol=1e-6)


def test_a_nested_environment_gets_its_own_observations_and_actions(nested):
    policy = pufferlib.load(nested)
    assert policy.observation_space == Nested.observation_space
    assert policy.action_space == Nested.action_space
    with closing(policy.make_env()) as env:
        rewards = play(policy, env, 3)
        assert len(rewards) == 6
        observation, _ = env.reset(seed=3)
    action = policy(observation, deterministic=True)
    # By hand: the mean of the Normal, from [-1, 1] to [0, 4], and the largest logit, from 5 on.
    with torch.no_grad(), closing(Run.open(nested).make_vecenv(1)) as vecenv:
        layout = vecenv.observation_layout
        rows = torch.tensor(layout.flatten(observation))[None]
        assert unflatten(rows, layout)["where"].tolist() == [observation["where"].tolist()]
        heads, _ = policy.network(rows)
    by_kind = {type(head) is torch.Tensor: head for head in heads}
    assert action["choice"] == int(by_kind[True].argmax()) + 5
    force = float(by_kind[False].mean.clamp(-1, 1)) * 2 + 2
    assert action["force"] == pytest.approx([force], abs=1e-6)


def test_predict_is_that_of_stable_baselines(nested):
    policy = pufferlib.load(nested, "best.pt")
    observation = Nested.observation_space.sample()
    assert policy.predict(observation, None, None, True) == policy.predict(
        observation, deterministic=True
    )
    assert policy.predict(observation, deterministic=True) == (
        policy(observation, deterministic=True),
        None,
    )


def test_predict_forgets_where_an_episode_starts(cartpole):
    policy, rows = pufferlib.load(cartpole), np.random.default_rng(2).normal(size=(3, 4))
    rows = rows.astype(np.float32)
    for row in rows:
        policy.predict(row, deterministic=True)
    policy.predict(rows[0], episode_start=True)
    after = memory(policy)
    policy.reset()
    policy.predict(rows[0], episode_start=False)
    assert torch.equal(memory(policy), after)


def test_predict_takes_the_observations_of_several_environments(cartpole, nested):
    alone, policy = pufferlib.load(cartpole), pufferlib.load(cartpole)
    rows = np.random.default_rng(3).normal(size=(6, 2, 4)).astype(np.float32)
    starts = np.array([[1, 1], [0, 0], [0, 1], [0, 0], [1, 1], [0, 0]], bool)
    found = [
        policy.predict(r, None, s, deterministic=True)[0] for r, s in zip(rows, starts, strict=True)
    ]
    for env in (0, 1):
        for step in range(6):
            if starts[step, env]:
                alone.reset()
            assert found[step][env] == alone(rows[step, env], deterministic=True)
        assert torch.allclose(memory(policy, slice(env, env + 1)), memory(alone), atol=1e-6)
    with pytest.raises(ObservationError, match=r"must have 2 rows; got the shape \(4,\)"):
        policy.predict(rows[0, 0], None, starts[0])
    with pytest.raises(ObservationError, match=r"which CartPole-v1 was trained with"):
        pufferlib.load(cartpole).predict(rows[0, :, :3], None, starts[0])
    policy = pufferlib.load(nested)
    several = {"where": np.zeros((3, 2), np.float32), "seen": np.array([5, 6, 7])}
    actions, _ = policy.predict(several, None, np.ones(3, bool), deterministic=True)
    for row, action in enumerate(actions):
        each = {key: value[row] for key, value in several.items()}
        assert action == policy(each, deterministic=True)


def test_stable_baselines_evaluates_a_policy(cartpole):
    evaluation = pytest.importorskip("stable_baselines3.common.evaluation")
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
    monitor = pytest.importorskip("stable_baselines3.common.monitor")
    policy = pufferlib.load(cartpole)

    def make():
        return monitor.Monitor(gymnasium.make("CartPole-v1"))

    for count in (1, 2):
        env = vec_env.DummyVecEnv([make] * count)
        env.seed(5)
        returns, lengths = evaluation.evaluate_policy(
            policy, env, 2, deterministic=True, return_episode_rewards=True
        )
        assert returns == lengths  # CartPole pays 1 for each step
        env.close()
    with closing(gymnasium.make("CartPole-v1")) as alone:
        expected = [sum(play(policy, alone, seed, deterministic=True)) for seed in (5, 6)]
    assert sorted(returns) == sorted(expected)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_observations_that_are_not_finite_are_refused(nested, cartpole, value):
    wrong = np.array([0, value, 0, 0], np.float32)
    policy = pufferlib.load(cartpole)
    with pytest.raises(ObservationError, match=f"observation holds {value}"):
        policy(wrong)
    policy.predict(np.zeros(4, np.float32))
    with pytest.raises(ObservationError, match=f"observation holds {value}"):
        policy(wrong)
    policy = pufferlib.load(nested)
    policy({"where": np.zeros(2, np.float32), "seen": 5})
    with pytest.raises(ObservationError, match=rf"observation\['where'\] holds {value}"):
        policy({"where": np.array([0, value], np.float32), "seen": 5})


def test_samples_follow_the_probabilities_of_the_policy(tmp_path):
    policy = pufferlib.load(trained(tmp_path / "run", "CartPole-v1"))
    observation = np.array([0.1, 0.2, -0.1, 0.3], np.float32)
    with torch.no_grad():
        heads, _ = policy.network(torch.tensor(observation)[None])
    expected = torch.softmax(heads, -1)[0, 1].item()
    torch.manual_seed(0)
    share = np.mean([policy(observation) for _ in range(2000)])
    assert share == pytest.approx(expected, abs=0.04)  # 3.5 standard deviations


def test_agents_act_by_name_and_join_with_a_new_memory(tmp_path):
    folder = trained(tmp_path / "run", f"{__file__}:Pair", policy__memory="gru")
    policy = pufferlib.load(folder)
    assert policy.agents == ["left", "right"]
    env, steps = policy.make_env(), 0
    observations, _ = env.reset(seed=1)
    while env.agents:
        actions = policy({agent: observations[agent] for agent in env.agents})
        assert all(2 <= action < 6 for action in actions.values())
        observations = env.step(actions)[0]
        steps += 1
    assert steps == 6
    seen = np.array([0.3, -0.2], np.float32)
    policy.reset()
    for _ in range(3):
        policy({"left": seen})
    policy({"left": seen, "right": seen})
    joined = memory(policy, slice(1, 2))
    policy.reset()
    policy({"right": seen})
    assert torch.allclose(memory(policy, slice(1, 2)), joined, atol=1e-6)
    with pytest.raises(ObservationError, match=r"no agent 'middle'; possible_agents are"):
        policy({"middle": seen})


def test_a_puffer_env_gets_a_row_for_each_agent(tmp_path):
    policy = pufferlib.load(trained(tmp_path / "run", "squared", env__kwargs={"num_agents": 3}))
    with closing(policy.make_env()) as env:
        observations, _ = env.reset(seed=1)
        assert policy(observations).shape == (3,)
    with pytest.raises(ObservationError, match="a row for each agent; got "):
        policy(observations[0])


def test_rows_of_a_vectorizer_are_acted_on(cartpole):
    policy = pufferlib.load(cartpole)
    with closing(Run.open(cartpole).make_vecenv(4)) as vecenv:
        observations, _ = vecenv.reset(1)
        actions = policy.act(observations, np.ones(4, bool), deterministic=True)
        vecenv.step(actions)
    assert actions.shape == (4,)


def test_a_checkpoint_file_and_a_checkpoint_alone_are_loaded(nested, tmp_path):
    observation = Nested.observation_space.sample()
    expected = pufferlib.load(nested)(observation, deterministic=True)
    alone = tmp_path / "alone.pt"
    alone.write_bytes((nested / "checkpoint.pt").read_bytes())
    for path in (nested / "checkpoint.pt", str(alone)):
        assert pufferlib.load(path)(observation, deterministic=True) == expected


def test_mistakes_say_what_is_allowed(nested, tmp_path):
    with pytest.raises(CheckpointError, match=r"is not the folder of a run"):
        pufferlib.load(tmp_path)
    with pytest.raises(CheckpointError, match=r"There is no checkpoint .*other\.pt"):
        pufferlib.load(nested, "other.pt")
    with pytest.raises(SettingError, match=r"^device must be one of auto, cpu.*; got 'gpu'"):
        pufferlib.load(nested, device="gpu")
    policy = pufferlib.load(nested)
    for wrong in (np.zeros(4, np.float32), {"where": np.zeros(2, np.float32)}):
        with pytest.raises(ObservationError, match=r"which .*Nested was trained with"):
            policy(wrong)
