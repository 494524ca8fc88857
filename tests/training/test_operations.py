"""The number of torch operations of a rollout and of an update: what each costs a GPU to launch.

They are counted on the CPU, where every call of a kernel and every view counts as one.
"""

from collections import Counter

import pytest
from gymnasium.envs.classic_control import CartPoleEnv, PendulumEnv
from torch.utils._python_dispatch import TorchDispatchMode

from pufferlib import vector
from pufferlib.models import Default, LSTMWrapper
from pufferlib.ppo import PPOConfig
from pufferlib.training import Trainer
from pufferlib.vtrace import VTraceConfig

HORIZON, MINIBATCHES, EPOCHS = 32, 4, 2


class Operations(TorchDispatchMode):
    """Counts the operations of a block by name."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names[function.overloadpacket._qualified_op_name] += 1
        return function(*args, **(kwargs or {}))


def trainer_of(config, has_memory=False, env=CartPoleEnv, **settings):
    envs = vector.make(env, num_envs=8)
    policy = Default(envs, 32)
    if has_memory:
        policy = LSTMWrapper(envs, policy)
    sizes = {"horizon": HORIZON, "minibatches": MINIBATCHES, "update_epochs": EPOCHS}
    trainer = Trainer(config(**sizes, **settings, device="cpu"), envs, policy)
    trainer.step()  # allocates storage, and the optimizer's state
    return trainer


@pytest.mark.parametrize(
    ("has_memory", "env", "most"),
    [(False, CartPoleEnv, 20), (True, CartPoleEnv, 30), (False, PendulumEnv, 28)],
)
def test_a_rollout_batch_takes_few_operations(has_memory, env, most):
    trainer = trainer_of(PPOConfig, has_memory, env)
    with Operations() as counted:
        trainer.collect()
    found = counted.names.total() / HORIZON
    assert found <= most, counted.names.most_common()


# An LSTM takes some more for each piece of a sequence between two starts of episodes.
@pytest.mark.parametrize(
    ("config", "has_memory", "env", "most"),
    [
        (PPOConfig, False, CartPoleEnv, 142),
        (VTraceConfig, False, CartPoleEnv, 150),
        (PPOConfig, True, CartPoleEnv, 240),
        (VTraceConfig, True, CartPoleEnv, 245),
        (PPOConfig, False, PendulumEnv, 162),
    ],
)
def test_an_update_takes_few_operations_and_waits_for_none(config, has_memory, env, most):
    trainer = trainer_of(config, has_memory, env, entropy_coefficient=0.01)
    rollout = trainer.collect()
    with Operations() as counted:
        trainer.algorithm.update(rollout, 0.0)
    found = counted.names.total() / (MINIBATCHES * EPOCHS)
    assert found <= most, counted.names.most_common()
    # Each of these waits until a GPU has computed a number.
    waiting = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero"}
    assert not waiting & counted.names.keys(), counted.names.most_common()
