"""Imports point one way, and importing is cheap and silent."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pufferlib
from pufferlib import registry

PACKAGE = Path(pufferlib.__file__).parent

# Each layer may import itself and what stands above it.
LAYERS = [
    {"exceptions", "annotations", "arguments", "cores", "locks", "references", "proc", "figures"},
    {"published_names"},
    {"global_random", "rating"},
    {"spaces", "bounded_spaces", "environment"},
    {"old_interfaces"},
    {"emulation", "wrappers"},
    {"vector"},
    {"testing", "distributions", "action_conversion", "action_sampling", "pytorch"},
    {"policy"},
    {"agent_policies"},
    {"action_heads", "normalization", "recurrent", "models"},
    {"central_critic"},
    {"policies", "frameworks", "registry"},
    {"training", "benchmark"},
    {"ppo", "vtrace", "selfplay"},
    {"config"},
    {"runs", "installation"},
    {"matches", "sweep"},
    {"cli"},
    {"published"},  # what PufferLib 0.x and 1.0 published: nothing above uses it
    {"environments", "postprocess", "utils", "vectorization"},
]
FORBIDDEN = {
    "emulation": {"wrappers"},
    "training": {"registry", "policies", "frameworks", "benchmark"},
    "ppo": {"registry", "policies", "frameworks", "benchmark", "vtrace", "selfplay"},
    "vtrace": {"registry", "policies", "frameworks", "benchmark", "ppo", "selfplay"},
    "selfplay": {"registry", "policies", "frameworks", "benchmark", "ppo", "vtrace"},
    "config": {"registry", "policies", "frameworks", "benchmark"},
    "registry": {"vector", "testing"},
    "benchmark": {"registry", "training"},
    "runs": {"installation"},
    "matches": {"installation", "sweep"},
    "sweep": {"installation", "matches"},
    "installation": {"runs", "config", "ppo", "training"},
}
# The other programs of the repository: they use what the command line uses, not the command line.
SCRIPTS = sorted(
    path
    for folder in ("examples", "benchmarks", "docs", "docker")
    for path in (PACKAGE.parent / folder).rglob("*.py")
)
# Importing the emulation of torch tensors is for policies: these stay free of it.
WITHOUT_TORCH = ["pufferlib", "pufferlib.emulation", "pufferlib.vector", "pufferlib.testing"]
WITHOUT_TORCH += ["pufferlib.wrappers", "pufferlib.registry", "pufferlib.cli.main"]
WITHOUT_TORCH += ["pufferlib.references", "pufferlib.installation"]
WITHOUT_TORCH += [f"pufferlib.{name}" for name in sorted(LAYERS[-1])]
WITHOUT_TORCH += [f"pufferlib.registry.{name}" for name in registry.builtin_families()]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported_parts(path: Path, may_import_root: bool = False) -> set[str]:
    """Return the first names below `pufferlib` that a module imports, anywhere in it."""
    parts: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "pufferlib":
            names = [f"pufferlib.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
        else:
            continue
        parts |= {n.split(".")[1] for n in names if n.startswith("pufferlib.")}
        is_root = "pufferlib" in names and not may_import_root
        assert not is_root, f"{path} imports the package's root"
    return parts


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    part = part_of(path)
    if part == "__init__":
        return
    level = next(i for i, layer in enumerate(LAYERS) if part in layer)
    allowed = set().union(*LAYERS[: level + 1]) - FORBIDDEN.get(part, set())
    assert imported_parts(path) <= allowed


def test_no_module_has_more_than_350_lines():
    lengths = {path: len(path.read_text().splitlines()) for path in modules()}
    assert {path: length for path, length in lengths.items() if length > 350} == {}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_outside_the_command_line_imports_it(path):
    assert "cli" not in imported_parts(path, may_import_root=True)


def test_only_the_command_line_starts_itself():
    # By its name, as `python -m pufferlib.cli`.
    for path in modules():
        if part_of(path) != "cli":
            texts = [n.value for n in ast.walk(ast.parse(path.read_text())) if is_text(n)]
            assert "pufferlib.cli" not in texts, path


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_every_part_has_a_layer():
    assert {part_of(path) for path in modules()} - {"__init__"} == set().union(*LAYERS)


# Says which module loaded something heavy, the first to do so.
IMPORTS = """
import importlib, sys
for name in {names!r}:
    importlib.import_module(name)
    if found := {heavy!r} & set(sys.modules):
        sys.exit(f"{{name}} loads {{' '.join(found)}}")
"""


def test_importing_loads_neither_torch_nor_a_game_and_prints_nothing():
    families = [registry.load(family).FAMILY for family in registry.builtin_families()]
    games = {name for family in families for name in family.imports}
    heavy = {"torch", "ray", *games} - {"gymnasium", "pettingzoo"}
    code = IMPORTS.format(names=WITHOUT_TORCH, heavy=heavy)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=240
    )
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def test_the_root_names_every_public_submodule_and_loads_it_on_use():
    assert pufferlib.vector.make is not None
    assert pufferlib.PufferEnv is pufferlib.environment.PufferEnv
    public = {part_of(path) for path in modules()} - {"__init__", "cli"}
    assert public == set(pufferlib.__all__) - {"PufferEnv", "__version__", "load"}
    with pytest.raises(AttributeError, match="no attribute 'vectr'"):
        _ = pufferlib.vectr
