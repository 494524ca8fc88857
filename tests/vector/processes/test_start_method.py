"""By default nothing is forked that would not survive it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pufferlib.vector.processes.start_method import is_fork, start_context

TESTS = Path(__file__).parents[2]
SCRIPT = """
import warnings
from vector_environments import COMPUTE, Computing, Echo
from pufferlib import vector

if __name__ == "__main__":
    {before}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        options = dict(backend="Multiprocessing", num_envs=2, num_workers=2, timeout_s=100)
        envs = vector.make({creator}, start_method={start_method!r}, **options)
    envs.reset(seed=0)
    envs.step([1, 2])
    print(*envs.call("has_loaded", {module!r}))
    for warning in caught:
        print(warning.message, warning.filename == __file__)
    envs.close()
"""
JAVA = "from pufferlib.registry._microrts_java import start_java; start_java()"
CUDA = "import torch; torch.ones(1, device='cuda')"
RAY = "import ray; ray.init(num_cpus=1, include_dashboard=False, logging_level='ERROR')"
LATER = """
from vector_environments import COMPUTE, Troubled
from pufferlib import vector

if __name__ == "__main__":
    import numba

    options = dict(num_envs=2, num_workers=2, timeout_s=100, on_failure="restart")
    envs = vector.make([Troubled] * 2, [[0], [1]], backend="Multiprocessing", **options)
    envs.reset(seed=0)
    COMPUTE["numba"]()
    envs.step([1, Troubled.RAISE])
    envs.step([1, 2])
    print(envs.num_restarts, envs.step([1, 2])[1].tolist(), envs.call("has_loaded", "numba"))
    envs.close()
"""
NUMBA = "COMPUTE['numba']()"
OBSTACLES = [
    ("Java", JAVA, "Echo", "jpype"),
    ("CUDA of torch", CUDA, "Echo", "torch"),
    pytest.param("Ray", RAY, "Echo", "ray", marks=pytest.mark.long),
    ("OpenMP of numba", NUMBA, "Computing, ['numba']", None),
]


def said(tmp_path, source=SCRIPT, **parts):
    """Return the lines that a script prints."""
    script = tmp_path / "script.py"
    script.write_text(source.format(**parts))
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (TESTS, TESTS.parent)))},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def skip_without(what):
    if what == "CUDA of torch":
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("needs a GPU")
    pytest.importorskip({"Java": "jpype", "Ray": "ray", "OpenMP of numba": "numba"}.get(what, "os"))
    if what == "Java":
        pytest.importorskip("gym_microrts")


@pytest.mark.parametrize(("what", "before", "creator", "module"), OBSTACLES)
def test_workers_are_not_forked_from_a_process_that_runs(what, before, creator, module, tmp_path):
    skip_without(what)
    loaded, warning = said(
        tmp_path, before=before, creator=creator, module=module, start_method=None
    )
    assert loaded == "False False"
    assert warning.startswith("Workers are started with start_method='forkserver', since")
    assert f"since {what} " in warning
    assert warning.endswith("True")  # it points at the script


@pytest.mark.long
def test_a_replacement_is_not_forked_from_a_process_that_has_started_openmp_since(tmp_path):
    pytest.importorskip("numba")
    assert said(tmp_path, LATER) == ["1 [1.0, 2.0] [True, False]"]


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_a_start_method_that_is_given_is_used_without_a_warning(start_method, tmp_path):
    pytest.importorskip("numba")
    parts = {"before": NUMBA, "creator": "Echo", "module": "numba", "start_method": start_method}
    assert said(tmp_path, **parts) == [" ".join([str(start_method == "fork")] * 2)]


@pytest.mark.skipif(sys.platform != "linux", reason="forks by default only on Linux")
def test_the_default_is_fork():
    assert is_fork(start_context(None))
    assert not is_fork(start_context("spawn"))
