"""Fault points."""

from veleta.faults import FaultPoints


def test_a_fault_runs_at_each_fault_point_while_it_is_installed() -> None:
    """It gets the name of the fault point. Without a fault the call does nothing."""
    fault_point, names = FaultPoints(), list[str]()
    fault_point("before")
    fault_point.install(names.append)
    fault_point("trainer.registered")
    fault_point.install(None)
    fault_point("after")
    assert names == ["trainer.registered"]
