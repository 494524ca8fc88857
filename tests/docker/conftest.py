"""Tests of the image, against a real engine: `make docker-test`. IMAGE names the image."""

import uuid
from collections.abc import Iterator

import pytest
from docker_engine import IMAGE, docker

if not IMAGE:  # a plain `make test` is about the package
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def container() -> Iterator[str]:
    """A name for a container, which is removed afterwards."""
    name = f"pufferlib-test-{uuid.uuid4().hex[:12]}"
    yield name
    docker("rm", "--force", name, check=False)


@pytest.fixture
def volume() -> Iterator[str]:
    """A volume, which is removed afterwards."""
    name = f"pufferlib-test-{uuid.uuid4().hex[:12]}"
    docker("volume", "create", name)
    yield name
    docker("volume", "rm", "--force", name, check=False)
