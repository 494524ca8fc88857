"""The settings of a run: defaults in dataclasses, presets per environment, and overrides on top.

`settings` has the dataclasses, `presets` reads and combines them, `editing` changes a preset file.
In a preset, as in flags, a setting has the name of its dataclass and field: `[train] learning_rate
= 1e-3` and `--train.learning-rate 1e-3` are the same. Two are not in both: `run` is a flag alone,
since a folder holds one run, and `env.task` is the ENV of the command line.
"""

from pufferlib.config.presets import (
    PRESETS,
    RENAMED,
    as_json,
    from_json,
    load,
    load_sweep,
    override,
    preset_file,
    with_algorithm,
)
from pufferlib.config.settings import (
    ALGORITHMS,
    Config,
    EnvConfig,
    EvalConfig,
    LogConfig,
    PolicyConfig,
    VecConfig,
    algorithm_config,
)

__all__ = [
    "ALGORITHMS",
    "PRESETS",
    "RENAMED",
    "Config",
    "EnvConfig",
    "EvalConfig",
    "LogConfig",
    "PolicyConfig",
    "VecConfig",
    "algorithm_config",
    "as_json",
    "from_json",
    "load",
    "load_sweep",
    "override",
    "preset_file",
    "with_algorithm",
]
