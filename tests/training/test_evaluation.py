"""Evaluation plays full episodes, one per row, and its confidence interval is correct."""

import gymnasium
import numpy as np
import pytest
import torch
from environments import TIMETABLE, Population, Sampler
from gymnasium.spaces import Box, Discrete
from match_games import ACTIONS, Waiting
from memory_policies import DictMemory
from torch.distributions import Normal

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, NotFiniteError
from pufferlib.models import Default, LSTMWrapper
from pufferlib.registry.ocean.squared import Squared
from pufferlib.training.evaluation import Evaluation, acting, evaluate


def cartpole():
    return gymnasium.make("CartPole-v1", disable_env_checker=True)


class AlwaysLeft(torch.nn.Module):
    """Pushes to the left."""

    def __init__(self):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.tensor([1e9, -1e9]))

    def forward(self, observations):
        return self.bias.expand(len(observations), 2), observations[:, :1]


def lengths_of_bare_episodes(seeds):
    lengths = []
    for seed in seeds:
        env, steps, ended = cartpole(), 0, False
        env.reset(seed=seed)
        while not ended:
            _, _, terminated, truncated, _ = env.step(0)
            steps, ended = steps + 1, terminated or truncated
        lengths.append(steps)
    return lengths


def test_each_row_plays_the_first_episode_of_its_seed():
    vecenv = vector.make(cartpole, num_envs=6)
    result = evaluate(vecenv, AlwaysLeft(), seed=100)
    expected = lengths_of_bare_episodes(range(100, 106))
    assert result.lengths.tolist() == expected
    assert result.returns.tolist() == expected  # a reward of 1 a step


@pytest.mark.long
def test_the_same_seed_gives_the_same_episodes():
    vecenv = vector.make(cartpole, num_envs=4)
    torch.manual_seed(0)
    policy = LSTMWrapper(vecenv, Default(vecenv))
    for each in (None, policy):
        first, again, other = (evaluate(vecenv, each, seed).returns for seed in (3, 3, 4))
        assert first.tolist() == again.tolist()
        assert first.tolist() != other.tolist()


class SlightlyLeft(AlwaysLeft):
    """Pushes to the left a little more often than to the right."""

    def __init__(self):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.tensor([0.01, 0.0]))


def test_greedy_actions_are_the_most_probable_ones():
    vecenv = vector.make(cartpole, num_envs=6)
    expected = lengths_of_bare_episodes(range(100, 106))
    policy = SlightlyLeft()
    assert evaluate(vecenv, policy, 100, is_greedy=True).lengths.tolist() == expected
    assert evaluate(vecenv, policy, 100).lengths.tolist() != expected


class NanActions(AlwaysLeft):
    """Gives logits, or a Normal, of NaN; its value is a number."""

    def __init__(self, is_continuous):
        super().__init__()
        self.bias.data[0], self.is_continuous = torch.nan, is_continuous

    def forward(self, observations):
        rows = self.bias.expand(len(observations), 2)
        heads = Normal(rows, torch.ones_like(rows), validate_args=False)
        return heads if self.is_continuous else rows, observations[:, :1]


@pytest.mark.parametrize("is_greedy", [False, True])
@pytest.mark.parametrize("is_continuous", [False, True])
def test_a_policy_of_nan_is_not_given_a_score(is_continuous, is_greedy):
    actions = Box(-1, 1, (2,)) if is_continuous else Discrete(2)
    vecenv = vector.make(Sampler, [Box(-1, 1, (3,)), actions], num_envs=2)
    with pytest.raises(NotFiniteError, match=r"NanActions chose .* NaN in 2 of 2 rows"):
        evaluate(vecenv, NanActions(is_continuous), 100, is_greedy, max_steps=2)


def test_greedy_actions_of_a_memory_need_no_random_numbers():
    vecenv = vector.make(cartpole, num_envs=2)
    policy = DictMemory(vecenv)
    found = []
    for seed in (1, 2):
        observations, _ = vecenv.reset(7)
        with acting(vecenv, policy, seed, is_greedy=True) as act:
            starts = np.ones(2, np.bool_)
            for _ in range(20):
                observations, _, terminals, truncations, _ = vecenv.step(act(observations, starts))
                starts = terminals | truncations
                found.append(observations.copy())
    np.testing.assert_array_equal(found[:20], found[20:])


def test_episodes_are_cut_after_the_most_steps_and_left_out():
    vecenv = vector.make(cartpole, num_envs=6)
    lengths = lengths_of_bare_episodes(range(100, 106))
    result = evaluate(vecenv, AlwaysLeft(), seed=100, max_steps=9)
    ended = [length for length in lengths if length <= 9]
    assert 0 < len(ended) < 6
    assert result.lengths.tolist() == ended
    assert (result.num_unfinished, result.num_steps) == (6 - len(ended), 9)
    none = evaluate(vecenv, AlwaysLeft(), seed=100, max_steps=1)
    assert (len(none.returns), none.num_unfinished) == (0, 6)
    assert np.isnan([none.mean, *none.interval()]).all()


def test_returns_that_cancel_have_a_mean_of_exactly_0():
    returns = np.array([0.1, -0.1, 0.3, -0.3 + 1e-9])
    assert Evaluation(returns, np.ones(4, np.int64), np.arange(4)).mean == 0
    assert Evaluation(returns[:3], np.ones(3, np.int64), np.arange(3)).mean == pytest.approx(0.1)
    assert np.isnan(Evaluation(returns * np.nan, np.ones(4, np.int64), np.arange(4)).mean)


def test_returns_of_agents_count_from_joining_to_leaving():
    # By the timetable of Population: "early" plays step 1, "through" steps 1 to 3, "late", which
    # joins on step 2, step 3; a reward is 10 x step + place. "never" takes no part.
    timetable = {**TIMETABLE, "never": (99, 99, "terminated")}
    vecenv = vector.make(Population, env_kwargs={"timetable": timetable}, num_envs=2)
    result = evaluate(vecenv, None, seed=0)
    assert result.lengths.tolist() == [1, 3, 1] * 2
    assert result.returns.tolist() == [10, 11 + 21 + 31, 32] * 2


class CountsSteps(torch.nn.Module):
    """Plays the number of steps since the episode of the row started."""

    state_batch_dim = 0

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1e6))

    def initial_state(self, rows, device=None):
        return torch.zeros(rows, dtype=torch.int64, device=device)

    def forward(self, observations, state=None, starts=None):
        state = torch.where(starts, 0, state)
        logits = self.scale * torch.nn.functional.one_hot(state, ACTIONS)
        return logits, torch.zeros(len(observations), 1), state + 1


def test_the_memory_of_who_waits_without_a_row_goes_on():
    result = evaluate(vector.make(Waiting, num_envs=2), CountsSteps(), seed=0, is_greedy=True)
    assert result.lengths.tolist() == [2] * 4
    assert result.returns.tolist() == [0 + 2] * 4


def test_evaluation_restores_torchs_generator_and_the_policys_mode():
    vecenv = vector.make(cartpole, num_envs=2)
    policy = Default(vecenv)
    policy.encoder.eval()  # as for a frozen part
    modes = [module.training for module in policy.modules()]
    before = torch.get_rng_state()
    evaluate(vecenv, policy, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in policy.modules()] == modes


def test_a_policy_is_evaluated_in_eval_mode():
    class Recorder(Default):
        def forward(self, observations):
            assert not self.training
            return super().forward(observations)

    vecenv = vector.make(cartpole, num_envs=2)
    assert evaluate(vecenv, Recorder(vecenv), seed=0).lengths.min() > 1


def test_the_interval_contains_the_true_mean_in_about_95_percent_of_cases():
    random = np.random.default_rng(0)
    count = 0
    for _ in range(200):
        sample = random.exponential(5.0, size=100)
        low, high = Evaluation(sample, np.zeros(100, np.int64), np.arange(100)).interval()
        count += low <= 5.0 <= high
    assert 180 <= count <= 199  # 95% of 200, plus or minus three standard deviations


def test_agents_of_one_game_do_not_narrow_the_interval():
    returns = np.random.default_rng(0).normal(size=20)
    alone = Evaluation(returns, np.ones(20, np.int64), np.arange(20))
    copied = Evaluation(returns.repeat(5), np.ones(100, np.int64), np.arange(20).repeat(5))
    assert copied.interval() == pytest.approx(alone.interval())
    one_game = Evaluation(returns, np.ones(20, np.int64), np.zeros(20, np.int64))
    assert np.isnan(one_game.interval()).all()


def test_games_count_by_their_episodes():
    # Nine games of three episodes that return 0, and one of a single episode that returns 6. Ten
    # are drawn: the last comes up three times at most with probability 0.987, twice at most with
    # 0.930, so the interval ends at (3 x 6) / (7 x 3 + 3 x 1) = 0.75, and begins at 0.
    returns, games = np.append(np.zeros(27), 6.0), np.append(np.arange(9).repeat(3), 9)
    evaluation = Evaluation(returns, np.ones(28, np.int64), games)
    assert evaluation.interval() == pytest.approx((0, 0.75))


@pytest.mark.parametrize(
    ("creator", "kwargs", "games"),
    [
        (Population, {"timetable": TIMETABLE}, [3, 3]),  # its three agents meet
        (Squared, {"num_agents": 3}, [1] * 6),  # games side by side
        (cartpole, {}, [1, 1]),
    ],
)
def test_agents_that_play_together_count_as_one_game(creator, kwargs, games):
    vecenv = vector.make(creator, env_kwargs=kwargs, num_envs=2)
    found = evaluate(vecenv, None, seed=0).games
    assert np.unique(found, return_counts=True)[1].tolist() == games


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
def test_another_autoreset_mode_is_refused(autoreset):
    vecenv = vector.make(cartpole, num_envs=2, autoreset=autoreset)
    with pytest.raises(ArgumentError, match=r"evaluate needs .* autoreset='same_step'; got one"):
        evaluate(vecenv, None, seed=0)


def test_a_pool_is_refused():
    vecenv = vector.make(
        cartpole, num_envs=2, num_workers=2, batch_size=1, backend="Multiprocessing"
    )
    try:
        with pytest.raises(ArgumentError, match="synchronous"):
            evaluate(vecenv, None, seed=0)
    finally:
        vecenv.close()
