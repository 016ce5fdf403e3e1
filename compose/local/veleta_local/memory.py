"""What a run uses: the memory of each part, and the disk."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from veleta_local import processes
from veleta_local.deployment import BACKING
from veleta_local.errors import LocalError
from veleta_local.run import Run

_MB = 2**20


def samples(run: Run, every: float) -> Iterator[str]:
    """A head, and then a line each `every` seconds until the run ends.

    Figures are MB. A part's memory is the PSS of its processes (memory they share is divided among them); `services`
    is the sum of all but Kafka, MySQL and MLflow.
    """
    if not run.alive():
        raise LocalError("nothing runs: make start first")
    names = [*run.parts, "services", "disk"]
    yield " ".join(["time    ", *(f"{name:>9}" for name in names)])
    while found := processes.by_part(run.home):
        used = {part: sum(map(_pss, found.get(part, []))) for part in run.parts}
        used["services"] = sum(size for part, size in used.items() if part not in BACKING)
        used["disk"] = _disk(run.home)
        yield " ".join([f"{time.strftime('%H:%M:%S')}", *(f"{used[name] / _MB:>9,.0f}" for name in names)])
        time.sleep(every)


def _pss(pid: int) -> int:
    """Bytes; 0 for a process that has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _disk(folder: Path) -> int:
    """Bytes that the files of a folder occupy, holes left out; files that go away meanwhile count nothing."""
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            size += path.lstat().st_blocks * 512
    return size
