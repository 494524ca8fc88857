"""The settings of a run: defaults in dataclasses, a preset file for an environment, flags on top.

A preset `config/<family>.toml`, then `config/<task>.toml`, overrides the defaults; the command line
overrides both. The slash of a task is `-` in the name of its file. In a preset, as in flags, a
setting has the name of its dataclass and field: `[train] learning_rate = 1e-3` and
`--train.learning-rate 1e-3` are the same. Two are not in both: `run` is a flag alone, since a
folder holds one run, and `env.task` is what ENV names.
"""

import dataclasses
import json
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar

import tyro

from pufferlib.config import editing
from pufferlib.exceptions import SettingError, suggestion
from pufferlib.ppo.config import TrainConfig

PRESETS = Path(__file__).parent
_Settings = TypeVar("_Settings")


@dataclass(frozen=True)
class EnvConfig:
    """Which environment."""

    task: tyro.conf.Suppress[str] = ""
    """Named on the command line by ENV, not by a flag."""

    kwargs: dict[str, Any] = field(default_factory=dict)
    """Arguments of the family's `make_env`; --env.kwargs.KEY VALUE gives more of them."""

    def check(self) -> None:
        """Refuse arguments that would not be read back as they were given.

        Raises:
            SettingError: says which, and what can be.
        """
        for key, value in self.kwargs.items():
            try:
                is_kept = json.loads(json.dumps(value)) == _with_lists(value)
            except (TypeError, ValueError):
                is_kept = False
            if not is_kept:
                raise SettingError(
                    f"env.kwargs.{key} must be what JSON can say (numbers, strings, lists, and "
                    f"dicts whose keys are strings), as a run's settings are kept so; got "
                    f"{value!r}."
                )


@dataclass(frozen=True)
class VecConfig:
    """How many environments, and who steps them."""

    backend: Literal["Serial", "Multiprocessing", "Ray"] = "Multiprocessing"
    """Serial steps in this process: for debugging, and for environments native to many agents; of
    the settings below it has num_envs alone. Ray steps on a cluster."""

    num_envs: int = 32
    """Environments; a multiple of num_workers."""

    num_workers: int | None = None
    """Processes; None takes as many as there are usable cores and as divide num_envs."""

    batch_size: int | None = None
    """Environments in a batch; None: all. With half of them the others step while the network
    computes; training then depends on the order in which workers finish."""

    timeout_s: float | None = 300.0
    """Give up on a worker that takes longer than this for one step of its environments."""

    on_failure: Literal["raise", "restart"] = "raise"
    """Of a worker: end the run, or replace the worker and leave the lost steps out of training."""

    caller_steps: bool = False
    """Let the trainer's own process be one of the workers: one process less."""

    def backend_arguments(self) -> dict[str, Any]:
        """Return the arguments beyond those that say what to make."""
        if self.backend == "Serial":
            return {}  # they would have no effect, and need not divide
        return {
            "num_workers": self.num_workers,
            "batch_size": self.batch_size,
            "timeout_s": self.timeout_s,
            "on_failure": self.on_failure,
            "caller_steps": self.caller_steps,
        }


@dataclass(frozen=True)
class PolicyConfig:
    """Which network."""

    hidden_size: int = 128
    """Width of the hidden state, and of the LSTM."""

    recurrent: bool = False
    """Put an LSTM between encoder and decoder."""

    normalize_observations: bool = False
    """Shift and scale float observations to mean 0 and deviation 1 over all that was seen, clipped
    to 10 (Andrychowicz et al. 2021, arXiv:2006.05990, 3.3: decisive for locomotion)."""

    def check(self) -> None:
        """Refuse settings that cannot be.

        Raises:
            SettingError: says which would.
        """
        if self.hidden_size < 1:
            raise SettingError(f"policy.hidden_size must be at least 1; got {self.hidden_size}.")


@dataclass(frozen=True)
class LogConfig:
    """Who is told of the metrics, besides metrics.jsonl in the run's folder."""

    tensorboard: bool = True
    """Write events for TensorBoard into the run's folder: tensorboard --logdir runs."""

    wandb: str | None = None
    """Project of Weights & Biases. The key is read from WANDB_API_KEY; WANDB_MODE=offline writes
    into the run's folder, to be sent later."""


@dataclass(frozen=True)
class Config:
    """All settings of a run."""

    env: EnvConfig = field(default_factory=EnvConfig)
    vec: VecConfig = field(default_factory=VecConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    log: LogConfig = field(default_factory=LogConfig)

    run: Path | None = None
    """Folder of the run; None makes runs/<task>-<time>. A flag only."""

    def check(self) -> None:
        """Refuse settings that cannot be, whatever the environment.

        Raises:
            SettingError: says which would.
        """
        self.env.check()
        self.policy.check()
        for folder in () if self.run is None else (self.run, *self.run.parents):
            if folder.is_file():
                raise SettingError(
                    f"run must be a folder; got {self.run}, where {folder} is a file. Name another."
                )
        self.train.check()


def load(names: Sequence[str], folder: Path = PRESETS) -> Config:
    """Return the defaults, overridden by the preset of each name in turn, where it has one.

    Raises:
        SettingError: a preset is no TOML, has an unknown key or a value of the wrong type.
    """
    config = Config()
    for name in dict.fromkeys(names):
        path = preset_file(name, folder)
        if path.is_file():
            config = override(config, editing.read(path), str(path))
    return config


def preset_file(name: str, folder: Path) -> Path:
    """Return where the preset of a family or a task is, if there is one: in no folder below."""
    return folder / f"{name.replace('/', '-')}.toml"


def override(settings: _Settings, values: dict[str, Any], source: str, path: str = "") -> _Settings:
    """Return `settings`, a dataclass, with `values` in place of its own, table by table.

    Args:
        settings: left as it is.
        values: as read from TOML.
        source: of the values, for the error.
        path: of `settings` in the whole, likewise.

    Raises:
        SettingError: an unknown key, with the nearest; a value of the wrong type.
    """
    types = typing.get_type_hints(type(settings))
    changed: dict[str, Any] = {}
    for key, value in values.items():
        where = f"{path}{key}"
        if key not in types:
            raise SettingError(
                f"{source}: there is no setting {where!r}.{suggestion(key, types)} "
                f"Settings here: {', '.join(path + name for name in types)}."
            )
        own = getattr(settings, key)
        if dataclasses.is_dataclass(own) and isinstance(value, dict):
            changed[key] = override(own, value, source, f"{where}.")
        elif _fits(value, types[key]):
            changed[key] = value
        else:
            raise SettingError(
                f"{source}: {where} must be {_type_name(types[key])}; got {value!r}."
            )
    return dataclasses.replace(settings, **changed)  # type: ignore[type-var]


def as_json(config: Config) -> dict[str, Any]:
    """Return the settings as plain values that JSON takes; `from_json` reads them back."""
    values = dataclasses.asdict(config)
    values["run"] = None if config.run is None else str(config.run)
    return values


def from_json(values: dict[str, Any], source: str) -> Config:
    """Return what `as_json` was given.

    Raises:
        SettingError: it was written by a version with other settings.
    """
    run = values.pop("run", None)
    config = override(Config(), values, source)
    return dataclasses.replace(config, run=None if run is None else Path(run))


def _with_lists(value: Any) -> Any:
    """Return `value` with lists in place of tuples, as JSON gives them back."""
    if isinstance(value, dict):
        return {key: _with_lists(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_lists(part) for part in value]
    return value


def _fits(value: Any, annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin in (UnionType, typing.Union):
        return any(_fits(value, part) for part in typing.get_args(annotation))
    if origin is Literal:
        return value in typing.get_args(annotation)
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or annotation)


def _type_name(annotation: Any) -> str:
    if typing.get_origin(annotation) is Literal:
        return " or ".join(repr(value) for value in typing.get_args(annotation))
    return getattr(annotation, "__name__", str(annotation))
