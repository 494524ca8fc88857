"""A curriculum changes the environments at episode ends, and continues after a resume."""

import json
import os

import gymnasium
import numpy as np
import pytest
import torch
from rich.console import Console

from pufferlib import vector
from pufferlib.exceptions import SettingError
from pufferlib.models import Default
from pufferlib.ppo import TrainConfig, Trainer
from pufferlib.runs import Run
from pufferlib.training.curriculum import Curriculum
from pufferlib.training.distributed import DistributedContext
from pufferlib.wrappers import EpisodeStats


class Leveled(gymnasium.Env):
    """Episodes of five steps; the observation and the reward are the level that began them."""

    observation_space = gymnasium.spaces.Box(-100, 100, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, level=100):
        self.level = level

    def reset(self, *, seed=None, options=None):
        self.current, self.steps = self.level, 0
        return np.float32([self.current]), {}

    def step(self, action):
        self.steps += 1
        return np.float32([self.current]), self.current, self.steps == 5, False, {}


def make():
    return EpisodeStats(Leveled())


def trainer_of(choose, backend="Serial", **settings):
    vecenv = vector.make(make, num_envs=2, backend=backend)
    torch.manual_seed(0)
    config = TrainConfig(horizon=8, minibatches=2, total_timesteps=64, **settings)
    return Trainer(config, vecenv, Default(vecenv, hidden_size=8), curriculum=choose)


def one_more(progress, metrics, attributes):
    return {"level": attributes.get("level", -1) + 1}


@pytest.mark.parametrize("backend", ["Serial", "Multiprocessing"])
def test_an_environment_takes_up_a_level_at_its_next_reset(backend):
    trainer = trainer_of(one_more, backend)
    levels = []
    for _ in range(3):
        rollout = trainer.collect()
        levels.append(rollout.observations[:, 0, 0].tolist())
        trainer.update(rollout)
    # Of eight steps each; episodes begin at steps 0, 5, 10, 15, 20.
    assert levels == [[0] * 8, [0, 0] + [1] * 6, [1, 1, 1, 1, 2, 2, 2, 2]]
    trainer._vecenv.close()


def test_it_is_chosen_by_the_progress_and_the_metrics_of_each_update():
    seen = []

    def choose(progress, metrics, attributes):
        seen.append((progress, metrics.get("episode/episode_return"), attributes))
        return {"level": 7} if progress < 0.5 else None

    trainer = trainer_of(choose)
    metrics = [trainer.step() for _ in range(4)]
    assert [progress for progress, _, _ in seen] == [0, 0.25, 0.5, 0.75, 1]
    assert [mean for _, mean, _ in seen] == [None, 35, 35, 35, 35]
    assert [attributes for _, _, attributes in seen] == [{}, *[{"level": 7}] * 4]
    assert [each["curriculum/level"] for each in metrics] == [7] * 4


def test_means_of_episodes_start_again_at_a_change():
    trainer = trainer_of(lambda progress, *_: {"level": 10 if progress < 0.25 else 20})
    assert trainer.step()["episode/episode_return"] == 50
    assert trainer.episodes.means() == {}
    # Of each environment the end of an episode of level 10, which does not count, then one of 20.
    assert trainer.step()["episode/episode_return"] == 100


def test_agents_that_leave_early_count_with_their_game(tmp_path):
    """At the change, after eight steps, one agent has left a game that lasts two steps more."""
    settings = {
        "env.curriculum": "evaluated_environments:rise",
        "vec.backend": "Serial",
        "vec.num_envs": 1,
    }
    settings |= {"train.horizon": 8, "train.minibatches": 1, "train.total_timesteps": 22}
    settings |= {"eval.share": 0, "run": tmp_path / "run", "policy.hidden_size": 8}
    Run.configure("evaluated_environments:Leaving", settings).train(Console(quiet=True))
    lines = [json.loads(each) for each in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    # A game is seven steps of agents. Of level 20: two steps of one agent, five of the other.
    assert [line["episode/episode_return"] for line in lines] == [
        (50 + 20 + 20) / 3,
        (100 + 40) / 2,
    ]


def test_a_resumed_run_continues_its_curriculum(tmp_path):
    def choose(progress, metrics, attributes):
        return {"level": attributes.get("level", 0) + 3} if metrics else {"level": 0}

    first = trainer_of(choose)
    first.step()
    first.step()
    first.save(tmp_path / "checkpoint.pt")
    second = trainer_of(choose)
    second.load(tmp_path / "checkpoint.pt")
    rollout = second.collect()
    assert rollout.observations.unique().tolist() == [6]
    assert second.update(rollout)["curriculum/level"] == 6
    assert second.state_dict()["curriculum"] == {"level": 9}
    plain = trainer_of(None)
    plain.save(tmp_path / "plain.pt")  # of a run without one
    third = trainer_of(choose)
    third.load(tmp_path / "plain.pt")
    assert third.collect().observations.unique().tolist() == [0]


@pytest.mark.parametrize(
    ("chosen", "match"),
    [
        ({"levle": 1}, "sets 'levle', which the environment does not have"),
        (3, "must return a dict of attributes.*; got 3"),
        ({"level": np.float32(1)}, "must return a dict of attributes"),
        ({"level": (1, 2)}, "must return a dict of attributes"),
    ],
)
def test_what_cannot_be_set_is_refused_before_anything_begins(chosen, match):
    with pytest.raises(SettingError, match=match):
        trainer_of(lambda *_: chosen)


def curriculum_of(vecenv, attributes):
    return Curriculum(lambda *_: attributes, vecenv, DistributedContext(), torch.device("cpu"))


def test_a_list_is_one_value_for_all_environments():
    vecenv = vector.make(make, num_envs=2)
    assert curriculum_of(vecenv, {"level": [3, 4]}).advance(0, {})
    assert vecenv.get_attr("level") == [[3, 4], [3, 4]]


def test_a_pool_is_refused():
    pool = vector.make(
        make, num_envs=2, batch_size=1, backend="Multiprocessing", num_workers=2, zero_copy=True
    )
    with pytest.raises(SettingError, match=r"got a pool. Leave out vec.batch_size"):
        Curriculum(one_more, pool, DistributedContext(), torch.device("cpu"))
    pool.close()


class Dying(Leveled):
    """Ends its process in the next step once `dies` is set."""

    dies = False

    def step(self, action):
        if self.dies:
            os._exit(1)
        return super().step(action)


def test_a_replaced_environment_gets_the_attributes_again():
    options = {"backend": "Multiprocessing", "num_workers": 2, "on_failure": "restart"}
    vecenv = vector.make(Dying, num_envs=2, **options)
    curriculum = curriculum_of(vecenv, {"level": 5})
    assert curriculum.advance(0, {})
    vecenv.reset(0)
    vecenv.set_attr("dies", [True, False])
    vecenv.step(np.zeros(2, np.int64))
    assert vecenv.num_restarts == 1
    assert vecenv.get_attr("level") == [100, 5]
    assert not curriculum.advance(0, {})
    assert vecenv.get_attr("level") == [5, 5]
    vecenv.close()
