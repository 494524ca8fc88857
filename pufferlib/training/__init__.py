"""The training loop, shared by every algorithm: rollouts in, metrics and checkpoints out.

In the order of the data: `config` has the settings; `policy_runner` runs the policy, `collector`
steps the environments with it and fills a `rollout`, an `algorithm` learns from that, and `trainer`
is the loop around them. `statistics`, `finite`, `checkpoint`, `distributed` and `torch_state` serve
it; `evaluation` plays whole episodes; `profile`, `utilization`, `loggers` and `dashboard` report.
"""

from pufferlib.training.algorithm import Algorithm
from pufferlib.training.config import LoopConfig
from pufferlib.training.evaluation import Evaluation, evaluate
from pufferlib.training.policy_runner import PolicyRunner
from pufferlib.training.trainer import Trainer

__all__ = ["Algorithm", "Evaluation", "LoopConfig", "PolicyRunner", "Trainer", "evaluate"]
