"""Environments and policies for TorchRL: `make_env`, `PolicyModule` and `actor_critic`.

env = make_env(pufferlib.vector.make(make, num_envs=8))
networks = actor_critic(Default(description), description)
actor, critic = networks.get_policy_operator(), networks.get_value_operator()
collector = Collector(env, actor, frames_per_batch=1024)
loss = ClipPPOLoss(actor, critic)
"""

from pufferlib.exceptions import NotInstalledError

try:
    import tensordict
    import torchrl
except ImportError as error:
    raise NotInstalledError(
        f"TorchRL is not installed, or without its packages: {error}. Run: puffer install torchrl"
    ) from error

from pufferlib.frameworks.torchrl.environment import make_env
from pufferlib.frameworks.torchrl.policy import MultiCategorical, PolicyModule, actor_critic

__all__ = ["MultiCategorical", "PolicyModule", "actor_critic", "make_env"]
