"""Trials as forks of a process that has loaded everything: they start in milliseconds."""

import gc
import os
import sys
import types

import torch._dynamo  # which the first optimizer imports

from pufferlib.references import distributions
from pufferlib.sweep import trial
from pufferlib.sweep.executor import LocalExecutor
from pufferlib.sweep.trial_files import LOG

assert torch._dynamo


class ForkExecutor(LocalExecutor):
    """Like `LocalExecutor`; what runs in a trial's process is the same, `trial.main`."""

    def _launch(self, folder, cores):
        distributions()
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return types.SimpleNamespace(pid=pid, returncode=None)
        status = 1
        try:
            os.setsid()
            torch.set_num_threads(1)  # the threads of this process were not forked
            with (folder / LOG).open("ab") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            gc.collect()
            status = trial.main(folder, parent, set(cores))
        finally:
            sys.stdout.flush()
            os._exit(status)
