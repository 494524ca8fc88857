"""Published names are today's objects, or give the same results as today's ways."""

import functools
import importlib
import importlib.util
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch
from environments import Countdown, Population, Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple
from spaces_cases import SPACES, assert_agree, samples

import pufferlib
from pufferlib import emulation, environments, exceptions, postprocess, pytorch, registry, vector
from pufferlib.emulation import ActionLayout, GymnasiumPufferEnv, Layout, PettingZooPufferEnv
from pufferlib.exceptions import (
    ActionError,
    ArgumentError,
    PufferError,
)
from pufferlib.published_names import NAMES

STRUCTURED = {name: space for name, space in SPACES.items() if name != "dict with awkward keys"}
over_structured = pytest.mark.parametrize("space", list(STRUCTURED.values()), ids=list(STRUCTURED))


@pytest.mark.parametrize("module", NAMES)
def test_every_published_name_leads_to_an_object(module):
    for name, target in NAMES[module].items():
        place, attribute = target.split(":")
        actual = getattr(importlib.import_module(module), name)
        assert actual is getattr(importlib.import_module(place), attribute)
        assert name in dir(importlib.import_module(module))
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'vectr'"):
        _ = importlib.import_module(module).vectr


@pytest.mark.parametrize("module", NAMES)
def test_every_published_name_is_documented(module):
    page = (Path(__file__).parents[2] / "docs/published-names.md").read_text()
    missing = [name for name in NAMES[module] if not re.search(rf"\b{name}\b", page)]
    assert missing == []


def test_names_that_only_changed_are_todays_objects():
    assert emulation.GymPufferEnv is GymnasiumPufferEnv
    assert postprocess.EpisodeStats is pufferlib.wrappers.EpisodeStats
    assert postprocess.MultiagentEpisodeStats is pufferlib.wrappers.MultiAgentEpisodeStats
    assert issubclass(ActionError, exceptions.InvalidAgentError)
    assert exceptions.APIUsageError is PufferError
    assert isinstance(Discrete(2), pufferlib.spaces.Discrete)
    assert environments.nethack.make_env is registry.load("nethack").make_env


@over_structured
def test_a_row_viewed_by_its_dtype_is_the_observation(space):
    layout = Layout.of(space)
    env = GymnasiumPufferEnv(Sampler(space))
    dtypes = env.emulated
    assert dtypes.observation_dtype == env.observation_space.dtype == layout.space.dtype
    for sample in samples(space, 3):
        row = layout.flatten(sample)
        actual = emulation.nativize(row, space, dtypes.emulated_observation_dtype)
        assert_agree(actual, sample)
        native = nativize_dtype_of(dtypes)
        rows = torch.from_numpy(np.stack([row, row]))
        assert_parts(pytorch.nativize_tensor(rows, native), sample)


def nativize_dtype_of(dtypes):
    return pytorch.nativize_dtype(SimpleNamespace(**vars(dtypes)))  # users make such objects


def assert_parts(tensors, sample):
    """Refuse parts that are not two rows of `sample`."""
    if isinstance(sample, tuple):
        sample = {f"f{index}": part for index, part in enumerate(sample)}
    if isinstance(sample, dict):
        for name, part in sample.items():
            assert_parts(tensors[name], part)
        return
    expected = np.stack([sample, sample])
    assert tensors.shape == (expected.shape if expected.ndim > 1 else (2, 1))
    np.testing.assert_array_equal(tensors.numpy(), expected.reshape(tensors.shape))


# By hand: of a C struct, whose parts are aligned.
STRUCT = np.dtype(
    [("xx", np.float32, (1, 2)), ("yy", [("aa", np.uint8, (7, 7)), ("bb", np.int32, (2, 3))])],
    align=True,
)
PLACES = {
    "xx": (torch.float32, (1, 2), 0, 8),
    "yy": {"aa": (torch.uint8, (7, 7), 8, 49), "bb": (torch.int32, (2, 3), 60, 24)},
}


def test_places_are_those_of_a_struct():
    dtypes = SimpleNamespace(observation_dtype=np.uint8, emulated_observation_dtype=STRUCT)
    assert pytorch.nativize_dtype(dtypes) == PLACES
    floats = np.dtype([("foo", np.float32), ("bar", np.float32, (2,))])
    dtypes = SimpleNamespace(observation_dtype=np.float32, emulated_observation_dtype=floats)
    assert pytorch.nativize_dtype(dtypes) == {
        "foo": (torch.float32, (1,), 0, 1),
        "bar": (torch.float32, (2,), 1, 2),
    }


def test_actions_are_emulated_as_flattened():
    space = Dict(foo=Tuple((Discrete(2), Discrete(3))), bar=Dict(baz=Discrete(2), qux=Discrete(4)))
    env = GymnasiumPufferEnv(Sampler(Discrete(2), space))
    flat, dtype = emulation.emulate_action_space(space)
    assert (flat, dtype) == (env.action_space, env.atn_dtype)
    assert env.is_atn_emulated
    assert not GymnasiumPufferEnv(Sampler(Discrete(2), MultiDiscrete([2, 3]))).is_atn_emulated
    for action in samples(space, 5):
        row = emulation.emulate_copy(action, flat.dtype, dtype)
        assert_agree(row, ActionLayout.of(space).flatten(action))
        env.reset()
        env.step(row)
        assert env.env.actions[-1] == action


def test_observations_are_emulated_in_place():
    space = STRUCTURED["like NetHack"]
    flat, dtype = emulation.emulate_observation_space(space)
    row = np.zeros(flat.shape, flat.dtype)
    (sample,) = samples(space, 1)
    emulation.emulate(row.view(dtype), sample)
    assert_agree(row, Layout.of(space).flatten(sample))
    assert dtype == emulation.dtype_from_space(space)


@pytest.mark.parametrize("is_space_first", [True, False])
def test_observations_unpack_with_the_flat_space_or_the_environments_own(is_space_first):
    space = STRUCTURED["like NetHack"]
    env = GymnasiumPufferEnv(Sampler(space))
    rows = torch.from_numpy(np.stack([env.reset(seed=seed)[0] for seed in (1, 2)]))
    for described in (env.flat_observation_space, space):
        given = (described, rows) if is_space_first else (rows, described)
        actual = emulation.unpack_batched_obs(*given)
        for key, value in pytorch.unflatten(rows, env.observation_layout).items():
            assert torch.equal(actual[key], value)


@pytest.mark.parametrize(
    "names", [["flat_observation_space", "flat_observation_structure"], ["unflatten_context"]]
)
def test_observations_unpack_with_what_0_4_to_0_7_passed(names):
    space = STRUCTURED["like NetHack"]
    envs = vector.make(Sampler, [space])
    rows = torch.from_numpy(envs.reset(seed=1)[0])
    for described in (envs, envs.driver_env):
        given = [getattr(described, name) for name in names]
        for batch in (rows, rows.numpy()):
            actual = emulation.unpack_batched_obs(batch, *given)
            for key, value in Sampler(space).reset(seed=1)[0].items():
                assert type(actual[key]) is type(batch)
                np.testing.assert_array_equal(actual[key][0], value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["read-only", "reversed", "one row, reversed"])
def test_arrays_that_torch_cannot_share_unpack_too(kind):
    space = STRUCTURED["like NetHack"]
    layout = Layout.of(space)
    observations = samples(space, 1 if kind == "one row, reversed" else 3)
    rows = np.stack([layout.flatten(sample) for sample in observations])
    if kind == "read-only":
        rows.flags.writeable = False
    else:
        rows, observations = rows[::-1], observations[::-1]
    parts = emulation.unpack_batched_obs(rows, space)
    for key, part in parts.items():
        np.testing.assert_array_equal(part, np.stack([sample[key] for sample in observations]))


def test_wrappers_of_0_5_to_1_0_adapt_old_environments():
    assert pufferlib.wrappers.GymToGymnasium is pufferlib.wrappers.OldGymEnv
    assert pufferlib.wrappers.PettingZooTruncatedWrapper is pufferlib.wrappers.OldParallelEnv


def test_a_namespace_is_an_object_and_a_mapping():
    space = pufferlib.namespace(x=1, y=2)
    assert (space.x, dict(**space), list(space.items())) == (
        1,
        {"x": 1, "y": 2},
        [("x", 1), ("y", 2)],
    )

    @pufferlib.dataclass
    class Config:
        a: int
        b = 1

    assert list(Config(a=4).items()) == [("a", 4), ("b", 1)]
    place = SimpleNamespace(x=1)
    assert pufferlib.namespace(place, x=3, z=4) is None
    assert vars(place) == {"x": 3, "z": 4}


@pufferlib.dataclass
class Sized:
    width: int
    height = 2

    @property
    def area(self):
        return self.width * self.height

    def scaled(self, factor):
        return type(self)(width=self.width * factor, height=self.height)


@pufferlib.dataclass
class Named(Sized):
    name: str = "box"


def test_a_dataclass_keeps_its_methods_and_bases_and_survives_pickling():
    named = Named(width=3)
    assert isinstance(named, Sized)
    assert dict(named) == {"width": 3, "height": 2, "name": "box"}
    assert (named.area, named.scaled(2).area) == (6, 12)
    again = pickle.loads(pickle.dumps(named))
    assert type(again) is Named
    assert dict(again) == dict(named)


def test_infos_are_averaged_over_agents():
    class Scored(Population):
        def step(self, actions):
            *results, infos = super().step(actions)
            scores = {name: 2.0 * index for index, name in enumerate(infos)}
            return *results, {name: {"score": scores[name], "name": name} for name in infos}

    env = postprocess.MeanOverAgents(Scored())
    _, infos = env.reset(seed=0)
    first, *others = infos
    assert infos[first] == {"begins": 1.0}
    assert all(infos[agent] == {} for agent in others)
    actions = {agent: env.action_space(agent).sample() for agent in env.agents}
    infos = env.step(actions)[-1]
    first, *others = infos
    assert infos[first] == {"score": float(len(infos) - 1)}  # the mean of 0, 2, 4 and so on
    assert others
    assert all(infos[agent] == {} for agent in others)


def test_averaged_infos_are_one_per_game_of_a_vectorizer():
    env = PettingZooPufferEnv(postprocess.MeanOverAgents(Population()), to_puffer=True)
    assert env.reset(seed=0)[1] == [{"begins": 1.0}]


def test_helpers_of_training_scripts():
    from pufferlib import utils

    nested = {"a": 1, "b": {"c": 2, "d": {"e": 3}}}
    assert dict(utils.unroll_nested_dict(nested)) == {"a": 1, "b/c": 2, "b/d/e": 3}

    def make(env, policy, size, width=3, *args, **kwargs):
        pass

    assert utils.get_init_args(make) == {"size": None, "width": 3}
    assert utils.get_init_args(Countdown.__init__).keys() == {"length", "how", "render_mode"}
    part = functools.partial(make, size=2)
    utils.get_init_args(part)["size"] = 3
    assert part.keywords == {"size": 2}
    with pytest.raises(ArgumentError, match="takes no argument 'height'"):
        utils.validate_args(make, {"height": 1})

    @utils.profile
    def work(data):
        return data

    data = SimpleNamespace()
    assert work(work(data)) is data
    assert data._timers["work"].calls == 2
    assert data._timers["work"].elapsed > 0


def test_environments_are_importable_by_their_published_path():
    for family in registry.builtin_families():
        module = importlib.import_module(f"pufferlib.environments.{family}")
        if family != "atari":  # which has the infos of 1.0
            assert module.make_env is registry.load(family).make_env
        assert importlib.import_module(f"pufferlib.environments.{family}.torch") is module.torch
        assert importlib.util.find_spec(module.__name__) is module.__spec__
    with pytest.raises(ModuleNotFoundError, match="pong"):
        importlib.import_module("pufferlib.environments.pong")


def test_names_of_families_are_listed():
    names = {"FAMILY", "Policy", "Recurrent", "env_creator", "make_env"}
    assert names | {"torch"} <= set(dir(environments.ocean))
    imported = {}
    exec("from pufferlib.environments.ocean import *", imported)
    assert imported.keys() - {"__builtins__"} == names
    for module in (environments.ocean, environments.ocean.torch):
        assert all(getattr(module, name) is not None for name in module.__all__)


# `pickle.whichmodule` asks every loaded module for a name that it does not find elsewhere.
ASKED = """
import pickle, sys
import pufferlib.environments
class Lost:
    __module__ = None
pickle.whichmodule(Lost, "absent")
print([name for name in sys.modules if name.startswith("pufferlib.registry.ocean")])
"""


def test_a_name_that_no_family_has_loads_none():
    result = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_emulated_environments_of_a_binding_survive_pickling():
    binding = emulation.Binding(env_creator=Countdown, default_kwargs={"length": 1})
    assert binding.max_agents == 1
    again = pickle.loads(pickle.dumps(binding)).env_creator()
    again.reset()
    assert again.step(0)[4]["episode_length"] == 1
    assert isinstance(again.env.observation_space, Box)
    assert isinstance(again, gymnasium.Env)
