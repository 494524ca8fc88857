"""A wrapper for MAgent environments: pictures of the current state."""

import pettingzoo

from pufferlib.annotations import Rendered


class CurrentPictures(pettingzoo.utils.BaseParallelWrapper):
    """Draw the state of each step.

    MAgent's renderer shows a state until it has been drawn three times, so a film would show every
    third one only.
    """

    def render(self) -> Rendered:
        """Return the picture."""
        renderer = self.env.unwrapped._renderer
        if renderer is not None:
            renderer.new_data = None  # then it asks the game
        return super().render()
