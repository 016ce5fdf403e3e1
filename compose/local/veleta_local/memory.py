"""Samples the memory of each part of a run, and the disk space of its data."""

import time
from collections.abc import Iterator
from contextlib import suppress

import psutil

from veleta_local import processes
from veleta_local.deployment import BACKING
from veleta_local.errors import LocalError
from veleta_local.files import disk_usage
from veleta_local.run import Run

_MB = 2**20


def samples(run: Run, seconds: float) -> Iterator[str]:
    """A head, then a line each `seconds` until the run stops. All numbers are MB.

    The memory of a part is the PSS of its processes: shared memory is divided among the processes that share it. The
    column `services` is the sum of all parts except Kafka, MySQL and MLflow.
    """
    if not run.alive():
        raise LocalError("the run is down: make start first")
    names = [*run.parts, "services", "disk"]
    yield " ".join(["time    ", *(f"{name:>9}" for name in names)])
    while running := processes.by_part(run.home):
        used = {part: sum(map(_pss, running.get(part, []))) for part in run.parts}
        used["services"] = sum(size for part, size in used.items() if part not in BACKING)
        used["disk"] = disk_usage(run.home)
        yield " ".join([f"{time.strftime('%H:%M:%S')}", *(f"{used[name] / _MB:>9,.0f}" for name in names)])
        time.sleep(seconds)


def _pss(process: psutil.Process) -> int:
    """Bytes; 0 for a process that has ended."""
    with suppress(psutil.Error):
        return int(process.memory_full_info().pss)
    return 0
