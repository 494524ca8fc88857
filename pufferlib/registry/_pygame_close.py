"""Closing an environment that draws with pygame, which others of the process draw with too."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any


def leaving_pygame(env: Any) -> Any:
    """Return `env`, of which `close` now leaves pygame to the others.

    Not by a wrapper, which would cost something in each step.

    Args:
        env: of Gymnasium or PettingZoo, whose own `close` may call `pygame.quit`.
    """
    world = env.unwrapped
    close = world.close

    def close_alone() -> None:
        with _pygame_kept(world.render_mode):
            close()

    world.close = close_alone
    return env


@contextlib.contextmanager
def _pygame_kept(render_mode: str | None) -> Iterator[None]:
    """Keep `pygame.quit` from taking fonts and surfaces from all others meanwhile.

    Of render mode "human" it closes the window. An environment that has not drawn may not have
    imported pygame: then there is nothing to keep.
    """
    module: Any = sys.modules.get("pygame")
    if module is None:
        yield
        return
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
