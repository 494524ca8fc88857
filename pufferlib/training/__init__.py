"""The training loop, shared by every algorithm: rollouts in, metrics and checkpoints out.

In the order of the data: `config` has the settings; `policy_runner` runs a policy, `recorder` acts
with it and fills a `rollout`, for the environments that `collector` steps; an `algorithm` learns
from that, for a `learner`, of which there may be several (`learners`); and `trainer` is the loop
around them. A rollout is learned from in pieces (`minibatch`) by `optimization`'s gradient steps;
`reverse_scan` computes discounted sums. `policy_actor` acts where nothing is recorded.
`statistics`, `finite`, `checkpoint`, `distributed` and `torch_state` serve it; `evaluation` plays
whole episodes; `profile`, `utilization`, `loggers` and `dashboard` report.
"""

from pufferlib.training.algorithm import Algorithm
from pufferlib.training.config import LoopConfig
from pufferlib.training.evaluation import Evaluation, evaluate
from pufferlib.training.policy_actor import PolicyActor
from pufferlib.training.policy_runner import PolicyRunner
from pufferlib.training.trainer import Trainer

__all__ = [
    "Algorithm",
    "Evaluation",
    "LoopConfig",
    "PolicyActor",
    "PolicyRunner",
    "Trainer",
    "evaluate",
]
