"""Step environments on every CPU of a Ray cluster, and print on which nodes they ran.

RAY_ADDRESS=head:6379 python examples/ray_rollout.py --cpus 3      # on a node of the cluster
"""

import argparse
import collections
import os
import time

import ray

from pufferlib.registry import ocean
from pufferlib.vector import make

STEPS = 200


class Located:
    """Makes environments that know which node they are on."""

    def __init__(self, make_env):
        self.make_env = make_env

    def __call__(self, **kwargs):
        env = self.make_env(**kwargs)
        env.node = os.uname().nodename
        return env


def main():
    """Step environments on the cluster."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpus", type=int, default=1, help="to wait for, a minute at most")
    wanted = parser.parse_args().cpus
    ray.init()
    give_up_s = time.monotonic() + 60
    while (workers := int(ray.cluster_resources().get("CPU", 0))) < wanted:
        if time.monotonic() > give_up_s:
            raise SystemExit(f"{wanted} CPUs were to be here; there are {workers}.")
        time.sleep(0.5)
    vecenv = make(
        Located(ocean.env_creator("squared")),
        backend="Ray",
        num_envs=2 * workers,
        num_workers=workers,
        timeout_s=120,
        ray_options={"scheduling_strategy": "SPREAD"},
    )
    vecenv.reset(seed=0)
    for _ in range(STEPS):
        vecenv.step(vecenv.action_space.sample())
    where = collections.Counter(vecenv.get_attr("node"))
    vecenv.close()
    print(f"{STEPS} steps of {vecenv.num_envs} environments on {len(where)} nodes: {dict(where)}")


if __name__ == "__main__":
    main()
