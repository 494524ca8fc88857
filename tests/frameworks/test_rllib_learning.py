"""RLlib's PPO learns with our environments and policies, on two env runners.

Each test prints its score and seconds; `pytest -rP` shows them.
"""


import pytest
from ray_clusters import FILTERS

pytestmark = [
    *FILTERS,
    pytest.mark.leaves_threads,
    pytest.mark.learn,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:.*Overriding environment rllib:UserWarning"),
]
rllib = pytest.importorskip("pufferlib.frameworks.rllib", exc_type=ImportError)
ppo = pytest.importorskip("ray.rllib.algorithms.ppo", exc_type=ImportError)
ray = pytest.importorskip("ray")
