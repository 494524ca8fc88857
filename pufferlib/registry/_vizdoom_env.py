"""A wrapper for ViZDoom: checked settings, a working directory, last screens, truncation."""

import contextlib
import copy
import functools
import inspect
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import types
from pathlib import Path
from typing import Any

import gymnasium
import vizdoom
from vizdoom.gymnasium_wrapper.gymnasium_env_defns import VizdoomScenarioEnv

from pufferlib.annotations import (
    Action,
    GymnasiumEnv,
    GymnasiumReset,
    GymnasiumStep,
    GymnasiumWrapper,
    Kwargs,
    Options,
    Rendered,
)
from pufferlib.exceptions import ArgumentError, suggestion
from pufferlib.locks import process_lock
from pufferlib.wrappers.silencing import silent

_PACKAGE = Path(vizdoom.__file__).parent
_FILES = {  # the settings that name a file, and where else than here it is looked for
    "doomconfigpath": None,  # written by the game
    "doomgamepath": _PACKAGE,
    "doomscenariopath": _PACKAGE / "scenarios",
    "scenarioconfigfile": _PACKAGE / "scenarios",
    "vizdoompath": _PACKAGE,
}
_STARTING = process_lock()  # a game that starts needs its names, until it has


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


def settings_of(given: Kwargs) -> Kwargs:
    """Return the arguments of Gymnasium and ViZDoom, with absolute paths.

    Raises:
        ArgumentError: neither accepts an argument, or a file does not exist.
    """
    arguments = {*inspect.signature(VizdoomScenarioEnv).parameters, "max_episode_steps"}
    arguments.remove("kwargs")
    keys = _keys()
    game, settings = vizdoom.DoomGame(), {}
    for name, value in given.items():
        plain = _plain(name)
        if name not in arguments and plain not in map(_plain, keys):
            near = suggestion(name, [*arguments, *keys, "resolution"])
            raise ArgumentError(
                f"Neither ViZDoom nor gymnasium.make takes {name}={value!r}.{near} ViZDoom takes "
                f"what its .cfg files may set."
            )
        settings[name] = _whole_path(name, value) if plain in _FILES else value
        with silent():  # it prints what it then ignores
            is_taken = name in arguments or game.set_config({name: settings[name]})
        if not is_taken:
            raise ArgumentError(
                f"ViZDoom refuses {name}={value!r}. Give what its .cfg files may have there."
            )
    return settings


def _keys() -> list[str]:
    """Return the settings of ViZDoom's files but `screen_resolution`, which is `resolution`."""
    text = " ".join(str(method.__doc__) for method in vars(vizdoom.DoomGame).values())
    keys = set(re.findall(r"Config key: ``(?:\w+``/``)?(\w+)``", text))
    return sorted(keys - {"screen_resolution"})


def _plain(name: str) -> str:
    """Return the name of a setting as ViZDoom compares it."""
    return name.replace("_", "").lower()


def _whole_path(name: str, value: str | os.PathLike[str]) -> str:
    path, elsewhere = Path(value).expanduser(), _FILES[_plain(name)]
    if elsewhere is None or path.is_file():
        return str(path.absolute())
    if not (elsewhere / path).is_file():
        raise ArgumentError(
            f"There is no file {str(path)!r}, neither in the working directory nor in {elsewhere}. "
            f"Give the path of one as {name}, or leave it out."
        )
    return str(elsewhere / path)


class DoomGame(GymnasiumWrapper, gymnasium.utils.RecordConstructorArgs):
    """Run the game in a temporary directory, and separate termination from truncation.

    The game is a separate process. It starts with the first reset, and again with each seed, in a
    temporary directory that `close` removes. If this process is killed, the game ends too and its
    shared memory is freed (Linux).

    ViZDoom returns zeros as the screen of a finished game; here it is the screen before. It reports
    a timeout as terminated and truncated; here it is truncated. Gymnasium's limit reports an end on
    the very last step as both; here it is terminated.

    A copy has a new game and directory, and must be reset.
    """

    def __init__(self, env: GymnasiumEnv) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        self._directory = tempfile.TemporaryDirectory(prefix="vizdoom-", ignore_cleanup_errors=True)
        game: Any = env.unwrapped
        self._game = game
        launcher = Path(self._directory.name, "vizdoom")
        starter = _starter()
        engine = game.game.get_vizdoom_path() or str(_PACKAGE / "vizdoom")
        if starter and _write_launcher(launcher, [*starter, engine]):
            game.game.set_vizdoom_path(str(launcher))
        self._variables = game.game.get_available_game_variables()
        self._last: Any = None
        self._state: Any = None  # the last that shows a screen

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.env,)

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> GymnasiumReset:
        """Start an episode; return (observation, info)."""
        if seed is not None and self._game.game.is_running():
            self._game.game.close()  # a game that has been played keeps some of its state
        if self._game.game.is_running():
            self._last, info = self.env.reset(seed=seed, options=options)
        else:
            with _STARTING, contextlib.chdir(self._directory.name):
                self._last, info = self.env.reset(seed=seed, options=options)
                _remove_names_of_shared_memory()
        self._state = self._game.state
        return self._last, info

    def step(self, action: Action) -> GymnasiumStep:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._game.state is None:
            observation = copy.deepcopy(self._last)
        else:
            self._state = self._game.state
        self._last = observation
        if terminated:
            is_limited = self._game.treat_episode_timeout_as_truncation
            truncated = is_limited and self._game.game.is_episode_timeout_reached()
        if terminated or truncated:
            get = self._game.game.get_game_variable  # the previous screen lacks some of it
            info = dict(info, **{each.name.lower(): float(get(each)) for each in self._variables})
        return observation, reward, bool(terminated and not truncated), bool(truncated), info

    def render(self) -> Rendered:
        """Return or show the picture of the game; once it is over, the last one."""
        if self._game.state is not None or self._state is None:
            return self.env.render()
        game, shown = self._game.game, self._state
        self._game.game = types.SimpleNamespace(get_state=lambda: shown)
        try:
            return self.env.render()
        finally:
            self._game.game = game

    def close(self) -> None:
        """End the game, and remove its directory."""
        super().close()
        self._directory.cleanup()


@functools.cache
def _starter() -> tuple[str, ...]:
    """Return a command prefix that makes the kernel kill a program when its parent dies.

    Empty where that is not possible: outside Linux, and where `setpriv` lacks the option, as in
    BusyBox and old distributions.
    """
    starter = (shutil.which("setpriv") or "", "--pdeathsig", "KILL")
    if not starter[0]:
        return ()
    trial = subprocess.run([*starter, "true"], capture_output=True, check=False)
    return () if trial.returncode else starter


def _write_launcher(path: Path, command: list[str]) -> bool:
    """Write a program that starts the game by `command`.

    Returns:
        Whether it can be run: temporary folders may be mounted without that permission.
    """
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    path.chmod(0o700)
    return os.access(path, os.X_OK)


def _remove_names_of_shared_memory() -> None:
    """Unlink the shared memory of running games, so it is freed when they end."""
    with contextlib.suppress(OSError):  # there is no /proc
        mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
        for name in mapped:
            if name.startswith("/dev/shm/ViZDoom"):
                Path(name).unlink(missing_ok=True)
