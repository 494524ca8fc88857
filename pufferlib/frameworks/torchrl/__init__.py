"""Environments and policies for TorchRL.

    networks = actor_critic(policy, envs)
    actor, critic = networks.get_policy_operator(), networks.get_value_operator()
    collector = Collector(make_env(envs, policy), actor, frames_per_batch=1024)
    loss = ClipPPOLoss(actor, critic)

`envs` is a vectorizer and `policy` one of ours. `environment` has the former's side, `policy` the
latter's.
"""

from importlib import import_module

from pufferlib.exceptions import NotInstalledError

try:
    import_module("torchrl")
except ImportError as error:
    raise NotInstalledError(
        f"TorchRL is not installed, or without its packages: {error}. Run: puffer install torchrl"
    ) from error

from pufferlib.frameworks.torchrl.environment import make_env
from pufferlib.frameworks.torchrl.policy import MultiCategorical, PolicyModule, actor_critic

__all__ = ["MultiCategorical", "PolicyModule", "actor_critic", "make_env"]
