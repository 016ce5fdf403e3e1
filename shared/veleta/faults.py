"""Fault points: named places at which a test may kill this process, make it fail or make it slow.

    fault_point("trainer.registered")

In production nothing is installed: passing a place is one call that does nothing.
"""

from collections.abc import Callable

Fault = Callable[[str], None]
"""Called with the name of the place that is passed; what it does (end the process, raise, sleep) happens there."""


class FaultPoints:
    """All places of one process. May be passed from any thread."""

    def __init__(self) -> None:
        self._fault: Fault | None = None

    def __call__(self, place: str) -> None:
        """Pass a place."""
        if self._fault is not None:
            self._fault(place)

    def install(self, fault: Fault | None) -> None:
        """From now on `fault` happens at every place, or nothing does."""
        self._fault = fault


fault_point = FaultPoints()
