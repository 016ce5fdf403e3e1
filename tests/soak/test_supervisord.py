"""kill -9 of supervisord while its Kafka, MySQL and MLflow run."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from support.testbed import free_base
from veleta_local import processes, status
from veleta_local.deployment import BACKING
from veleta_local.errors import LocalError
from veleta_local.run import Run
from veleta_local.variables import Variables


@pytest.fixture
def run() -> Iterator[Run]:
    """A run with its own ports, stopped at the end in any case."""
    top = Path(mkdtemp(prefix="veleta-runtime-"))
    run = Run(top / "home", Variables(port_base=str(free_base())), report=lambda _: None)
    yield run
    run.stop()
    shutil.rmtree(top)


def _kill_supervisord(run: Run) -> None:
    os.kill(int((run.home / "supervisor/supervisord.pid").read_text()), signal.SIGKILL)


@pytest.mark.failure("F68")
def test_no_process_is_left_when_supervisord_was_killed(run: Run) -> None:
    """Orphans are found by a marker in their environment: a start takes them over, a stop ends them."""
    run.start_backing()
    first = {part: run.pid(part) for part in BACKING}
    with pytest.raises(LocalError, match="make stop first"):
        run.clean()
    _kill_supervisord(run)
    assert set(first.values()) <= {process.pid for process in processes.of_run(run.home)}

    run.start_backing()
    assert all(run.pid(part) not in (0, first[part]) for part in BACKING)
    assert {row["part"] for row in status.rows(run) if row["ready"]} == set(BACKING)

    _kill_supervisord(run)
    run.stop()
    assert not processes.of_run(run.home)
    assert not run.sockets.exists()
    run.clean()
    assert not run.home.exists()
