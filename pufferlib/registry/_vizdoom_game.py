"""What ViZDoom needs around it: a directory of its own, a last screen, ends told apart."""

import contextlib
import copy
import functools
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium
import vizdoom

from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError, suggestion

_STARTING = threading.Lock()  # a game that starts needs its names, until it has


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
    it leaves its settings and an empty directory; both go with `close`. It is a process of its own:
    where this one is killed, it ends too, and its shared memory with both (Linux).

    A finished game shows no screen, for which ViZDoom returns zeros; here it is the screen before.
    A timeout is reported as terminated and truncated; here it is truncated.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._directory = tempfile.TemporaryDirectory(prefix="vizdoom-", ignore_cleanup_errors=True)
        game: Any = env.unwrapped
        self._game = game
        launcher = Path(self._directory.name, "vizdoom")
        starter = _starter()
        if starter and _write_launcher(launcher, starter):
            game.game.set_vizdoom_path(str(launcher))
        self._variables = game.game.get_available_game_variables()
        self._last: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, Info]:
        """Start an episode; return (observation, info)."""
        if seed is not None and self._game.game.is_running():
            self._game.game.close()  # a game that has been played does not forget all of it
        if self._game.game.is_running():
            self._last, info = self.env.reset(seed=seed, options=options)
        else:
            with _STARTING, contextlib.chdir(self._directory.name):
                self._last, info = self.env.reset(seed=seed, options=options)
                _remove_names_of_shared_memory()
        return self._last, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._game.state is None:
            observation = copy.deepcopy(self._last)
        self._last = observation
        if terminated or truncated:
            get = self._game.game.get_game_variable  # the screen before has not all of it
            info = dict(info, **{each.name.lower(): float(get(each)) for each in self._variables})
        return observation, reward, bool(terminated and not truncated), bool(truncated), info

    def close(self) -> None:
        """End the game, and remove its directory."""
        super().close()
        self._directory.cleanup()


@functools.cache
def _starter() -> tuple[str, ...]:
    """Return how to start a program that the kernel kills when its starter has died.

    Empty where nothing does that: elsewhere than on Linux, and with a `setpriv` that does not know
    the option, as BusyBox's and those of old distributions.
    """
    starter = (shutil.which("setpriv") or "", "--pdeathsig", "KILL")
    if not starter[0]:
        return ()
    trial = subprocess.run([*starter, "true"], capture_output=True, check=False)
    return () if trial.returncode else starter


def _write_launcher(path: Path, starter: tuple[str, ...]) -> bool:
    """Write a program that starts the game so.

    Returns:
        Whether it can be run: not where programs in temporary folders are forbidden.
    """
    engine = Path(vizdoom.__file__).with_name("vizdoom")
    path.write_text(f'#!/bin/sh\nexec {shlex.join([*starter, str(engine)])} "$@"\n')
    path.chmod(0o700)
    return os.access(path, os.X_OK)


def _remove_names_of_shared_memory() -> None:
    """Leave no names for the shared memory of games that run: it goes with those who hold it."""
    with contextlib.suppress(OSError):  # there is no /proc
        mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
        for name in mapped:
            if name.startswith("/dev/shm/ViZDoom"):
                Path(name).unlink(missing_ok=True)
