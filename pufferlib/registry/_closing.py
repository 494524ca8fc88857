"""Close an environment whose construction fails halfway."""

import contextlib
from collections.abc import Iterator

from pufferlib.annotations import GymnasiumEnv


@contextlib.contextmanager
def closed_if_refused(env: GymnasiumEnv) -> Iterator[None]:
    """Close `env` if an error ends the with-block, to free more than memory."""
    try:
        yield
    except BaseException:
        env.close()
        raise
