"""The command of a Python process in which warnings are errors."""

import sys

# Except Python's warnings about strings in other packages, when those are first compiled.
STRICT_PYTHON = [sys.executable, "-X", "faulthandler", "-W", "error", "-W", "ignore:invalid escape"]
