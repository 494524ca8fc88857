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
    for creator, start_method in {made}:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", RuntimeWarning)
            options = dict(backend="Multiprocessing", num_envs=2, num_workers=2, timeout_s=100)
            envs = vector.make(*creator, start_method=start_method, **options)
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
    ("Java", JAVA, "jpype"),
    ("CUDA of torch", CUDA, "torch"),
    pytest.param("Ray", RAY, "ray", marks=pytest.mark.long),
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


@pytest.mark.parametrize(("what", "before", "module"), OBSTACLES)
def test_workers_are_not_forked_from_a_process_that_runs(what, before, module, tmp_path):
    skip_without(what)
    loaded, warning = said(tmp_path, before=before, made="[([Echo], None)]", module=module)
    assert loaded == "False False"
    assert_warns(warning, what)


def assert_warns(warning, what):
    assert warning.startswith("Workers are started with start_method='forkserver', since")
    assert f"since {what} " in warning
    assert warning.endswith("True")  # it points at the script


@pytest.mark.long
def test_a_replacement_is_not_forked_from_a_process_that_has_started_openmp_since(tmp_path):
    pytest.importorskip("numba")
    assert said(tmp_path, LATER) == ["1 [1.0, 2.0] [True, False]"]


def test_openmp_of_numba_is_not_forked_unless_a_start_method_is_given(tmp_path):
    pytest.importorskip("numba")
    made = "[([Computing, ['numba']], None), ([Echo], 'fork'), ([Echo], 'forkserver')]"
    computing, warning, *given = said(tmp_path, before=NUMBA, made=made, module="numba")
    assert computing == "True True"
    assert_warns(warning, "OpenMP of numba")
    assert given == ["True True", "False False"]  # and no warning


@pytest.mark.skipif(sys.platform != "linux", reason="forks by default only on Linux")
def test_the_default_is_fork():
    assert is_fork(start_context(None))
    assert not is_fork(start_context("spawn"))
