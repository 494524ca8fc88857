"""Run Gymnasium's own tests of vector environments over `to_gymnasium`.

    python tools/gymnasium_vector_tests.py CHECKOUT [--control] [arguments of pytest]

CHECKOUT is a copy of Gymnasium's repository, for its tests; Gymnasium itself is the installed one.
docs/records/vectorization.md lists the tests that fail, and why.

`SyncVectorEnv` is replaced by a `Serial` vectorizer and `AsyncVectorEnv` by `Multiprocessing`, with
one worker for each environment, as Gymnasium has it. With --control nothing is replaced.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium.vector import AutoresetMode

from pufferlib import vector
from pufferlib.vector.gymnasium_env import GymnasiumVectorEnv

TESTS = ("tests/vector", "tests/wrappers/vector")


class OverSerial(GymnasiumVectorEnv):
    """Takes the arguments of `SyncVectorEnv`."""

    backend = "Serial"

    def __init__(
        self,
        env_fns: Sequence[Callable[[], gymnasium.Env[Any, Any]]],
        copy: bool = True,
        observation_mode: object = "same",
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        **_: object,
    ) -> None:
        vecenv = vector.make(
            list(env_fns),
            backend=self.backend,
            num_envs=len(env_fns),
            num_workers=len(env_fns),
            autoreset=AutoresetMode(autoreset_mode).name.lower(),
        )
        super().__init__(vecenv, copy)


class OverMultiprocessing(OverSerial):
    """Takes the arguments of `AsyncVectorEnv`."""

    backend = "Multiprocessing"


def main() -> int:
    """Run the tests; return pytest's exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--control", action="store_true", help="test Gymnasium's own classes")
    arguments, rest = parser.parse_known_args()
    if not (arguments.checkout / "tests/vector").is_dir():
        parser.error(f"{arguments.checkout} has no folder tests/vector")
    sys.path.insert(0, str(arguments.checkout))
    if not arguments.control:
        for module in (gymnasium.vector, gymnasium.vector.sync_vector_env):
            module.SyncVectorEnv = OverSerial
        for module in (gymnasium.vector, gymnasium.vector.async_vector_env):
            module.AsyncVectorEnv = OverMultiprocessing
    paths = [str(arguments.checkout / path) for path in TESTS]
    own = [f"--rootdir={arguments.checkout}", "-p", "no:cacheprovider", "-o", "addopts="]
    return int(pytest.main([*own, *rest, *paths]))


if __name__ == "__main__":
    sys.exit(main())
