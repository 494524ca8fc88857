"""Evaluations during training: their budget, their results, and that training does not change."""

import io
import json
import random
from dataclasses import replace
from types import SimpleNamespace

import evaluated_environments
import numpy as np
import pytest
import torch
from rich.console import Console

from pufferlib.cli.main import main
from pufferlib.config import Config
from pufferlib.models import Default
from pufferlib.ppo import PPOConfig
from pufferlib.registry.ocean.squared import Squared
from pufferlib.runs import Run
from pufferlib.runs.checkpoints import CheckpointManager
from pufferlib.training import Trainer, checkpoint, evaluate
from pufferlib.training.statistics import EpisodeStatistics
from pufferlib.vector import make

# An update of either is 32 timesteps.
SQUARED = {"env.kwargs": {"num_agents": 4}, "vec.num_envs": 1}
AWARE = {"vec.num_envs": 4}
SMALL = {"vec.backend": "Serial", "train.horizon": 8, "train.minibatches": 1, "train.device": "cpu"}
SMALL |= {"train.update_epochs": 1, "policy.hidden_size": 8, "log.tensorboard": False}


def train(folder, env="squared", **settings):
    """Train; return what was printed."""
    own = SQUARED if env == "squared" else AWARE
    given = {name.replace("__", "."): value for name, value in settings.items()}
    if settings.get("eval__share") != 0:
        given["eval.episodes"] = 4
    console = Console(file=io.StringIO(), width=200)
    Run.configure(env, {**SMALL, **own, "run": folder, **given}).train(console)
    return console.file.getvalue()


def aware(folder, **settings):
    return train(folder, "evaluated_environments:Aware", **settings)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def evaluated(folder):
    """Return the lines of updates that were followed by an evaluation."""
    return [line for line in lines(folder) if any(name.startswith("eval/") for name in line)]


def test_evaluations_are_spread_over_training_and_its_resumption_within_their_share(tmp_path):
    # Episodes of 3 steps, 4 agents, 2 kinds of actions: 24 steps. 0.1 x 800 = 80 pay for 3, one
    # every 800 / 3 = 267 timesteps; an update is 32.
    for total, count in ((800, 3), (1600, 6)):
        if total == 800:
            train(tmp_path, train__total_timesteps=total, eval__share=0.1)
        else:
            Run.open(tmp_path, {"train.total_timesteps": total}).train(Console(quiet=True))
        times = [line["timesteps"] for line in evaluated(tmp_path)]
        assert len(times) == count
        assert times[-1] == total
        assert all(24 * (index + 1) <= 0.1 * time for index, time in enumerate(times))
        assert np.abs(np.diff([0, *times]) - 800 / 3).max() < 32
        state = checkpoint.load(tmp_path / "checkpoint.pt")["evaluation"]
        assert (state["steps"], state["timesteps"]) == (count * 24, total)
    names = {"sampled_return", "sampled_length", "greedy_return", "greedy_length"}
    for line in evaluated(tmp_path):
        assert {name[5:] for name in line if name.startswith("eval/")} == names
        assert line["eval/sampled_length"] == line["eval/greedy_length"] == 3
        assert line["time/evaluation"] > 0


def test_there_are_at_most_twenty_and_none_without_a_share(tmp_path):
    many = {"env__kwargs": {"num_agents": 16}}  # 128 timesteps in an update
    train(tmp_path / "all", train__total_timesteps=5120, eval__share=1.0, **many)
    times = [line["timesteps"] for line in evaluated(tmp_path / "all")]
    assert times == list(range(256, 5121, 256))
    for name, share, total in (("off", 0.0, 64), ("too small", 0.05, 448)):  # 22.4 steps
        train(tmp_path / name, train__total_timesteps=total, eval__share=share)
        assert evaluated(tmp_path / name) == []
        assert (tmp_path / name / "best.pt").exists()  # by the episodes of training


@pytest.mark.parametrize(("timesteps", "episodes"), [(192, 3), (128, 2), (96, None)])
def test_the_last_evaluation_has_fewer_episodes_if_the_budget_pays_for_no_more(
    tmp_path, timesteps, episodes
):
    # An episode of 3 steps, with 2 kinds of actions, takes 6; 4 are wanted, and at least 2.
    train(
        tmp_path,
        env__kwargs={"num_agents": 1},
        vec__num_envs=4,
        train__total_timesteps=timesteps,
        eval__share=0.1,
    )
    state = checkpoint.load(tmp_path / "checkpoint.pt")["evaluation"]
    assert state["steps"] == (0 if episodes is None else episodes * 6)
    assert len(evaluated(tmp_path)) == (0 if episodes is None else 1)


def test_an_evaluation_plays_as_evaluate_does_with_the_weights_of_that_update(tmp_path):
    train(tmp_path, train__total_timesteps=640, eval__share=0.04)  # 25 steps: one, at the end
    (line,) = evaluated(tmp_path)
    vecenv = make(Squared, env_kwargs={"num_agents": 4})
    policy = Run.open(tmp_path).load_policy(vecenv, tmp_path / "checkpoint.pt")
    for kind in ("sampled", "greedy"):
        expected = evaluate(vecenv, policy, 2_000_000, is_greedy=kind == "greedy")
        assert line[f"eval/{kind}_return"] == expected.mean


def test_training_is_the_same_with_and_without_evaluations(tmp_path):
    # The environment draws from the global generators, in the same process as the evaluations.
    settings = {"train__total_timesteps": 480, "policy__memory": "lstm"}
    settings |= {"policy__normalize_observations": True, "train__normalize_rewards": True}
    found = {}
    for share in (0.0, 1.0):
        random.seed(1)
        np.random.seed(2)
        torch.manual_seed(3)
        folder = tmp_path / str(share)
        aware(folder, eval__share=share, **settings)
        after = [random.random(), np.random.rand(), torch.rand(1).item()]
        kept = [
            {n: v for n, v in line.items() if n.startswith(("loss", "episode"))}
            for line in lines(folder)
        ]
        found[share] = checkpoint.load(folder / "checkpoint.pt")["policy"], after, kept
        assert len(evaluated(folder)) == (15 if share else 0)
    (weights, after, kept), (others, *rest) = found.values()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert [after, kept] == rest


def test_the_same_seed_has_the_same_best_checkpoint(tmp_path):
    for name in ("first", "second"):
        aware(tmp_path / name, train__total_timesteps=320, eval__share=1.0)
    first, second = (checkpoint.load(tmp_path / name / "best.pt") for name in ("first", "second"))
    assert first["updates"] == second["updates"]
    assert first["evaluation_return"] == second["evaluation_return"]
    results = [line["eval/sampled_return"] for line in evaluated(tmp_path / "first")]
    assert first["evaluation_return"] == max(results)


def test_episodes_that_never_end_are_cut_and_training_goes_on(tmp_path):
    printed = aware(
        tmp_path,
        env__kwargs={"in_evaluation": "endless"},
        train__total_timesteps=960,
        eval__share=0.5,
    )
    assert printed.count("did not end within its budget") == 1
    assert lines(tmp_path)[-1]["timesteps"] == 960
    found = evaluated(tmp_path)
    assert {line["eval/unfinished"] for line in found} == {8}  # four with either kind of actions
    assert not any("eval/greedy_return" in line for line in found)
    assert checkpoint.load(tmp_path / "checkpoint.pt")["evaluation"]["steps"] <= 480
    assert checkpoint.load(tmp_path / "best.pt")["evaluation_return"] is None


def test_an_interrupted_evaluation_loses_nothing(tmp_path):
    evaluated_environments.closed_after_evaluation.clear()
    with pytest.raises(KeyboardInterrupt):
        aware(
            tmp_path,
            env__kwargs={"in_evaluation": "interrupt"},
            train__total_timesteps=960,
            eval__share=1.0,
        )
    assert evaluated_environments.closed_after_evaluation == ["interrupt"] * 4
    assert evaluated(tmp_path) == []
    updates = [line["updates"] for line in lines(tmp_path)]
    saved = checkpoint.load(tmp_path / "checkpoint.pt")
    assert updates == list(range(1, saved["updates"] + 1))
    assert saved["timesteps"] == lines(tmp_path)[-1]["timesteps"] < 960


@pytest.mark.long
def test_environments_that_allow_one_per_process_are_evaluated_in_processes(tmp_path):
    settings = {"vec.num_envs": 2, "vec.num_workers": 2, "train.horizon": 16, "run": tmp_path}
    settings |= {"env.kwargs.max_episode_steps": 8, "train.total_timesteps": 64}
    settings |= {"eval.share": 1.0, "eval.episodes": 2, "train.device": "cpu"}
    Run.configure("stable_retro", settings).train(Console(quiet=True))
    assert [line["eval/greedy_length"] for line in evaluated(tmp_path)] == [8, 8]


@pytest.mark.parametrize("on_failure", ["raise", "restart"])
def test_a_failed_evaluation_ends_the_run_unless_failures_are_restarted(
    tmp_path, capsys, on_failure
):
    flags = ["--env.kwargs.in-evaluation", "fail", "--vec.on-failure", on_failure]
    flags += ["--vec.num-envs", "2", "--vec.num-workers", "1", "--train.horizon", "16"]
    flags += ["--train.total-timesteps", "320", "--train.device", "cpu", "--run", str(tmp_path)]
    status = main(["train", "evaluated_environments:Aware", *flags, "--eval.share", "1"])
    printed = capsys.readouterr()
    assert "no evaluation today" in printed.out + printed.err
    assert status == (2 if on_failure == "raise" else 0)
    assert (lines(tmp_path)[-1]["timesteps"] == 320) == (on_failure == "restart")


def test_an_environment_that_reports_no_returns_is_evaluated(tmp_path):
    train(tmp_path, "evaluated_environments:Silent", train__total_timesteps=320, eval__share=1.0)
    assert "episode/episode_return" not in lines(tmp_path)[-1]
    assert {line["eval/sampled_return"] for line in evaluated(tmp_path)} == {12}
    best = checkpoint.load(tmp_path / "best.pt")
    assert (best["evaluation_return"], best["updates"]) == (12, 10)


def test_evaluations_play_the_present_level_of_a_curriculum(tmp_path):
    settings = {"env__curriculum": "evaluated_environments:less", "eval__share": 1.0}
    train(tmp_path, "evaluated_environments:Paid", train__total_timesteps=320, **settings)
    found = evaluated(tmp_path)
    assert len(found) > 5
    for line in found:  # whose metrics are of the level before
        assert line["eval/sampled_return"] == 4 * (line["curriculum/reward"] - 1)
    # Returns of easier levels are not compared with that of the last.
    best = checkpoint.load(tmp_path / "best.pt")
    assert (best["evaluation_return"], best["updates"]) == (4 * 40, 10)


def test_returns_of_episodes_that_began_at_an_earlier_level_judge_nothing(tmp_path):
    # In rollouts of six steps episodes of four are under way when the level changes.
    settings = {"env__curriculum": "evaluated_environments:drop", "eval__share": 0}
    settings |= {"train__horizon": 6, "train__total_timesteps": 240}
    train(tmp_path, "evaluated_environments:Paid", **settings)
    best = checkpoint.load(tmp_path / "best.pt")
    assert (best["episode_return"], best["updates"]) == (4, 10)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_returns_of_other_arguments_of_the_environment_are_not_compared(tmp_path, share):
    train(tmp_path, "evaluated_environments:Paid", train__total_timesteps=320, eval__share=share)
    for reward, total in ((2, 640), (1, 960)):
        settings = {"env.kwargs.reward": reward, "train.total_timesteps": total}
        Run.open(tmp_path, settings).train(Console(quiet=True))
        best = checkpoint.load(tmp_path / "best.pt")
        assert best["updates"] == total // 32
        assert best["evaluation_return" if share else "episode_return"] == 4 * reward


@pytest.mark.parametrize(("reward", "count"), [(100, 88), (2, 8)])
def test_a_resume_with_the_same_arguments_keeps_the_means_of_episodes(tmp_path, reward, count):
    given = {"env__kwargs": {"reward": 100}, "train__total_timesteps": 320, "eval__share": 0}
    train(tmp_path, "evaluated_environments:Paid", **given)
    settings = {"env.kwargs.reward": reward, "train.total_timesteps": 352}
    Run.open(tmp_path, settings).train(Console(quiet=True))
    episodes = checkpoint.load(tmp_path / "checkpoint.pt")["episodes"]  # of four steps
    assert len(episodes["episode_return"]) == count


class FixedReturns(Trainer):
    """A trainer whose progress, weights and returns of episodes a test sets."""

    mean, is_current = None, True

    @property
    def episodes(self):
        statistics = EpisodeStatistics()
        if not self.is_current:
            statistics.begin_task()
        statistics.add([] if self.mean is None else [{"episode_return": self.mean}])
        return statistics

    def reach(self, update, mean=None):
        """Be after `update` of a hundred, whose number is the first weight."""
        self.updates, self.timesteps, self.mean = update, 10 * update, mean
        with torch.no_grad():
            next(self.policy.parameters()).fill_(update)


@pytest.fixture
def trainer():
    vecenv = make(Squared, env_kwargs={"num_agents": 4})
    return FixedReturns(PPOConfig(device="cpu", total_timesteps=1000), vecenv, Default(vecenv))


def best(folder):
    return checkpoint.load(folder / "best.pt")["updates"] if (folder / "best.pt").exists() else None


@pytest.mark.parametrize("is_resumed", [False, True])
def test_returns_of_the_task_before_give_way_to_any_of_the_present_one(
    tmp_path, trainer, is_resumed
):
    manager, kept = CheckpointManager(tmp_path, trainer, Config()), []
    for update, mean, is_current in (
        (5, 9.0, False),
        (10, 7.0, False),
        (15, 1.0, True),
        (20, 0.0, True),
        (25, 2.0, True),
    ):
        if is_resumed:
            manager = CheckpointManager(tmp_path, trainer, Config())
        trainer.is_current = is_current
        trainer.reach(update, mean)
        manager.update()
        kept.append(best(tmp_path))
    assert kept == [5, 10, 15, 15, 25]


def test_the_best_checkpoint_is_judged_by_evaluations_where_there_are(tmp_path, trainer):
    evaluation = SimpleNamespace(result=None, is_over=False, state_dict=dict)
    manager = CheckpointManager(tmp_path, trainer, Config(), evaluation)
    kept = []
    for update, mean, result in (
        (5, 9.0, None),  # no evaluation yet
        (10, 8.0, None),
        (15, 1.0, 2.0),  # an evaluation beats the returns of training
        (20, 3.0, None),
        (25, 1.0, 1.0),
        (27, 1.0, 2.0),  # of equals the latest
        (30, 1.0, 4.0),
    ):
        trainer.reach(update, mean)
        evaluation.result = result
        manager.update()
        kept.append(best(tmp_path))
    assert kept == [5, 5, 15, 15, 15, 27, 30]
    # A resumed run knows what the best was judged by. Without evaluations training judges again.
    evaluation.result = None
    manager = CheckpointManager(tmp_path, trainer, Config(), evaluation)
    for update, mean, is_over, expected in (
        (35, 5.0, False, 30),
        (40, 3.0, True, 30),
        (45, 5.0, True, 45),
    ):
        trainer.reach(update, mean)
        evaluation.is_over = is_over
        manager.update()
        assert best(tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("seed", 3, 10), ("episodes", 6, 10), ("share", 0.2, 5)],
)
def test_other_settings_of_evaluations_begin_a_new_comparison(
    tmp_path, trainer, name, value, expected
):
    evaluation = SimpleNamespace(result=9.0, is_over=False, state_dict=dict)
    trainer.reach(5)
    CheckpointManager(tmp_path, trainer, Config(), evaluation).update()
    evaluation.result = 1.0
    changed = replace(Config(), eval=replace(Config().eval, **{name: value}))
    trainer.reach(10)
    CheckpointManager(tmp_path, trainer, changed, evaluation).update()
    assert best(tmp_path) == expected


def test_training_judges_twenty_times_between_checkpoints(tmp_path, trainer):
    manager = CheckpointManager(tmp_path, trainer, Config())
    kept = []
    for update in range(1, 21):
        trainer.reach(update, float(update))
        manager.update()
        kept.append(best(tmp_path))
    assert kept == [None] * 4 + [5] * 5 + [10] * 5 + [15] * 5 + [20]
    assert not (tmp_path / "checkpoint.pt").exists()  # which is due after a hundred updates
