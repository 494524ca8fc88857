"""Kill a sweep and its trials at random moments: python sweep_soak.py FOLDER TRIALS KILLS SEED.

Every sweep is a fork of this process, which has loaded everything. Prints a line for each kill, and
at the end what was left behind.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from rich.console import Console
from sweep_processes import ForkExecutor

from pufferlib import proc
from pufferlib.sweep import journal, loop  # noqa: F401 (loaded before the fork)
from pufferlib.sweep.sweep import Sweep

JOBS = 2
_TRIAL_S = 0.7  # about
SETTINGS = {
    "train.total_timesteps": 8_000,
    "train.checkpoint_interval": 2,
    "sweep.space.train.learning_rate": "log 1e-4 1e-2",
    "sweep.space.train.horizon": "power2 8 32",
    "sweep.jobs": JOBS,
    "sweep.episodes": 64,
    "sweep.confirm": 1,
    "sweep.sampler": "random",
}


def begin(folder: Path, trials: int) -> int:
    """Start the sweep as a fork, or continue it; return its process."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        with (folder.parent / "sweep.txt").open("a") as file:
            sweep = Sweep.configure(
                "bandit", {**SETTINGS, "sweep.trials": trials, "run": str(folder)}
            )
            sweep.run(Console(file=file, width=120), ForkExecutor(JOBS))
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def main(folder: Path, trials: int, kills: int, seed: int) -> None:
    proc.adopt_orphans()
    draw = random.Random(seed)
    pid = begin(folder, trials)
    for kill in range(kills):
        time.sleep(draw.uniform(0.1, _TRIAL_S * trials / kills))
        children = [each.pid for each in proc.descendants(pid) if each.parent == pid]
        is_parent = kill % 2 == 0 or not children
        victim = pid if is_parent else draw.choice(children)
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
        print(f"killed {'the sweep' if is_parent else 'a trial'}", flush=True)
        if is_parent:
            _, status = os.waitpid(pid, 0)
            if os.waitstatus_to_exitcode(status) == 0:  # it had ended
                break
            pid = begin(folder, trials)
    else:
        _, status = os.waitpid(pid, 0)
    left = [each for each in proc.descendants() if each.state != "Z"]
    print(json.dumps({"status": os.waitstatus_to_exitcode(status), "left": len(left)}))


if __name__ == "__main__":
    folder, trials, kills, seed = sys.argv[1:]
    main(Path(folder), int(trials), int(kills), int(seed))
