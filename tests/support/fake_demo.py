"""`python -m support.fake_demo HOME [MODE]`: `make demo` of a run that is one sleeping process.

MODE: `silent` reports nothing; `few` reports twelve messages; `broken` has an observer that fails; `slow` has a process
that needs two seconds to end.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from veleta.clock import utc_now
from veleta_local import processes
from veleta_local.demo import run_demo
from veleta_local.demo.event_messages import EventMessages, Message
from veleta_local.demo.run_observer import ExampleRequests, PartStatus
from veleta_local.errors import RunStopped
from veleta_local.run import Run
from veleta_local.variables import Variables

TEXT = "drift: mean living space 1,935 -> 1,113 (-42.47 %, limit 15 %), and 11 more"


class FakeRun(Run):
    """Its only process is a shell, which belongs to kafka."""

    def is_up(self) -> bool:
        return self.alive()

    def spawn(self, timeout: float = 600) -> bool:
        marks = {processes.HOME_MARK: str(self.home), processes.PART_MARK: "kafka"}
        script = f"trap '{'sleep 2; ' if MODE == 'slow' else ''}exit' TERM; while :; do sleep 0.1; done"
        environ, nowhere = os.environ | marks, subprocess.DEVNULL
        subprocess.Popen(["sh", "-c", script], env=environ, start_new_session=True, stdout=nowhere, stderr=nowhere)
        while not self.alive():  # a process has no environment for an instant
            time.sleep(0.01)
        self._report("kafka is ready (0.1 s)")
        return True

    def stop(self) -> None:
        processes.end_run(self.home)


class FakeObserver:
    """Reports numbered messages, of which every second is a second late."""

    def __init__(
        self, run: Run, _dataset: object, report: Callable[[Message], None], _clock: object, ready: object
    ) -> None:
        self.parts = [
            PartStatus("kafka", ready=True, doing="answers", lag=None),
            PartStatus("poller", ready=True, doing="waiting " * 20, lag=None, warnings=["9 of 12 rows are left out"]),
        ]
        self.example = ExampleRequests(12, 4.4, {1: 205057.2}, "")
        self.messages = EventMessages()
        self.unit = "USD"
        self.polls_by_hand = False
        self.addresses = {name: f"http://127.0.0.1:{port}" for name, port in (("monitor", 8501), ("MLflow", 5000))}
        self._run = run
        self._report = report

    async def observe(self) -> None:
        for number in range(10_000):
            late = timedelta(seconds=1 if number % 2 else 0)
            if not self._run.alive():
                raise RunStopped("another command stopped the run: make demo starts it again")
            if MODE == "broken" and number == 3:
                raise ZeroDivisionError("a fault of the observer")
            if MODE != "silent" and (MODE != "few" or number < 12):
                self._report(Message(utc_now() - late, f"batch {number}", TEXT, "warning"))
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    MODE = sys.argv[2] if len(sys.argv) > 2 else ""
    vars(run_demo).update(Run=FakeRun, RunObserver=FakeObserver, load_dataset=lambda _name: SimpleNamespace())
    run_demo.run_demo(Path(sys.argv[1]), Variables())
