"""`python -m pufferlib.cli`: the same as `puffer`."""

import sys

from pufferlib.cli.main import main

sys.exit(main())
