"""The trainer learns tasks of other packages from their presets, as `puffer train` does.

The score is the mean return of whole episodes from seeds that training never used, with sampled
actions. Each run prints it, with its 95% interval and CPU seconds; `pytest -rP` shows them.
LEARN_SEEDS=1,2,3 tries more seeds than the first, and LEARN_RECORD=FILE records the scores.
"""

import os
import time

import pytest

from pufferlib.runs import Run
from pufferlib.runs.diagnosis import diagnose_folder

pytestmark = [pytest.mark.learn, pytest.mark.slow, pytest.mark.timeout(1200)]

SEEDS = os.environ.get("LEARN_SEEDS", "1").split(",")
EPISODES, FIRST_SEED = 64, 1_000_000
TASKS = {
    "CartPole-v1": 475,  # of 500
    "Acrobot-v1": -100,  # of about -70, as many steps as it takes
    "Pendulum-v1": -250,  # of about -150, depending on the start
    "LunarLander-v3": 200,  # "solved", by its documentation
    "MiniGrid-Empty-8x8-v0": 0.9,  # 1 minus the share of the time limit that it took
    "MiniGrid-DoorKey-5x5-v0": 0.9,
    "MiniGrid-DoorKey-8x8-v0": 0.9,
    "MiniHack-Room-5x5-v0": 0.9,  # 1 at the goal, less 0.01 for a step that leads nowhere
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_learned_from_its_preset(task, seed, tmp_path, capsys, keep):
    run = Run.configure(task, {"run": tmp_path, "train.seed": seed})
    began_s = time.process_time()
    checkpoint = run.train()
    seconds = time.process_time() - began_s
    results = run.evaluate(checkpoint, EPISODES, FIRST_SEED)
    capsys.readouterr()
    shown = ", ".join(f"{name} {result}" for name, result in results.items())
    print(f"{task} {seed}: {shown}; {seconds:.0f} s")
    sampled = results["sampled"]
    row = {
        "task": task,
        "random": results["random"].mean,
        "threshold": TASKS[task],
        "seeds": {seed: [sampled.mean, *sampled.interval()]},
        "steps": run.config.train.total_timesteps,
        "seconds": [seconds, seconds],
    }
    keep("tasks", row)
    assert results["random"].mean < TASKS[task] <= results["sampled"].mean
    assert diagnose_folder(tmp_path) == ([], {})
