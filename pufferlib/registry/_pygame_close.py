"""Close one environment that uses pygame without closing pygame for the others."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from pufferlib.locks import process_lock
from pufferlib.wrappers import EpisodeStats, MultiAgentEpisodeStats

_CLOSING = process_lock()  # all threads share pygame's functions


class PygameEpisodeStats(EpisodeStats):
    """`EpisodeStats` whose `close` does not quit pygame for other environments.

    For environments whose own `close` may call `pygame.quit`. A separate wrapper would cost time in
    each step.
    """

    def close(self) -> None:
        """Close the environment, and its window if it has one."""
        with _pygame_kept(self.render_mode):
            super().close()


class PygameMultiAgentEpisodeStats(MultiAgentEpisodeStats):
    """`MultiAgentEpisodeStats` whose `close` does not quit pygame for other environments."""

    def close(self) -> None:
        """Close the environment, and its window if it has one."""
        with _pygame_kept(getattr(self, "render_mode", None)):
            super().close()


@contextlib.contextmanager
def _pygame_kept(render_mode: str | None) -> Iterator[None]:
    """Disable `pygame.quit` inside the block, as it invalidates fonts and surfaces of others.

    With render mode "human" the window is closed; a process has only one. If nothing has been
    drawn, pygame may not be imported, and there is nothing to do.
    """
    module: Any = sys.modules.get("pygame")
    if module is None:
        yield
        return
    with _CLOSING:
        end, end_display = module.quit, module.display.quit
        module.quit = _nothing
        if render_mode != "human":
            module.display.quit = _nothing
        try:
            yield
            if render_mode == "human":
                end_display()
        finally:
            module.quit, module.display.quit = end, end_display


def _nothing() -> None:
    pass
