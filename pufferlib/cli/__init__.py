"""The command `puffer`: the only part that knows the registry and the trainer at once.

`main` reads the command line, `run` assembles a run from settings; each command has its module.
"""

from pufferlib.cli.main import main

__all__ = ["main"]
