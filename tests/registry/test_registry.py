"""What every registry module has, and what the registry says to a wrong name."""

import inspect
import os
import pickle
import re
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path

import family_spaces
import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Dict, Tuple
from kinds import kinds_of_bare

import pufferlib
from pufferlib import config as presets
from pufferlib import registry, vector
from pufferlib.emulation import native
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError, NotInstalledError, UnknownNameError
from pufferlib.installation import distribution_name
from pufferlib.policy import is_recurrent
from pufferlib.registry import Family
from pufferlib.runs import Run
from pufferlib.testing import check_env
from pufferlib.wrappers import EqualSpaceTeams

ROOT = Path(pufferlib.__file__).parent.parent
FAMILIES = registry.builtin_families()
FEW = 40  # tasks, all of which a docstring speaks of
DESCRIBED = [
    pytest.param(module, task, id=task)
    for module in map(registry.load, FAMILIES)
    for task in (
        module.FAMILY.samples
        if len(module.FAMILY.tasks) > FEW or module.FAMILY.name == "griddly"  # a size for each task
        else module.FAMILY.tasks
    )
    if task not in ("PokemonRed-v0", "NMMO-Large")  # a file of its user's; half a minute
]
OPTIONS = {
    module: inspect.signature(module.make_env).parameters for module in map(registry.load, FAMILIES)
}
MODULES = [pytest.param(module, id=module.FAMILY.name) for module in OPTIONS]
COUNTING = [
    pytest.param(module, name, id=f"{module.FAMILY.name}-{name}")
    for module, options in OPTIONS.items()
    for name, option in options.items()
    if option.annotation in (int, int | None)
]
PRESETS = sorted(path.stem for path in presets.PRESETS.glob("*.toml"))
TASK_OF_PRESET = {task.replace("/", "-"): task for task in registry.tasks()}
SLOWEST = {"highway", "nmmo", "stable_retro", "vizdoom"}
HEADINGS = (
    "Source:",
    "License:",
    "Cite:",
    "Install:",
    "Observations:",
    "Actions:",
    "Deterministic",
)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_module_has_what_every_module_has(name):
    module = registry.load(name)
    assert module.FAMILY.name == name
    assert module.FAMILY.default in module.FAMILY.tasks
    assert set(module.FAMILY.unseeded_tasks) <= set(module.FAMILY.tasks)
    for heading in HEADINGS:
        assert heading in module.__doc__
    assert callable(module.Policy)
    with pytest.raises(AttributeError, match="no attribute 'Polcy'"):
        _ = module.Polcy


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long) if name in SLOWEST else name for name in FAMILIES],
)
def test_the_first_sample_keeps_the_contract(name):
    module = registry.load(name)
    creator = pickle.loads(pickle.dumps(module.env_creator(module.FAMILY.samples[0])))
    check_env(creator)


@pytest.mark.parametrize(("module", "task"), DESCRIBED)
def test_a_module_says_the_spaces_of_its_tasks_as_they_print_and_how_many_agents(module, task):
    said = " ".join(module.__doc__.split())
    with closing(module.make_env(task)) as env:
        leaves = [leaf for space in own_spaces(env) for leaf in leaves_of(space)]
        agents = native(env).num_agents
        rows = family_spaces.rows_of(module.FAMILY.name, task, env)
    if task in module.FAMILY.samples:
        recorded = family_spaces.recorded()[module.FAMILY.name]
        assert rows == [row for row in recorded if row.task == task], (
            f"Run: python tools/docs/family_spaces.py {module.FAMILY.name}"
        )
    assert [text for leaf in leaves if (text := printed(leaf)) not in said] == []
    assert agents in agents_in(said)


def own_spaces(env):
    """Return the spaces of an environment, or of its agents, before they are flat or made alike."""
    if isinstance(env, PufferEnv):
        return [env.single_observation_space, env.single_action_space]
    inside = env.env.env if isinstance(env.env, EqualSpaceTeams) else env.env
    if isinstance(inside, gymnasium.Env):
        return [inside.observation_space, inside.action_space]
    return [space for kind in kinds_of_bare(inside) for space in kind]


def leaves_of(space):
    """Yield the parts of a space that have none."""
    if isinstance(space, (Dict, Tuple)):
        for part in space.values() if isinstance(space, Dict) else space:
            yield from leaves_of(part)
    else:
        yield space


# NumPy's own options, which some packages change, but for the threshold and the edge items.
PRINTED = {"threshold": 12, "edgeitems": 2, "precision": 8, "suppress": False, "linewidth": 75}


def printed(space):
    """Return what printing a space shows, on one line, with NumPy's ... in long arrays."""
    with np.printoptions(**PRINTED):
        text = " ".join(str(space).split())
    return text.replace("[ ", "[").replace(" ]", "]")


def agents_in(text):
    """Return the numbers in those sentences that speak of agents, spaces left out."""
    plain = text.replace("One ", "1 ").replace(" two ", " 2 ")
    while plain != (plain := re.sub(r"\([^()]*\)", "", plain)):
        pass
    of_agents = " ".join(part for part in plain.split(". ") if re.search("[Aa]gents?\\b", part))
    ranges = re.findall(r"\b(\d+)(?: to (\d+))?\b", of_agents)
    return {n for low, high in ranges for n in range(int(low), int(high or low) + 1)}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_its_environment_and_its_network(name):
    task, dot, algorithm = name.rpartition(".")
    if not dot or algorithm not in presets.ALGORITHMS:
        task, algorithm = name, "ppo"
    family = registry.resolve(TASK_OF_PRESET.get(task, task)).family
    task = family.samples[0] if task == family.name else TASK_OF_PRESET[task]
    run = Run.configure(task, {"algorithm": algorithm})
    config = run.config
    config.check()
    with closing(run.in_this_process().make_vecenv()) as vecenv:
        rows = vecenv.num_agents
        policy = run.make_policy(vecenv)
        value = policy(torch.as_tensor(vecenv.reset(seed=0)[0]))[1]
    assert value.shape == (rows, 1)
    assert is_recurrent(policy) == (config.policy.memory != "none")
    is_pool = config.vec.batch_size is not None
    config.train.check_rows(rows * config.vec.num_envs, is_recurrent(policy), is_pool)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_wrong_task_suggests_the_nearest(name):
    family = registry.load(name).FAMILY
    wrong = family.default[:-1] + "!"
    with pytest.raises(UnknownNameError, match=f"Did you mean .*{re.escape(family.default)}"):
        registry.load(name).make_env(wrong)


def test_families_and_tasks_resolve_and_anything_else_suggests_the_nearest():
    assert registry.resolve("nethack").name == "NetHackScore-v0"
    source = registry.resolve("squared")
    assert (source.family.name, source.name) == ("ocean", "squared")
    with pytest.raises(UnknownNameError, match=r"no environment 'nethak'\. Did you mean 'nethack'"):
        registry.resolve("nethak")
    with pytest.raises(UnknownNameError, match=r"no environment family 'ocan'.*'ocean'"):
        registry.load("ocan")


def test_an_uninstalled_environment_says_how_to_install_it():
    family = Family("crafter", package="crafter_is_not_here", default="a", tasks=("a",))
    with pytest.raises(
        NotInstalledError, match=r"crafter is not installed. Run: make install ENV=crafter"
    ):
        family.check("a")


def test_every_family_takes_a_render_mode_and_has_none_by_default():
    for module, options in OPTIONS.items():
        draws_observations = module.FAMILY.name == "butterfly"
        expected = "rgb_array" if draws_observations else None
        assert options["render_mode"].default == expected, module
        assert module.FAMILY.render_modes, module


@pytest.mark.parametrize("module", MODULES)
def test_a_render_mode_that_is_not_is_refused_and_each_that_is_can_be_asked_for(module):
    family = module.FAMILY
    for mode in {"foo", "human", "ansi"} - set(family.render_modes):
        with pytest.raises(ArgumentError, match=f"must be None or .*got '{mode}'"):
            module.make_env(family.samples[0], render_mode=mode)
    task = "chess_v6" if family.name == "pettingzoo_classic" else family.samples[0]
    for mode in set(family.render_modes) - {"human"}:
        with closing(module.make_env(task, render_mode=mode)) as env:
            env.reset(seed=0)
            assert env.render() is not None


@pytest.mark.parametrize(
    "task",
    [*registry.load("ocean").FAMILY.tasks, "open_spiel/kuhn_poker", "overcooked/cramped_room"],
)
def test_without_a_render_mode_nothing_is_drawn(task):
    with closing(registry.resolve(task).make_env(render_mode=None)) as env:
        native(env).reset(seed=0)
        assert env.render_mode is None
        assert env.render() is None


# Inside PettingZoo's wrappers, a conversion from AEC, and a simulator that is no environment.
@pytest.mark.parametrize("task", ["battle_v4", "pistonball_v6", "multiwalker_v9"])
def test_a_time_limit_set_from_outside_ends_the_episode(task):
    make_env = registry.resolve(task).make_env
    with closing(vector.make(make_env, env_kwargs={"max_cycles": 50}, num_envs=1)) as envs:
        envs.reset(seed=0)
        assert envs.get_attr("max_cycles") == [50]
        envs.set_attr("max_cycles", 3)
        envs.action_space.seed(0)
        truncations = [envs.step(envs.action_space.sample())[3].all() for _ in range(3)]
        assert truncations == [False, False, True]


@pytest.mark.parametrize("module", MODULES)
def test_agents_are_named_by_text(module):
    """As PettingZoo's and TorchRL's own checks ask."""
    with closing(module.make_env(module.FAMILY.samples[-1])) as env:
        agents = getattr(env, "possible_agents", [])
        assert [type(agent) for agent in agents] == [str] * len(agents)


@pytest.mark.parametrize(("module", "option"), COUNTING)
def test_an_option_that_counts_takes_numpys_whole_numbers(module, option):
    default = OPTIONS[module][option].default
    given = np.int64(2 if default is None else default)
    kwargs = {"num_envs": 2} if option == "num_threads" else {}
    task = module.FAMILY.samples[0]
    with closing(module.make_env(task, **kwargs, **{option: given})) as env:
        native(env).reset(0)


@pytest.mark.parametrize("given", [2.5, True, "2"])
@pytest.mark.parametrize(("module", "option"), COUNTING)
def test_an_option_that_counts_takes_whole_numbers_only(module, option, given):
    task = "CarRacing-v3" if module.FAMILY.name == "box2d" else module.FAMILY.samples[0]
    with pytest.raises(ArgumentError, match=f"^{option} .*whole number .*got {given!r}"):
        module.make_env(task, **{option: given})


def test_each_task_belongs_to_one_family():
    tasks = [task for name in FAMILIES for task in registry.load(name).FAMILY.tasks]
    assert len(tasks) == len(set(tasks))
    assert not set(tasks) & set(FAMILIES)


def test_families_extras_and_constraints_agree():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = extras["optional-dependencies"]
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    others = {
        "bench",
        "dev",
        "docs",
        "export",
        "plot",
        "ray",
        "rllib",
        "sb3",
        "sweep",
        "test",
        "torchrl",
        "video",
        "wandb",
    }
    assert set(extras) - set(FAMILIES) == others
    for name in FAMILIES:
        family = registry.load(name).FAMILY
        assert (family.package is None) == (name not in extras)
        assert set(family.stale_pins) <= {distribution_name(r) for r in extras.get(name, ())}
    for requirements in extras.values():
        for requirement in requirements:
            assert distribution_name(requirement).replace("_", "-") in pinned


# What packages with stale pins ask for that is not imported where we use them, or, pygame, that
# another package is in place of.
UNUSED = {
    "nmmo": {"py", "pylint", "pytest-benchmark"},
    "overcooked-ai": {"ipython", "ipywidgets", "pygame"},
    "gym3": {"moderngl"},
}


def test_pip_complains_of_no_package_but_those_with_stale_pins():
    check = [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"]
    output = subprocess.run(check, capture_output=True, text=True, check=False).stdout
    known = {package for name in FAMILIES for package in registry.load(name).FAMILY.stale_pins}
    missing = re.findall(r"^(\S+) \S+ requires (\S+), which is not installed", output, re.MULTILINE)
    assert [pair for pair in missing if pair[1] not in UNUSED.get(pair[0], ())] == []
    differing = re.findall(r"^(\S+) \S+ has requirement .* but you have .*", output, re.MULTILINE)
    assert set(differing) <= known
    others = [line for line in output.splitlines() if line != "No broken requirements found."]
    assert len(missing) + len(differing) == len(others)


@pytest.mark.parametrize(
    ("page", "module"),
    [("environments.md", "environments_page"), ("reference/settings.md", "settings_page")],
)
def test_a_generated_page_is_what_the_modules_say(page, module):
    script = f"import {module}; print({module}.page(), end='')"
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT / "tools" / "docs",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    text = (ROOT / "docs" / page).read_text()
    assert text == found.stdout, f"Run: python tools/docs/{module}.py"


def test_each_family_has_a_picture_and_is_on_the_page_of_environments():
    page = (ROOT / "docs" / "environments.md").read_text()
    for name in FAMILIES:
        assert (ROOT / "docs" / "images" / "environments" / f"{name}.png").is_file()
        assert f"`{name}`" in page
