"""A user's script that vectorizes and then ends in the way asked for: see `test_shutdown`.

Arguments: start method, "idle" or "asleep" (in a step), and how it ends.
"""

import os
import sys

from vector_environments import Echo, Faulty, fall_asleep

from pufferlib import vector


def main(start_method, doing, ending):
    envs = vector.make(
        *([Echo, [1]] if doing == "idle" else [Faulty, ["step", fall_asleep]]),
        backend=vector.Multiprocessing,
        num_envs=4,
        num_workers=2,
        start_method=start_method,
    )
    envs.reset(seed=0)
    print(*envs.call("pid")[::2], flush=True)
    for _ in range(2):
        envs.step([1] * 4)
    envs.send([1] * 4)  # the third step, in which an environment may fall asleep
    if doing == "idle":
        envs.recv()
    os.write(1, b"ready\n")  # in one piece: workers write here, too
    if ending == "close":
        envs.close()
    if ending == "error":
        raise RuntimeError("a slip in the user's script")
    if ending == "signal":
        while True:
            if doing == "idle":
                envs.send([1] * 4)
            envs.recv()


if __name__ == "__main__":
    main(*sys.argv[1:])
