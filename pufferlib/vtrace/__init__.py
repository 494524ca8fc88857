"""V-trace actor-critic, the learner of IMPALA, over any vectorizer and any policy.

`algorithm` is V-trace from top to bottom, `config` its settings. The loop around it, checkpoints
and everything else that any algorithm needs are `pufferlib.training`.
"""

from pufferlib.vtrace.algorithm import VTrace
from pufferlib.vtrace.config import VTraceConfig

__all__ = ["VTrace", "VTraceConfig"]
