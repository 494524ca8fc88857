"""A collector stores what was seen, done and given, row by row, and counts it."""

import numpy as np
import pytest
import torch
import training_environments
from match_games import Waiting
from training_environments import EPISODE_STEPS, Constant, OneValue, Roster

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, NotFiniteError
from pufferlib.training.statistics import RewardScale
from pufferlib.wrappers import EpisodeStats

CPU = torch.device("cpu")
HORIZON = 7


class Count(OneValue):
    """Values an observation at its first number, the step of the episode."""

    def forward(self, observations):
        logits, _ = super().forward(observations)
        return logits, observations[:, :1].float()


def collector_of(vecenv, scale=None, policy=None):
    return training_environments.collector_of(vecenv, policy or Count(), HORIZON, scale)


def collected(collector, seed=1, rollouts=1):
    """Return copies of the rollouts' tensors by name, in one sequence of steps, (T, B, ...)."""
    torch.manual_seed(0)
    collector.begin(seed)
    found = []
    for _ in range(rollouts):
        [storage] = collector.collect()
        rollout = vars(storage)
        found.append({k: v.clone() for k, v in rollout.items() if isinstance(v, torch.Tensor)})
    names = [name for name in found[0] if name not in ("values", "columns")]
    joined = {name: torch.cat([part[name] for part in found]) for name in names}
    joined["values"] = torch.cat([part["values"][:-1] for part in found])
    joined["bootstraps"] = torch.stack([part["values"][-1] for part in found])
    return joined


def test_a_rollout_goes_on_where_the_last_one_ended():
    steps = collected(collector_of(vector.make(Roster)), rollouts=3)
    counts = [step % EPISODE_STEPS for step in range(3 * HORIZON)]
    assert steps["observations"][:, 0, 0].tolist() == counts
    assert steps["values"][:, 0].tolist() == counts
    # The value of the observation that follows each rollout: of steps 7, 14 and 21.
    assert steps["bootstraps"][:, 0].tolist() == [2, 4, 1]


def test_starts_ends_and_presence_are_those_of_each_agent():
    steps = collected(collector_of(vector.make(Roster)), rollouts=2)
    lasts = [(step + 1) % EPISODE_STEPS == 0 for step in range(2 * HORIZON)]
    is_cut = [last and (step + 1) // EPISODE_STEPS % 2 == 0 for step, last in enumerate(lasts)]
    firsts = [step % EPISODE_STEPS == 0 for step in range(2 * HORIZON)]
    whole, leaving, absent = range(3)
    assert steps["starts"][:, whole].tolist() == firsts
    assert steps["truncations"][:, whole].tolist() == is_cut
    assert steps["terminals"][:, whole].tolist() == [
        last and not cut for last, cut in zip(lasts, is_cut, strict=True)
    ]
    assert steps["valid"][:, whole].all()
    second = [step % EPISODE_STEPS == 1 for step in range(2 * HORIZON)]
    assert steps["terminals"][:, leaving].tolist() == second
    assert steps["valid"][:, leaving].tolist() == [
        first or last for first, last in zip(firsts, second, strict=True)
    ]
    starts = steps["starts"][steps["valid"][:, leaving], leaving].tolist()
    assert starts == [True, False] * 3
    assert not steps["valid"][:, absent].any()
    assert steps["rewards"][~steps["valid"]].eq(0).all()


def test_no_episode_starts_where_an_agent_has_waited_without_a_row():
    steps = collected(collector_of(vector.make(Waiting)), rollouts=2)  # acts twice in a game
    for agent in range(2):
        assert steps["starts"][steps["valid"][:, agent], agent].tolist()[:6] == [True, False] * 3


def test_a_truncated_episode_alone_has_the_value_of_its_last_observation():
    steps = collected(collector_of(vector.make(Roster)), rollouts=2)
    assert steps["truncations"].any()
    expected = torch.where(steps["truncations"], EPISODE_STEPS, 0).float()
    assert torch.equal(steps["final_values"], expected)


def test_actions_are_stored_with_the_probability_they_were_drawn_with():
    policy = Count()
    policy.logits.data[:] = torch.tensor([0.0, np.log(3.0)])  # 1 / 4 and 3 / 4
    steps = collected(collector_of(vector.make(Roster, num_envs=20), policy=policy))
    expected = torch.where(steps["actions"] == 1, 0.75, 0.25).log()
    torch.testing.assert_close(steps["log_probabilities"], expected)
    assert steps["actions"].float().mean().item() == pytest.approx(0.75, abs=0.1)
    named = (steps["actions"] == (steps["observations"][..., 1] > 0)) & steps["valid"]
    assert torch.equal(steps["rewards"], named.float())


def test_timesteps_are_those_of_agents_that_acted():
    collector = collector_of(vector.make(Roster, num_envs=2))
    collected(collector)
    assert collector.timesteps == 2 * (HORIZON + 4)  # the second agent in steps 0, 1, 5 and 6


def test_episodes_are_those_that_the_environments_report():
    vecenv = vector.make(
        lambda: EpisodeStats(Constant(is_truncated=True)), num_envs=3, backend="Serial"
    )
    collector = collector_of(vecenv)
    collected(collector)
    means = collector.episodes.means()
    assert means["episode_return"] == means["episode_length"] == EPISODE_STEPS


def test_a_beginning_is_the_same_whatever_was_collected_before():
    collector = collector_of(vector.make(Roster, num_envs=2))
    first, again, other = (collected(collector, seed) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["observations"], other["observations"])


def test_rewards_are_scaled_by_row():
    plain = collected(collector_of(vector.make(Roster, num_envs=2)), rollouts=2)
    scale, expected = RewardScale(6, 0.9), RewardScale(6, 0.9)
    found = collected(collector_of(vector.make(Roster, num_envs=2), scale), rollouts=2)
    for t in range(2 * HORIZON):
        ends = (plain["terminals"] | plain["truncations"])[t].numpy()
        rewards = expected(plain["rewards"][t].numpy(), ends, plain["valid"][t].numpy())
        np.testing.assert_array_equal(found["rewards"][t].numpy(), rewards)


class Infinite(Constant):
    """Gives an infinite reward on the third step."""

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, np.inf if self.count == 3 else reward, *rest


def test_an_infinite_reward_is_refused_with_its_row():
    vecenv = vector.make([Constant, Infinite], env_kwargs=[{"is_truncated": True}] * 2, num_envs=2)
    with pytest.raises(NotFiniteError, match=r"Environment 1 \(row 1\) gave a reward of inf"):
        collected(collector_of(vecenv))


def test_a_pool_without_zero_copy_is_refused():
    vecenv = vector.make(
        Roster, num_envs=6, num_workers=3, batch_size=4, zero_copy=False, backend="Multiprocessing"
    )
    try:
        with pytest.raises(ArgumentError, match="zero_copy=True"):
            collector_of(vecenv)
    finally:
        vecenv.close()
