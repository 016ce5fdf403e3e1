"""`make clean` reports what it deletes and what it keeps."""

import subprocess
from pathlib import Path

import pytest

from veleta_local import processes
from veleta_local.clean import clean
from veleta_local.errors import LocalError
from veleta_local.files import locked
from veleta_local.run import Run


def test_the_deleted_folder_is_named_with_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders with the installed programs are kept."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/data").write_bytes(b"x" * 3 * 2**20)
    deleted, kept = clean(Run(tmp_path / "run"))
    assert deleted == "deleted run: 3 MB, with all events, tables, models and logs"
    assert ".venv (the Python packages, " in kept
    assert not (tmp_path / "run").exists()


def test_without_a_run_nothing_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the folder."""
    monkeypatch.chdir(tmp_path)
    assert next(clean(Run(tmp_path / "run"))) == "there is no run to delete: run does not exist"


def test_the_cluster_of_spark_ends_with_its_run(tmp_path: Path) -> None:
    """It is not a part of the run, so it may be up when the run is down."""
    home = tmp_path / "run"
    (home / "spark").mkdir(parents=True)
    environment = {processes.HOME_MARK: str(home / "spark"), processes.PART_MARK: "master"}
    with subprocess.Popen(["/bin/sleep", "60"], env=environment):
        assert processes.of_run(home / "spark")
        assert not Run(home).alive()
        list(clean(Run(home)))
        assert not processes.of_run(home / "spark")
    assert not home.exists()


@pytest.mark.failure("F236")
def test_a_run_is_not_deleted_while_another_command_works_on_it(tmp_path: Path) -> None:
    """As a start that has no process yet."""
    home = tmp_path / "run"
    with locked(home / "lock", wait=False), pytest.raises(LocalError, match="another make works on"):
        list(clean(Run(home)))
    assert home.exists()
