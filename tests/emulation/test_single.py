"""A wrapped Gymnasium environment plays like the bare one, with flat spaces."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from environments import Countdown, Fixed, Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Sequence, Tuple
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import SyncVectorEnv
from spaces_cases import assert_agree, over_bounded_spaces, over_spaces, samples

from pufferlib.emulation import GymnasiumPufferEnv, native
from pufferlib.exceptions import ActionError, CallOrderError, ObservationError, SpaceError

FLOATS = Box(0, 1, (2,), np.float32)
CLASSIC = ["CartPole-v1", "Pendulum-v1", "MountainCarContinuous-v0"]
# Warnings of Gymnasium's checker that concern the bare environment, or being a wrapper.
ignore_advice = pytest.mark.filterwarnings(
    "ignore:.*different from the unwrapped version:UserWarning",
    "ignore:.*environment not having a spec:UserWarning",
    "ignore:.*we recommend using a symmetric and normalized space:UserWarning",
    "ignore:.*support for the `seed` function is dropped:UserWarning",  # PufferLib 1.0 has it
    "ignore:.*(minimum|maximum) value is -?infinity:UserWarning",
)


def make(name):
    return gymnasium.make(name, disable_env_checker=True)


def through_pickle(env):
    return pickle.loads(pickle.dumps(env))


def play(env, seed, actions):
    """Return the results of every reset and step, with a reset after each episode."""
    observation, _ = env.reset(seed=seed)
    transitions = [(copy.deepcopy(observation),)]
    for action in actions:
        observation, *rest, _ = env.step(action)
        transitions.append((copy.deepcopy(observation), *rest))
        if rest[1] or rest[2]:
            transitions.append((copy.deepcopy(env.reset()[0]),))
    env.close()
    return transitions


def assert_same_play(bare, flat, steps=200):
    actions = samples(flat.action_space, steps)
    layout = flat.observation_layout
    expected = play(bare, 3, actions)
    actual = play(flat, 3, actions)
    assert len(actual) == len(expected)
    for (observation, *rest), (bare_observation, *bare_rest) in zip(actual, expected, strict=True):
        assert_agree(layout.unflatten(observation), bare_observation)
        assert rest == bare_rest


@pytest.mark.parametrize("name", CLASSIC)
def test_play_equals_that_of_the_bare_environment(name):
    assert_same_play(make(name), GymnasiumPufferEnv(make(name)))


def test_play_of_nethack_equals_that_of_the_bare_environment():
    pytest.importorskip("nle")
    from pufferlib.registry.nethack import make_env

    flat = make_env("NetHackScore-v0")
    assert len(flat.observation_layout.fields) == 13
    assert_same_play(make_env("NetHackScore-v0").env, flat)


@over_spaces
def test_any_observations_and_actions_pass_without_loss(space):
    bare, inner = Sampler(space, space), Sampler(space, space)
    env = GymnasiumPufferEnv(inner)
    actions = samples(space, 5, seed=7)
    expected = play(bare, 3, actions)
    actual = play(env, 3, [env.action_layout.flatten(action) for action in actions])
    for (observation, *_), (bare_observation, *_) in zip(actual, expected, strict=True):
        assert env.observation_space.contains(observation)
        assert_agree(env.observation_layout.unflatten(observation), bare_observation)
    for received, action in zip(inner.actions, actions, strict=True):
        assert_agree(received, action)


@over_spaces
@ignore_advice
def test_gymnasium_env_checker_passes(space):
    check_env(GymnasiumPufferEnv(Sampler(space, space)))


@ignore_advice
@pytest.mark.parametrize("name", CLASSIC)
def test_gymnasium_env_checker_passes_for_a_registered_environment(name):
    check_env(GymnasiumPufferEnv(make(name)), skip_render_check=True)


def test_the_seed_method_seeds_the_next_reset_only():
    env = GymnasiumPufferEnv(make("CartPole-v1"))
    env.seed(5)
    seeded, unseeded = env.reset()[0], env.reset()[0]
    expected = make("CartPole-v1").reset(seed=5)[0]
    assert_agree(seeded, expected)
    assert not np.array_equal(unseeded, expected)
    env.seed(5)
    assert_agree(env.reset(seed=6)[0], make("CartPole-v1").reset(seed=6)[0])


def test_a_seed_may_be_positional():
    env = GymnasiumPufferEnv(make("CartPole-v1"))
    assert_agree(env.reset(5)[0], make("CartPole-v1").reset(seed=5)[0])


@pytest.mark.parametrize("what", ["observation", "action"])
def test_the_structure_survives_gymnasium_wrappers_and_a_second_emulation(what):
    space = Dict(a=Discrete(3), b=Box(0, 9, (2,)))
    inner = GymnasiumPufferEnv(Sampler(space, space))
    outer = native(gymnasium.wrappers.TimeLimit(inner, 5))
    layout = getattr(outer, f"{what}_layout")
    assert layout.structure == space
    assert layout.space == getattr(inner, f"{what}_space")
    outer.reset(0)
    outer.step(np.zeros((1, 3)))
    assert inner.env.actions[0]["a"] == 0


@over_bounded_spaces
def test_values_that_vary_in_size_pass_without_loss(space):
    env = GymnasiumPufferEnv(Sampler(space, space))
    given = samples(space, 4, seed=3)
    env.env.observation_space.sample = iter(given).__next__
    rows = [env.reset()[0]]
    actions = samples(space, 3)
    rows += [env.step(env.action_layout.flatten(action))[0] for action in actions]
    for row, value in zip(rows, given, strict=True):
        assert_agree(env.observation_layout.restore(row), value)
    for taken, action in zip(env.env.actions, actions, strict=True):
        assert_agree(taken, action)


def wrappers_around(env):
    env = gymnasium.wrappers.FrameStackObservation(env, 2)
    return gymnasium.wrappers.NormalizeReward(gymnasium.wrappers.RecordEpisodeStatistics(env))


def test_it_works_under_gymnasium_wrappers():
    flat = wrappers_around(GymnasiumPufferEnv(make("CartPole-v1")))
    bare = wrappers_around(make("CartPole-v1"))
    actions = samples(bare.action_space, 60)
    for actual, expected in zip(play(flat, 3, actions), play(bare, 3, actions), strict=True):
        assert_agree(actual[0], expected[0])
        assert actual[1:] == expected[1:]


def test_it_works_in_gymnasiums_vector_environment():
    bare = SyncVectorEnv([lambda: make("CartPole-v1")] * 2)
    flat = SyncVectorEnv([lambda: GymnasiumPufferEnv(make("CartPole-v1"))] * 2)
    assert_agree(flat.reset(seed=1)[0], bare.reset(seed=1)[0])
    for actions in samples(bare.action_space, 60):
        for actual, expected in zip(flat.step(actions)[:4], bare.step(actions)[:4], strict=True):
            assert_agree(actual, expected)


def test_attributes_of_the_environment_are_kept():
    inner = Countdown(render_mode="ansi")
    env = GymnasiumPufferEnv(inner)
    env.reset()
    assert env.unwrapped is inner
    assert env.metadata == Countdown.metadata
    assert (env.render_mode, env.render()) == ("ansi", "episode 1")
    assert env.get_wrapper_attr("secret") == 7


def test_options_reach_the_environment():
    env = GymnasiumPufferEnv(Countdown())
    env.reset(options={"level": 3})
    assert env.unwrapped.options == {"level": 3}


def test_its_spec_recreates_it():
    env = GymnasiumPufferEnv(make("CartPole-v1"))
    assert env.spec.id == "CartPole-v1"
    again = gymnasium.make(env.spec)
    assert_agree(again.reset(seed=5)[0], env.reset(seed=5)[0])
    assert isinstance(again, GymnasiumPufferEnv)


def test_returned_observations_stay_as_they_were():
    env = GymnasiumPufferEnv(Countdown())
    kept = [env.reset()[0], env.step(0)[0], env.step(0)[0]]
    assert [row.tolist() for row in kept] == [[1, 0], [1, 1], [1, 2]]


@pytest.mark.parametrize("copied", [copy.deepcopy, through_pickle])
def test_a_copy_is_independent_of_its_original(copied):
    env = GymnasiumPufferEnv(make("CartPole-v1"))
    env.reset(seed=0)
    twin = copied(env)
    ahead = [env.step(0)[0] for _ in range(3)]
    behind = [twin.step(0)[0] for _ in range(3)]
    assert_agree(tuple(behind), tuple(ahead))
    env.step(1)
    assert_agree(behind[-1], ahead[-1])


def test_nan_is_kept():
    env = GymnasiumPufferEnv(Fixed(FLOATS, np.array([np.nan, 1], np.float32)))
    np.testing.assert_array_equal(env.reset()[0], [np.nan, 1])
    np.testing.assert_array_equal(env.step(0)[0], [np.nan, 1])


@pytest.mark.parametrize(
    ("observation", "said"),
    [
        ({"a": np.zeros(3, np.float32), "b": (1,)}, r"value\['a'\] must have shape \(2,\)"),
        ({"a": np.zeros(2, complex), "b": (1,)}, r"value\['a'\] must have dtype float32"),
        ({"a": np.full(2, 2.0), "b": (1,)}, r"value\['a'\] must lie within \[0.0, 1.0\], got 2.0"),
        ({"a": np.zeros(2), "b": (9,)}, r"value\['b'\]\[0\] must lie within \[0, 2\], got 9"),
        ({"a": np.zeros(2)}, r"value lacks the keys \['b'\]"),
        ({"a": np.zeros(2), "b": (1,), "c": 0}, r"value has the extra keys \['c'\]"),
        ({"a": np.zeros(2), "b": 1}, r"value\['b'\] must be a tuple of 1, got int 1"),
        (np.zeros(3), "value must be a dict, got ndarray"),
    ],
    ids=["shape", "dtype", "bounds", "inner bounds", "missing", "extra", "nesting", "no dict"],
)
def test_a_first_observation_outside_its_space_is_refused_with_its_path(observation, said):
    env = GymnasiumPufferEnv(Fixed(Dict(a=FLOATS, b=Tuple((Discrete(3),))), observation))
    with pytest.raises(ObservationError, match=said):
        env.reset()


@pytest.mark.parametrize(
    ("space", "action", "said"),
    [
        (MultiDiscrete([2, 3]), np.zeros(3, int), r"action must have shape \(2,\), got \(3,\)"),
        (Discrete(2), np.float32(1), "action must have dtype int64, got float32"),
        (Discrete(2, start=5), 5, r"action must lie within \[0, 1\], got 5"),
        (FLOATS, np.array([0, 1.5], np.float32), r"action must lie within \[0.0, 1.0\], got 1.5"),
    ],
    ids=["shape", "dtype", "not counted from 0", "bounds"],
)
def test_a_first_action_outside_its_space_is_refused(space, action, said):
    env = GymnasiumPufferEnv(Sampler(FLOATS, space))
    env.reset()
    with pytest.raises(ActionError, match=said):
        env.step(action)


def test_step_before_reset_is_refused():
    with pytest.raises(CallOrderError, match="step before reset"):
        GymnasiumPufferEnv(Countdown()).step(0)


@pytest.mark.parametrize("what", ["observation_space", "action_space"])
def test_an_unsupported_space_is_refused_with_its_path(what):
    spaces = {"observation_space": FLOATS} | {what: Dict(a=Tuple((FLOATS, Sequence(FLOATS))))}
    with pytest.raises(SpaceError, match=r"space\['a'\]\[1\] is .*Sequence"):
        GymnasiumPufferEnv(Sampler(**spaces))


@pytest.mark.parametrize("how", ["terminated", "truncated"])
def test_an_episode_that_ends_starts_again_in_the_same_step(how):
    env = native(Countdown(length=2, how=how))
    rows, infos = env.reset(seed=0)
    assert (rows.tolist(), infos) == ([[1, 0]], [{"begins": 1}])
    ends = {"terminated": (True, False), "truncated": (False, True)}[how]
    for episode in (1, 2):
        rows, rewards, terminals, truncations, infos = env.step(np.zeros(1, int))
        assert (rows.tolist(), rewards.tolist(), infos) == ([[episode, 1]], [1], [])
        assert (terminals[0], truncations[0]) == (False, False)
        rows, rewards, terminals, truncations, infos = env.step(np.zeros(1, int))
        assert (rows.tolist(), rewards.tolist()) == ([[episode + 1, 0]], [2])
        assert env.final_observations.tolist() == [[episode, 2]]
        assert (terminals[0], truncations[0]) == ends
        assert infos == [{"ends": episode}, {"begins": episode + 1}]
        assert env.masks.tolist() == [True]


def test_later_episodes_continue_the_seeded_random_stream():
    env = native(make("CartPole-v1"))
    first = env.reset(seed=0)[0].copy()
    starts = [first]
    while len(starts) < 3:
        rows, _, terminals, truncations, _ = env.step(np.zeros(1, int))
        if terminals[0] or truncations[0]:
            starts.append(rows.copy())
    assert len({start.tobytes() for start in starts}) == 3
    assert_agree(env.reset(seed=0)[0], first)


@over_spaces
def test_rows_hold_any_observation(space):
    env, bare = native(Sampler(space)), Sampler(space)
    rows, _ = env.reset(seed=3)
    expected, _ = bare.reset(seed=3)
    assert_agree(env.observation_layout.unflatten(rows[0, ...]), expected)
