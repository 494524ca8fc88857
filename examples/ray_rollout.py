"""Step environments on every node of a Ray cluster, and say where they were.

RAY_ADDRESS=head:6379 python examples/ray_rollout.py
"""

import collections
import os

import ray

from pufferlib.registry import ocean
from pufferlib.vector import make

STEPS = 200


class Located:
    """Which node an environment is on."""

    def __init__(self, make_env):
        self.make_env = make_env

    def __call__(self, **kwargs):
        env = self.make_env(**kwargs)
        env.node = os.uname().nodename
        return env


def main():
    """Roll out."""
    ray.init()
    workers = int(ray.cluster_resources()["CPU"])
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
    nodes = collections.Counter(vecenv.get_attr("node"))
    vecenv.close()
    print(f"{STEPS} steps of {vecenv.num_envs} environments on {len(nodes)} nodes: {dict(nodes)}")


if __name__ == "__main__":
    main()
