"""The loop of CleanRL's scripts runs over every kind of vectorizer, with the policy's numbers.

Policies go from `puffer train` to CleanRL, and from there to `puffer eval`.
"""

import gymnasium
import numpy as np
import pytest
import torch
from environments import Population
from sb3_environments import OneLegal

import pufferlib
from pufferlib import vector
from pufferlib.cli.main import main
from pufferlib.frameworks.cleanrl import LSTMPolicy, Policy
from pufferlib.models import Default
from pufferlib.policies.masked import MaskedDefault
from pufferlib.registry import ocean
from pufferlib.runs import Run
from pufferlib.runs.checkpoints import save_policy

WORKERS = {"backend": vector.Multiprocessing, "num_workers": 2}
VECTORIZERS = {
    "pettingzoo": (Population, [], {}, Default),
    "native": (ocean.make_env, ["squared"], {}, Default),
    "workers": (gymnasium.make, ["CartPole-v1"], WORKERS, Default),
    "legal actions": (OneLegal, [], {}, MaskedDefault),  # an illegal one raises
}


@pytest.mark.parametrize(
    ("creator", "args", "options", "form"), VECTORIZERS.values(), ids=VECTORIZERS
)
@torch.no_grad()
def test_a_rollout_is_evaluated_like_its_steps(creator, args, options, form):
    torch.manual_seed(0)
    envs = vector.to_gymnasium(vector.make(creator, args, num_envs=4, **options))
    agent = Policy(form(envs))
    x = torch.Tensor(envs.reset(seed=1)[0])
    shape = (24, envs.num_envs)
    observations = torch.zeros(shape + envs.single_observation_space.shape)
    actions, log_probabilities, are_there = torch.zeros(shape), torch.zeros(shape), []
    for t in range(24):
        observations[t] = x
        are_there.append(envs.masks)
        actions[t], log_probabilities[t], _, value = agent.get_action_and_value(x)
        assert torch.equal(agent.get_value(x), value)
        x = torch.Tensor(envs.step(actions[t].long().numpy())[0])
    envs.close()
    chosen = torch.tensor(np.array(are_there))  # (24, num_envs), as the docs leave rows out
    assert chosen.all() == (creator is not Population)
    assert not observations[~chosen].any()
    found = agent.get_action_and_value(observations[chosen], actions[chosen])[1]
    torch.testing.assert_close(found, log_probabilities[chosen])


TASK = "CartPole-v1"
SMALL_RUN = {
    "vec.backend": "Serial",
    "vec.num_envs": 2,
    "policy.hidden_size": 8,
    "train.total_timesteps": 128,
    "train.horizon": 32,
    "train.minibatches": 1,
}


@pytest.mark.parametrize("memory", ["none", pytest.param("lstm", marks=pytest.mark.long)])
def test_a_policy_of_puffer_train_is_rated_by_cleanrl_and_evaluated_again(memory, tmp_path, capsys):
    Run.configure(TASK, {**SMALL_RUN, "policy.memory": memory, "run": tmp_path / "run"}).train()
    trained = pufferlib.load(tmp_path / "run")
    agent = Policy(trained.network) if memory == "none" else LSTMPolicy(trained.network)
    envs = vector.to_gymnasium(vector.make(gymnasium.make, [TASK], num_envs=4))
    rows, starts, state = envs.reset(seed=0)[0], np.ones(4, np.bool_), ()
    if memory == "lstm":
        state = (tuple(torch.zeros(1, 4, agent.lstm.hidden_size) for _ in range(2)),)
    for _ in range(20):
        done = (torch.Tensor(starts),) if state else ()
        with torch.no_grad():
            rated = [agent(torch.Tensor(rows), *state, *done, torch.full((4,), c)) for c in (0, 1)]
        best = torch.stack([each[1] for each in rated]).argmax(0).numpy()
        np.testing.assert_array_equal(best, trained.act(rows, starts, deterministic=True))
        state = (rated[0][4],) if state else ()
        rows, _, terminated, truncated, _ = envs.step(best)
        starts = terminated | truncated
    envs.close()

    before = [parameter.clone() for parameter in agent.parameters()]
    _, log_probabilities, _, values, *_ = agent(torch.Tensor(rows), *state, *done, torch.ones(4))
    (values.pow(2).mean() - log_probabilities.mean()).backward()
    torch.optim.Adam(agent.parameters(), lr=0.1).step()
    assert not all(map(torch.equal, before, agent.parameters()))
    path = tmp_path / "cleanrl.pt"
    save_policy(trained.run, agent.policy, path)
    for ours, theirs in zip(
        pufferlib.load(path).network.parameters(), agent.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)
    assert main(["eval", TASK, "--checkpoint", str(path), "--episodes", "2"]) == 0
    assert "greedy" in capsys.readouterr().out
