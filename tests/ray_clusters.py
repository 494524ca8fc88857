"""Ray for tests: started once, small, with the tests' own modules importable in its actors."""

import contextlib
import os
import time
from pathlib import Path

import pytest
from vector_processes import children, start_helpers

SMALL = {"object_store_memory": 100_000_000, "include_dashboard": False}
# Ray leaves its open log files to garbage collection, and does not wait for all its processes.
FILTERS = [
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:subprocess [0-9]+ is still running:ResourceWarning"),
]
RLLIB_FILTERS = [
    *FILTERS,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:.*Overriding environment rllib:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),
]


@contextlib.contextmanager
def local_ray(num_cpus, **options):
    """Run Ray on this machine within the context, small."""
    import ray

    start_helpers()
    with importable():
        ray.init("local", num_cpus=num_cpus, **SMALL, **options)
    yield
    end(ray)


@contextlib.contextmanager
def nodes_of_one_cpu(count):
    """Run a head without CPUs, where this process is, and so many nodes of one CPU each.

    Yields the cluster, and its nodes by their id.
    """
    import ray
    from ray.cluster_utils import Cluster

    with importable():
        cluster = Cluster(
            initialize_head=True, connect=True, head_node_args={"num_cpus": 0, **SMALL}
        )
        nodes = [
            cluster.add_node(num_cpus=1, object_store_memory=SMALL["object_store_memory"])
            for _ in range(count)
        ]
    cluster.wait_for_nodes()
    yield cluster, {node.node_id: node for node in nodes}
    ray.shutdown()
    cluster.shutdown()
    end(ray)


@contextlib.contextmanager
def importable():
    """Let processes started within the context import the modules in this folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


def wait_until(is_so, deadline_s=120):
    """Return whether `is_so()` becomes true before the deadline."""
    end_s = time.monotonic() + deadline_s
    while not is_so() and time.monotonic() < end_s:
        time.sleep(0.05)
    return is_so()


def end(ray):
    """Shut down Ray, and check that none of its processes is left."""
    ray.shutdown()
    assert wait_until(lambda: children() == set())
