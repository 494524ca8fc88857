import io
import json
import os
from pathlib import Path

import optuna
import pytest
import sweep_environments
from optuna.trial import TrialState
from rich.console import Console
from sweep_processes import ForkExecutor

from pufferlib import config as presets
from pufferlib import proc
from pufferlib.cli.sweep import values_of_trial
from pufferlib.exceptions import ArgumentError, PufferError
from pufferlib.runs import Run
from pufferlib.sweep import loop
from pufferlib.sweep.confirm import confirmed
from pufferlib.sweep.executor import LocalExecutor, split_cores
from pufferlib.sweep.journal import JOURNAL, open_journal, read_journal
from pufferlib.sweep.sweep import Sweep
from pufferlib.sweep.trial_files import ask_to_stop
from pufferlib.sweep.trial_folder import TrialResult, TrialSpec
from pufferlib.training.loggers import read_metrics

OWN = f"{Path(sweep_environments.__file__)}:make_env"
TINY = {
    "sweep.jobs": 1,
    "train.total_timesteps": 2_000,
    "sweep.space.train.learning_rate": "log 1e-4 1e-2",
    "sweep.space.train.horizon": "power2 8 32",
    "sweep.sampler": "random",
    "sweep.confirm": 0,
    "sweep.episodes": 8,
}


def pids():
    """Return the processes of this one; a server that other tests fork from may be among them."""
    return {each.pid for each in proc.descendants() if "python" in each.name}


def run(env, folder, overrides, executor=None):
    """Run a sweep; return its study and what it printed."""
    sweep = Sweep.configure(env, {**TINY, "run": str(folder), **overrides})
    out, before = io.StringIO(), pids()
    try:
        executor = executor or ForkExecutor(sweep.jobs)
        return sweep.run(Console(file=out, width=200), executor), out.getvalue()
    finally:
        assert pids() <= before


def own(how, *, at=100, **settings):
    """Return the environment that fails, as (ENV, overrides)."""
    small = {
        "vec.backend": "Serial",
        "vec.num_envs": 2,
        "train.minibatches": 2,
        "train.update_epochs": 1,
        "train.total_timesteps": 600,
        "sweep.space.train.horizon": "power2 8 64",
    }
    settings = {**small, **settings}
    if "sweep.space.train.minibatches" in settings:
        del settings["train.minibatches"]
    return {**settings, "env.kwargs.how": how, "env.kwargs.at": at}


def test_a_sweep_keeps_score_cost_and_settings_of_every_trial(tmp_path):
    study, printed = run("bandit", tmp_path / "s", {"sweep.trials": 3, "sweep.jobs": 2})
    trials = study.trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert trials[0].user_attrs["settings"] == {"train.learning_rate": 3e-3, "train.horizon": 16}
    for trial in trials:
        folder = tmp_path / "s" / trial.user_attrs["run"]
        config = Run.open(folder).config
        assert config.train.learning_rate == trial.user_attrs["settings"]["train.learning_rate"]
        assert config.train.horizon == trial.user_attrs["settings"]["train.horizon"]
        assert config.train.seed == 1 + trial.number
        metrics = read_metrics(folder)
        assert trial.user_attrs["timesteps"] == metrics[-1]["timesteps"] >= 2_000
        assert trial.values[1] == trial.user_attrs["cpu_s"] > 0
        assert trial.user_attrs["curve"][-1][1] == metrics[-1]["eval/sampled_return"]
        low, high = trial.user_attrs["score_low"], trial.user_attrs["score_high"]
        assert low <= trial.values[0] <= high
        # The score is that of the checkpoint on other seeds.
        played = Run.open(folder).evaluate(folder / "checkpoint.pt", 8, 3_000_000)
        assert played["sampled"].mean == trial.values[0]
    assert "Trial 0 (the preset): score" in printed
    facts = json.loads((tmp_path / "s/sweep.json").read_text())
    best = max(trials, key=lambda trial: trial.values[0])
    for number in (-1, best.number):  # nothing is confirmed: the best score
        found, changes = values_of_trial(study, facts, number)
        assert found == best.number
        config = Run.configure("bandit", changes).config
        assert config.train.learning_rate == best.user_attrs["settings"]["train.learning_rate"]
        assert config.train.total_timesteps == 2_000
    with pytest.raises(ArgumentError, match="must name a trial that has a score; got 3"):
        values_of_trial(study, facts, 3)
    assert json.loads((tmp_path / "s" / "sweep.json").read_text())["env"] == "bandit"


def test_the_same_command_adds_trials_and_repeats_none(tmp_path):
    run("bandit", tmp_path / "s", {"sweep.trials": 1})
    before = (tmp_path / "s/trials/0000/result.json").stat().st_mtime_ns
    study, printed = run("bandit", tmp_path / "s", {"sweep.trials": 2})
    assert len(study.trials) == 2
    assert "Trial 0 (the preset): score" not in printed
    assert (tmp_path / "s/trials/0000/result.json").stat().st_mtime_ns == before
    other = Sweep.configure("bandit", {**TINY, "train.gamma": 0.9, "run": str(tmp_path / "s")})
    with pytest.raises(ArgumentError, match=r"train.gamma was 0.95 and is 0.9. .*--run"):
        other.run(Console(file=io.StringIO()))


@pytest.mark.long
def test_a_resumed_sweep_proposes_what_an_uninterrupted_one_does(tmp_path):
    whole, _ = run("bandit", tmp_path / "whole", {"sweep.trials": 3})
    for trials in (1, 2, 3):
        parts, _ = run("bandit", tmp_path / "parts", {"sweep.trials": trials})
    assert [t.params for t in parts.trials] == [t.params for t in whole.trials]
    assert len({t.params["train.learning_rate"] for t in whole.trials}) == 3


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("crash", "killed by signal 11"),
        pytest.param("kill", "killed by signal 9", marks=pytest.mark.long),
        ("memory", "out of memory"),
        pytest.param("disk", "disk full", marks=pytest.mark.long),
        ("error", "ValueError: negative energy"),
        ("hang", "no progress within 1.5 s"),
    ],
)
def test_a_failure_is_data_with_its_reason(how, reason, tmp_path):
    stall_s = 1.5 if how == "hang" else 600
    settings = own(how, **{"sweep.trials": 1, "sweep.stall_s": stall_s})
    study, printed = run(OWN, tmp_path / "s", settings)
    (trial,) = study.trials
    assert trial.state == TrialState.FAIL
    assert reason in trial.user_attrs["state_reason"]
    assert reason in printed
    assert "log.txt" in printed


def test_divergence_is_a_failure(tmp_path):
    env = OWN.replace("make_env", "make_nan")
    study, _ = run(env, tmp_path / "s", own("not", **{"sweep.trials": 1}))
    assert study.trials[0].user_attrs["state_reason"] == "diverged"


@pytest.mark.long
def test_settings_that_cannot_work_together_cost_nothing(tmp_path):
    # A rollout has 16 to 128 samples.
    space = {
        "sweep.space.train.minibatches": "choices None 1 2 128",
        "sweep.space.train.horizon": "power2 8 64",
    }
    study, printed = run(
        OWN,
        tmp_path / "s",
        own("not", **space, **{"sweep.trials": 4, "train.total_timesteps": 200}),
    )
    finished = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    infeasible = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    assert len(finished) == 4
    assert infeasible
    for trial in infeasible:
        reason = trial.user_attrs["state_reason"]
        assert reason.startswith("infeasible: train.minibatches must be at most the")
        assert f"Trial {trial.number} failed: {reason}" in printed
        assert not (tmp_path / f"s/trials/{trial.number:04}").exists()


def test_a_trial_that_gets_sigterm_goes_on(tmp_path):
    study, _ = run(OWN, tmp_path / "s", own("interrupt", **{"sweep.trials": 1}))
    assert study.trials[0].state == TrialState.COMPLETE
    updates = [metrics["updates"] for metrics in read_metrics(tmp_path / "s/trials/0000")]
    assert updates == list(range(1, len(updates) + 1))
    assert json.loads((tmp_path / "s/trials/0000/run.json").read_text())["resumed"]


def test_a_preset_that_is_refused_stops_the_sweep_at_once(tmp_path):
    sweep = Sweep.configure("bandit", {**TINY, "sweep.trials": 3, "run": str(tmp_path / "s")})
    config = presets.as_json(sweep.preset.config)
    config["env"]["task"] = "no_such_module:make_env"
    folder = tmp_path / "s/trials/0000"
    folder.mkdir(parents=True)
    TrialSpec(config, [], [1], 8, 3_000_000, "sampled").write(folder)
    for _ in range(2):  # the same command tries it again
        with pytest.raises(PufferError, match=r"preset itself cannot be trained: .*no_such_module"):
            sweep.run(Console(file=io.StringIO()), ForkExecutor(1))
    assert [trial.state for trial in read_journal(tmp_path / "s").trials] == [TrialState.RUNNING]


@pytest.mark.long
def test_a_trial_that_was_asked_to_stop_is_scored_after_a_resumption(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_WATCH_S", 0.0)
    settings = own("not", at=10**9, **{"train.total_timesteps": 100_000, "sweep.trials": 7})
    settings["train.checkpoint_interval"] = 1
    sweep = Sweep.configure(OWN, {**TINY, **settings, "run": str(tmp_path)})
    study = open_journal(tmp_path)
    values = sweep.space.values(sweep.preset.config)
    active = list(sweep.space.active(values))
    for _ in range(6):  # that no other can keep up with
        study.add_trial(
            optuna.trial.create_trial(
                params={d.parameter: d.to_parameter(values[d.setting]) for d in active},
                distributions={d.parameter: d.distribution() for d in active},
                values=(1000.0, 0.01),
                user_attrs={"cpu_s": 0.01},
            )
        )
    executor = ForkExecutor(1)
    first = loop.SweepLoop(sweep, study, executor, Console(file=io.StringIO()))
    assert first._start_next()
    (job,) = first._jobs
    while len(read_metrics(job.folder)) < 3 or not (job.folder / "checkpoint.pt").exists():
        assert job.process.poll() is None
    ask_to_stop(job.folder)
    job.process.kill()  # as the system does when the sweep is killed
    while job.process.poll() is None:
        pass
    loop.SweepLoop(sweep, study, ForkExecutor(1), Console(file=io.StringIO())).run()
    trial = study.trials[6]
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs["stopped_early"]
    assert trial.user_attrs["timesteps"] < 100_000


@pytest.mark.long
def test_ten_failures_in_a_row_stop_the_sweep(tmp_path):
    env = f"{Path(sweep_environments.__file__)}:make_env"
    settings = own("error", at=3, **{"sweep.trials": 20, "sweep.jobs": 2})
    with pytest.raises(PufferError, match=r"last 1[01] trials failed.*negative energy.*log.txt"):
        run(env, tmp_path / "s", settings)
    assert 10 <= len(read_journal(tmp_path / "s").trials) <= 12


@pytest.mark.long
def test_the_front_is_trained_again_with_fresh_seeds(tmp_path):
    study, printed = run("bandit", tmp_path / "s", {"sweep.trials": 2, "sweep.confirm": 2})
    front = {trial.number for trial in study.best_trials}
    found = confirmed(study)
    assert set(found) == front
    for number, value in found.items():
        folder = tmp_path / f"s/confirm/{number:04}"
        assert value["seeds"] == [10_001, 10_002]
        seeds = [Run.open(folder / f"seed-{seed}").config.train.seed for seed in value["seeds"]]
        assert seeds == value["seeds"]
        assert value["scores"] == [each.score for each in TrialResult.read(folder).runs]
        assert f"Trial {number} with fresh seeds: {value['scores'][0]:.2f}" in printed

    number = min(found)
    folder = tmp_path / f"s/confirm/{number:04}"
    failed = {"seeds": [10_001, 10_002], "scores": [], "cpu_s": [], "reason": "disk full"}
    open_journal(tmp_path / "s").set_user_attr(f"confirmed:{number}", failed)
    TrialResult([], reason="disk full").write(folder)
    study, _ = run("bandit", tmp_path / "s", {"sweep.trials": 2, "sweep.confirm": 2})
    again = confirmed(study)[number]
    assert again["scores"] == found[number]["scores"]
    study, _ = run("bandit", tmp_path / "s", {"sweep.trials": 2, "sweep.confirm": 3})
    more = confirmed(study)[number]
    assert more["seeds"] == [10_001, 10_002, 10_003]
    assert more["scores"][:2] == again["scores"]
    assert len(more["scores"]) == 3


def test_several_seeds_are_one_trial(tmp_path):
    # In a process with its own command line, as everywhere but in these tests.
    overrides = {"sweep.trials": 1, "sweep.seeds": 2}
    study, _ = run("bandit", tmp_path / "s", overrides, LocalExecutor(1))
    (trial,) = study.trials
    runs = TrialResult.read(tmp_path / "s/trials/0000").runs
    assert trial.values == [
        (runs[0].score + runs[1].score) / 2,
        (runs[0].cpu_s + runs[1].cpu_s) / 2,
    ]
    assert Run.open(tmp_path / "s/trials/0000/seed-2").config.train.seed == 2


def test_what_a_killed_process_leaves_in_the_journal_is_cleared(tmp_path):
    study = open_journal(tmp_path)
    study.enqueue_trial({"x": 1.0})
    size = (tmp_path / JOURNAL).stat().st_size
    (tmp_path / f"{JOURNAL}.lock").touch()
    with (tmp_path / JOURNAL).open("a") as file:
        file.write('{"op_code":6,"wor')
    again = open_journal(tmp_path)
    assert (tmp_path / JOURNAL).stat().st_size == size
    again.ask()  # at once, without the lock's half minute
    assert [trial.state for trial in open_journal(tmp_path).trials] == [TrialState.RUNNING]


@pytest.mark.long
def test_a_trial_that_can_hardly_win_is_stopped_and_scored(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_WATCH_S", 0.0)
    overrides = {
        "train.total_timesteps": 12_000,
        "vec.num_envs": 8,
        "train.horizon": 32,
        "sweep.space.train.horizon": "fixed",  # so that all trials cost about the same
        "env.kwargs.reward": 1.0,
        "sweep.space.env.kwargs.reward": "choices 1.0 0.0",
        "sweep.trials": 8,
    }
    study, printed = run(OWN, tmp_path / "s", own("not", at=10**9, **overrides))
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
    poor = [t for t in study.trials if t.user_attrs["settings"]["env.kwargs.reward"] == 0.0]
    stopped = [trial for trial in poor if trial.user_attrs.get("stopped_early")]
    assert stopped
    for trial in stopped:
        timesteps = trial.user_attrs["timesteps"]
        assert 4_000 <= timesteps < 12_000
        assert "train.total_timesteps" not in trial.user_attrs["settings"]
        assert trial.values == [0.0, trial.user_attrs["cpu_s"]]
        assert f"Trial {trial.number}: score 0.00" in printed


def test_jobs_have_their_own_cores():
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("a second usable core is missing")
    parts = split_cores(2)
    assert set(parts[0]) | set(parts[1]) == cores
    assert not set(parts[0]) & set(parts[1])
