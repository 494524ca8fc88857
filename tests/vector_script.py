"""A user's script that vectorizes and then ends in the way asked for: see `test_shutdown`.

Prints the ids of its workers, and of processes that environments have started. Arguments: start
method; "idle", "asleep" (in a step) or "parents" (each environment has forked a process); and how
it ends.
"""

import os
import sys
import weakref

# As many packages do when they are imported. If the first finalizer is older than the import of
# multiprocessing, finalizers run at exit after multiprocessing has terminated its children.
weakref.finalize(sys, int)

from vector_environments import Echo, Faulty, Parent, fall_asleep  # noqa: E402
from vector_processes import wait_until_asleep  # noqa: E402

from pufferlib import vector  # noqa: E402

ENVIRONMENTS = {
    "idle": (Echo, [1]),
    "asleep": (Faulty, ["step", fall_asleep]),
    "parents": (Parent, ["fork"]),
}


def main(start_method, doing, ending):
    envs = vector.make(
        *ENVIRONMENTS[doing],
        backend=vector.Multiprocessing,
        num_envs=4,
        num_workers=2,
        start_method=start_method,
    )
    envs.reset(seed=0)
    children = envs.call("child_pid") if doing == "parents" else []
    workers = envs.call("pid")[::2]
    print(*workers, *children, flush=True)
    for _ in range(2):
        envs.step([1] * 4)
    envs.send([1] * 4)  # the third step, in which an environment may fall asleep
    if doing == "asleep":
        # An order to close that comes before this step has begun replaces it.
        wait_until_asleep(workers)
    else:
        envs.recv()
    os.write(1, b"ready\n")  # in one piece: workers write here, too
    if ending == "close":
        envs.close()
    if ending == "error":
        raise RuntimeError("a slip in the user's script")
    if ending == "signal":
        while True:
            if doing != "asleep":
                envs.send([1] * 4)
            envs.recv()


if __name__ == "__main__":
    main(*sys.argv[1:])
