"""The command `puffer`: parsing and printing. `pufferlib.runs` does the work.

`main` lists the commands and runs one, `parser` reads its options and settings; each command is a
module.
"""

from pufferlib.cli.main import main

__all__ = ["main"]
