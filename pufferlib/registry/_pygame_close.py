"""Closing an environment that draws with pygame, which others of the process draw with too."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from pufferlib.locks import process_lock
from pufferlib.wrappers import EpisodeStats, MultiAgentEpisodeStats

_CLOSING = process_lock()  # pygame's functions are those of all threads


class PygameEpisodeStats(EpisodeStats):
    """`EpisodeStats`, of which `close` leaves pygame to the others.

    For environments whose own `close` may call `pygame.quit`. A wrapper for that alone would cost
    something in each step.
    """

    def close(self) -> None:
        """Close the environment, and its window if it has one."""
        with _pygame_kept(self.render_mode):
            super().close()


class PygameMultiAgentEpisodeStats(MultiAgentEpisodeStats):
    """`MultiAgentEpisodeStats`, of which `close` leaves pygame to the others."""

    def close(self) -> None:
        """Close the environment, and its window if it has one."""
        with _pygame_kept(self.render_mode):
            super().close()


@contextlib.contextmanager
def _pygame_kept(render_mode: str | None) -> Iterator[None]:
    """Keep `pygame.quit` from taking fonts and surfaces from all others meanwhile.

    Of render mode "human" it closes the window, of which a process has one: what multiwalker has
    drawn into it goes too. An environment that has not drawn may not have imported pygame: then
    there is nothing to keep.
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
