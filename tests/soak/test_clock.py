"""The jumps of a storm: a process follows them with its time of day only."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.storm.clock import JumpingClock

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
