"""The dataclasses of settings: values that no run could use are refused."""

import dataclasses
import datetime
import json
from typing import ClassVar

import pytest

from pufferlib.config import (
    ALGORITHMS,
    Config,
    EnvConfig,
    PolicyConfig,
    VecConfig,
    algorithm_config,
)
from pufferlib.exceptions import SettingError, UnknownNameError
from pufferlib.ppo import PPOConfig
from pufferlib.training.config import LoopConfig

ALGORITHM = """
from pufferlib.training import LoopConfig

class Mine(LoopConfig):
    algorithm = "mine"

    def make_algorithm(self, runner, context, generator):
        raise AssertionError

other = 3
"""


@pytest.mark.parametrize(
    "value", [{1, 2}, {1: 2}, {"a": [{1: 2}]}, b"a", datetime.date(2026, 1, 1)]
)
@pytest.mark.parametrize("table", ["env", "policy"])
def test_arguments_that_json_would_change_are_refused(table, value):
    kwargs = {"fine": 1, "size": value}
    parts = {"env": EnvConfig(kwargs=kwargs)} if table == "env" else {}
    parts |= {"policy": PolicyConfig(kwargs=kwargs)} if table == "policy" else {}
    with pytest.raises(SettingError, match=rf"{table}\.kwargs\.size must be a JSON value"):
        Config(**parts).check()


@pytest.mark.parametrize("value", [None, True, 3, 0.1, "a", [1], (40, 60), {"a": ({"b": (1,)},)}])
def test_arguments_that_json_keeps_are_allowed(value):
    Config(env=EnvConfig(kwargs={"size": value})).check()
    json.dumps(value)


@pytest.mark.parametrize("size", [0, -1])
def test_a_policy_has_a_width(size):
    with pytest.raises(SettingError, match=f"policy.hidden_size must be at least 1; got {size}"):
        Config(policy=PolicyConfig(hidden_size=size)).check()


def test_the_folder_of_a_run_is_not_a_file(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "a" / "b"):
        with pytest.raises(SettingError, match=r"run must be a folder; got .*, where .*file is a"):
            Config(run=folder).check()
    Config(run=tmp_path / "new" / "folder").check()


def test_serial_takes_no_arguments_of_workers():
    assert VecConfig(backend="Serial", num_workers=3, batch_size=2).options() == {}
    given = VecConfig(num_workers=3, timeout_s=None, caller_steps=True).options()
    assert given == {
        "num_workers": 3,
        "batch_size": None,
        "zero_copy": True,
        "start_method": None,
        "timeout_s": None,
        "caller_steps": True,
        "on_failure": "raise",
        "max_restarts": 10,
    }


def test_an_algorithm_is_named_or_referred_to(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "algorithm_of_settings.py").write_text(ALGORITHM)
    assert ALGORITHMS["ppo"] is algorithm_config("ppo") is PPOConfig
    assert algorithm_config("algorithm_of_settings:Mine").algorithm == "mine"
    path = tmp_path / "algorithm_of_settings.py"
    assert algorithm_config(f"{path}:Mine")().total_timesteps == PPOConfig().total_timesteps


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("pp", UnknownNameError, "no algorithm 'pp'. Did you mean 'ppo'"),
        ("pathlib:Path", SettingError, "must name a class derived from .*LoopConfig; pathlib:Path"),
        ("pathlib:Pth", UnknownNameError, "no attribute 'Pth'. Did you mean 'Path'"),
    ],
)
def test_another_name_of_an_algorithm_says_what_is_allowed(name, error, match):
    with pytest.raises(error, match=match):
        algorithm_config(name)


class Nameless(LoopConfig):
    def make_algorithm(self, runner, context, generator):
        raise AssertionError


class Idle(LoopConfig):
    algorithm = "idle"


@dataclasses.dataclass(frozen=True)
class Demanding(LoopConfig):
    algorithm: ClassVar[str] = "demanding"
    steps: int = dataclasses.field(kw_only=True)

    def make_algorithm(self, runner, context, generator):
        raise AssertionError


@dataclasses.dataclass(frozen=True)
class Paired(Demanding):
    steps: int = 1
    betas: tuple[float, float] = (0.9, 0.99)


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (Nameless, "must set `algorithm`, its name, and define make_algorithm"),
        (Idle, "must set `algorithm`, its name, and define make_algorithm"),
        (Demanding, "Every setting of .* needs a default: .*steps"),
    ],
)
def test_an_algorithm_that_cannot_be_made_from_its_settings_is_refused(config, match, monkeypatch):
    monkeypatch.setattr("pufferlib.config.settings.load_attribute", lambda _: config)
    with pytest.raises(SettingError, match=match):
        algorithm_config("module:Config")


def test_settings_that_config_json_would_change_are_refused():
    with pytest.raises(SettingError, match=r"train.betas must be a JSON value.* Use a list"):
        Config(train=Paired()).check()
