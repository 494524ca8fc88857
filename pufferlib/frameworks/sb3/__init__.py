"""Use vectorizers and policies with Stable-Baselines3 and sb3-contrib.

    envs = pufferlib.vector.make(make_env, num_envs=8, backend=pufferlib.vector.Multiprocessing)
    model = PPO(sb3.Policy, sb3.PufferVecEnv(envs), policy_kwargs={"policy_creator": Default})
    model.learn(100_000)

`vec_env` has the `VecEnv`, `spaces` the spaces that it shows, `policies` and `recurrent` the
policies, `distribution` the heads of a policy as a distribution, and `absence` the rollout buffers
that leave out absent agents.
"""

from pufferlib.exceptions import NotInstalledError

try:
    import sb3_contrib
    import stable_baselines3
except ImportError as error:
    raise NotInstalledError(
        "Stable-Baselines3 is not installed. Run: puffer install sb3   (or: pip install "
        '"pufferlib[sb3]")'
    ) from error

from pufferlib.frameworks.sb3.absence import (
    MaskablePresentBuffer,
    Presence,
    PresentBuffer,
    RecurrentPresentBuffer,
    leave_out_absent,
)
from pufferlib.frameworks.sb3.distribution import HeadsDistribution
from pufferlib.frameworks.sb3.policies import MaskablePolicy, Policy
from pufferlib.frameworks.sb3.recurrent import RecurrentPolicy
from pufferlib.frameworks.sb3.vec_env import PufferVecEnv

__all__ = [
    "HeadsDistribution",
    "MaskablePolicy",
    "MaskablePresentBuffer",
    "Policy",
    "Presence",
    "PresentBuffer",
    "PufferVecEnv",
    "RecurrentPolicy",
    "RecurrentPresentBuffer",
    "leave_out_absent",
    "sb3_contrib",
    "stable_baselines3",
]
