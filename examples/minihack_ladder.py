"""Collect MiniHack with the rollout of CleanRL's ppo.py, in four steps; print the speed of each.

    python examples/minihack_ladder.py          (needs pufferlib[minihack])

1. plain: its storage has no place for observations that are a Dict
2. emulated: the same rollout runs
3. vectorized: the same rollout, over worker processes
4. a pool: the policy acts on half of the environments while the other half steps

Policy and environments share the cores of this machine: how much 3 and 4 gain depends on them.
"""

import argparse
import time
from contextlib import closing

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.emulation.description import describe_spaces
from pufferlib.frameworks.cleanrl import Policy
from pufferlib.models import Default
from pufferlib.registry import minihack
from pufferlib.vector import make, to_gymnasium

STEPS = 128  # of a rollout, as CleanRL's


def plain() -> gymnasium.Env:
    """Return MiniHack as it is: an observation is a Dict of two arrays."""
    keys = ("chars", "blstats")  # the map, and the hero's state
    return minihack.make_env("MiniHack-Room-5x5-v0", observation_keys=keys).env


def emulated() -> gymnasium.Env:
    """Return it with flat observations, each a row of bytes."""
    return GymnasiumPufferEnv(plain())


class Storage:
    """The storage of CleanRL's ppo.py."""

    def __init__(self, envs, steps, num_envs):
        rows = (steps, num_envs)
        self.obs = torch.zeros(rows + envs.single_observation_space.shape)
        self.actions = torch.zeros(rows + envs.single_action_space.shape)
        self.logprobs, self.rewards, self.dones, self.values = torch.zeros(4, steps, num_envs)


def make_agent(envs):
    """Return a small policy with the methods of CleanRL's Agent."""
    torch.manual_seed(1)
    spaces = envs.single_observation_space, envs.single_action_space
    return Policy(Default(describe_spaces(*spaces), hidden_size=64))


def collect(envs, rollouts):
    """Collect rollouts as CleanRL's ppo.py does; return environment steps per second."""
    storage = Storage(envs, STEPS, envs.num_envs)
    agent = make_agent(envs)
    next_obs, next_done = torch.Tensor(envs.reset(seed=1)[0]), torch.zeros(envs.num_envs)
    began_s = time.perf_counter()
    for step in [*range(STEPS)] * rollouts:
        storage.obs[step], storage.dones[step] = next_obs, next_done
        with torch.no_grad():
            action, logprob, _, value = agent.get_action_and_value(next_obs)
        storage.actions[step], storage.logprobs[step] = action, logprob
        storage.values[step] = value.flatten()
        next_obs, reward, terminations, truncations, _ = envs.step(action.numpy())
        storage.rewards[step] = torch.tensor(reward)
        next_obs, next_done = torch.Tensor(next_obs), torch.Tensor(terminations | truncations)
    return rollouts * STEPS * envs.num_envs / (time.perf_counter() - began_s)


def collect_from_pool(vecenv, rollouts):
    """Collect the same from a pool: a batch is one half of the environments or the other."""
    storage = Storage(vecenv, STEPS + 1, vecenv.num_agents)  # the last step is `next_obs`
    agent = make_agent(vecenv)
    vecenv.async_reset(seed=1)
    batch = vecenv.recv()
    began_s = time.perf_counter()
    for _ in range(rollouts):
        next_step = np.zeros(vecenv.num_agents, int)  # of each environment
        while (next_step <= STEPS).any():
            rows = slice(batch.env_ids[0], batch.env_ids[-1] + 1)
            obs, reward = torch.Tensor(batch.observations), torch.tensor(batch.rewards)
            done = torch.Tensor(batch.terminals | batch.truncations)
            with torch.no_grad():
                action, logprob, _, value = agent.get_action_and_value(obs)
            vecenv.send(action.numpy())  # these step while this process goes on
            step = next_step[rows.start]
            if step <= STEPS:  # else this half is ahead of the other
                storage.obs[step, rows], storage.dones[step, rows] = obs, done
                storage.actions[step, rows], storage.logprobs[step, rows] = action, logprob
                storage.values[step, rows] = value.flatten()
                storage.rewards[step, rows] = reward  # of the action before
            next_step[rows] += 1
            batch = vecenv.recv()
    return rollouts * STEPS * vecenv.num_agents / (time.perf_counter() - began_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rollouts", type=int, default=20, help=f"of {STEPS} steps")
    parser.add_argument("--envs", type=int, default=32, help="a multiple of --workers")
    parser.add_argument("--workers", type=int, default=2, help="processes, an even number")
    given = parser.parse_args()
    workers = {"backend": "Multiprocessing", "num_envs": given.envs, "num_workers": given.workers}
    torch.set_num_threads(1)

    try:
        collect(SyncVectorEnv([plain] * given.envs), given.rollouts)
    except TypeError as error:
        print(f"1. plain       TypeError: {error}")
    same_step = AutoresetMode.SAME_STEP
    with closing(SyncVectorEnv([emulated] * given.envs, autoreset_mode=same_step)) as envs:
        print(f"2. emulated    {collect(envs, given.rollouts):8,.0f} steps/s")
    with closing(to_gymnasium(make(emulated, **workers))) as envs:
        print(f"3. vectorized  {collect(envs, given.rollouts):8,.0f} steps/s")
    with closing(make(emulated, **workers, batch_size=given.envs // 2)) as vecenv:
        print(f"4. a pool      {collect_from_pool(vecenv, given.rollouts):8,.0f} steps/s")
