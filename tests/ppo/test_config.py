"""Invalid settings of the trainer are refused before any environment exists."""

import dataclasses
import math

import pytest
import torch

from pufferlib.exceptions import SettingError
from pufferlib.ppo import TrainConfig
from pufferlib.training.config import choose_device


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("checkpoint_interval", 0, "must be at least 1; got 0"),
        ("threads", 0, "must be at least 1; got 0"),
        ("seed", -1, f"must be a whole number from 0 to {2**63 - 1}; got -1"),
        ("seed", 2**63, f"must be a whole number from 0 to {2**63 - 1}; got {2**63}"),
        ("learning_rate", 0.0, "must be above 0; got 0.0"),
        ("learning_rate", math.nan, "must be above 0; got nan"),
        ("max_seconds", 0.0, "must be above 0; got 0.0"),
        ("max_gradient_norm", -1.0, "must be above 0; got -1.0"),
        ("value_clip", 0.0, "must be above 0; got 0.0"),
        ("target_kl", -0.1, "must be above 0; got -0.1"),
        ("kl_adaptive", 0.0, "must be above 0; got 0.0"),
        ("clip_coefficient", -0.1, "must be at least 0; got -0.1"),
        ("value_coefficient", -0.1, "must be at least 0; got -0.1"),
        ("entropy_coefficient", -0.1, "must be at least 0; got -0.1"),
        ("gae_lambda", 1.1, r"must lie within \[0, 1\]; got 1.1"),
        ("device", "foo", "must be one of auto, cpu.*; got 'foo'"),
    ],
)
def test_an_invalid_setting_is_named_with_the_allowed_values(name, value, match):
    with pytest.raises(SettingError, match=f"train.{name} {match}"):
        dataclasses.replace(TrainConfig(), **{name: value}).check()


def test_an_adaptive_learning_rate_needs_bounds_and_something_to_measure():
    adaptive = TrainConfig(kl_adaptive=0.01)
    adaptive.check()
    with pytest.raises(SettingError, match=r"learning_rate must lie within \[1e-05, 0.01\] .*0.02"):
        dataclasses.replace(adaptive, learning_rate=0.02).check()
    match = r"train.minibatches=1 and train.update_epochs=1. Use more"
    with pytest.raises(SettingError, match=match):
        dataclasses.replace(adaptive, minibatches=1, update_epochs=1).check()
    once = dataclasses.replace(adaptive, update_epochs=1)
    once.check_rows(8, is_recurrent=True, is_pool=False)
    with pytest.raises(SettingError, match=match):
        once.check_rows(7, is_recurrent=True, is_pool=False)


def test_default_settings_are_valid():
    dataclasses.replace(TrainConfig(), threads=None, max_seconds=None).check()


def test_minibatches_split_rows_if_recurrent_and_samples_otherwise():
    config = TrainConfig(horizon=8, minibatches=4)
    config.check_rows(2, is_recurrent=False, is_pool=False)
    with pytest.raises(SettingError, match="at most the 2 rows of a rollout; got 4"):
        config.check_rows(2, is_recurrent=True, is_pool=False)


@pytest.mark.parametrize(
    ("rows", "horizon", "is_recurrent", "expected"),
    [
        (32, 64, False, 32),  # of 64 samples
        (32, 512, False, 32),  # of 512
        (4, 64, False, 4),
        (2, 8, False, 1),  # 16 samples
        (32, 64, True, 8),  # of four rows
        (3, 64, True, 1),
        (16, 8, True, 2),  # of 64 samples
    ],
)
def test_minibatches_have_64_samples_or_more_where_none_are_given(
    rows, horizon, is_recurrent, expected
):
    config = TrainConfig(horizon=horizon)
    config.check_rows(rows, is_recurrent, is_pool=False)
    assert config.minibatches_of(rows, is_recurrent) == expected
    assert TrainConfig(minibatches=3).minibatches_of(rows, is_recurrent) == 3


def test_gpus_count_only_where_torch_can_use_them(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(SettingError, match="must be one of auto, cpu; got 'cuda'"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda:1")
    assert choose_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(SettingError, match="one of auto, cpu, cuda:0, cuda:1, cuda; got 'cuda:2'"):
        choose_device("cuda:2")
