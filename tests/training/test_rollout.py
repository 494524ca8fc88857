"""Rollout storage: where it is, and the pieces that are learned from."""

import gymnasium
import numpy as np
import pytest
import torch

from pufferlib import vector
from pufferlib.models import Default
from pufferlib.ppo import TrainConfig, Trainer
from pufferlib.training.rollout import Rollout, storage_device

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
HORIZON = 8


class Still(gymnasium.Env):
    """Nothing happens."""

    observation_space = gymnasium.spaces.Box(-1, 1, (3, 2), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return np.zeros((3, 2), np.float32), {}

    def step(self, action):
        return np.zeros((3, 2), np.float32), 0.0, False, False, {}


def synchronous():
    return vector.make(Still, num_envs=4)


def pool():
    return vector.make(Still, backend="Multiprocessing", num_envs=4, num_workers=2, batch_size=2)


@pytest.fixture(params=[synchronous, pool])
def vecenv(request):
    made = request.param()
    yield made
    made.close()


def chosen(vecenv, free_bytes, monkeypatch, storage="auto", device=GPU):
    """Return the device of rollouts, with the given amount of free GPU memory."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free_bytes, 10**12))
    return storage_device(TrainConfig(horizon=HORIZON, storage=storage), vecenv, device)


def test_half_of_the_free_memory_must_hold_the_observations(vecenv, monkeypatch):
    config = TrainConfig(horizon=HORIZON, minibatches=1, device="cpu")
    observations = Trainer(config, vecenv, Default(vecenv)).collect().observations
    # 8 steps of 3 x 2 floats: of 4 rows, or in a pool of 2 that learn and one that goes on, 2 each.
    assert observations.nbytes == 8 * 3 * 2 * 4 * (4 if vecenv.batch_size == 4 else 6)
    assert chosen(vecenv, 2 * observations.nbytes, monkeypatch) == GPU
    assert chosen(vecenv, 2 * observations.nbytes - 1, monkeypatch) == CPU


@pytest.mark.parametrize(
    ("storage", "device", "expected"),
    [("device", GPU, GPU), ("cpu", GPU, CPU), ("auto", CPU, CPU), ("device", CPU, CPU)],
)
def test_an_explicit_device_is_used_for_any_free_memory(storage, device, expected, monkeypatch):
    free_bytes = 10**12 if expected == CPU else 0
    assert chosen(synchronous(), free_bytes, monkeypatch, storage, device) == expected


def numbered_rollout(state_batch_dim):
    """Return a rollout of 3 of 4 columns, each tensor numbered through; the state by column."""
    rollout = Rollout(5, torch.zeros(1, 2), torch.zeros(1), 4, state_batch_dim)
    for name in ("observations", "actions", "log_probabilities", "values", "rewards"):
        tensor = getattr(rollout, name)
        tensor[:] = torch.arange(tensor.numel()).view(tensor.shape)
    rollout.final_values[:] = -rollout.rewards
    for shift, name in enumerate(("terminals", "truncations", "starts", "valid")):
        getattr(rollout, name)[:] = (torch.arange(20).view(5, 4) + shift) % 3 == 0
    shape = (4, 2) if state_batch_dim == 0 else (2, 4)
    hidden = torch.arange(4.0).unsqueeze(1 - state_batch_dim).expand(shape)
    rollout.set_initial_state(slice(0, 4), {"hidden": hidden, "parts": (hidden + 10, [hidden])})
    rollout.columns = torch.tensor([3, 0, 2])
    return rollout


@pytest.mark.parametrize("state_batch_dim", [0, 1])
def test_sequences_are_whole_columns_in_the_order_asked_for(state_batch_dim):
    rollout = numbered_rollout(state_batch_dim)
    found = rollout.sequences(np.array([2, 0]))
    for row, column in enumerate((2, 3)):
        for name in ("observations", "actions", "log_probabilities", "values", "rewards"):
            assert torch.equal(getattr(found, name)[row], getattr(rollout, name)[:, column])
        for name in ("terminals", "truncations", "starts", "valid", "final_values"):
            assert torch.equal(getattr(found, name)[row], getattr(rollout, name)[:, column])
        hidden = found.state["hidden"].select(state_batch_dim, row)
        assert hidden.tolist() == [column, column]
        assert found.state["parts"][0].select(state_batch_dim, row).tolist() == [column + 10] * 2
    # Flags are True where (4 t + column + 2) % 3 == 0: of column 2 in steps 2, of column 3 in 1, 4.
    assert found.start_steps == [1, 2, 4]
    rollout.rewards.zero_()
    assert found.rewards.any()  # a copy


def test_sequences_move_to_another_device_with_their_state():
    found = numbered_rollout(1).sequences(np.array([1]))
    assert found.to(CPU) is found
    moved = found.to(torch.device("meta"))
    tensors = [value for value in vars(moved).values() if isinstance(value, torch.Tensor)]
    tensors += [moved.state["hidden"], moved.state["parts"][0], moved.state["parts"][1][0]]
    assert len(tensors) == 13
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_minibatches_of_a_recurrent_policy_are_sequences_side_by_side():
    rollout = numbered_rollout(1)
    estimates = torch.arange(15.0).view(5, 3)
    found = list(rollout.minibatches(2, estimates, torch.Generator().manual_seed(0)))
    assert [tuple(part.observations.shape) for part in found] == [(2, 5, 2), (1, 5, 2)]
    for part in found:
        for row, actions in enumerate(part.actions.view(-1, 5)):
            column = int(actions[0])  # numbered 0 to 3 in the first step
            place = rollout.columns.tolist().index(column)
            steps = slice(5 * row, 5 * row + 5)
            assert torch.equal(actions, rollout.actions[:, column])
            assert torch.equal(part.advantages[steps], estimates[:, place])
            returns = estimates[:, place] + rollout.values[:-1, column]
            assert torch.equal(part.returns[steps], returns)
            assert part.state["hidden"][:, row].tolist() == [column, column]
        assert part.start_steps == np.flatnonzero(part.starts.any(0)).tolist()
