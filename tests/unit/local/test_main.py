"""The command line: an error is one line and the exit code 1."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.repository import ROOT
from veleta_local import __main__ as command_line
from veleta_local.deployment import Deployment
from veleta_local.variables import Variables


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of its own, which does not exist yet."""
    monkeypatch.setattr(command_line, "_HOME", tmp_path / "run")
    return tmp_path / "run"


def test_an_unreadable_dataset_file_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], home: Path, tmp_path: Path
) -> None:
    """No process is started."""
    monkeypatch.setenv("DATASET", str(tmp_path / "none.toml"))
    assert command_line.main(["start"]) == 1
    assert (
        capfd.readouterr().err == f"DATASET={tmp_path}/none.toml: cannot read none.toml (No such file or directory)\n"
    )
    assert not (home / "run.json").exists()


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With its value."""
    monkeypatch.setenv("SCALE", "2")
    assert command_line.main(["start"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("SCALE=2: ")
    assert error.count("\n") == 1


def test_a_check_starts_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints what a start would print, and writes nothing."""
    monkeypatch.setenv("PORT_BASE", "29500")
    assert command_line.main(["check"]) == 0
    assert capsys.readouterr().out.startswith("rows are generated from [generator] of real_estate; ")
    assert not home.exists()


@pytest.mark.parametrize(
    ("variables", "message"),
    [({}, "pass a request: make purge REQUEST_ID=id"), ({"REQUEST_ID": "x"}, "the run is down: make start first")],
)
def test_a_purge_needs_a_request_and_a_run(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message shows what to do."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert command_line.main(["purge"]) == 1
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize(
    ("variables", "message"),
    [({}, "pass a batch: make report BATCH=epoch/number"), ({"BATCH": "2/3"}, "the run is down: make start first")],
)
def test_a_report_needs_a_batch_and_a_run(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message shows what to do."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert command_line.main(["report"]) == 1
    assert capsys.readouterr().err.startswith(message)


def test_a_file_is_priced_by_a_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It has the champion."""
    monkeypatch.setenv("CSV", "rows.csv")
    assert command_line.main(["score"]) == 1
    assert capsys.readouterr().err == "the run is down: make start first\n"


def test_a_replay_needs_a_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its topics, tables and versions are those of the run."""
    monkeypatch.setenv("POLICY", "seed")
    assert command_line.main(["replay"]) == 1
    assert capsys.readouterr().err == "the run is down: make start first\n"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "the run is down: make start first"),
        ({"PIN": "1.1", "RESET": "1"}, "PIN and RESET exclude one another: use one"),
        ({"PIN": "1.1"}, "the dataset file declares no [market]"),
    ],
)
def test_the_level_is_shown_or_changed_by_one_command(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is sent for a dataset without a market."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert command_line.main(["level"]) == 1
    assert capsys.readouterr().err == f"{message}\n"


def test_a_backtest_without_a_file_needs_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The message shows both ways."""
    assert command_line.main(["rows"]) == 1
    assert capsys.readouterr().err == "pass a file: make backtest CSV=name. Without one a run must be up: make start\n"


def test_a_key_is_printed_with_its_entry(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the entries that the run has. Nothing is written."""
    monkeypatch.setenv("NAME", "ada")
    assert command_line.main(["key"]) == 0
    _, entry = capsys.readouterr().out.splitlines()
    assert not home.exists()
    Deployment(home, Variables(api_keys=entry.removeprefix("API_KEYS="))).save()
    assert command_line.main(["key"]) == 1
    assert capsys.readouterr().err == "entry 2 (ada): the name or the key is there twice\n"
    monkeypatch.setenv("NAME", "bob")
    assert command_line.main(["key"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith(f"{entry},bob:")


@pytest.mark.failure("F222")
@pytest.mark.parametrize("closed", ["stdout", "stderr", "both"])
def test_a_closed_pipe_ends_a_command_silently(closed: str, tmp_path: Path) -> None:
    """`make status JSON=1 | head -1` shows no traceback. An error that nobody reads keeps its exit code."""
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    streams |= {name: writer for name in streams if closed in (name, "both")}
    arguments = {"stdout": "status"}.get(closed, "wrong")
    done = subprocess.run(
        [sys.executable, "-m", "support.command_line", arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "JSON": "1", "PYTHONUNBUFFERED": ""},
        check=False,
        **streams,  # type: ignore[call-overload]  # its overloads take no mapping
    )
    os.close(writer)
    assert (done.stdout or b"", done.stderr or b"") == (b"", b"")
    assert done.returncode == (0 if closed == "stdout" else 1)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "pass a version: make promote VERSION=n"),
        ({"VERSION": "new"}, "VERSION=new is not a whole number"),
        ({"VERSION": "2", "EXPECT": "old"}, "EXPECT=old is not a whole number"),
        ({"VERSION": "2", "DRY": "yes"}, "DRY=yes: use 1 to check only, or 0"),
    ],
)
def test_a_promotion_needs_a_version(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong DRY must not promote."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert command_line.main(["promote"]) == 1
    assert message in capsys.readouterr().err
