"""Each setting of a resumed run is taken up, seen by its effect, or refused by name."""

import contextlib
import dataclasses
import json
import shutil

import pytest
import torch
from rich.console import Console

from pufferlib.config import ALGORITHMS, Config
from pufferlib.exceptions import CheckpointError, NotInstalledError, PufferError, SettingError
from pufferlib.runs import Run
from pufferlib.runs import periodic as periodic_module
from pufferlib.runs import run as run_module
from pufferlib.runs import train as train_module
from pufferlib.runs.checkpoints import CheckpointManager
from pufferlib.runs.folder import read_config
from pufferlib.runs.resume import FIXED
from pufferlib.runs.settings import names_of
from pufferlib.training import LoopConfig, Trainer, checkpoint

MADE = """
import gymnasium
import numpy as np
import torch
from torch import nn

class Game(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 100, (3,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, wage=1.0, size=3, high=100):
        self.wage = wage
        self.observation_space = gymnasium.spaces.Box(0, high, (size,), np.float32)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.now = 0
        return self._seen(), {}

    def step(self, action):
        self.now += 1
        is_end = self.now == 5
        info = {"threads": torch.get_num_threads()} if is_end else {}
        return self._seen(), self.wage * float(action), is_end, False, info

    def _seen(self):
        return self.np_random.random(self.observation_space.shape, np.float32) + self.now

def raised(progress, metrics, attributes):
    return {"wage": 1 + progress}

class Net(nn.Module):
    def __init__(self, env, hidden_size, gain=1.0, outputs=2):
        super().__init__()
        self.gain = gain
        self.encoder = nn.Linear(env.single_observation_space.shape[0], hidden_size)
        self.actor, self.critic = nn.Linear(hidden_size, outputs), nn.Linear(hidden_size, 1)

    def forward(self, observations):
        hidden = self.gain * torch.tanh(self.encoder(observations))
        return self.actor(hidden)[:, :2], self.critic(hidden)
"""
QUIET = Console(quiet=True)
UPDATE = 32  # timesteps
SMALL = {
    "vec.backend": "Serial",
    "vec.num_envs": 4,
    "train.horizon": 8,
    "train.total_timesteps": 2 * UPDATE,
    "train.learning_rate": 0.01,
    "train.device": "cpu",
    "train.normalize_rewards": False,
    "train.entropy_coefficient": 0.01,
    "log.tensorboard": False,
    "policy.hidden_size": 8,
}
MORE = {"train.total_timesteps": 4 * UPDATE}
# Values that change what is learned.
LEARNING = {
    "env.kwargs": {"wage": 2.0},
    "policy.kwargs": {"gain": 2.0},
    "train.total_timesteps": 5 * UPDATE,
    "train.horizon": 4,
    "train.gamma": 0.5,
    "train.normalize_rewards": True,
    "train.precision": "bfloat16",
    "train.minibatches": 2,
    "train.update_epochs": 3,
    "train.learning_rate": 1e-3,
    "train.anneal_learning_rate": False,
    "train.anneal_entropy": True,
    "train.gae_lambda": 0.5,
    "train.clip_coefficient": 1e-3,
    "train.value_clip": 1e-3,
    "train.target_kl": 1e-9,
    "train.value_coefficient": 0.1,
    "train.entropy_coefficient": 0.1,
    "train.max_gradient_norm": 1e-3,
    "train.normalize_advantages": False,
    "train.rho_clip": 2.0,
    "train.c_clip": 0.5,
    "train.kl_adaptive": 1e-9,
}
# Values that change where, when and how; each has a test below.
ELSEWHERE = {
    "train.max_seconds": 1e-6,
    "train.device": "cuda:99",
    "train.checkpoint_interval": 1,
    "train.exact_resume": True,
    "train.compile": "default",
    "train.storage": "cpu",
    "train.threads": 2,
    "env.curriculum": "made_for_resume.py:raised",
    "eval.share": 1.0,
    "eval.episodes": 2,
    "eval.seed": 3_000_000,
    "log.tensorboard": True,
    "log.wandb": "project",
    "policy.name": "mlp",
}
VEC = {
    "vec.backend": "Multiprocessing",
    "vec.num_envs": 6,
    "vec.num_workers": 3,
    "vec.batch_size": 2,
    "vec.zero_copy": True,
    "vec.timeout_s": 100.0,
    "vec.start_method": "forkserver",
    "vec.caller_steps": False,
    "vec.on_failure": "restart",
    "vec.max_restarts": 3,
}
OTHER = dict.fromkeys(FIXED, 4) | {
    "policy.memory": "lstm",
    "policy.critic": "shared",
    "policy.normalize_observations": True,
    "policy.gaussian": "squashed",
    "policy.initial_std": 0.5,
    "policy.uint8": "scaled",
    "policy.rescale_actions": False,
    "policy.agents": "by-name",
    "policy.frozen": ["one"],
    "train.normalize_returns": True,
    "selfplay.sides": "teams",
    "selfplay.first": "runs/other",
}
# With opponents, in tests/runs/test_selfplay.py.
SELFPLAY = {
    f"selfplay.{name}"
    for name in ("opponents", "self_share", "snapshot_interval", "pool_size", "active", "window")
}
REFUSED = {"algorithm": "vtrace", "run": "elsewhere"}  # where settings are combined


def settings_of(algorithm):
    return names_of(Config(algorithm=algorithm, train=ALGORITHMS[algorithm]()))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the folder of a short run of each algorithm."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "made_for_resume.py").write_text(MADE)
    made = f"{folder}/made_for_resume.py"
    for algorithm in ALGORITHMS:
        own = {"algorithm": algorithm, "policy.name": f"{made}:Net", "run": folder / algorithm}
        Run.configure(f"{made}:Game", {**SMALL, **own}).train(QUIET)
    return folder


@pytest.fixture
def resume(runs, tmp_path, monkeypatch):
    """Return a function that resumes a copy of a run; it returns the folder and the trainer."""
    trainers = []

    class Recorded(Trainer):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            trainers.append(self)

    monkeypatch.setattr(train_module, "Trainer", Recorded)
    monkeypatch.setattr(train_module, "facts", lambda source: {})  # asks git, which takes longest

    def resumed(overrides, algorithm="ppo"):
        folder = tmp_path / f"{algorithm}-{len(trainers)}"
        shutil.copytree(runs / algorithm, folder)
        Run.open(folder, {**MORE, **overrides}).train(QUIET)
        return folder, trainers[-1]

    return resumed


def weights(folder):
    state = checkpoint.load(folder / "checkpoint.pt")["policy"]
    return torch.cat([state[name].flatten() for name in sorted(state)])


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_setting_is_known_to_be_taken_up_or_refused(algorithm):
    known = {*LEARNING, *ELSEWHERE, *VEC, *SELFPLAY, *FIXED, *REFUSED}
    unknown = set(settings_of(algorithm)) - known
    assert not unknown, (
        f"What does a resume do with {sorted(unknown)}? Add each to LEARNING (with another value), "
        f"to ELSEWHERE with a test of its effect, or to FIXED of pufferlib/runs/resume.py; and to "
        f"the table in docs/training.md."
    )


@pytest.fixture(scope="module")
def unchanged(runs, tmp_path_factory):
    """Return the weights of each run, resumed without changes."""
    found = {}
    for algorithm in ALGORITHMS:
        folder = tmp_path_factory.mktemp("unchanged") / algorithm
        shutil.copytree(runs / algorithm, folder)
        Run.open(folder, MORE).train(QUIET)
        found[algorithm] = weights(folder)
    return found


def test_the_same_settings_learn_the_same_weights(resume, unchanged):
    for algorithm, expected in unchanged.items():
        assert torch.equal(weights(resume({}, algorithm)[0]), expected)


def learning_settings():
    """Return (algorithm, name) pairs: each setting of PPO, and those of V-trace's own class."""
    loop = {field.name for field in dataclasses.fields(LoopConfig)}
    pairs = [("ppo", name) for name in settings_of("ppo") if name in LEARNING]
    own = [name for name in settings_of("vtrace") if name.removeprefix("train.") not in loop]
    return pairs + [("vtrace", name) for name in own if name in LEARNING and "train." in name]


@pytest.mark.parametrize(("algorithm", "name"), learning_settings())
def test_a_setting_of_learning_is_taken_up(resume, unchanged, algorithm, name):
    value = LEARNING[name]
    folder, _ = resume({name: value}, algorithm)
    assert not torch.equal(weights(folder), unchanged[algorithm])
    found = read_config(folder)
    for part in name.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_learning_rate_and_its_annealing_are_those_given(resume, algorithm):
    given = {"train.learning_rate": 0.003, "train.anneal_learning_rate": False}
    folder, _ = resume(given, algorithm)
    assert [line["learning_rate"] for line in metrics(folder)[2:]] == [0.003, 0.003]
    folder, _ = resume({"train.learning_rate": 0.004}, algorithm)  # half and a quarter are left
    rates = [line["learning_rate"] for line in metrics(folder)[2:]]
    assert rates == pytest.approx([0.002, 0.001])


def test_more_seconds_and_steps_are_those_of_the_whole_run(resume):
    folder, _ = resume({"train.total_timesteps": 3 * UPDATE})
    assert [line["timesteps"] for line in metrics(folder)] == [UPDATE, 2 * UPDATE, 3 * UPDATE]
    folder, _ = resume({"train.max_seconds": 1e-6})  # which have passed
    assert len(metrics(folder)) == 2


def test_a_missing_device_is_refused(resume):
    with pytest.raises(
        SettingError, match=r"train\.device must be one of auto, cpu.*got 'cuda:99'"
    ):
        resume({"train.device": "cuda:99"})


def test_checkpoints_are_saved_at_the_given_interval(resume, monkeypatch):
    saved, save = [], CheckpointManager.save
    monkeypatch.setattr(CheckpointManager, "save", lambda self: (saved.append(1), save(self)))
    resume({})
    assert len(saved) == 1  # the last
    resume({"train.checkpoint_interval": 1})
    assert len(saved) == 1 + 3


def test_exact_resume_begins_episodes_at_each_checkpoint(resume):
    each = {"train.checkpoint_interval": 1}
    without, _ = resume(each)
    exact, _ = resume({**each, "train.exact_resume": True})
    assert not torch.equal(weights(exact), weights(without))


def test_the_network_the_choice_of_actions_and_the_loss_are_compiled_as_given(resume, monkeypatch):
    modes = []

    def compiled(function, mode):
        modes.append(mode)
        return function  # compiling takes many seconds, and is not in question here

    monkeypatch.setattr(torch, "compile", compiled)
    resume({"train.compile": "default"})
    assert modes == ["default"] * 3


def test_rollouts_are_stored_where_the_setting_says(resume):
    # On the CPU all settings are the same place, so only the trainer's setting can be seen.
    assert resume({"train.storage": "cpu"})[1].config.storage == "cpu"


def test_torch_computes_with_the_threads_given(resume):
    folder, trainer = resume({"train.threads": 2})
    before = [line["episode/threads"] for line in metrics(folder)][1]
    assert before == 1
    assert trainer.episodes.means()["threads"] > 1  # of the last hundred, the newer had 2


def test_evaluations_are_those_given(resume, monkeypatch):
    def evaluated(folder):
        return sum("eval/sampled_return" in line for line in metrics(folder))

    assert evaluated(resume({})[0]) == 0  # a tenth of 128 steps pays for none
    played, evaluate = [], periodic_module.evaluate

    def recorded(vecenv, policy, seed, *arguments, **keywords):
        played.append((vecenv.num_envs, seed))
        return evaluate(vecenv, policy, seed, *arguments, **keywords)

    monkeypatch.setattr(periodic_module, "evaluate", recorded)
    folder, _ = resume({"eval.share": 1.0, "eval.episodes": 2, "eval.seed": 3_000_000})
    assert evaluated(folder) >= 1
    assert set(played) == {(2, 3_000_000)}


def test_a_curriculum_is_that_given(resume, runs, unchanged):
    curriculum = f"{runs}/made_for_resume.py:raised"
    folder, _ = resume({"env.curriculum": curriculum})
    assert not torch.equal(weights(folder), unchanged["ppo"])
    assert read_config(folder).env.curriculum == curriculum


def test_loggers_are_those_given(resume, monkeypatch):
    assert not list(resume({})[0].glob("events.*"))
    assert list(resume({"log.tensorboard": True})[0].glob("events.*"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    with pytest.raises((PufferError, NotInstalledError), match="wandb"):
        resume({"log.wandb": "project"})


def test_the_environments_are_made_as_given(resume, monkeypatch):
    made = []
    make = run_module.make

    def recorded(*arguments, **keywords):
        # Forked all the same, as a fork server takes seconds to start.
        made.append((keywords, make(*arguments, **{**keywords, "start_method": "fork"})))
        return made[-1][1]

    monkeypatch.setattr(run_module, "make", recorded)
    folder, _ = resume({**VEC, "train.total_timesteps": 2 * UPDATE + 6 * 8})
    given, vecenv = made[-1]
    for name, value in VEC.items():
        assert given[name.removeprefix("vec.")] == value, name
        assert getattr(read_config(folder).vec, name.removeprefix("vec.")) == value
    assert (vecenv.num_envs, vecenv.num_workers, vecenv.batch_size) == (6, 3, 2)


@pytest.mark.parametrize("name", FIXED)
def test_a_setting_that_the_checkpoint_fixes_is_refused(runs, name):
    on = {"selfplay.opponents": "uniform"} if name.startswith("selfplay.") else {}
    with pytest.raises(SettingError, match=rf"{name} cannot change within a run: its .* Got"):
        Run.open(runs / "ppo", {**on, name: OTHER[name]})
    same = read_config(runs / "ppo")
    for part in name.split("."):
        same = getattr(same, part)
    assert Run.open(runs / "ppo", {**on, name: same}).config.run == runs / "ppo"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"policy.name": "mlp"}, r"policy\.name"),
        ({"policy.kwargs.outputs": 3}, r"policy\.kwargs\.outputs"),
        ({"env.kwargs.size": 4}, r"env\.kwargs\.size"),
    ],
)
def test_a_change_of_the_network_is_refused_by_the_name_of_the_setting(runs, changes, named):
    run = Run.open(runs / "ppo", {**MORE, **changes})
    with pytest.raises(CheckpointError, match=rf"another architecture.* Given were {named}: leave"):
        run.train(QUIET)


@pytest.mark.parametrize(("first", "later"), [(1e3, 1.0), (1.0, 1e3)])
def test_what_the_bounds_decided_stays_when_they_change(runs, tmp_path, first, later):
    own = {"policy.name": "default", "run": tmp_path / "run", "env.kwargs.high": first}
    game = f"{runs}/made_for_resume.py:Game"
    folder = Run.configure(game, {**SMALL, **own}).train(QUIET).parent
    assert read_config(folder).policy.normalize_observations == (first != 1)
    again = {**MORE, "env.kwargs.high": later, "policy.normalize_observations": first != 1}
    Run.open(folder, again).train(QUIET)
    init = Run.configure(game, {**SMALL, "env.kwargs.high": later}, init=folder)
    assert init.config.policy.normalize_observations == (first != 1)
    init.check_init()


def test_a_policy_is_taken_up_from_another_place(resume, runs, tmp_path, unchanged):
    moved = shutil.copy(runs / "made_for_resume.py", tmp_path / "moved.py")
    folder, _ = resume({"policy.name": f"{moved}:Net"})
    assert torch.equal(weights(folder), unchanged["ppo"])
    assert read_config(folder).policy.name == f"{moved}:Net"


@pytest.mark.parametrize("name", REFUSED)
def test_the_algorithm_and_the_folder_cannot_change(runs, name):
    with pytest.raises(PufferError, match=f"{name} cannot change|{name}.*Leave run out"):
        Run.open(runs / "ppo", {name: REFUSED[name]})


def test_fewer_environments_begin_with_seeds_that_no_episode_had(resume, runs, tmp_path):
    seeds = []
    folder, trainer = resume({})  # 4 updates of 4 environments: the seeds up to 1 + 16 are used
    trainer._vecenv.async_reset = None  # closed
    for count in (1, 4):
        run = Run.open(folder, {"vec.num_envs": count, "train.total_timesteps": 10 * UPDATE})
        with contextlib.closing(run.make_vecenv()) as vecenv:
            reset = vecenv.async_reset
            vecenv.async_reset = lambda seed, reset=reset: (seeds.append(seed), reset(seed))
            other = Trainer(
                dataclasses.replace(run.config.train, minibatches=1),
                vecenv,
                run.make_policy(vecenv),
            )
            other.load(folder / "checkpoint.pt")
    assert seeds == [1, 17, 1, 17]
