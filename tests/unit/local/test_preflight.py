"""The checks before a start: everything at once, and nothing is left of a start that is refused."""

import json
import os
import shutil
import socket
from collections import namedtuple
from pathlib import Path

import pytest

from support.bicycles import BICYCLES, BICYCLES_CSV
from support.testbed import free_base
from veleta_local import checks, preflight
from veleta_local.addresses import HOST
from veleta_local.deployment import Deployment
from veleta_local.errors import LocalError
from veleta_local.preflight import variables_of_start
from veleta_local.variables import Variables

LOCAL_RANGE = (32_768, 60_999)


def faults(home: Path, **variables: object) -> list[str]:
    """The lines of the error for a start with these variables on free ports."""
    with pytest.raises(LocalError) as caught:
        preflight.check(Deployment(home, Variables(**{"port_base": free_base(), **variables})), print)
    assert not home.exists()
    return str(caught.value).splitlines()


def reported(run: Deployment) -> list[str]:
    """The lines that a check without faults reports."""
    lines: list[str] = []
    preflight.check(run, lines.append)
    return lines


@pytest.mark.failure("F200")
def test_all_faults_are_found_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of variables, dataset file, input and ports, before anything is written."""
    monkeypatch.setattr(checks, "outgoing_ports", lambda: LOCAL_RANGE)
    monkeypatch.setattr(checks, "busy_ports", lambda _ports: [])
    (tmp_path / "mine.toml").write_text(
        BICYCLES.read_text().replace('"date"', '"day"').replace("gears = 21", "gear = 21")
    )
    environ = {"TREES": "0", "POLL_EVERY": "nan", "DATASET": "mine.toml", "CSV": "a.csv", "PORT_BASE": "34000"}
    with pytest.raises(LocalError) as caught:
        variables_of_start(tmp_path / "home", environ, tmp_path)
    assert [line.split(": ")[0].split(" = ")[0] for line in str(caught.value).splitlines()] == [
        "POLL_EVERY=nan",
        "TREES=0",
        "mine.toml",
        "mine.toml",
        "mine.toml",
        f"{tmp_path / 'a.csv'}",
        "PORT_BASE=34000",
    ]
    assert not (tmp_path / "home").exists()


@pytest.mark.failure("F104")
def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Before anything is written."""
    [line] = faults(tmp_path / "home", csv=str(tmp_path / "gone.csv"))
    assert line == f"{tmp_path / 'gone.csv'}: cannot be read: No such file or directory"


@pytest.mark.failure("F205")
def test_an_api_that_does_not_answer_is_refused_at_the_first_start(tmp_path: Path) -> None:
    """A run that has data waits for its API."""
    with socket.create_server((HOST, 0)) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
    assert faults(tmp_path / "home", api_url=url) == [f"API_URL={url}: connection refused: is the API running?"]
    run = Deployment(tmp_path / "home", Variables(api_url=url, port_base=free_base()))
    (run.folder("inbox") / "position.json").write_text("{}")
    assert reported(run) == [f"rows come from {url}"]


@pytest.mark.failure("F71")
def test_every_port_in_use_is_named_with_its_part(tmp_path: Path) -> None:
    """With a PORT_BASE that is free."""
    base = free_base()
    with socket.create_server((HOST, base + 1)), socket.create_server((HOST, base + 15)):
        lines = faults(tmp_path / "home", port_base=base)
    expected = f"is in use: pass PORT_BASE=, for example {checks.usable_base()}"
    assert lines == [
        f"port {base + 1}, needed for mysql, {expected}",
        f"port {base + 15}, needed for kafka-controller, {expected}",
    ]


@pytest.mark.failure("F203")
def test_ports_of_outgoing_connections_are_refused_for_a_new_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel gives them to any program. A run that an earlier version started there continues."""
    monkeypatch.setattr(checks, "outgoing_ports", lambda: (10_000, 32_767))
    base = free_base()
    [line] = faults(tmp_path / "home", port_base=base)
    assert line.startswith(f"PORT_BASE={base}: the ports {base} to {base + 18} overlap those of outgoing connections")
    run = Deployment(tmp_path / "home", Variables(port_base=base))
    run.save()
    [line] = reported(Deployment(run.home))
    assert line.startswith("rows are generated from [generator] of real_estate; ")


def test_workers_beyond_the_machine_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four for each processor, which is enough to wait for disks and clients."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})
    assert faults(tmp_path / "home", workers=9) == ["WORKERS=9: this machine has 2 processors: use at most 8"]


@pytest.mark.failure("F142")
def test_a_full_disk_is_named_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the space that a run needs."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**40, 2**40 - 10**8, 10**8))
    [line] = faults(tmp_path / "home")
    assert line.startswith("0.1 GB are free at ")


def test_the_rows_are_summed_up_and_a_warning_stands_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it cannot be overlooked. On a terminal it is also bold."""
    rows = BICYCLES_CSV.read_text().replace(",Rota,", ",,")
    (tmp_path / "mine.csv").write_text(rows)
    variables = Variables(dataset=str(BICYCLES), csv=str(tmp_path / "mine.csv"), port_base=free_base())
    summary, warning = reported(Deployment(tmp_path / "home", variables))
    assert "600 rows: " in summary
    assert warning.startswith("\nWARNING: ")
    assert warning.endswith("\n")


def test_a_value_that_an_earlier_version_allowed_is_reported(tmp_path: Path) -> None:
    """The start continues with the nearest one."""
    run = Deployment(tmp_path, Variables(port_base=free_base()))
    run.save()
    saved = (tmp_path / "run.json").read_text()
    (tmp_path / "run.json").write_text(saved.replace("{", '{"trees": 50000,', 1))
    assert reported(Deployment(tmp_path))[0] == "TREES=50000 of this run is now 10000"


def houses(path: Path) -> None:
    """A table of houses with prices."""
    path.write_text("Rooms,Kind,Price\n" + "".join(f"{i % 5},{'abc'[i % 3]},{1000 + i * 37}\n" for i in range(200)))


def test_a_target_writes_the_dataset_file_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is in the folder of the caller, and the start goes on with it."""
    houses(tmp_path / "houses.csv")
    environ = {"CSV": "houses.csv", "TARGET": "PRICE", "PORT_BASE": str(free_base())}
    variables = variables_of_start(tmp_path / "home", environ, tmp_path)
    assert variables.dataset == str(tmp_path / "houses.toml")
    assert capsys.readouterr().out.startswith("houses.toml is written: 3 columns, 0 left out")
    run = Deployment(tmp_path / "home", variables)
    assert reported(run) == [f"{tmp_path / 'houses.csv'}: 200 rows: 200 complete"]
    run.save()
    assert json.loads((run.home / "run.json").read_text()).keys() == {"csv", "dataset", "port_base"}


@pytest.mark.failure("F471")
def test_a_repeated_start_uses_the_dataset_file_that_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So the same command continues the run, also after a person has changed the file."""
    houses(tmp_path / "houses.csv")
    environ = {"CSV": "houses.csv", "TARGET": "price"}
    first = variables_of_start(tmp_path / "home", environ, tmp_path)
    path = tmp_path / "houses.toml"
    path.write_text(path.read_text().replace("Rooms", "Number of rooms", 1).replace("# ", "# I changed this: ", 1))
    before = path.read_text()
    assert variables_of_start(tmp_path / "home", environ, tmp_path) == first
    assert capsys.readouterr().out.splitlines()[-1] == "houses.toml is there already: it is used as it is"
    assert path.read_text() == before


@pytest.mark.failure("F470")
def test_a_target_that_is_no_column_is_named(tmp_path: Path) -> None:
    """In one line, and nothing is written."""
    houses(tmp_path / "houses.csv")
    with pytest.raises(
        LocalError, match=r"^.*houses\.csv: TARGET=prize is no column of the file: did you mean Price\?$"
    ):
        variables_of_start(tmp_path / "home", {"CSV": "houses.csv", "TARGET": "prize"}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["houses.csv"]


@pytest.mark.failure("F472")
@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"TARGET": "price"}, "TARGET=price: pass the file too, as CSV=name: a dataset file is written for it"),
        (
            {"TARGET": "price", "API_URL": "http://127.0.0.1:1"},
            "TARGET=price: pass the file too, as CSV=name: a dataset file is written for it",
        ),
        (
            {"TARGET": "asking", "CSV": str(BICYCLES_CSV), "DATASET": str(BICYCLES)},
            "TARGET= and DATASET= exclude one another: a dataset file has its target",
        ),
    ],
)
def test_a_target_needs_its_file_and_no_dataset(tmp_path: Path, environ: dict[str, str], line: str) -> None:
    """Each fault is one line."""
    with pytest.raises(LocalError) as caught:
        variables_of_start(tmp_path / "home", {**environ, "PORT_BASE": str(free_base())}, tmp_path)
    assert line in str(caught.value).splitlines()
    assert not list(tmp_path.iterdir())


@pytest.mark.failure("F491")
def test_a_master_of_spark_that_does_not_answer_is_refused(tmp_path: Path) -> None:
    """Together with the other faults. Without ENGINE=spark nothing asks it."""
    base = free_base()
    chosen = {"port_base": base, "spark_master": f"spark://{HOST}:{base}"}
    with socket.create_server((HOST, base + 1)):
        [spark, port] = faults(tmp_path / "home", engine="spark", **chosen)
    assert spark == (
        f"spark: no master answers at {HOST}:{base} (Connection refused): "
        "make spark-up starts one on this machine, SPARK_MASTER=local[2,4] needs none"
    )
    assert port.startswith(f"port {base + 1}, needed for mysql, ")
    assert reported(Deployment(tmp_path / "home", Variables(**chosen)))
    with socket.create_server((HOST, base + 17)):
        chosen["spark_master"] = f"spark://{HOST}:{base + 17}"
        assert reported(Deployment(tmp_path / "home", Variables(engine="spark", **chosen)))
