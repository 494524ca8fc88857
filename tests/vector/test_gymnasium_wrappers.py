"""Gymnasium's vector wrappers give around our vectorizers what they give around its own."""

import numpy as np
import pytest
import torch
from gymnasium import wrappers as single_wrappers
from gymnasium.spaces import Box
from gymnasium.wrappers import vector as wrappers
from gymnasium_parity import MODES, Chatty, Wave, assert_equal, of_gymnasium, steps_of

from pufferlib import vector
from pufferlib.vector import to_gymnasium

# Of spaces that Gymnasium's wrappers make.
pytestmark = pytest.mark.filterwarnings("ignore:.*precision lowered by casting:UserWarning")
EVERY = tuple(MODES)
NOT_SAME_STEP = ("next_step", "disabled")  # the final observation of a row is not transformed
CONVERTED = NOT_SAME_STEP  # not the arrays of objects that hold final observations


def pictured():
    return Wave(Box(0, 255, (8, 6, 3), np.uint8))


# By wrapper: the modes that it allows, the environment, and how to put it around a vectorizer.
WRAPPERS = {
    "RecordEpisodeStatistics": (EVERY, Chatty, wrappers.RecordEpisodeStatistics),
    "DictInfoToList": (EVERY, Chatty, wrappers.DictInfoToList),
    "TransformReward": (EVERY, Wave, lambda e: wrappers.TransformReward(e, lambda r: 2 * r)),
    "VectorizeTransformReward": (
        *(EVERY, Wave),
        lambda e: wrappers.VectorizeTransformReward(
            e, single_wrappers.TransformReward, func=lambda reward: reward + 1
        ),
    ),
    "ClipReward": (EVERY, Wave, lambda e: wrappers.ClipReward(e, -0.5, 0.5)),
    "NormalizeReward": (EVERY, Wave, wrappers.NormalizeReward),
    "TransformAction": (EVERY, Wave, lambda e: wrappers.TransformAction(e, lambda a: -a)),
    "VectorizeTransformAction": (
        *(EVERY, Wave),
        lambda e: wrappers.VectorizeTransformAction(
            e, single_wrappers.TransformAction, func=lambda a: a / 2, action_space=Wave.action_space
        ),
    ),
    "ClipAction": (EVERY, Wave, wrappers.ClipAction),
    "RescaleAction": (EVERY, Wave, lambda e: wrappers.RescaleAction(e, -1.0, 1.0)),
    "ArrayConversion": (CONVERTED, Wave, lambda e: wrappers.ArrayConversion(e, np, np)),
    "NumpyToTorch": (CONVERTED, Wave, lambda e: wrappers.NumpyToTorch(e)),
    "TransformObservation": (
        *(NOT_SAME_STEP, Wave),
        lambda e: wrappers.TransformObservation(e, lambda observations: observations / 2),
    ),
    "VectorizeTransformObservation": (
        *(NOT_SAME_STEP, Wave),
        lambda e: wrappers.VectorizeTransformObservation(
            e,
            single_wrappers.TransformObservation,
            func=lambda observation: observation[:2],
            observation_space=Box(-1, 1, (2,), np.float32),
        ),
    ),
    "FlattenObservation": (NOT_SAME_STEP, pictured, wrappers.FlattenObservation),
    "GrayscaleObservation": (NOT_SAME_STEP, pictured, wrappers.GrayscaleObservation),
    "ResizeObservation": (
        *(NOT_SAME_STEP, pictured),
        lambda e: wrappers.ResizeObservation(e, (4, 4)),
    ),
    "ReshapeObservation": (
        *(NOT_SAME_STEP, pictured),
        lambda e: wrappers.ReshapeObservation(e, (6, 24)),
    ),
    "RescaleObservation": (
        *(NOT_SAME_STEP, Wave),
        lambda e: wrappers.RescaleObservation(e, 0.0, 5.0),
    ),
    "DtypeObservation": (
        *(NOT_SAME_STEP, pictured),
        lambda e: wrappers.DtypeObservation(e, np.float32),
    ),
    "NormalizeObservation": (("next_step",), Wave, wrappers.NormalizeObservation),
}
CONVERSIONS = {"ArrayConversion", "NumpyToTorch"}  # of arrays, by a package that has no other use
ELSEWHERE = {
    *("HumanRendering", "RecordVideo"),  # test_gymnasium_rendering.py
    "FilterObservation",  # of Dict and Tuple spaces, of which rows have none
    *("JaxToNumpy", "JaxToTorch"),  # of environments whose arrays are those of JAX
}


def both(env, autoreset):
    """Return our vectorizer and Gymnasium's of three environments."""
    ours = vector.make(env, num_envs=3, autoreset=autoreset)
    return to_gymnasium(ours), of_gymnasium([env] * 3, autoreset)


def test_every_wrapper_is_tested():
    assert WRAPPERS.keys() | ELSEWHERE == set(wrappers.__all__)


@pytest.mark.parametrize(
    ("name", "autoreset"),
    [(name, mode) for name, (modes, *_) in WRAPPERS.items() for mode in modes],
)
def test_a_wrapper_gives_what_it_gives_around_gymnasium_s_own(name, autoreset):
    if name in CONVERSIONS:
        pytest.importorskip("array_api_compat")
    _, env, wrap = WRAPPERS[name]
    ours, theirs = (wrap(envs) for envs in both(env, autoreset))
    for space in ("single_observation_space", "observation_space", "action_space"):
        assert getattr(ours, space) == getattr(theirs, space)
    theirs.action_space.seed(1)
    actions = [theirs.action_space.sample() for _ in range(60)]
    if name == "NumpyToTorch":
        actions = [torch.tensor(action) for action in actions]
    results = [steps_of(envs, actions, 7, autoreset) for envs in (ours, theirs)]
    for mine, other in zip(*results, strict=True):
        assert_equal(mine, other)
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    ("name", "autoreset"),
    [
        (name, mode)
        for name, (modes, *_) in WRAPPERS.items()
        if name not in CONVERSIONS
        for mode in EVERY
        if mode not in modes
    ],
)
def test_a_wrapper_refuses_the_modes_that_it_refuses_of_gymnasium_s_own(name, autoreset):
    _, env, wrap = WRAPPERS[name]
    for envs in both(env, autoreset):
        with pytest.raises(ValueError, match=r"xpected .*autoreset_mode"):
            wrap(envs)
        envs.close()


@pytest.mark.parametrize("autoreset", EVERY)
def test_wrappers_of_rewards_and_actions_and_statistics_can_be_put_around_each_other(autoreset):
    ours, theirs = (
        wrappers.DictInfoToList(
            wrappers.NormalizeReward(
                wrappers.RescaleAction(wrappers.RecordEpisodeStatistics(envs), -1.0, 1.0)
            )
        )
        for envs in both(Wave, autoreset)
    )
    theirs.action_space.seed(1)
    actions = [theirs.action_space.sample() for _ in range(60)]
    results = [steps_of(envs, actions, 7, autoreset) for envs in (ours, theirs)]
    for mine, other in zip(*results, strict=True):
        assert_equal(mine, other)
    ours.close()
    theirs.close()
