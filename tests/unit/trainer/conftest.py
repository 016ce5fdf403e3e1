"""Kills the trainer at its fault points."""

from collections.abc import Callable, Iterator

import pytest

from support.trainer import Killed
from veleta.faults import fault_point


@pytest.fixture
def kill_at() -> Iterator[Callable[[str], list[str]]]:
    """Kills the process at a fault point, once. The list contains the point after the kill."""

    def install(place: str) -> list[str]:
        killed: list[str] = []

        def fault(passed: str) -> None:
            if passed == place and not killed:
                killed.append(passed)
                raise Killed

        fault_point.install(fault)
        return killed

    yield install
    fault_point.install(None)
