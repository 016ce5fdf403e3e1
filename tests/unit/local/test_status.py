"""The table of `make status`."""

from types import SimpleNamespace
from typing import cast

from veleta_local import status
from veleta_local.health import Health
from veleta_local.run import Run
from veleta_local.supervise import State

RUN = cast(
    "Run",
    SimpleNamespace(
        parts=("kafka", "loader"),
        states=lambda: {"kafka": State("RUNNING", 71234), "loader": State("STOPPED", 0)},
        health=lambda parts: {part: Health(ready=True, doing="answers") for part in parts},
        url=lambda part: f"http://127.0.0.1:{9092 if part == 'kafka' else 8092}",
    ),
)


def test_each_part_has_its_process_id() -> None:
    """A part without a process has none, and its health is not requested."""
    assert status.as_table(RUN).splitlines() == [
        "part    state    pid    ready  address                doing",
        "kafka   running  71234  yes    127.0.0.1:9092         answers",
        "loader  stopped  -      no     http://127.0.0.1:8092",
    ]
