"""The check before a start, in containers."""

from collections.abc import Iterator

import pytest

from support.stack import Stack


@pytest.fixture
def faulty(images: None) -> Iterator[Stack]:
    """A stack with two wrong variables and a wrong dataset, on empty volumes."""
    stack = Stack("veleta-preflight", TREES="0", WORKERS="99", DATASET="boats")
    yield stack
    stack.down(volumes=True)


def test_a_fault_stops_everything_with_a_line_for_each(faulty: Stack) -> None:
    """No other container starts. The log of the check has the lines."""
    done = faulty.script("docker", "compose", "up", "--detach", "--wait")
    assert done.returncode != 0
    assert "preflight" in done.stderr
    lines = faulty.compose("logs", "--no-log-prefix", "preflight").splitlines()
    assert [line.split(":")[0] for line in lines] == ["TREES=0", "WORKERS=99", "DATASET=boats"]
    assert faulty.compose("ps", "--quiet") == ""
