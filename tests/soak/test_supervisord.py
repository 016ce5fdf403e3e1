"""What supervisord does: kill -9 of it while its parts run, and a service that hangs."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from support.listings import write_csv
from support.testbed import free_base, wait_until
from veleta_local import processes, status
from veleta_local.deployment import BACKING, PYTHON
from veleta_local.errors import LocalError
from veleta_local.run import Run
from veleta_local.supervise import Program
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


LIVENESS_SECONDS = 20


class HangingRun(Run):
    """A run whose loader hangs at the fault points that the file `faults` names."""

    @property
    def faults(self) -> Path:
        return self.home.with_name("faults")

    def _programs(self) -> dict[str, Program]:
        environment = {
            **self.environment("loader"),
            "LOADER_LIVENESS_SECONDS": str(LIVENESS_SECONDS),
            "FAULTS": str(self.faults),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        return {**super()._programs(), "loader": Program([str(PYTHON), "-m", "support.faulty", "loader"], environment)}


@pytest.fixture
def hanging_run() -> Iterator[HangingRun]:
    """A run whose batches never end."""
    top = Path(mkdtemp(prefix="veleta-hanging-"))
    write_csv(top / "listings.csv", 150, seed=4)
    variables = Variables(
        csv=str(top / "listings.csv"), at_end="restart", poll_every="3", trees="5", port_base=str(free_base())
    )
    made = HangingRun(top / "home", variables, report=lambda _: None)
    made.faults.touch()
    yield made
    made.stop()
    shutil.rmtree(top)


@pytest.mark.failure("F233")
def test_a_service_that_hangs_is_started_again(hanging_run: HangingRun) -> None:
    """Its process exits with 70 and names the loop. The next one loads the batch."""
    run = hanging_run
    run.start(300)
    hung = run.pid("loader")
    run.faults.write_text("loader.chunk 10000\n")
    wait_until(lambda: run.pid("loader") not in (0, hung), LIVENESS_SECONDS + 60, "another process of the loader runs")
    assert "makes no progress" in (run.home / "logs/loader.log").read_text()
    assert "exited: loader (exit status 70; not expected)" in (run.home / "logs/supervisord.log").read_text()
    wait_until(lambda: run.health(["loader"])["loader"].ready, 60, "the loader is ready")
