"""The preset file that `--write` changes."""

from pathlib import Path

from pufferlib import config as presets
from pufferlib.exceptions import SettingError
from pufferlib.registry import EnvSource


def preset_to_write(source: EnvSource, env: str) -> Path:
    """Return the preset that training `env` reads last, in a checkout.

    Args:
        source: the environment.
        env: its name on the command line.

    Raises:
        SettingError: this is an installation, not a checkout, or `env` has no preset.
    """
    if not source.preset_names:
        raise SettingError(
            f"--write changes presets, and {env} is outside every family. Name a file: --write "
            f"{source.label}.toml"
        )
    task = source.name
    folder = (presets.PRESETS, *source.preset_folders)[-1]
    path = presets.preset_file(task, folder)
    if env != task and not path.exists():
        path = presets.preset_file(env, folder)
    if folder == presets.PRESETS and not source.is_ours:
        raise SettingError(
            f"--write changes the presets of a family, and that of {env} brings none. Name a file: "
            f"--write {path.name}"
        )
    if {"site-packages", "dist-packages"} & set(folder.parts):
        raise SettingError(
            f"--write changes the presets of a checkout, and {folder} is part of an installation. "
            f"Name a file: --write {path.name}"
        )
    return path
