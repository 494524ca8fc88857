"""What emulation accepts of an environment's results: the same in both twins, on every backend."""

import fractions

import gymnasium
import numpy as np
import pytest
import torch
from environments import Reusing, ReusingAgents, Stepped, SteppedPair
from gymnasium.spaces import Box, Dict, Discrete

from pufferlib import vector
from pufferlib.emulation import (
    GymnasiumPufferEnv,
    PettingZooPufferEnv,
    _plain,
    layout,
    multi_rows,
    native,
    single,
)
from pufferlib.emulation.results import copied_info, number
from pufferlib.exceptions import ObservationError, RewardError, WorkerError
from pufferlib.vector import block

BYTES, FLOATS = Box(0, 255, (2,), np.uint8), Box(-9, 9, (4,), np.float32)
ZEROS = np.zeros(4, np.float32)
both_kinds = pytest.mark.parametrize("bare", [Stepped, SteppedPair])


@pytest.fixture(params=["chosen", "plain"], autouse=True)
def twin(request, monkeypatch):
    """The twin that was chosen at import, and the plain one."""
    if request.param == "plain":
        monkeypatch.setattr(layout, "Plan", _plain.Plan)
        monkeypatch.setattr(single, "StepRow", _plain.StepRow)
        monkeypatch.setattr(multi_rows, "AgentRows", _plain.AgentRows)
        monkeypatch.setattr(block, "StepRows", _plain.StepRows)


OBSERVATIONS = {
    "one over four": (FLOATS, ZEROS, np.ones(1, np.float32), r"shape \(4,\), got \(1,\)"),
    "number over four": (FLOATS, ZEROS, 1.0, r"shape \(4,\), got \(\)"),
    "None": (FLOATS, ZEROS, None, r"shape \(4,\), got \(\)"),
    "float in bytes": (BYTES, np.zeros(2, np.uint8), np.full(2, 0.7), "dtype uint8, got float64"),
    "300 in bytes": (BYTES, np.zeros(2, np.uint8), np.array([0, 300]), r"\[0, 255\], got 300"),
    "float for a choice": (Discrete(5), 0, 1.0, "dtype int64, got float64"),
    "in a dict": (
        Dict(a=BYTES, b=FLOATS),
        {"a": np.zeros(2, np.uint8), "b": ZEROS},
        {"a": np.zeros(2, np.uint8), "b": np.zeros((2, 2), np.float32)},
        r"value\['b'\] must have shape \(4,\), got \(2, 2\)",
    ),
    "lost key": (Dict(a=FLOATS), {"a": ZEROS}, {}, r"lacks the keys \['a'\]"),
}
over_observations = pytest.mark.parametrize(
    ("space", "first", "observation", "said"), OBSERVATIONS.values(), ids=OBSERVATIONS
)


def raises_as(bare, error, said):
    """Return a context that expects an error, with its agent where there are several."""
    agent = ".* It came from agent 'b'" if bare is SteppedPair else ""
    return pytest.raises(error, match=said + agent)


@both_kinds
@over_observations
def test_a_later_observation_outside_its_space_is_refused_in_rows(
    bare, space, first, observation, said
):
    rows = native(bare(space, first, observation))
    rows.reset(0)
    with raises_as(bare, ObservationError, said):
        rows.step(np.zeros(rows.num_agents, np.int64))


@both_kinds
@over_observations
def test_a_later_observation_outside_its_space_is_refused_without_rows(
    bare, space, first, observation, said
):
    wrap = GymnasiumPufferEnv if bare is Stepped else PettingZooPufferEnv
    env = wrap(bare(space, first, observation))
    env.reset(seed=0)
    with raises_as(bare, ObservationError, said):
        env.step(0 if bare is Stepped else {"a": 0, "b": 0})


def test_a_first_observation_of_a_later_episode_is_checked_too():
    class Worse(Reusing):
        episodes = 0

        def reset(self, *, seed=None, options=None):
            observation, info = super().reset(seed=seed)
            self.episodes += 1
            return (observation if self.episodes == 1 else observation[0]), info

    rows = native(Worse())
    rows.reset(0)
    rows.step(np.zeros(1, np.int64))
    with pytest.raises(ObservationError, match=r"must have shape \(1,\), got \(\)"):
        rows.step(np.zeros(1, np.int64))


ALLOWED = {
    "double": (FLOATS, ZEROS, np.full(4, 0.1)),
    "list": (FLOATS, ZEROS, [0.1] * 4),
    "whole numbers": (FLOATS, ZEROS, np.arange(4)),
    "int": (Discrete(5), 0, 4),
    "NumPy's int": (Discrete(5), 0, np.int32(4)),
    "flags": (BYTES, np.zeros(2, np.uint8), np.array([True, False])),
    "int64 in bytes": (BYTES, np.zeros(2, np.uint8), np.array([0, 255])),
}


@both_kinds
@pytest.mark.parametrize(("space", "first", "observation"), ALLOWED.values(), ids=ALLOWED)
def test_other_dtypes_that_fit_are_cast_as_numpy_casts_them(bare, space, first, observation):
    rows = native(bare(space, first, observation))
    rows.reset(0)
    rows.step(np.zeros(rows.num_agents, np.int64))
    expected = np.asarray(observation).astype(space.dtype)
    np.testing.assert_array_equal(
        rows.observations[-1], expected.reshape(rows.observations[-1].shape)
    )


REWARDS = {
    "None": None,
    "text": "1.5",
    "NumPy's text": np.str_("1.5"),
    "array of one": np.ones(1),
    "array": np.ones(2),
    "list": [1.0],
    "complex": 1j,
    "NumPy's complex": np.complex64(1),
    "tensor of one": torch.ones(1),
    "object": np.array(None, object),
    "dict": {},
    "int that no float can represent": 2**2000,
}


@both_kinds
@pytest.mark.parametrize("reward", REWARDS.values(), ids=REWARDS)
def test_a_reward_that_is_no_number_is_refused(bare, reward):
    rows = native(bare(FLOATS, ZEROS, reward=reward))
    rows.reset(0)
    said = rf"The reward must be a number, such as a float; got {type(reward).__name__} "
    with raises_as(bare, RewardError, said):
        rows.step(np.zeros(rows.num_agents, np.int64))


@both_kinds
@pytest.mark.parametrize(
    "reward",
    [
        *(1, True, 1.0, np.float32(1), np.float64(1), np.int8(1), np.bool_(True), np.array(1)),
        *(np.array(1.0, np.float16), torch.tensor(1.0), torch.tensor(1), fractions.Fraction(1)),
    ],
    ids=repr,
)
def test_any_number_is_a_reward(bare, reward):
    rows = native(bare(FLOATS, ZEROS, reward=reward))
    rows.reset(0)
    rows.step(np.zeros(rows.num_agents, np.int64))
    assert rows.rewards[-1] == 1
    assert number(reward) == 1.0


@pytest.mark.parametrize("bare", [Reusing, ReusingAgents])
def test_what_the_last_step_reports_outlasts_the_reset(bare):
    rows = native(bare())
    rows.reset(0)
    rows.step(np.zeros(1, np.int64))
    *_, infos = rows.step(np.zeros(1, np.int64))
    last, first = infos
    assert (last["number"], last["nested"], last["items"]) == (2, {"score": 2.0}, [2])
    assert last["path"].tolist() == [2, 2]
    assert first["number"] == -1
    assert rows.rewards.tolist() == [2]


def test_it_is_what_gymnasiums_vector_environment_reports():
    same_step = gymnasium.vector.AutoresetMode.SAME_STEP
    reference = gymnasium.vector.SyncVectorEnv([Reusing], autoreset_mode=same_step)
    ours = vector.to_gymnasium(vector.make(Reusing))
    for envs in (reference, ours):
        envs.reset(seed=0)
        envs.step(np.zeros(1, np.int64))
    expected, actual = (envs.step(np.zeros(1, np.int64)) for envs in (reference, ours))
    assert actual[1] == expected[1] == 2
    for key in ("number", "path"):
        np.testing.assert_array_equal(
            actual[4]["final_info"][key][0], expected[4]["final_info"][key][0]
        )
    for envs in (reference, ours):
        envs.close()


def test_only_containers_arrays_and_tensors_of_an_info_are_copied():
    inner, pair = object(), (np.zeros(1), [1])
    tensor, names = torch.zeros(1), {"a"}
    info = {"object": inner, "pair": pair, "text": "a", "tensor": tensor, "names": names}
    copied = copied_info(info)
    pair[0][:], pair[1][0] = 1, 2
    tensor[:] = 1
    names.add("b")
    assert (copied["tensor"].tolist(), copied["names"]) == ([0], {"a"})
    assert copied["object"] is inner
    assert copied["pair"][0].tolist() == [0]
    assert copied["pair"][1] == [1]
    assert list(copied) == list(info)


def test_an_info_that_contains_itself_is_copied_once():
    info = {"items": [1]}
    info["self"] = info
    info["items"].append(info["items"])
    copied = copied_info(info)
    assert copied["self"] is copied is not info
    assert copied["items"][1] is copied["items"] is not info["items"]


@pytest.mark.parametrize("options", [{"backend": "Serial"}, {"num_workers": 2}, {"batch_size": 1}])
@pytest.mark.parametrize("bare", [Stepped, SteppedPair])
def test_every_backend_names_the_environment_too(options, bare):
    options = {"backend": "Multiprocessing", **options}
    if "batch_size" in options:
        options["num_workers"] = 2
    for given, original in (((ZEROS[:1],), "ObservationError"), ((ZEROS, None), "RewardError")):
        args = [[FLOATS, ZEROS], [FLOATS, ZEROS, *given]]
        envs = vector.make([bare, bare], args, num_envs=2, **options)
        said = rf"nvironment 1 failed in step\(\) .*{original}"
        with pytest.raises(WorkerError, match=said):
            play(envs)
        envs.close()


def play(envs):
    envs.async_reset(0)
    for _ in range(100_000):  # of a pool most may be those of the other environment
        batch = envs.recv()
        envs.send(np.zeros(len(batch.env_ids), np.int64))
