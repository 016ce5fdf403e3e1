"""Fault points: named places in the code where a test can kill, fail or delay the process.

    fault_point("trainer.registered")

In production no fault is installed, and the call does nothing.
"""

from collections.abc import Callable

Fault = Callable[[str], None]
"""Gets the name of the fault point, and may end the process, raise or sleep."""


class FaultPoints:
    """All fault points of one process. Thread-safe."""

    def __init__(self) -> None:
        self._fault: Fault | None = None

    def __call__(self, name: str) -> None:
        """Run the installed fault, if there is one."""
        if self._fault is not None:
            self._fault(name)

    def install(self, fault: Fault | None) -> None:
        """Run `fault` at each fault point from now on; None removes it."""
        self._fault = fault


fault_point = FaultPoints()
