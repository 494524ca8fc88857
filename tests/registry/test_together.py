"""Every family, alive and stepping together in one process."""

import subprocess

import pytest
from strict_python import STRICT_PYTHON

from pufferlib import registry

SCRIPT = """
import numpy as np
from pufferlib import registry
from pufferlib.emulation import native

families = [registry.load(name) for name in registry.builtin_families()]
envs = {}
for module in families:
    envs[module.FAMILY.name] = env = native(module.env_creator(module.FAMILY.samples[0])())
    env.reset(0)
for _ in range(20):
    for name, env in envs.items():
        actions = [env.single_action_space.sample() for _ in range(env.num_agents)]
        env.step(np.stack(actions))
print("stepped", *envs)
for env in envs.values():
    env.close()
"""


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "order", ["registry.builtin_families()", "registry.builtin_families()[::-1]"]
)
def test_all_families_live_in_one_process(order, tmp_path):
    script = SCRIPT.replace("registry.builtin_families()", order)
    result = subprocess.run(
        [*STRICT_PYTHON, "-c", script],
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert set(result.stdout.split("stepped")[1].split()) == set(registry.builtin_families())
    assert list(tmp_path.iterdir()) == []  # nothing is written to where one stands
