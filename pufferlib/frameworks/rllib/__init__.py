"""Train policies with RLlib's new API stack (Ray 2.50 and later).

    config = pufferlib.frameworks.rllib.configure(PPOConfig(), make_env, Default)
    algorithm = config.env_runners(num_env_runners=2).build_algo()

`environments` turns any supported environment into one that RLlib steps, `module` wraps a policy as
an `RLModule`, `distributions` converts its heads to the inputs of RLlib's distributions, and
`configuration` puts them into an `AlgorithmConfig`.
"""

import importlib

from pufferlib.exceptions import NotInstalledError

try:
    importlib.import_module("ray.rllib.algorithms.ppo")
except ImportError as error:
    raise NotInstalledError(
        f"RLlib is not installed, or without its packages: {error}. Run: puffer install rllib"
    ) from error

from pufferlib.frameworks.rllib.configuration import SHARED_MODULE, configure
from pufferlib.frameworks.rllib.environments import (
    PettingZooMultiAgentEnv,
    environment_class,
    make_env,
    make_vector_env,
)
from pufferlib.frameworks.rllib.module import PufferRLModule

__all__ = [
    "SHARED_MODULE",
    "PettingZooMultiAgentEnv",
    "PufferRLModule",
    "configure",
    "environment_class",
    "make_env",
    "make_vector_env",
]
