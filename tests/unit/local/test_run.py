"""A start refuses what is wrong before it starts a process, and ends what it began when it fails."""

import socket
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.bicycles import BICYCLES
from support.testbed import free_base
from veleta.dataset import load_dataset
from veleta_local import run as run_module
from veleta_local.addresses import HOST
from veleta_local.errors import LocalError, StartFailed
from veleta_local.health import Health
from veleta_local.run import Run
from veleta_local.supervise import Program
from veleta_local.variables import Variables


@pytest.mark.failure("F201")
def test_an_invalid_dataset_file_is_refused_with_its_error(tmp_path: Path) -> None:
    """The run does not store it, so the next start may name another file."""
    text = load_dataset(str(BICYCLES)).text
    (tmp_path / "bad.toml").write_text(text.replace('target = "asking"', 'target = "fule"'))
    run = Run(tmp_path / "run", Variables(dataset=str(tmp_path / "bad.toml"), csv=str(tmp_path / "gone.csv")))
    with pytest.raises(LocalError, match=r"^bad\.toml: target = \"fule\" is no column: use serial, "):
        run.start()
    assert not run.alive()
    assert not run.home.exists()


def test_a_dataset_without_a_generator_needs_an_input(tmp_path: Path) -> None:
    """The message names the inputs, and no process is left."""
    run = Run(tmp_path / "home", Variables(dataset=str(BICYCLES)))
    with pytest.raises(LocalError, match=r"no \[generator\]: pass its rows with CSV=file or API_URL=address"):
        run.start()
    assert not run.alive()


@pytest.mark.failure("F71")
def test_a_port_in_use_is_named_with_its_part(tmp_path: Path) -> None:
    """The message shows what to do. The run does not store the failed start."""
    base = free_base()
    with socket.create_server((HOST, base + 1)):
        run = Run(tmp_path / "home", Variables(port_base=str(base)))
        with pytest.raises(LocalError, match=f"port {base + 1}, needed for mysql, is in use: pass PORT_BASE="):
            run.start_backing()
    assert not run.alive()
    assert Run(run.home).saved == Variables()


def with_servers(monkeypatch: pytest.MonkeyPatch, scripts: Mapping[str, str], **reports: Health) -> None:
    """Replace the servers by scripts, without downloads. They have these reports, otherwise they do not listen."""
    servers = {
        part: SimpleNamespace(
            program=lambda _, part=part: Program(["/bin/sh", "-c", scripts.get(part, "sleep 60")], {}),
            provision=lambda _: None,
        )
        for part in ("kafka", "mysql", "mlflow")
    }
    down = Health(ready=False, doing="does not listen yet", listens=False)
    monkeypatch.setattr(run_module, "_BACKING", servers)
    monkeypatch.setattr("veleta_local.downloads.ensure", lambda _: None)
    monkeypatch.setattr("veleta_local.health.check", lambda _, parts: {part: reports.get(part, down) for part in parts})


@pytest.mark.failure("F160")
def test_a_part_that_ends_twice_for_one_reason_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own last words, not those of its next try. They are shown before the processes end."""
    with_servers(monkeypatch, {"mysql": "echo starting; sleep 0.2; echo '[ERROR] no room'; exit 1"})
    lines = list[str]()
    run = Run(tmp_path / "home", Variables(port_base=free_base()), report=lines.append)
    with pytest.raises(StartFailed, match=r"^the start failed: mysql ended 2 times: no room$"):
        run.start_backing(60)
    assert lines[-1] == "ending all processes: the start failed: mysql ended 2 times: no room"
    assert not run.alive()
    assert run.log("mysql").read_text().count("no room") == 2


@pytest.mark.failure("F163")
def test_a_start_that_fails_leaves_a_run_up_that_was_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says so. What happened before the start began does not count, and no other variable is accepted."""
    ready = Health(ready=True)
    with_servers(monkeypatch, {"mlflow": "echo '[ERROR] no room'; exit 1"}, kafka=ready, mysql=ready, mlflow=ready)
    run = Run(tmp_path / "home", Variables(port_base=free_base(), trees=5), report=lambda _: None)
    try:
        run.start_backing(60)
        with_servers(monkeypatch, {}, kafka=ready, mysql=ready)
        with pytest.raises(LocalError, match=r"mlflow ended 2 times: no room; the run was up before and goes on: make"):
            run.start_backing(60)
        assert run.pid("kafka")
        with pytest.raises(LocalError, match=r"^the run is up with another TREES: make stop first$"):
            Run(run.home, Variables(trees=6)).start_backing(60)
    finally:
        run.stop()
    assert not run.alive()


def test_a_start_that_took_too_long_shows_what_each_part_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the last error of each part."""
    with_servers(monkeypatch, {"kafka": "sleep 0.1; echo '[ERROR] no room'; exit 1"}, mlflow=Health(ready=True))
    monkeypatch.setattr("veleta_local.start_failures.MAX_EXITS", 1000)
    run = Run(tmp_path / "home", Variables(port_base=free_base()), report=lambda _: None)
    with pytest.raises(StartFailed) as failed:
        run.start_backing(1.5)
    kafka, mysql = str(failed.value).removeprefix("the start failed: not ready in time (START_TIMEOUT=): ").split(" | ")
    assert kafka.startswith("kafka: does not listen yet; last error: ")
    assert kafka.endswith(" no room")
    assert mysql == "mysql: does not listen yet"
    assert not run.alive()


def test_a_run_without_rows_starts_anew_with_another_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first start left is deleted before the new variables are saved; the start says so."""
    with_servers(monkeypatch, {}, **dict.fromkeys(("kafka", "mysql", "mlflow"), Health(ready=True)))
    first, lines = Run(tmp_path / "home", Variables(port_base=free_base()), report=lambda _: None), list[str]()
    first.start_backing(60)
    first.stop()
    (first.folder("inbox") / "position.json").write_text("old")
    second = Run(first.home, Variables(csv="/other.csv"), report=lines.append)
    try:
        second.start_backing(60)
    finally:
        second.stop()
    assert lines[0] == "no row was taken with another CSV: the run starts from its beginning"
    assert not (first.home / "inbox/position.json").exists()
    assert Run(first.home).saved.given() == {"csv": "/other.csv", "port_base": first.variables.port_base}
