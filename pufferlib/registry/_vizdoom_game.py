"""What ViZDoom needs around it: a directory of its own, a last screen, ends told apart."""

import contextlib
import copy
import tempfile
from typing import Any, SupportsFloat

import gymnasium
import vizdoom

from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError, suggestion


def resolution_of(name: str) -> Any:
    """Return the ViZDoom resolution of a name like "160X120".

    Raises:
        ArgumentError: suggests the nearest.
    """
    names = [known.removeprefix("RES_") for known in vizdoom.ScreenResolution.__members__]
    if name not in names:
        raise ArgumentError(
            f"There is no resolution {name!r}.{suggestion(name, names)} Resolutions: "
            f"{', '.join(names)}."
        )
    return getattr(vizdoom.ScreenResolution, f"RES_{name}")


class DoomGame(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keep the game's files out of the working directory, and its ends apart.

    The game starts with the first reset, and again with each seed, in a temporary directory, where
    it leaves its settings and an empty directory; both go with `close`.

    A finished game shows no screen, for which ViZDoom returns zeros; here it is the screen before.
    A timeout is reported as terminated and truncated; here it is truncated.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._directory = tempfile.TemporaryDirectory(prefix="vizdoom-", ignore_cleanup_errors=True)
        game: Any = env.unwrapped
        self._game = game
        variables = game.game.get_available_game_variables()
        self._names = [variable.name.lower() for variable in variables]
        self._last: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, Info]:
        """Start an episode; return (observation, info)."""
        if seed is not None and self._game.game.is_running():
            self._game.game.close()  # a game that has been played does not forget all of it
        with contextlib.chdir(self._directory.name):
            self._last, info = self.env.reset(seed=seed, options=options)
        return self._last, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._game.state is None:
            observation = copy.deepcopy(self._last)
        self._last = observation
        if terminated or truncated:
            values = observation.get("gamevariables", ())
            info = dict(info, **dict(zip(self._names, map(float, values), strict=True)))
        return observation, reward, bool(terminated and not truncated), bool(truncated), info

    def close(self) -> None:
        """End the game, and remove its directory."""
        super().close()
        self._directory.cleanup()
