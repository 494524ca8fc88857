"""Proximal policy optimization over any vectorizer and any policy.

`algorithm` holds PPO from top to bottom, `config` its settings. `pufferlib.training` holds the
training loop, checkpoints and everything else that any algorithm needs.
"""

from pufferlib.ppo.algorithm import PPO
from pufferlib.ppo.config import PPOConfig
from pufferlib.training import Evaluation, Trainer, evaluate

TrainConfig = PPOConfig  # the name it had when PPO was the only algorithm

__all__ = ["PPO", "Evaluation", "PPOConfig", "TrainConfig", "Trainer", "evaluate"]
