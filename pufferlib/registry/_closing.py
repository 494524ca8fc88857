"""Closing what cannot become an environment after all."""

import contextlib
from collections.abc import Iterator
from typing import Any

import gymnasium


@contextlib.contextmanager
def closed_if_refused(env: gymnasium.Env[Any, Any]) -> Iterator[None]:
    """Close `env`, which holds more than memory, where an error ends the with-block."""
    try:
        yield
    except BaseException:
        env.close()
        raise
