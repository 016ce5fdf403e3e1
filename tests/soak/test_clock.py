"""The jumps of a storm: a process follows them with its time of day only. Retention deletes nothing by them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from support.http import get
from support.storm.clock import JumpingClock
from support.testbed import Process, Testbed, free_port, wait_until
from veleta.clock import utc_now
from veleta.tables import dataset_tables

PROGRAM = """
import sys, time
for line in sys.stdin:
    time.sleep(2.1)  # the offset is read every two seconds
    print(time.time(), time.monotonic(), flush=True)
"""


def test_a_process_follows_the_jumps(tmp_path: Path) -> None:
    """Its time of day jumps while it runs, and its monotonic clock does not."""
    jumping = JumpingClock(tmp_path / "clock")
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **jumping.environment()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        for jump, ahead in ((0, 0), (7200, 7200), (-7200, 0), (-7200, -7200)):
            jumping.jump(jump)
            process.stdin.write("\n")
            process.stdin.flush()
            now, monotonic = map(float, process.stdout.readline().split())
            assert now - time.time() == pytest.approx(ahead, abs=60)
            assert monotonic == pytest.approx(time.monotonic(), abs=60)
        assert jumping.followers({"it": process.pid, "this": os.getpid(), "none": 0}) == {"it"}
        process.stdin.close()


@pytest.mark.failure("F398")
def test_retention_deletes_nothing_by_a_clock_that_jumped(fresh_testbed: Testbed, tmp_path: Path) -> None:
    """Ten years ahead while it runs, also if it restarts there. When the clock is right again, the warning goes."""
    table, jumping = dataset_tables(fresh_testbed.dataset).refused, JumpingClock(tmp_path / "clock")
    row = {"request_id": "new", "received_at": utc_now(), "path": "/predict", "http_status": 422, "body": "{}"}
    with fresh_testbed.admin.begin() as sql:
        sql.execute(sa.insert(table).values(reason="test", **row))
    port = free_port()
    environment = fresh_testbed.environment("retention", "retention", port=port, keep_requests_days=30)
    retention = Process("retention", port, environment | jumping.environment(), tmp_path)

    def warns() -> bool:
        return "clock" in get(f"{retention.url}/readyz")[1].get("warnings", {})

    try:
        retention.start()
        retention.wait_until_ready()
        assert not warns()
        jumping.jump(10 * 365 * 86400)
        wait_until(warns, what="it shows the jump")
        retention.stop()
        retention.start()
        retention.wait_until_ready()
        assert warns()
        assert [each.request_id for each in fresh_testbed.sql(sa.select(table.c.request_id))] == ["new"]
        jumping.jump(-jumping.ahead)
        wait_until(lambda: not warns(), what="the clock is believed again")
    finally:
        retention.stop()
