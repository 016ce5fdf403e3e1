"""The backing parts of a local run: memory, killed processes, deleted data."""

import itertools
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from support.testbed import admin_login, wait_until
from veleta.adapters.mysql import mysql_engine
from veleta_local import mariadb, processes
from veleta_local.deployment import BACKING, Deployment
from veleta_local.memory import samples
from veleta_local.run import Run


def test_memory_is_sampled_for_each_part(backing: Run) -> None:
    """Servers use some, services that do not run use none; Kafka uses more than 100 MB."""
    head, line = itertools.islice(samples(backing, 0), 2)
    sample = dict(zip(head.split(), line.split(), strict=True))
    assert list(sample) == ["time", *backing.parts, "services", "disk"]
    assert int(sample["kafka"]) > 100
    assert (sample["loader"], sample["services"]) == ("0", "0")
    assert int(sample["disk"].replace(",", "")) > 10


@pytest.mark.failure("F66")
def test_a_killed_part_leaves_no_child_behind(backing: Run) -> None:
    """A child of a killed server survives it, and could use its port. It is killed before the next server starts."""
    killed = backing.pid("mlflow")
    marks = {processes.HOME_MARK: str(backing.home), processes.PART_MARK: "mlflow"}
    subprocess.run(["sh", "-c", "sleep 600 >/dev/null 2>&1 &"], env={"PATH": os.environ["PATH"], **marks}, check=True)
    left = wait_until(lambda: _pids(backing, "mlflow") - {killed}, what="the child runs")
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not left & _pids(backing, "mlflow"), what="the child has ended")
    wait_until(lambda: backing.health(["mlflow"])["mlflow"].ready, what="the next server is ready")
    again = backing.pid("mlflow")
    time.sleep(3)
    assert backing.pid("mlflow") == again


@pytest.mark.failure("F102")
def test_a_deleted_data_folder_of_mysql_is_created_again(backing: Run) -> None:
    """The next start creates a new one with the same passwords; the other parts keep running."""
    shutil.rmtree(backing.home / "mysql")
    os.kill(backing.pid("mysql"), signal.SIGKILL)
    others = {part: backing.pid(part) for part in ("kafka", "mlflow")}
    backing.start_backing(120)
    assert all(report.ready for report in backing.health(BACKING).values())
    assert {part: backing.pid(part) for part in others} == others


@pytest.mark.failure("F67")
def test_another_runs_database_deletes_no_temporary_table(backing: Run, tmp_path: Path) -> None:
    """A starting MariaDB deletes the temporary tables in its folder, so each run has a folder of its own."""
    engine = mysql_engine(admin_login(backing))
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE TEMPORARY TABLE mysql.veleta (a INT) ENGINE=Aria"))
        folder = Path(connection.execute(sa.text("SELECT @@tmpdir")).scalar_one())
        tables = sorted(folder.glob("#sql*"))
        mariadb.provision(Deployment(tmp_path))
        assert tables
        assert sorted(folder.glob("#sql*")) == tables
    engine.dispose()


def _pids(run: Run, part: str) -> set[int]:
    return {process.pid for process in processes.by_part(run.home).get(part, [])}
