"""A native environment of one agent is an ordinary Gymnasium environment."""

import copy
from functools import partial

import gymnasium
import numpy as np
import pytest

from pufferlib import vector
from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv, to_gymnasium
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.description import describe_spaces
from pufferlib.emulation.layout import Layout
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ActionError, ArgumentError, CallOrderError
from pufferlib.registry import ocean
from pufferlib.registry.ocean.multiagent import Multiagent
from pufferlib.registry.ocean.squared import Squared

SINGLE = [task for task in ocean.FAMILY.tasks if task != "multiagent"]


def same(one, other):
    return np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("task", SINGLE)
def test_it_gives_the_rows_of_the_vectorized_environment(task):
    envs = vector.make(ocean.env_creator(task), backend="Serial", num_envs=1)
    env = to_gymnasium(ocean.make_env(task))
    observations, _ = envs.reset(seed=3)
    observation, _ = env.reset(seed=3)
    assert same(observation, observations[0])
    env.action_space.seed(0)
    episodes = 0
    for _ in range(500):
        action = env.action_space.sample()
        observations, rewards, terminals, truncations, infos = envs.step(np.array([action]))
        observation, reward, terminated, truncated, info = env.step(action)
        assert (np.float32(reward), terminated, truncated) == (
            rewards[0],
            terminals[0],
            truncations[0],
        )
        assert info == (infos[0] if infos else {})
        if terminated or truncated:
            assert same(observation, envs.final_observations[0])
            observation, _ = env.reset()
            episodes += 1
        assert same(observation, observations[0])
    assert episodes > 1


@pytest.mark.parametrize("wrap", [lambda env: env, gymnasium.wrappers.OrderEnforcing])
def test_vectorized_it_gives_the_native_rows(wrap):
    make_env = ocean.env_creator("memory")
    native = vector.make(make_env, backend="Serial", num_envs=2)
    ordinary = vector.make(lambda: wrap(to_gymnasium(make_env())), backend="Serial", num_envs=2)
    assert same(native.reset(seed=1)[0], ordinary.reset(seed=1)[0])
    native.action_space.seed(0)
    for _ in range(50):
        actions = native.action_space.sample()
        *rows, infos = native.step(actions)
        *same_rows, same_infos = ordinary.step(actions)
        assert all(map(same, rows, same_rows))
        assert list(infos) == list(same_infos)
        assert same(native.final_observations, ordinary.final_observations)


def first_observations(env, seed, resets=5):
    return [env.reset(seed=seed)[0], *(env.reset()[0] for _ in range(resets))]


def test_resets_without_a_seed_follow_from_the_last_seed():
    env, other = (to_gymnasium(Squared(num_targets=4)) for _ in range(2))
    first, again, different = (
        np.array(first_observations(*given)) for given in [(env, 5), (other, 5), (env, 6)]
    )
    assert same(first, again)
    assert not same(first, different)
    assert len(np.unique(first, axis=0)) > 1  # each begins a new episode


def test_a_seed_is_obeyed_after_the_end_of_an_episode():
    env = to_gymnasium(Squared(num_targets=4))
    expected, _ = env.reset(seed=1)
    while not env.step(0)[2]:
        pass
    assert same(env.reset(seed=1)[0], expected)


class Chosen(Squared):
    """Takes options, and reports what it is given."""

    def reset(self, seed=None, options=None):
        observations, _ = super().reset(seed)
        return observations, [{"options": options}]


def test_options_are_passed_on_where_the_environment_takes_them():
    env = to_gymnasium(Chosen())
    assert env.reset(seed=0)[1] == {"options": None}
    while not env.step(0)[2]:
        pass
    assert env.reset(options={"level": 3})[1] == {"options": {"level": 3}}
    to_gymnasium(Squared()).reset(options={"level": 3})  # ignored, as most environments do


def test_observations_are_not_changed_by_later_steps():
    env = to_gymnasium(Squared())
    kept = [env.reset(seed=0)[0], env.step(0)[0]]
    before = copy.deepcopy(kept)
    env.step(1), env.step(2)
    assert same(kept, before)


class Nested(PufferEnv):
    """A native environment that declares layouts."""

    num_agents = 1
    observation_layout = Layout.of(
        gymnasium.spaces.Dict(
            picture=gymnasium.spaces.Box(0, 255, (2, 2), np.uint8),
            speed=gymnasium.spaces.Box(0, 1, (), np.float32),
        )
    )
    action_layout = ActionLayout.of(
        gymnasium.spaces.Tuple((gymnasium.spaces.Discrete(2), gymnasium.spaces.Discrete(3)))
    )
    metadata = {"render_modes": ["ansi"], "render_fps": 9}  # noqa: RUF012

    def __init__(self):
        self.single_observation_space = self.observation_layout.space
        self.single_action_space = self.action_layout.space
        self.render_mode = "ansi"
        self.is_closed = False
        super().__init__()

    def render(self):
        return "picture"

    def close(self):
        self.is_closed = True


def test_spaces_carry_the_layouts_of_the_native_environment():
    env = to_gymnasium(Nested())
    description = describe_spaces(*copy.deepcopy((env.observation_space, env.action_space)))
    assert description.observation_layout.original == Nested.observation_layout.original
    assert description.action_layout.original == Nested.action_layout.original


def test_rendering_metadata_and_closing_are_passed_on():
    native = Nested()
    env = to_gymnasium(native)
    assert (env.render_mode, env.render()) == ("ansi", "picture")
    assert env.metadata == Nested.metadata
    env.close()
    assert native.is_closed


def test_a_step_outside_an_episode_is_refused():
    env = to_gymnasium(Squared())
    with pytest.raises(CallOrderError, match="Call reset first"):
        env.step(0)
    env.reset(seed=0)
    for _ in range(3):
        env.step(0)
    with pytest.raises(CallOrderError, match="Call reset first"):
        env.step(0)


@pytest.mark.parametrize("action", [8, -1, 0.5, [1, 2]])
def test_a_first_action_outside_its_space_is_refused(action):
    env = to_gymnasium(Squared())
    env.reset(seed=0)
    with pytest.raises(ActionError, match=r"Discrete\(8\)"):
        env.step(action)


@pytest.mark.parametrize("make", [Chosen, Squared])
def test_options_that_are_no_dict_are_refused(make):
    with pytest.raises(ArgumentError, match="options must be a dict or None, got int"):
        to_gymnasium(make()).reset(options=5)


@pytest.mark.parametrize("task", ["spaces", "memory"])
def test_the_result_is_returned_as_it_is(task):
    env = to_gymnasium(ocean.make_env(task))
    assert to_gymnasium(env) is env


def test_an_emulated_environment_is_returned_as_it_is():
    env = ocean.make_env("spaces")
    assert to_gymnasium(env) is env


class Game(Squared):
    is_one_game = True


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(Squared, num_agents=2), r"num_agents=2.*num_agents=1"),
        (partial(Game, num_agents=2), r"one agent.*pufferlib\.emulation\.to_pettingzoo"),
        (partial(gymnasium.make, "CartPole-v1"), r"already.*GymnasiumPufferEnv"),
        (Multiagent, r"PettingZoo environment already.*PettingZooPufferEnv"),
        (lambda: PettingZooPufferEnv(Multiagent()), r"PettingZoo environment already"),
        (lambda: Squared, r"the class Squared.*to_gymnasium\(Squared\(\)\)"),
        (partial(vector.Serial, Squared), r"vectorizer.*pufferlib\.vector\.to_gymnasium"),
        (lambda: None, "NoneType"),
    ],
)
def test_anything_else_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        to_gymnasium(make())


def test_gymnasium_wrappers_go_around_it():
    env = gymnasium.wrappers.RecordEpisodeStatistics(to_gymnasium(ocean.make_env("memory")))
    env.reset(seed=0)
    steps = [env.step(0) for _ in range(6)]
    assert steps[-1][4]["episode"]["l"] == 6
    assert isinstance(GymnasiumPufferEnv(env), gymnasium.Env)
