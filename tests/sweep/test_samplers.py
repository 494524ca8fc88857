"""Samplers: seeded by trial, within bounds, and better than random draws."""

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from pufferlib.exceptions import UnknownNameError
from pufferlib.sweep.front import hypervolume
from pufferlib.sweep.samplers import SAMPLERS, make_sampler

LENGTH = "train.total_timesteps"
SPACE = {
    LENGTH: IntDistribution(100, 10_000, log=True),
    "rate": FloatDistribution(1e-4, 1e-2, log=True),
    "epochs": IntDistribution(1, 5),
    "memory": CategoricalDistribution(["none", "lstm"]),
}


def outcome(params):
    """Return a score that is best at rate 2e-3, 4 epochs and "lstm", and a cost."""
    from math import exp, log10

    far = (2 * (log10(params["rate"]) - log10(2e-3))) ** 2 + ((params["epochs"] - 4) / 3) ** 2
    best = exp(-far) * (1.0 if params["memory"] == "lstm" else 0.6)
    return best * (1 - exp(-params[LENGTH] / 1000)), params[LENGTH] * params["epochs"] / 1000


def search(
    sampler, trials, study=None, sign=1.0, fails=lambda params: False, budget_s=float("inf")
):
    directions = ["maximize" if sign > 0 else "minimize", "minimize"]
    study = study or optuna.create_study(directions=directions)
    study.sampler = sampler
    for _ in range(trials):
        trial = study.ask(SPACE)
        score, cost = outcome(trial.params)
        budget_s -= cost
        if fails(trial.params):
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, (sign * score, cost))
        if budget_s < 0:
            break
    return study


def params_of(study):
    return [trial.params for trial in study.trials]


def area(study):
    done = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    scores = [trial.values[0] for trial in done]
    return hypervolume(scores, [trial.values[1] for trial in done], 0.0, (0.1, 50.0))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_seed_repeats_what_is_proposed_also_where_a_sweep_is_resumed(name):
    whole = params_of(search(make_sampler(name, 1), 14))
    halves = search(make_sampler(name, 1), 11)
    search(make_sampler(name, 1), 3, halves)  # another process has another sampler
    assert params_of(halves) == whole
    assert params_of(search(make_sampler(name, 2), 3)) != whole[:3]


@pytest.mark.parametrize("name", SAMPLERS)
def test_trials_that_were_begun_side_by_side_draw_what_they_would_draw_alone(name):
    def rates(order):
        """Return what the trials draw for "rate" and "share", in the order that they do it."""
        study = optuna.create_study(
            directions=["maximize", "minimize"], sampler=make_sampler(name, 1)
        )
        trials = [study.ask() for _ in range(3)]
        found = {
            number: [trials[number].suggest_float(each, 0, 1) for each in ("rate", "share")]
            for number in order
        }
        return [found[number] for number in range(3)]

    assert rates([0, 1, 2]) == rates([2, 0, 1])


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_is_proposed_lies_within_bounds_and_differs(name):
    found = params_of(search(make_sampler(name, 3), 20))
    for params in found:
        assert {name: type(value) for name, value in params.items()} == {
            LENGTH: int,
            "rate": float,
            "epochs": int,
            "memory": str,
        }
        for key, distribution in SPACE.items():
            assert distribution._contains(distribution.to_internal_repr(params[key]))
    assert len({tuple(params.values()) for params in found}) == 20


@pytest.mark.long
def test_more_is_found_than_at_random_at_the_same_cost():
    def found(sampler, seed):
        return area(search(make_sampler(sampler, seed), 40, budget_s=120))

    at_random = [found("random", seed) for seed in range(10)]
    assert np.mean([found("tpe", seed) for seed in range(8)]) > np.quantile(at_random, 0.75)


def test_a_score_to_minimize_is_the_negative_of_one_to_maximize():
    found = [params_of(search(make_sampler("tpe", 1), 13, sign=sign)) for sign in (1.0, -1.0)]
    assert found[0] == found[1]


@pytest.mark.parametrize("name", SAMPLERS)
def test_failures_alone_and_infinite_scores_do_not_stop_a_sweep(name):
    study = search(make_sampler(name, 1), 12, fails=lambda params: True)
    for trial in (study.ask(SPACE), study.ask(SPACE)):
        study.tell(trial, (float("-inf"), 1.0))
    search(make_sampler(name, 1), 4, study)
    assert len(study.trials) == 18


@pytest.mark.parametrize("name", SAMPLERS)
def test_parameters_with_a_condition_are_proposed(name):
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=make_sampler(name, 1))
    for _ in range(16):
        trial = study.ask()
        trial.suggest_float("rate", 1e-4, 1e-2, log=True)
        if trial.suggest_categorical("memory", ["none", "lstm"]) == "lstm":
            assert 1 <= trial.suggest_int("layers", 1, 4) <= 4
        study.tell(trial, (trial.params["rate"], 1.0 + trial.params["rate"]))
    assert {len(params) for params in params_of(study)} == {2, 3}


def test_trials_that_run_are_not_proposed_again():
    study = search(make_sampler("tpe", 1), 14)
    running = [study.ask(SPACE).params for _ in range(3)]
    assert len({tuple(params.values()) for params in running}) == 3


def test_an_unknown_sampler_is_refused():
    with pytest.raises(UnknownNameError, match=r"no sampler 'tpee'.*tpe, random"):
        make_sampler("tpee", 1)
