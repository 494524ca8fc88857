"""Another process of this Python, in which a package's warning is an error."""

import sys

# But for what Python says once of strings in other packages, where these are not yet compiled.
STRICT_PYTHON = [sys.executable, "-X", "faulthandler", "-W", "error", "-W", "ignore:invalid escape"]
