"""Several policies, from the settings of a run to its evaluation."""

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from role_environments import Roles

import pufferlib
from pufferlib.agent_policies import AgentPolicies
from pufferlib.cli.main import main
from pufferlib.exceptions import ArgumentError, CheckpointError, SettingError
from pufferlib.runs import Run
from pufferlib.runs.agents import policy_of_agents
from pufferlib.runs.checkpoints import save_policy
from pufferlib.runs.diagnosis import diagnose
from pufferlib.runs.export import export
from pufferlib.runs.folder import read_config
from pufferlib.training import checkpoint

QUIET = Console(quiet=True)
ROLES = f"{Path(__file__).parent.parent / 'role_environments.py'}:Roles"
SMALL = {
    "vec.backend": "Serial",
    "vec.num_envs": 4,
    "train.horizon": 16,
    "train.total_timesteps": 384,
    "train.learning_rate": 0.01,
    "train.device": "cpu",
    "train.minibatches": 2,
    "policy.hidden_size": 8,
    "policy.agents": "by-name",
    "log.tensorboard": False,
    "eval.share": 0.0,
}
NAMES = ["giver_0", "taker_0", "giver_1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run of two policies, which acts nearly without fault."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    settings = {**SMALL, "train.total_timesteps": 6_000, "eval.share": 0.2, "run": folder}
    Run.configure(ROLES, settings).train(QUIET)
    return folder


@pytest.mark.parametrize(
    ("agents", "expected"),
    [
        ("by-name", ["giver", "taker", "giver"]),
        ({"a": "giver_*", "b": "taker_0"}, ["a", "b", "a"]),
        ({"last": ["giver_1"], "rest": ["giver_0", "taker_*"]}, ["rest", "rest", "last"]),
        ({"all": "*"}, ["all"] * 3),
    ],
)
def test_every_agent_has_the_policy_that_the_setting_gives_it(agents, expected):
    assert policy_of_agents(agents, NAMES) == expected


@pytest.mark.parametrize(
    ("agents", "match"),
    [
        ({"a": "giver_*"}, "every agent a policy; taker_0 have none"),
        ({"a": "*", "b": "taker_0"}, "one policy; taker_0 has a and b"),
        ({"a": "*", "b": "wolf"}, "'wolf' for the policy 'b', which is no agent here"),
    ],
)
def test_an_agent_without_a_policy_or_with_two_is_refused(agents, match):
    with pytest.raises(SettingError, match=match):
        policy_of_agents(agents, NAMES)


@pytest.mark.parametrize(
    ("task", "settings", "match"),
    [
        ("CartPole-v1", {}, "an environment has one agent"),
        ("squared", {}, "each in a separate game"),
        ("multiagent", {}, "'by-name' has no effect"),
        (ROLES, {"policy.agents": "by-number"}, "must be 'shared' or 'by-name' or dict"),
        (ROLES, {"policy.agents": {"a": 3}}, "must give the policy 'a' the name of an agent"),
        (ROLES, {"policy.agents": {"a b": "*"}}, "cannot be named 'a b'"),
        (ROLES, {"policy.frozen": ["wolf"]}, "frozen must name some of the policies"),
        (ROLES, {"policy.agents": "shared", "policy.frozen": ["giver"]}, "no effect with"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_starts(task, settings, match, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(SettingError, match=match):
        Run.configure(task, {**SMALL, **settings, "run": folder}).train(QUIET)
    assert not folder.exists()


def test_the_setting_is_read_from_the_command_line_and_kept_in_the_folder(tmp_path):
    flags = ["--vec.backend", "Serial", "--vec.num-envs", "2", "--train.total-timesteps", "96"]
    flags += ["--train.horizon", "8", "--log.no-tensorboard", "--train.device", "cpu"]
    text = '{"give": "giver_*", "take": ["taker_0"]}'
    flags += ["--policy.agents", text, "--run", str(tmp_path / "run")]
    assert main(["train", ROLES, *flags]) == 0
    config = read_config(tmp_path / "run").policy
    assert config.agents == {"give": "giver_*", "take": ["taker_0"]}
    names = set(checkpoint.load(tmp_path / "run" / "checkpoint.pt")["algorithm"]["policies"])
    assert names == {"give", "take"}


def test_two_policies_learn_what_one_cannot(trained):
    last = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])
    # Of four; one policy for all reaches 4 * 2 / 3 at best.
    assert last["episode/episode_return"] > 3.8
    assert last["eval/taker/greedy_return"] == last["eval/giver/greedy_return"] == 4


def test_a_run_is_resumed_and_evaluated(trained, tmp_path):
    run = Run.open(trained)
    results = run.evaluate(trained / "checkpoint.pt", episodes=6)
    assert results["greedy"].mean == 4
    assert results["random"].mean < 3.5
    assert Run.open(trained, {"train.total_timesteps": 6_100}).train(QUIET).exists()


def test_a_loaded_policy_acts_for_each_agent(trained):
    policy, env = pufferlib.load(trained), Roles()
    observations, _ = env.reset()
    for _ in range(4):
        actions = policy(observations, deterministic=True)
        assert actions == Roles.right
        observations, *_ = env.step(actions)
    # Of an agent alone, and of rows of two environments.
    assert policy({"taker_0": np.ones(2, np.float32)}, deterministic=True) == {"taker_0": 1}
    rows = np.ones((6, 2), np.float32)
    assert policy.act(rows, np.ones(6, bool), deterministic=True).tolist() == [0, 1, 0] * 2
    with pytest.raises(ArgumentError, match="must be a multiple of 3; got 4"):
        policy.act(rows[:4], np.ones(4, bool))


def test_one_of_the_policies_is_exported(trained, tmp_path):
    with pytest.raises(ArgumentError, match=r"the policies giver, taker.*none was named"):
        export(trained, tmp_path / "out.pt")
    with pytest.raises(ArgumentError, match="got 'wolf'"):
        export(trained, tmp_path / "out.pt", policy="wolf")
    for name, right in (("giver", 0), ("taker", 1)):
        export(trained, tmp_path / "out.pt", policy=name)
        with pytest.warns(DeprecationWarning, match=r"torch\.jit\.load"):
            model = torch.jit.load(tmp_path / "out.pt")
        assert model(torch.ones(1, 2))[0].argmax().item() == right


def test_a_new_run_begins_with_the_policies_and_may_freeze_one(trained, tmp_path):
    settings = {**SMALL, "policy.frozen": ["giver"], "run": tmp_path / "run"}
    after = checkpoint.load(Run.configure(ROLES, settings, init=trained).train(QUIET))
    before = checkpoint.load(trained / "checkpoint.pt")
    same = {n for n, w in before["policy"].items() if torch.equal(w, after["policy"][n])}
    assert same >= {name for name in before["policy"] if name.startswith("policies.giver.")}
    assert not {name for name in same if name.startswith("policies.taker.policy.")}
    assert list(after["algorithm"]["policies"]) == ["taker"]
    with pytest.raises(SettingError, match=r"policy\.frozen cannot change within a run"):
        Run.open(tmp_path / "run", {"policy.frozen": []})


@pytest.mark.parametrize("memory", ["none", "lstm"])
def test_a_run_with_a_central_critic_is_resumed_loaded_and_exported(memory, tmp_path):
    own = {
        "policy.critic": "central",
        "policy.memory": memory,
        "policy.normalize_observations": True,
    }
    settings = {**SMALL, **own, "policy.agents": "shared", "run": tmp_path / "run"}
    Run.configure(ROLES, settings).train(QUIET)
    path = Run.open(tmp_path / "run", {"train.total_timesteps": 500}).train(QUIET)
    assert checkpoint.load(path)["timesteps"] >= 500
    observations = {name: np.ones(2, np.float32) for name in NAMES}
    assert set(pufferlib.load(path)(observations)) == set(NAMES)
    export(tmp_path / "run", tmp_path / "out.pt")
    with pytest.raises(SettingError, match=r"policy\.critic cannot change within a run"):
        Run.open(tmp_path / "run", {"policy.critic": "separate"})


def test_a_central_critic_needs_several_agents(tmp_path):
    settings = {**SMALL, "policy.agents": "shared", "policy.critic": "central"}
    for task in ("CartPole-v1", "squared"):
        with pytest.raises(SettingError, match=r"policy\.critic 'central' is for several agents"):
            Run.configure(task, {**settings, "run": tmp_path / "run"}).train(QUIET)
    assert not (tmp_path / "run").exists()


def test_a_run_of_one_policy_cannot_start_from_one_of_several(trained, tmp_path):
    settings = {**SMALL, "policy.agents": "shared", "run": tmp_path / "run"}
    with pytest.raises(CheckpointError, match="another architecture"):
        Run.configure(ROLES, settings, init=trained).train(QUIET)


def test_policies_that_another_library_trained_are_saved(tmp_path):
    run = Run.configure(ROLES, SMALL)
    with closing(run.make_vecenv()) as vecenv:
        policy = run.make_policy(vecenv)
    assert isinstance(policy, AgentPolicies)
    save_policy(run, policy, tmp_path / "mine.pt")
    loaded = pufferlib.load(tmp_path / "mine.pt").network.state_dict()
    assert all(torch.equal(loaded[name], own) for name, own in policy.state_dict().items())


def test_faults_are_found_in_each_policy():
    def record(update, kl):
        return {
            "updates": update,
            "timesteps": 100 * update,
            "rollout/equal_starts": 0.0,
            **{f"learning_rate/{name}": 0.1 for name in ("a", "b")},
            **{f"rollout/{name}/absent": 0.0 for name in ("a", "b")},
            "loss/a/approximate_kl": 0.01,
            "loss/b/approximate_kl": kl,
            **{f"rollout/{name}/reward_max": 0.0 for name in ("a", "b")},
        }

    records = [record(update, 0.5) for update in range(20)]
    found = [finding.name for finding in diagnose(records, {}).findings]
    assert found == ["No reward", "Learning rate too high (b)"]
