"""CleanPuffeRL: proximal policy optimization over any vectorizer and any policy.

In the order of the data: `config` the settings, `storage` a rollout, `advantage` and `loss` the
mathematics, `trainer` the loop; `checkpoint` what survives it, `evaluate` what it is worth;
`statistics`, `profile`, `logger` and `dashboard` what it tells.
"""

from pufferlib.ppo.config import TrainConfig
from pufferlib.ppo.evaluate import Evaluation, evaluate
from pufferlib.ppo.trainer import Trainer

__all__ = ["Evaluation", "TrainConfig", "Trainer", "evaluate"]
