"""Impossible V-trace settings are refused without an environment."""

import dataclasses
import math

import pytest

from pufferlib.exceptions import SettingError
from pufferlib.vtrace import VTraceConfig


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("minibatches", 0, "must be at least 1; got 0"),
        ("update_epochs", 0, "must be at least 1; got 0"),
        ("learning_rate", 0.0, "must be above 0; got 0.0"),
        ("max_gradient_norm", math.nan, "must be above 0; got nan"),
        ("rho_clip", 0.0, "must be above 0; got 0.0"),
        ("c_clip", -1.0, "must be above 0; got -1.0"),
        ("c_clip", 1.5, r"must be at most train.rho_clip=1.0; got 1.5"),
        ("gae_lambda", 1.1, r"must lie within \[0, 1\]; got 1.1"),
        ("value_coefficient", -0.1, "must be at least 0; got -0.1"),
        ("entropy_coefficient", -0.1, "must be at least 0; got -0.1"),
        ("horizon", 0, "must be at least 1; got 0"),
    ],
)
def test_an_impossible_setting_is_refused_with_what_is_allowed(name, value, match):
    with pytest.raises(SettingError, match=f"train.{name} {match}"):
        dataclasses.replace(VTraceConfig(), **{name: value}).check()


def test_the_defaults_are_possible():
    VTraceConfig().check()


def test_weights_may_be_unclipped():
    VTraceConfig(rho_clip=math.inf, c_clip=math.inf).check()


@pytest.mark.parametrize("is_recurrent", [False, True])
def test_minibatches_are_at_most_the_columns(is_recurrent):
    config = VTraceConfig(horizon=8, minibatches=4)
    config.check_rows(4, is_recurrent, is_pool=False)
    with pytest.raises(SettingError, match=r"at most the 3 columns of a rollout.*; got 4"):
        config.check_rows(3, is_recurrent, is_pool=False)


def test_a_pool_cannot_be_resumed_exactly():
    with pytest.raises(SettingError, match=r"train\.exact_resume"):
        VTraceConfig(exact_resume=True).check_rows(8, is_recurrent=False, is_pool=True)
