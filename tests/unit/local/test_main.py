"""The command line: an error is one line and the exit code 1."""

from pathlib import Path

import pytest

from veleta_local import __main__ as command_line


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of its own, which does not exist yet."""
    monkeypatch.setattr(command_line, "_HOME", tmp_path / "run")
    return tmp_path / "run"


def test_an_unreadable_dataset_file_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path
) -> None:
    """No process is started."""
    monkeypatch.setenv("DATASET", str(tmp_path / "none.toml"))
    assert command_line.main(["start"]) == 1
    assert (
        capsys.readouterr().err == f"DATASET={tmp_path}/none.toml: cannot read none.toml (No such file or directory)\n"
    )
    assert not (home / "run.json").exists()


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With its value."""
    monkeypatch.setenv("SCALE", "2")
    assert command_line.main(["start"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("SCALE=2: ")
    assert error.count("\n") == 1


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
