"""A vectorizer behaves as a VecEnv of Stable-Baselines3: as its own DummyVecEnv, row by row."""

import importlib
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from environments import Countdown, Sampler
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Tuple
from sb3_environments import Mixture, OneLegal, Pictured
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecCheckNan,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
)
from vector_environments import Echo, Flock, Troubled

from pufferlib import vector
from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError, NotInstalledError
from pufferlib.frameworks.sb3 import Policy, PufferVecEnv
from pufferlib.models import Default
from pufferlib.registry import ocean
from pufferlib.wrappers import EpisodeStats, MultiAgentEpisodeStats

N = 3
BACKENDS = ["Serial", "Multiprocessing"]
over_backends = pytest.mark.parametrize("backend", BACKENDS)


def short_cart_pole():
    return gymnasium.make("CartPole-v1", max_episode_steps=12)  # most episodes are cut


def pendulum():
    return gymnasium.make("Pendulum-v1", max_episode_steps=20)


@pytest.fixture
def make():
    made = []

    def make(creator, num_envs=N, backend="Serial", **options):
        options = {"num_workers": num_envs, **options} if backend == "Multiprocessing" else options
        made.append(
            PufferVecEnv(vector.make(creator, backend=backend, num_envs=num_envs, **options))
        )
        return made[-1]

    yield make
    for env in made:
        env.close()


def plain(infos):
    """Return infos without what only a Monitor has, and with arrays as lists."""
    return [
        {
            k: v.tolist() if isinstance(v, np.ndarray) else v
            for k, v in info.items()
            if k != "episode"
        }
        for info in infos
    ]


@over_backends
@pytest.mark.parametrize("creator", [short_cart_pole, pendulum, Mixture, Countdown])
def test_500_steps_equal_those_of_dummy_vec_env(creator, backend, make):
    ours = make(creator, backend=backend)
    theirs = DummyVecEnv([lambda: Monitor(GymnasiumPufferEnv(creator()))] * N)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.seed(7) == theirs.seed(7) == [7, 8, 9]
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    assert ours.reset_infos == theirs.reset_infos
    ours.action_space.seed(0)
    ends = 0
    for _ in range(500):
        actions = np.array([ours.action_space.sample() for _ in range(N)])
        observations, rewards, dones, infos = ours.step(actions)
        expected = theirs.step(actions)
        np.testing.assert_array_equal(observations, expected[0])
        np.testing.assert_array_equal(rewards, expected[1])
        np.testing.assert_array_equal(dones, expected[2])
        assert rewards.dtype == np.float32
        assert dones.dtype == np.bool_
        assert plain(infos) == plain(expected[3])
        assert ours.reset_infos == theirs.reset_infos
        for info, other in zip(infos, expected[3], strict=True):
            assert ("episode" in info) == ("episode" in other)
            if "episode" in info:
                ends += 1
                assert info["episode"]["l"] == other["episode"]["l"]
                assert info["episode"]["r"] == pytest.approx(other["episode"]["r"], abs=1e-4)
                assert info["episode"]["t"] >= 0
    assert ends > 10 * N


@pytest.mark.long
@pytest.mark.parametrize("algorithm", [PPO, A2C, DQN])
def test_models_of_stable_baselines3_learn_the_same_as_over_dummy_vec_env(algorithm, make):
    weights = []
    for env in (make(short_cart_pole), DummyVecEnv([lambda: Monitor(short_cart_pole())] * N)):
        options = {"learning_starts": 16} if algorithm is DQN else {"n_steps": 32}
        options |= {"batch_size": 32} if algorithm is not A2C else {}
        model = algorithm("MlpPolicy", env, seed=0, device="cpu", **options)
        model.learn(200)
        assert len(model.ep_info_buffer) > 5
        weights.append([weight.detach().numpy() for weight in model.policy.parameters()])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_returned_is_not_overwritten_by_the_next_step(make):
    env = make(Countdown)
    first = env.reset()
    kept = first.copy()
    step = env.step(np.zeros(N, np.int64))
    copies = [np.copy(part) for part in step[:3]]
    for _ in range(4):
        env.step(np.zeros(N, np.int64))
    np.testing.assert_array_equal(first, kept)
    for part, copy in zip(step[:3], copies, strict=True):
        np.testing.assert_array_equal(part, copy)


def test_seeds_are_used_once_and_differ(make):
    env = make(Mixture)
    env.seed(3)
    first = env.reset()
    assert env._seeds == [None] * N
    assert not np.array_equal(first, env.reset())
    env.seed(3)
    np.testing.assert_array_equal(first, env.reset())
    assert len(np.unique(first, axis=0)) == N
    seeds = env.seed()
    assert seeds == list(range(seeds[0], seeds[0] + N))


def test_agents_of_an_environment_have_its_seed(make):
    env = make(Flock, num_envs=2)
    assert env.seed(5) == [5, 5, 5, 6, 6, 6]
    assert env.reset().shape == (6, 2)


class Games(PufferEnv):
    """Games that observe their seeds; rows of a game are neighbors."""

    single_observation_space, single_action_space = Box(0, 99, (1,)), Discrete(2)
    num_seeds = 2

    def __init__(self, num_agents):
        self.num_agents = num_agents
        super().__init__()

    def reset(self, seed=None):
        games = np.repeat(np.arange(self.num_seeds), self.num_agents // self.num_seeds)
        self.observations[:, 0] = seed + games
        self.masks[:] = True
        return self.observations, []


@pytest.mark.parametrize("num_agents", [2, 4])
def test_the_seeds_of_rows_are_those_of_their_games(make, num_agents):
    env = make(lambda: Games(num_agents), num_envs=2)
    seeds = env.seed(5)
    assert seeds == np.repeat([5, 6, 7, 8], num_agents // 2).tolist()
    assert env.reset()[:, 0].tolist() == seeds


def test_an_end_has_the_true_last_observation_and_says_whether_it_was_cut(make):
    env = make(Countdown, num_envs=1)  # terminates after three steps
    env.seed(0)
    env.reset()
    cut = make(lambda: Countdown(2, "truncated"), num_envs=1)
    cut.reset()
    for step in range(1, 4):
        observations, _, (done,), (info,) = env.step(np.zeros(1, np.int64))
        assert done == (step == 3)
        assert ("terminal_observation" in info) == done
    assert info["terminal_observation"].tolist() == [1, 3]
    assert observations.tolist() == [[2, 0]]
    assert info["TimeLimit.truncated"] is False
    assert info["episode"]["r"] == 1 + 2 + 3
    assert info["episode"]["l"] == 3
    cut.step(np.zeros(1, np.int64))
    _, _, dones, (info,) = cut.step(np.zeros(1, np.int64))
    assert dones.tolist() == [True]
    assert info["TimeLimit.truncated"] is True


def test_an_end_that_is_both_does_not_count_as_cut(make):
    class Both(Countdown):
        def step(self, action):
            observation, reward, terminated, _, info = super().step(action)
            return observation, reward, terminated, terminated, info

    env = make(Both, num_envs=1)
    env.reset()
    for _ in range(3):
        *_, (info,) = env.step(np.zeros(1, np.int64))
    assert info["TimeLimit.truncated"] is False
    assert info["terminal_observation"].tolist() == [1, 3]


def test_rows_of_agents_have_their_own_ends_and_episodes(make):
    # See Flock: a terminates at step 2, c joins then; at step 4 b terminates and c is truncated.
    env = make(Flock, num_envs=2)
    env.seed(0)
    env.reset()
    steps = [env.step(np.arange(6)) for _ in range(4)]
    dones = np.array([step[2] for step in steps])
    a, b, c = dones[:, 3], dones[:, 4], dones[:, 5]  # of the second environment
    assert a.tolist() == [False, True, False, True]  # at step 4 it returns in a new episode
    assert b.tolist() == [False, False, False, True]
    assert c.tolist() == [False, True, False, True]  # at step 2 it joins
    died, joined = steps[1][3][3], steps[1][3][5]
    assert died["terminal_observation"].tolist() == [1, 2]
    assert died["TimeLimit.truncated"] is False
    assert (died["episode"]["r"], died["episode"]["l"]) == (6, 2)  # two steps with action 3
    assert "episode" not in joined
    assert joined["terminal_observation"].tolist() == [0, 0]
    last = steps[3][3]
    assert (last[4]["episode"]["r"], last[4]["episode"]["l"]) == (16, 4)
    assert (last[5]["episode"]["r"], last[5]["episode"]["l"]) == (10, 2)
    assert [info["TimeLimit.truncated"] for info in last] == [False, False, True] * 2
    assert last[5]["terminal_observation"].tolist() == [3, 4]
    assert last[3]["agent_infos"] == [{"ends": "b"}, {"ends": "c"}]
    assert "episode" not in last[3]


def test_acted_says_who_was_there(make):
    env = make(Flock, num_envs=1)
    env.reset()
    acted = []
    for _ in range(5):
        env.step(np.zeros(3, np.int64))
        acted.append(env.presence.acted.tolist())
    here, a_left = [True, True, False], [False, True, True]
    assert acted == [here, here, a_left, a_left, here]


def test_a_lost_worker_is_an_end_without_an_episode(make):
    creators = [lambda: Echo(tag=0), lambda: Troubled(tag=1)]
    env = make(creators, num_envs=2, backend="Multiprocessing", on_failure="restart")
    env.seed(0)
    env.reset()
    env.step(np.array([1, 2]))
    _, rewards, dones, (_, info) = env.step(np.array([1, Troubled.DIE]))
    assert rewards.tolist() == [1, 0]
    assert dones.tolist() == [False, True]
    assert info["TimeLimit.truncated"] is True
    assert info["terminal_observation"].tolist() == [1, 0, 1, 2]  # the last that was returned
    assert "episode" not in info
    assert info["restarted"]
    assert env.presence.acted.tolist() == [True, False]
    _, _, dones, (_, info) = env.step(np.array([1, 5]))
    assert dones.tolist() == [False, True]  # its row was empty: the next episode begins
    assert "episode" not in info
    assert env.presence.acted.tolist() == [True, False]
    env.step(np.array([1, 5]))
    assert env.presence.acted.tolist() == [True, True]


def test_the_statistics_of_the_environment_are_preferred(make):
    def scaled():
        return gymnasium.wrappers.TransformReward(EpisodeStats(Countdown()), lambda r: 10 * r)

    for creator, expected in ((scaled, 6), (lambda: Monitor(Countdown()), 6), (Countdown, 6)):
        env = make(creator, num_envs=1)
        env.reset()
        for _ in range(3):
            *_, (info,) = env.step(np.zeros(1, np.int64))
        assert (info["episode"]["r"], info["episode"]["l"]) == (expected, 3)


def test_an_info_named_episode_that_is_no_episode_is_replaced(make):
    env = make(lambda: Echo(length=2), num_envs=1)  # its info is {"episode": its number}
    env.seed(0)
    env.reset()
    env.step(np.array([3]))
    *_, (info,) = env.step(np.array([4]))
    assert (info["episode"]["r"], info["episode"]["l"]) == (7, 2)


@over_backends
def test_attributes_and_methods_are_reached(backend, make):
    env = make([lambda: Echo(tag=0), lambda: Echo(tag=1), lambda: Echo(tag=2)], backend=backend)
    assert env.get_attr("tag") == [0, 1, 2]
    assert env.get_attr("tag", indices=1) == [1]
    assert env.get_attr("tag", indices=[2, 0]) == [2, 0]
    assert env.get_attr("tag", indices=[-1]) == [2]
    assert env.env_method("greet", "Hello", mark="!") == ["Hello 0!", "Hello 1!", "Hello 2!"]
    assert env.env_method("greet", "Hello", indices=[2, 0]) == ["Hello 2.", "Hello 0."]
    env.set_attr("skill", 7)
    assert env.get_attr("skill") == [7] * 3
    env.set_attr("skill", 8, indices=[0, 2])
    assert env.get_attr("skill") == [8, 7, 8]
    assert env.has_attr("skill")
    assert not env.has_attr("missing")
    with pytest.raises(AttributeError, match="missing"):
        env.get_attr("missing")


def test_indices_are_of_rows(make):
    env = make([lambda: Flock(0), lambda: Flock(1)], num_envs=2)
    assert env.get_attr("tag") == [0, 0, 0, 1, 1, 1]
    assert env.get_attr("tag", indices=[5, 0]) == [1, 0]
    env.set_attr("skill", 3, indices=[4])
    assert env.get_attr("skill", indices=[0, 3]) == [0, 3]


@over_backends
def test_options_are_used_once(backend, make):
    env = make(Mixture, backend=backend)
    env.reset()
    env.set_options({"level": 1})
    assert env.get_attr("options") == [None] * N  # only a reset passes them
    env.reset()
    assert env.get_attr("options") == [{"level": 1}] * N
    env.reset()
    assert env.get_attr("options") == [None] * N
    env.set_options([{"level": 1}, {"level": 2}, {"level": 1}])
    with pytest.raises(ArgumentError, match="the same options"):
        env.reset()


@over_backends
def test_wrappers_are_found(backend, make):
    env = make([Countdown, lambda: EpisodeStats(Countdown())], num_envs=2, backend=backend)
    assert env.env_is_wrapped(EpisodeStats) == [False, True]
    assert env.env_is_wrapped(EpisodeStats, indices=1) == [True]
    assert env.env_is_wrapped(Monitor) == [True, True]  # infos have what a Monitor reports
    assert VecFrameStack(env, 2).env_is_wrapped(EpisodeStats) == [False, True]


def test_wrappers_of_pettingzoo_are_found(make):
    env = make([Flock, lambda: MultiAgentEpisodeStats(Flock())], num_envs=2)
    assert env.env_is_wrapped(MultiAgentEpisodeStats) == [False] * 3 + [True] * 3


def test_native_environments_have_no_wrappers(make):
    assert make(lambda: ocean.make_env("squared", num_agents=2), 1).env_is_wrapped(
        EpisodeStats
    ) == [
        False,
        False,
    ]


@pytest.mark.parametrize("task", ocean.FAMILY.tasks)
def test_ppo_plays_every_ocean_task(task, make):
    env = make(lambda: ocean.make_env(task), num_envs=2)
    model = PPO(Policy, env, policy_kwargs={"policy_creator": Default}, n_steps=8, batch_size=8)
    actions, _ = model.predict(env.reset())
    observations, rewards, dones, infos = env.step(actions)
    assert observations.shape == (env.num_envs, *env.observation_space.shape)
    assert len(rewards) == len(dones) == len(infos) == env.num_envs


def test_pictures_are_of_environments(make):
    env = make(Pictured, num_envs=2)
    env.reset()
    assert [image.shape for image in env.get_images()] == [(16, 32, 3)] * 2
    assert env.render_mode == "rgb_array"
    assert env.render().shape == (32, 32, 3)  # tiled
    np.testing.assert_array_equal(env.render(), env.render(mode="rgb_array"))
    with pytest.warns(UserWarning, match="something_else"):
        env.render(mode="something_else")
    assert env.metadata["render_fps"] == 12
    silent = make(pendulum)
    with pytest.warns(UserWarning, match="render_mode is None"):
        assert silent.get_images() == [None] * N


@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # moviepy's, if not compiled yet
def test_vec_video_recorder_records_rows(make, tmp_path):
    pytest.importorskip("moviepy")
    env = VecVideoRecorder(make(Pictured, 2), str(tmp_path), lambda step: step == 0, 5)
    env.reset()
    for _ in range(6):
        env.step(np.zeros(2, np.int64))
    env.close()
    (video,) = tmp_path.glob("*.mp4")
    assert video.stat().st_size > 0


@pytest.mark.parametrize(
    "space",
    [Discrete(3, start=2), MultiDiscrete([2, 3]), MultiBinary(3), Box(-1, 1, (2, 2), np.float32)],
    ids=["discrete", "multi-discrete", "multi-binary", "box"],
)
def test_actions_reach_the_environment(space, make):
    env = make(lambda: Sampler(Box(0, 1, (2,)), space))
    env.reset()
    actions = [env.action_space.sample() for _ in range(N)]  # a list, as its own tests pass them
    env.step(actions)
    for (received,), action in zip(env.get_attr("actions"), actions, strict=True):
        assert received in space
        expected = action + space.start if isinstance(space, Discrete) else action
        expected = np.reshape(expected, space.shape)  # it was flat
        np.testing.assert_array_equal(received, expected)


def test_integers_of_a_box_are_rounded_to_the_nearest(make):
    env = make(lambda: Sampler(Box(0, 1, (2,)), Box(-5, 5, (2,), np.int32)))
    assert env.action_space == Box(-5, 5, (2,), np.float32)
    env.reset()
    env.step(np.array([[0.6, -0.6], [1.4, -1.4], [5, -5]], np.float32))
    received = [actions[0].tolist() for actions in env.get_attr("actions")]
    assert received == [[1, -1], [1, -1], [5, -5]]


def test_only_the_integers_of_mixed_actions_are_rounded(make):
    space = Tuple((Box(-5, 5, (1,), np.int32), Box(-1, 1, (1,), np.float32), Discrete(3)))
    env = make(lambda: Sampler(Box(0, 1, (2,)), space), num_envs=1)
    env.reset()
    env.step(np.array([[2.7, 0.25, 2]], np.float32))
    (((whole, real, choice),),) = env.get_attr("actions")
    assert (whole.tolist(), real.tolist(), choice) == ([3], [0.25], 2)


@pytest.mark.parametrize("creator", [short_cart_pole, pendulum, Mixture])
def test_check_env_passes_on_an_emulated_environment(creator):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*symmetric and normalized")  # Pendulum's [-2, 2]
        check_env(GymnasiumPufferEnv(creator()))


def test_masks_are_those_of_the_last_observation(make):
    env = make(OneLegal)
    env.reset()
    assert env.has_attr("action_masks")
    for _ in range(3):
        masks = np.stack(env.env_method("action_masks"))
        legal = env.get_attr("legal")
        assert masks.dtype == np.bool_
        assert [np.flatnonzero(mask).tolist() for mask in masks] == [sorted(x) for x in legal]
        np.testing.assert_array_equal(env.env_method("action_masks", indices=[1])[0], masks[1])
        env.step(np.array([each[0] for each in legal]))
    assert not make(Mixture).has_attr("action_masks")


def test_vec_normalize_normalizes_rows_and_last_observations(make):
    ours = VecNormalize(make(short_cart_pole))
    theirs = VecNormalize(DummyVecEnv([short_cart_pole] * N))
    for env in (ours, theirs):
        env.seed(0)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    for step in range(60):
        actions = np.full(N, step % 2)
        one, other = ours.step(actions), theirs.step(actions)
        for part, expected in zip(one[:3], other[:3], strict=True):
            np.testing.assert_array_equal(part, expected)
        assert plain(one[3]) == plain(other[3])


def test_vec_frame_stack_stacks_rows_and_last_observations(make):
    ours = VecFrameStack(make(short_cart_pole), 3)
    theirs = VecFrameStack(DummyVecEnv([short_cart_pole] * N), 3)
    for env in (ours, theirs):
        env.seed(0)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    for step in range(30):
        one, other = ours.step(np.full(N, step % 2)), theirs.step(np.full(N, step % 2))
        np.testing.assert_array_equal(one[0], other[0])
        assert plain(one[3]) == plain(other[3])


def test_vec_monitor_counts_the_same_episodes(make):
    inner = make(short_cart_pole)
    with pytest.warns(UserWarning, match="already wrapped with a `Monitor`"):
        env = VecMonitor(inner)
    env.reset()
    own = []
    step_wait = inner.step_wait
    inner.step_wait = lambda: own.append(step_wait()) or own[-1]
    for step in range(40):
        *_, infos = env.step(np.full(N, step % 2))
        for info, mine in zip(infos, own[-1][3], strict=True):
            assert ("episode" in info) == ("episode" in mine)
            if "episode" in info:
                assert info["episode"]["r"] == mine["episode"]["r"]
                assert info["episode"]["l"] == mine["episode"]["l"]


def test_vec_check_nan_passes_and_raises(make):
    env = VecCheckNan(make(pendulum), raise_exception=True)
    env.reset()
    env.step(np.zeros((N, 1), np.float32))
    with pytest.raises(ValueError, match="nan"):
        env.step(np.full((N, 1), np.nan, np.float32))


class Always:
    """A model that always takes one action."""

    def predict(self, observations, state=None, episode_start=None, deterministic=True):
        return np.zeros(len(observations), np.int64), state


def test_evaluate_policy_counts_whole_episodes(make):
    # Rewards 1, 2 and 3. There is no warning about a missing Monitor: warnings are errors.
    returns, lengths = evaluate_policy(
        Always(), make(Countdown), n_eval_episodes=7, return_episode_rewards=True
    )
    assert returns == [6] * 7
    assert lengths == [3] * 7


def test_evaluate_policy_does_not_count_absences(make):
    returns, lengths = evaluate_policy(
        Always(), make(Flock, num_envs=2), n_eval_episodes=18, return_episode_rewards=True
    )
    assert sorted(set(lengths)) == [2, 4]
    assert lengths.count(4) == 6  # of b; a and c play two steps
    assert returns == [0] * 18


def test_it_may_be_closed_twice():
    env = PufferVecEnv(vector.make(Countdown))
    env.close()
    env.close()


def test_what_cannot_be_a_vec_env_is_refused():
    with pytest.raises(ArgumentError, match=r"got CartPoleEnv.*pufferlib\.vector\.make"):
        PufferVecEnv(gymnasium.make("CartPole-v1").unwrapped)
    with pytest.raises(ArgumentError, match="got Serial"):
        PufferVecEnv(vector.Serial)
    options = {"backend": "Multiprocessing", "num_envs": 4, "num_workers": 2, "batch_size": 2}
    pool = vector.make(Countdown, **options)
    with pytest.raises(ArgumentError, match=r"batch_size=2 of num_envs=4. Use batch_size=None"):
        PufferVecEnv(pool)
    pool.close()
    later = vector.make(Countdown, autoreset="next_step")
    with pytest.raises(ArgumentError, match=r"'next_step'\. Pass autoreset='same_step'"):
        PufferVecEnv(later)
    later.close()
    unbounded = vector.make(lambda: Sampler(Box(0, 1, (2,)), Box(-np.inf, np.inf, (2,))))
    with pytest.raises(ArgumentError, match="must be finite"):
        PufferVecEnv(unbounded)


@pytest.mark.parametrize("package", ["stable_baselines3", "sb3_contrib"])
def test_a_package_that_is_missing_is_named_with_what_installs_it(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "pufferlib.frameworks.sb3")
    with pytest.raises(NotInstalledError, match=r'puffer install sb3 .*"pufferlib\[sb3\]"'):
        importlib.import_module("pufferlib.frameworks.sb3")
