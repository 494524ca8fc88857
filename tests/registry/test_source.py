"""Environments named by file, module, Gymnasium id or PettingZoo module."""

import inspect
import json
import pickle
import subprocess
import sys
from contextlib import closing

import gymnasium
import numpy as np
import pytest

from pufferlib import registry
from pufferlib.emulation import native
from pufferlib.exceptions import ArgumentError, UnknownNameError
from pufferlib.registry import same_source
from pufferlib.testing import check_env
from pufferlib.vector import make

# Walk right to the end of a line of cells; a reward of 1 there. In an agent's steps only.
FILE = '''
from dataclasses import dataclass

import gymnasium
import numpy as np
import pettingzoo
from gymnasium.spaces import Box, Dict, Discrete

from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv
from pufferlib.environment import PufferEnv
from pufferlib.wrappers import EpisodeStats, MultiAgentEpisodeStats


@dataclass
class Place:
    cell: int


class Line(gymnasium.Env):
    """Every action walks; the infos of the end hold a class of this file."""

    metadata = {"render_modes": ["ansi"]}

    def __init__(self, cells=3, render_mode=None):
        self.observation_space = Box(0, cells, (1,), np.float32)
        self.action_space = Discrete(2)
        self.cells, self.render_mode = cells, render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell = 0
        return np.array([0], np.float32), {}

    def step(self, action):
        self.cell += 1
        is_end = self.cell == self.cells
        return np.array([self.cell], np.float32), 2.0, is_end, False, {"place": Place(self.cell)}


class Pair(pettingzoo.ParallelEnv):
    """Two agents on a line; of unlike spaces if `differ`."""

    metadata = {"name": "pair"}
    render_mode = None

    def __init__(self, cells=3, differ=False):
        self.possible_agents, self.cells = ["a", "b"], cells
        self.spaces = {"a": Box(0, 9, (1,), np.float32), "b": Box(0, 9, (1 + differ,), np.float32)}
        self.actions = {"a": Discrete(2), "b": Discrete(2)}

    def observation_space(self, agent):
        return self.spaces[agent]

    def action_space(self, agent):
        return self.actions[agent]

    def observe(self):
        return {a: np.full(self.spaces[a].shape, self.cell, np.float32) for a in self.agents}

    def reset(self, seed=None, options=None):
        self.agents, self.cell = list(self.possible_agents), 0
        return self.observe(), {agent: {} for agent in self.agents}

    def step(self, actions):
        self.cell += 1
        agents, is_end = self.agents, self.cell == self.cells
        observations = self.observe()
        self.agents = [] if is_end else agents
        rewards = {agent: 2.0 for agent in agents}
        ends, infos = {a: is_end for a in agents}, {a: {} for a in agents}
        return observations, rewards, ends, {a: False for a in agents}, infos


class Turned(pettingzoo.AECEnv):
    """Two agents in turn, three moves each; the mask allows action 1 alone."""

    metadata = {"name": "turned"}
    render_mode = None

    def __init__(self, masked=True):
        self.possible_agents = ["a", "b"]
        board, mask = Box(0, 9, (1,), np.float32), Box(0, 1, (2,), np.int8)
        space = Dict(observation=board, action_mask=mask) if masked else board
        self.observation_spaces = {agent: space for agent in self.possible_agents}
        self.action_spaces = {agent: Discrete(2) for agent in self.possible_agents}

    def observation_space(self, agent):
        return self.observation_spaces[agent]

    def action_space(self, agent):
        return self.action_spaces[agent]

    def observe(self, agent):
        return {"observation": np.zeros(1, np.float32), "action_mask": np.array([0, 1], np.int8)}

    def reset(self, seed=None, options=None):
        self.agents, self.moves, self.agent_selection = list(self.possible_agents), 0, "a"
        self.rewards = self._cumulative_rewards = {"a": 0, "b": 0}
        self.terminations, self.truncations = ({"a": False, "b": False} for _ in range(2))
        self.infos = {"a": {}, "b": {}}

    def step(self, action):
        if self.terminations[self.agent_selection]:
            self.agents.remove(self.agent_selection)
            if self.agents:
                self.agent_selection = self.agents[0]
            return
        self.moves += 1
        self.rewards = {a: 2.0 * (a == self.agent_selection) for a in self.agents}
        if self.moves == 6:
            self.terminations = {"a": True, "b": True}
        self.agent_selection = "b" if self.agent_selection == "a" else "a"


class Native(PufferEnv):
    """Its own infos."""

    def __init__(self, num_agents=2, buffers=None):
        self.single_observation_space = Box(0, 1, (1,), np.float32)
        self.single_action_space, self.num_agents = Discrete(2), num_agents
        super().__init__(buffers)

    def reset(self, seed=None):
        self.observations[:], self.masks[:], self.moves = 0, True, 0
        self.rewards[:], self.terminals[:], self.truncations[:] = 0, False, False
        return self.observations, []

    def step(self, actions):
        self.moves += 1
        is_end = self.moves % 3 == 0
        self.rewards[:], self.terminals[:], self.truncations[:] = 2, is_end, False
        self.final_observations[:] = 0
        each = {"episode_return": 6.0, "episode_length": 3}
        infos = [each] * self.num_agents if is_end else []
        return self.observations, self.rewards, self.terminals, self.truncations, infos


def make_line(cells=3, **kwargs):
    return Line(cells, **kwargs)


emulated = lambda: GymnasiumPufferEnv(Line())
with_statistics = lambda: GymnasiumPufferEnv(EpisodeStats(Line()))
statistics_alone = lambda: EpisodeStats(Line())
pair_emulated = lambda: PettingZooPufferEnv(Pair())
pair_with_statistics = lambda: PettingZooPufferEnv(MultiAgentEpisodeStats(Pair()))
pair_statistics_alone = lambda: MultiAgentEpisodeStats(Pair())
unlike_pair = lambda: Pair(differ=True)

def parallelizable():
    return pettingzoo.utils.parallel_to_aec(Pair())

def in_turn_without_a_mask():
    return Turned(masked=False)

def without_agents():
    env = Pair()
    env.possible_agents = []
    return env

def nothing():
    pass

an_instance = Line()
a_number = 3
'''
SINGLE = ["Line", "make_line", "emulated", "with_statistics", "statistics_alone"]
AGENTS = ["Pair", "pair_emulated", "pair_with_statistics", "pair_statistics_alone"]
AGENTS += ["unlike_pair", "parallelizable", "Turned", "Native"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_env.py"
    path.write_text(FILE)
    return path


@pytest.fixture(autouse=True)
def _same_path(monkeypatch):
    """Undo what loading a file adds to `sys.path`."""
    monkeypatch.setattr(sys, "path", [*sys.path])


def episode(env):
    """Return the infos of the first episode, sorted: (return, length) of each agent."""
    env = native(env)
    env.reset(seed=0)
    found = []
    while not found:
        actions = [env.single_action_space.sample() * 0 for _ in range(env.num_agents)]
        found = env.step(np.stack(actions))[4]
    return [(info["episode_return"], info["episode_length"]) for info in found]


@pytest.mark.parametrize("attribute", SINGLE + AGENTS)
def test_whatever_a_file_defines_is_flat_and_reports_each_episode_once(file, attribute):
    source = registry.resolve(f"{file}:{attribute}")
    with closing(source.creator()()) as env:
        # Each step pays 2, an episode has 3 steps; in turns each agent is paid in 3 steps of 6.
        expected = (6.0, 6) if attribute == "Turned" else (6.0, 3)
        assert episode(env) == [expected] * (1 if attribute in SINGLE else 2)
        assert "Stats" not in str(type(env))
        assert count_statistics(env) == (attribute != "Native")


def count_statistics(env):
    """Return how many wrappers report episodes, from the outermost inwards."""
    count = 0
    while env is not None:
        count += "EpisodeStats" in type(env).__name__
        env = vars(env).get("env")
    return count


@pytest.mark.parametrize("attribute", ["Line", "Pair", "unlike_pair", "Native"])
def test_what_a_file_defines_keeps_the_contract(file, attribute):
    check_env(registry.resolve(f"{file}:{attribute}").creator())


def test_keyword_arguments_reach_a_factory_and_wrong_ones_are_refused(file):
    source = registry.resolve(f"{file}:make_line")
    with closing(source.creator({"cells": 5})(cells=5)) as env:
        assert episode(env) == [(10.0, 5)]
    source = registry.resolve(f"{file}:Line")
    match = r"my_env\.py:Line cannot be called with \(cels=5\): .*Did you mean 'cells'\? It takes "
    for call in (source.check, lambda kwargs: source.make_env(**kwargs)):
        with pytest.raises(ArgumentError, match=f"{match}cells, render_mode"):
            call({"cels": 5})


def test_arguments_of_a_gymnasium_id_are_checked_before_it_is_made():
    source = registry.resolve("gymnasium:CartPole-v1")
    with pytest.raises(ArgumentError, match=r"called with \(gravty=9\): .*It takes sutton_b"):
        source.check({"gravty": 9})
    kwargs = {"max_episode_steps": 3, "sutton_barto_reward": True}
    with closing(source.creator(kwargs)(**kwargs)) as env:
        assert episode(env) == [(0.0, 3)]  # Sutton and Barto: 0 until the pole falls


def test_a_gymnasium_id_whose_environment_takes_no_render_mode_is_made(file):
    gymnasium.register("Plain-v0", lambda: registry.resolve(f"{file}:Line").make_env().unwrapped)
    with closing(registry.resolve("gymnasium:Plain-v0").creator({})()) as env:
        assert episode(env) == [(6.0, 3)]


def test_a_gymnasium_id_that_only_makes_vectors_is_refused():
    gymnasium.register("Vectors-v0", vector_entry_point="somewhere:Vectors")
    source = registry.resolve("gymnasium:Vectors-v0")
    for call in (source.check, source.origin, lambda: source.parameters):
        with pytest.raises(ArgumentError, match=r"only a vector_entry_point"):
            call()


def test_what_make_env_takes_is_that_of_the_class_or_function(file):
    source = registry.resolve(f"{file}:Line")
    assert source.takes("render_mode")
    assert not source.takes("num_envs")
    assert source.parameters["cells"].default == 3
    assert registry.resolve("ALE/Pong-v5").takes("num_envs")
    assert "name" not in registry.resolve("CartPole-v1").parameters
    assert registry.resolve("gymnasium:CartPole-v1").takes("sutton_barto_reward")
    assert registry.resolve("gymnasium:CartPole-v1").takes("render_mode")
    assert registry.resolve("pettingzoo:butterfly.pistonball_v6").takes("render_mode")


@pytest.mark.parametrize("start_method", ["fork", "spawn", "forkserver"])
def test_workers_play_a_file_as_this_process_does(file, start_method):
    creator = registry.resolve(f"{file}:make_line").creator()
    workers = {"num_workers": 2, "start_method": start_method, "timeout_s": 60}
    with (
        closing(make(creator, num_envs=2, backend="Serial", env_kwargs={"cells": 4})) as serial,
        closing(
            make(
                creator,
                num_envs=2,
                backend="Multiprocessing",
                env_kwargs={"cells": 4},
                **workers,
            )
        ) as parallel,
    ):
        assert serial.reset(0)[0].tolist() == parallel.reset(0)[0].tolist()
        for _ in range(4):
            here, there = (env.step(np.zeros(2, int)) for env in (serial, parallel))
            for one, other in zip(here[:4], there[:4], strict=True):
                assert one.tolist() == other.tolist()
        places = [info["place"] for info in there[4]]
        assert [place.cell for place in places] == [4, 4]
        assert places == [info["place"] for info in here[4]]  # one class in both processes


def test_files_of_one_name_do_not_clash(tmp_path):
    names = []
    for cells in (3, 5):
        path = tmp_path / str(cells) / "my_env.py"
        path.parent.mkdir()
        path.write_text(FILE.replace("cells=3", f"cells={cells}"))
        names.append(f"{path}:Line")
    envs = [registry.resolve(name).creator()() for name in names]
    assert [episode(env) for env in envs] == [[(6.0, 3)], [(10.0, 5)]]


def test_a_creator_pickles_to_a_process_with_another_current_directory(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    script = "import pickle, sys; print(type(pickle.load(sys.stdin.buffer)().unwrapped).__name__)"
    for name in ("./my_env.py:Line", "my_env:Line"):
        result = subprocess.run(
            [sys.executable, "-c", script],
            input=pickle.dumps(registry.resolve(name).creator()),
            capture_output=True,
            cwd="/",
            timeout=240,
            check=True,
        )
        assert result.stdout.decode().strip() == "Line"
    sys.modules.pop("my_env")


@pytest.mark.parametrize(
    ("name", "canonical", "label"),
    [
        ("classic_control", "CartPole-v1", "CartPole-v1"),
        ("ALE/Pong-v5", "ALE/Pong-v5", "ALE-Pong-v5"),
        ("./my_env.py:Line", "{folder}/my_env.py:Line", "my_env-Line"),
        ("pack.envs:Line.make", "pack.envs:Line.make", "envs-Line.make"),
        ("gymnasium:CartPole-v1", "gymnasium:CartPole-v1", "CartPole-v1"),
        ("gymnasium:ale_py:ALE/Pong-v5", "gymnasium:ale_py:ALE/Pong-v5", "ALE-Pong-v5"),
        ("pettingzoo:sisl/pursuit-v5", "pettingzoo:sisl.pursuit_v5", "pursuit_v5"),
    ],
)
def test_a_name_has_one_canonical_form_and_a_label(name, canonical, label, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    source = registry.resolve(name)
    assert source.name == canonical.format(folder=file.parent)
    assert source.label == label
    monkeypatch.chdir("/")
    assert registry.resolve(source.name) == source
    assert hash(registry.resolve(source.name)) == hash(source)


def test_a_source_in_a_family_has_its_presets_and_one_outside_has_none(file):
    inside, outside = registry.resolve("ALE/Pong-v5"), registry.resolve("gymnasium:ALE/Pong-v5")
    assert (inside.family.name, inside.preset_names) == ("atari", ("atari", "ALE/Pong-v5"))
    assert (outside.family, outside.preset_names, outside.preset_folders) == (None, (), ())


@pytest.mark.parametrize(
    "name",
    [
        "gymnasium:CartPole-v1",
        "gymnasium:ALE/Pong-v5",
        "gymnasium:ale_py:ALE/Pong-v5",
        "pettingzoo:butterfly.pistonball_v6",
        "pettingzoo:classic.tictactoe_v3",
        "pettingzoo:mpe2.simple_speaker_listener_v4",
    ],
)
def test_an_environment_of_a_package_keeps_the_contract_and_has_a_network(name):
    source = registry.resolve(name)
    creator = pickle.loads(pickle.dumps(source.creator()))
    if "pistonball" not in name:  # its rewards differ a little at the same seed
        check_env(creator, steps=20)
    with closing(make(creator, num_envs=1, backend="Serial")) as vecenv:
        policy = source.default_policy()(vecenv, hidden_size=8)
        assert sum(weight.numel() for weight in policy.parameters()) > 0
        assert policy(tensor(vecenv.reset(0)[0]))[1].shape == (vecenv.num_agents, 1)


def tensor(observations):
    import torch

    return torch.as_tensor(observations)


def test_a_turn_based_environment_gets_a_network_that_plays_legally(file):
    from pufferlib.policies.masked import MaskedDefault

    source = registry.resolve(f"{file}:Turned")
    with closing(make(source.creator(), num_envs=1, backend="Serial")) as vecenv:
        assert isinstance(source.default_policy()(vecenv), MaskedDefault)


@pytest.mark.parametrize(
    ("name", "kind", "match"),
    [
        ("{file}:an_instance", ArgumentError, "must be a class or a function.*an instance of .*Li"),
        ("{file}:a_number", ArgumentError, "it is an instance of builtins.int"),
        ("{file}:np", ArgumentError, "it is a module"),
        ("{file}:make_lin", UnknownNameError, "no attribute 'make_lin'. Did you mean 'make_line'"),
        ("{file}x.py:Line", UnknownNameError, "no file .*If it was moved, give its new path"),
        ("not_here:Line", UnknownNameError, "no module 'not_here': sys.path and the directory"),
        ("gymnasium:CartPol-v1", UnknownNameError, "no environment 'CartPol-v1'.*CartPole"),
        ("gymnasium:NoSpace/CartPole-v1", UnknownNameError, "gymnasium:MODULE:ID"),
        ("gymnasium:not_here:Some-v0", UnknownNameError, "no module 'not_here'"),
        ("pettingzoo:butterfly.pistonbal_v6", UnknownNameError, "mean 'pettingzoo:butterfly.pis"),
        ("pettingzoo:json", UnknownNameError, "json has neither parallel_env nor env"),
    ],
)
def test_what_cannot_be_made_is_refused_before_any_process_starts(file, name, kind, match):
    source = registry.resolve(name.format(file=file))
    for call in (source.check, source.creator):
        with pytest.raises(kind, match=match):
            call()


@pytest.mark.parametrize(
    ("attribute", "match"),
    [
        ("nothing", "my_env.py:nothing must return a gymnasium.Env.*it returned None"),
        ("dataclass", "it returned .*function"),
        ("without_agents", "has no possible_agents"),
        ("in_turn_without_a_mask", "agents act one after another"),
    ],
)
def test_a_function_that_returns_no_environment_is_refused(file, attribute, match):
    with pytest.raises(ArgumentError, match=match):
        registry.resolve(f"{file}:{attribute}").creator()()


def test_a_name_of_no_kind_says_which_there_are():
    with pytest.raises(
        UnknownNameError, match=r"named package\.module:attribute, path/to/file\.py"
    ):
        registry.resolve("my_env.make_env")
    with pytest.raises(ArgumentError, match="must have the form"):
        registry.resolve("my-env:make")


def test_the_origin_of_a_file_is_its_path_and_its_hash(file):
    origin = registry.resolve(f"{file}:Line").origin()
    digest = subprocess.run(["sha256sum", file], capture_output=True, text=True, check=True).stdout
    assert origin == {
        "name": f"{file}:Line",
        "kind": "file",
        "file": str(file),
        "sha256": digest.split()[0],
        "attribute": "Line",
    }


@pytest.mark.parametrize(
    ("name", "kind", "module", "distribution"),
    [
        ("squared", "family", "pufferlib.registry.ocean", "pufferlib"),
        ("gymnasium.envs.classic_control:CartPoleEnv", "module", None, "gymnasium"),
        ("gymnasium:CartPole-v1", "gymnasium", None, "gymnasium"),
        ("pettingzoo:mpe2.simple_spread_v3", "pettingzoo", "mpe2.simple_spread_v3", "mpe2"),
    ],
)
def test_the_origin_of_an_installed_environment_is_its_distribution(
    name, kind, module, distribution
):
    from importlib.metadata import version

    origin = json.loads(json.dumps(registry.resolve(name).origin()))
    assert (origin["kind"], origin["distribution"]) == (kind, distribution)
    assert origin["version"] == version(distribution)
    assert module in (None, origin["module"])
    assert len(origin["sha256"]) == 64


def test_a_moved_file_is_the_same_source():
    assert same_source("/a/my_env.py:make", "/b/c/my_env.py:make")
    assert same_source("CartPole-v1", "CartPole-v1")
    assert not same_source("/a/my_env.py:make", "/a/my_env.py:make_hard")
    assert not same_source("/a/my_env.py:make", "/a/your_env.py:make")
    assert not same_source("my_env:make", "/a/my_env.py:make")
    assert not same_source("gymnasium:CartPole-v1", "CartPole-v1")


def test_every_family_is_a_source_that_takes_what_its_make_env_does():
    for name in registry.builtin_families():
        module, source = registry.load(name), registry.resolve(name)
        assert source.family is module.FAMILY
        assert [*source.parameters] == [*inspect.signature(module.make_env).parameters][1:]
