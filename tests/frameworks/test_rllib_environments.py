"""RLlib's episodes of our environments are those that the environments play."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from environments import Countdown, Population, Sampler
from gymnasium.spaces import Box, Discrete
from vector_environments import Flock

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, ContractError
from pufferlib.models import Default, LSTMWrapper
from pufferlib.registry import ocean

pytestmark = [
    pytest.mark.leaves_threads,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:.*Overriding environment rllib:UserWarning"),
]
rllib = pytest.importorskip("pufferlib.frameworks.rllib", exc_type=ImportError)
ppo = pytest.importorskip("ray.rllib.algorithms.ppo", exc_type=ImportError)
single = pytest.importorskip("ray.rllib.env.single_agent_env_runner", exc_type=ImportError)
multi = pytest.importorskip("ray.rllib.env.multi_agent_env_runner", exc_type=ImportError)
checks = pytest.importorskip("ray.rllib.utils.pre_checks.env", exc_type=ImportError)

TIMETABLE = {  # in another order than by name
    "through": (0, 3, "truncated"),
    "early": (0, 1, "truncated"),
    "vanishing": (0, 2, "vanished"),
    "late": (2, 3, "terminated"),
}


def config_for(env_creator, policy_creator=Default, **kwargs):
    config = rllib.configure(ppo.PPOConfig(), env_creator, policy_creator, **kwargs)
    return config.env_runners(num_env_runners=0)


@pytest.mark.parametrize("how", ["terminated", "truncated"])
def test_episodes_of_one_agent_are_those_that_the_environment_plays(how):
    config = config_for(Countdown, env_kwargs={"length": 3, "how": how})
    runner = single.SingleAgentEnvRunner(config=config.env_runners(num_envs_per_env_runner=2))
    episodes = runner.sample(num_episodes=4)
    runner.stop()
    check_countdowns(episodes, how)


def make_countdowns(num_envs, how="terminated", autoreset="next_step", **kwargs):
    return vector.make(
        Countdown, [3, how], num_envs=num_envs, autoreset=autoreset, backend=vector.Serial, **kwargs
    )


@pytest.mark.parametrize("how", ["terminated", "truncated"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["vectorizer", "wrapped for Gymnasium"])
def test_episodes_of_a_vectorizer_are_those_that_its_environments_play(how, wrapped):
    def make(num_envs, how):
        envs = make_countdowns(num_envs, how)
        if wrapped:
            envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(vector.to_gymnasium(envs))
        return envs

    config = config_for(make, env_kwargs={"how": how}, vectorized=True)
    runner = single.SingleAgentEnvRunner(config=config.env_runners(num_envs_per_env_runner=2))
    assert runner.env.unwrapped.num_envs == 2
    episodes = runner.sample(num_episodes=4)
    runner.stop()
    check_countdowns(episodes, how)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda num_envs: make_countdowns(num_envs, autoreset="same_step"),
            "RLlib needs a vectorizer with autoreset='next_step'; got .*'same_step'. Pass",
        ),
        (lambda num_envs: make_countdowns(num_envs, autoreset="disabled"), "got .*'disabled'"),
        (
            lambda num_envs: vector.to_gymnasium(make_countdowns(num_envs, autoreset="same_step")),
            "RLlib needs a vectorizer with autoreset='next_step'; got .*'same_step'",
        ),
        (
            lambda num_envs: vector.make(Flock, [3], num_envs=num_envs, autoreset="next_step"),
            "several agents in single environments only; .* of 1 environments with . agents",
        ),
        (
            lambda num_envs: make_countdowns(2, batch_size=1),
            "batch_size=1 of num_envs=2. Use batch_size=None",
        ),
        (lambda num_envs: Countdown(), "must return a vectorizer; got Countdown. Return"),
        (lambda num_envs: gymnasium.vector.SyncVectorEnv([Countdown]), "got SyncVectorEnv. Return"),
    ],
    ids=["same step", "disabled", "to_gymnasium", "agents", "pool", "single", "Gymnasium's"],
)
def test_a_vectorizer_that_rllib_would_misread_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        config_for(make, vectorized=True)


def check_countdowns(episodes, how):
    assert [len(episode) for episode in episodes] == [3] * 4
    for number, episode in zip([1, 1, 2, 2], episodes, strict=True):
        seen = [[number, 0], [number, 1], [number, 2], [number, 3]]
        assert episode.get_observations().tolist() == seen
        assert episode.get_rewards().tolist() == [1, 2, 3]
        assert (episode.is_terminated, episode.is_truncated) == (
            how == "terminated",
            how == "truncated",
        )


def test_episodes_of_several_agents_are_those_that_the_environment_plays():
    config = config_for(Population, env_kwargs={"timetable": TIMETABLE})
    runner = multi.MultiAgentEnvRunner(config=config)
    assert runner.module.keys() == {rllib.SHARED_MODULE}
    episodes = runner.sample(num_episodes=2)
    runner.stop()
    for episode in episodes:
        played = {
            agent: (len(part), part.get_rewards().tolist(), part.is_terminated, part.is_truncated)
            for agent, part in episode.agent_episodes.items()
        }
        assert played == {
            "through": (3, [10, 20, 30], False, True),  # to be bootstrapped
            "early": (1, [11], False, True),
            "vanishing": (2, [12, 22], False, True),
            "late": (1, [33], True, True),
        }
        layout = episode.agent_episodes["late"].observation_space.layout
        clocks = [
            layout.unflatten(row)["clock"].tolist()[1]
            for row in episode.agent_episodes["late"].get_observations()
        ]
        assert clocks == [2, 3]


def test_an_episode_of_agents_that_all_terminate_is_terminated():
    timetable = {"a": (0, 2, "terminated"), "b": (0, 1, "truncated")}
    runner = multi.MultiAgentEnvRunner(
        config=config_for(Population, env_kwargs={"timetable": timetable})
    )
    [episode] = runner.sample(num_episodes=1)
    runner.stop()
    ends = {k: (e.is_terminated, e.is_truncated) for k, e in episode.agent_episodes.items()}
    assert ends == {"a": (True, False), "b": (False, True)}
    assert (episode.is_terminated, episode.is_truncated) == (True, False)


def test_agents_are_in_the_order_of_possible_agents():
    env = rllib.make_env(Population(TIMETABLE))
    observations, infos = env.reset(seed=0)
    assert list(observations) == list(infos) == env.agents == ["through", "early", "vanishing"]
    assert list(env.observation_spaces) == list(TIMETABLE)
    *results, infos = env.step(dict.fromkeys(reversed(observations), 0))
    assert [list(result) for result in results] == [
        ["through", "early", "vanishing"],
        ["through", "early", "vanishing"],
        ["through", "early", "vanishing", "__all__"],
        ["through", "early", "vanishing", "__all__"],
    ]
    observations, rewards, *_ = env.step({"vanishing": 0, "through": 0})
    assert list(observations) == list(rewards) == ["through", "vanishing", "late"]
    env.close()


@pytest.mark.parametrize("make", [Population, Flock, lambda: ocean.make_env("multiagent")])
def test_environments_of_several_agents_pass_rllibs_check(make):
    env = rllib.make_env(make())
    checks.check_multiagent_environments(env)
    env.close()


def test_an_agent_that_returns_in_its_episode_is_an_error():
    class Returning(Population):
        def step(self, actions):
            if self.now == 1:
                self.timetable = {**self.timetable, "early": (2, 3, "terminated")}
            return super().step(actions)

    env = rllib.make_env(
        Returning({"early": (0, 1, "terminated"), "through": (0, 3, "terminated")})
    )
    env.reset(seed=0)
    _, _, terminateds, *_ = env.step({"early": 0, "through": 0})
    assert terminateds["early"]
    with pytest.raises(ContractError, match=r"\['early'\] left and returned in the same episode"):
        env.step({"through": 0})
    env.reset()  # in the next episode it joins as any other
    env.step({"through": 0})
    assert "early" in env.step({"through": 0})[0]
    env.close()


def test_an_agent_without_a_last_observation_keeps_its_last_one():
    class Silent(Population):
        def step(self, actions):
            observations, *rest = super().step(actions)
            return {a: o for a, o in observations.items() if a in self.agents}, *rest

    env = rllib.make_env(Silent({"a": (0, 1, "truncated"), "b": (0, 2, "terminated")}))
    first, _ = env.reset(seed=0)
    observations, _, _, truncateds, _ = env.step({"a": 0, "b": 0})
    assert truncateds == {"a": True, "b": False, "__all__": False}
    assert np.array_equal(observations["a"], first["a"])
    assert not np.array_equal(observations["b"], first["b"])


@pytest.mark.parametrize("task", ["memory", "spaces", "password"])
def test_ocean_tasks_are_environments_of_one_agent(task):
    config = config_for(ocean.make_env, env_kwargs={"name": task})
    runner = single.SingleAgentEnvRunner(config=config)
    [episode] = runner.sample(num_episodes=1)
    runner.stop()
    env = rllib.make_env(ocean.make_env(task))
    assert episode.get_observations(0).dtype == env.observation_space.dtype
    assert episode.is_terminated
    assert 0 <= episode.get_return() <= 1


@pytest.mark.parametrize("task", ocean.FAMILY.tasks)
def test_every_ocean_task_can_be_configured(task):
    config_for(ocean.make_env, env_kwargs={"name": task})  # makes an environment and a policy


def test_a_recurrent_policy_keeps_its_state_between_steps():
    config = config_for(Countdown, lambda env: LSTMWrapper(env, Default(env)), max_seq_len=2)
    runner = single.SingleAgentEnvRunner(config=config)
    [episode] = runner.sample(num_episodes=1)
    runner.stop()
    rows = np.stack(episode.get_observations())[None, :-1]
    torch = pytest.importorskip("torch")
    whole = runner.module.forward_inference({"obs": torch.as_tensor(rows)})
    kept = episode.get_extra_model_outputs("action_dist_inputs")
    torch.testing.assert_close(torch.as_tensor(np.stack(kept)), whole["action_dist_inputs"][0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: vector.make(Countdown, num_envs=2),
            "makes num_envs_per_env_runner environments itself; got the vectorizer Serial",
        ),
        (
            lambda: gymnasium.vector.SyncVectorEnv([Countdown]),
            "got the vectorizer SyncVectorEnv. Pass a creator of single environments, or",
        ),
        (lambda: ocean.make_env("squared", num_agents=2), "one game.*num_agents=1"),
        (lambda: 3, "wraps a gymnasium.Env, got builtins.int"),
    ],
    ids=["a vectorizer", "a vector environment", "separate games", "an int"],
)
def test_what_is_not_a_single_environment_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        config_for(make)


def test_heads_without_a_distribution_are_refused_before_ray_starts():
    space = gymnasium.spaces.Tuple((Discrete(2), Box(-1, 1, (2,))))
    with pytest.raises(ArgumentError, match="policy's heads are logits, Normal"):
        config_for(lambda: Sampler(Box(-1, 1, (2,)), space))


@pytest.mark.parametrize("algorithm", ["dqn.DQNConfig", "appo.APPOConfig"])
def test_an_algorithm_that_needs_other_modules_is_refused(algorithm):
    module, name = algorithm.split(".")
    config = getattr(pytest.importorskip(f"ray.rllib.algorithms.{module}"), name)()
    with pytest.raises(ArgumentError, match=rf"of PPO and IMPALA; got {name}"):
        rllib.configure(config, Countdown, Default)


WITHOUT = """
import sys
sys.modules[{name!r}] = None
from pufferlib.exceptions import NotInstalledError
try:
    import pufferlib.frameworks.rllib
except NotInstalledError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["ray", "tree"])
def test_a_missing_package_is_one_clear_sentence(name):
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(name=name)],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert result.stdout.startswith("RLlib is not installed, or without its packages: ")
    assert result.stdout.endswith(" Run: puffer install rllib\n")
