"""Fixtures of the tests that need a Docker engine: `make test-compose`."""

import subprocess
from collections.abc import Iterator

import pytest

from support.repository import ROOT
from support.stack import Stack


@pytest.fixture(scope="session")
def images() -> None:
    """Every image, built from this checkout."""
    files = ["--file", "compose.yaml", "--file", "compose/scale.yaml"]
    subprocess.run(["docker", "compose", *files, "--profile", "tools", "build", "--quiet"], cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def stack(images: None) -> Iterator[Stack]:
    """The default stack with empty volumes and small models. Its volumes are deleted at the end."""
    made = Stack("veleta-test", TREES="50", POLL_EVERY="5")
    made.down(volumes=True)
    try:
        made.up()
        yield made
    finally:
        made.down(volumes=True)
