"""The preset file that `--write` changes."""

from pathlib import Path

from pufferlib import config as presets
from pufferlib.exceptions import SettingError
from pufferlib.registry import EnvSource


def preset_to_write(
    source: EnvSource, env: str, instead: str, algorithm: str | None = None
) -> Path:
    """Return the preset that training `env` reads last, in a checkout.

    Args:
        source: the environment.
        env: its name on the command line. Of a family, the preset of its default task if there is
            one, else that of the family.
        instead: what to do where there is none, for the error; `{path}` in it is a name for a file.
        algorithm: which algorithm the settings are of; None: the one that the presets name.

    Raises:
        SettingError: this is an installation, not a checkout, or `env` has no preset.
    """
    if not source.preset_names:
        raise SettingError(
            f"--write changes presets, and {env} is outside every family. "
            f"{instead.format(path=f'{source.label}.toml')}"
        )
    task = source.name
    folders = (presets.PRESETS, *source.preset_folders)
    folder = folders[-1]
    path = presets.preset_file(task, folder)
    if env != task and not path.exists():
        path = presets.preset_file(env, folder)
    if algorithm not in (None, presets.load(source.preset_names, folders).algorithm):
        own = presets.algorithm_config(str(algorithm)).algorithm
        path = presets.with_algorithm(path, own)
    if folder == presets.PRESETS and not source.is_ours:
        raise SettingError(
            f"--write changes the presets of a family, and that of {env} brings none. "
            f"{instead.format(path=path.name)}"
        )
    if {"site-packages", "dist-packages"} & set(folder.parts):
        raise SettingError(
            f"--write changes the presets of a checkout, and {folder} is part of an installation. "
            f"{instead.format(path=path.name)}"
        )
    return path
