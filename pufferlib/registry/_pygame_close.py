"""Closing an environment that draws with pygame, which others of the process draw with too."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pettingzoo


@contextlib.contextmanager
def pygame_kept(render_mode: str | None) -> Iterator[None]:
    """Keep `pygame.quit` from taking fonts and surfaces from all others meanwhile.

    Of render mode "human" it closes the window.
    """
    import pygame  # here, where the environment has imported it without its greeting

    module: Any = pygame
    end = module.quit
    module.quit = module.display.quit if render_mode == "human" else _nothing
    try:
        yield
    finally:
        module.quit = end


class PygameKept(pettingzoo.utils.BaseParallelWrapper):
    """A PettingZoo environment that draws with pygame and leaves it to others when it is closed."""

    def close(self) -> None:
        """Close the environment."""
        with pygame_kept(self.env.render_mode):
            super().close()


def _nothing() -> None:
    pass
