"""Train with SBX, in a Python that has it; benchmarks/training.py starts this script.

    PYTHON benchmarks/sbx_run.py TASK NUM_ENVS STEPS '{"n_steps": 128, ...}'

The last argument has the settings of its PPO, as JSON. The last line of output has the environment
steps per second of STEPS steps, the CPU time of this process in microseconds per step, and the mean
return of the last hundred episodes. As many steps before these are a warm-up, in which JAX
compiles.
"""

import json
import statistics
import sys
import time
from typing import Any

import gymnasium
from sbx import PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv


def main() -> None:
    """Train with the settings of the command line and print the measurements."""
    task, steps = sys.argv[1], int(sys.argv[3])

    def make() -> Any:
        return Monitor(gymnasium.make(task, disable_env_checker=True))

    envs = DummyVecEnv([make] * int(sys.argv[2]))
    model = PPO("MlpPolicy", envs, seed=1, **json.loads(sys.argv[4]))
    model.learn(steps, log_interval=None, reset_num_timesteps=False)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    model.learn(steps, log_interval=None, reset_num_timesteps=False)
    elapsed_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    returns = [episode["r"] for episode in model.ep_info_buffer or ()]
    score = statistics.mean(returns) if returns else "nan"
    print(steps / elapsed_s, cpu_s / steps * 1e6, score)


if __name__ == "__main__":
    main()
