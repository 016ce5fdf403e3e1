"""The source as a process: its API over HTTP, before and after a kill."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from itertools import combinations, count
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from support.listings import repeat_csv, write_csv
from support.testbed import Process, Testbed, free_port, http_status, wait_until

ROWS = 30
GROUPS = count(1)


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("listings") / "listings.csv"
    write_csv(path, ROWS, seed=3)
    return path


@pytest.fixture(scope="module")
def source(testbed: Testbed, csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with testbed.service("source", csv=csv, state=tmp_path_factory.mktemp("state")) as process:
        process.wait_until_ready()
        yield process


@pytest.fixture
def group() -> str:
    """The parameter of a group that no other test uses."""
    return f"group_number={next(GROUPS)}"


def get(
    process: Process, path: str, method: str = "GET", headers: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, Any]:
    """Status and JSON of a response. None if it has no JSON object."""
    try:
        with urlopen(Request(process.url + path, method=method, headers=dict(headers)), timeout=30) as response:
            status, body = response.status, response.read()
    except HTTPError as error:
        status, body = error.code, error.read()
    return status, json.loads(body) if body.startswith(b"{") else None


def test_all_batches_are_served_and_then_the_end(source: Process, group: str) -> None:
    """Each GET moves the cursor until the end. The rows are complete, with floats for numbers."""
    responses = [get(source, f"/data?{group}") for _ in range(6)]
    assert [status for status, _ in responses] == [200] * 6
    assert [body["batch_number"] for _, body in responses] == list(range(6))
    assert [len(body["data"]) for _, body in responses] == [ROWS] * 6
    assert {next(iter(body)) for _, body in responses} == {"group_number"}
    assert all(isinstance(row["zip_code"], float) for _, body in responses for row in body["data"])
    end = (400, {"detail": "Ya se recolectó toda la información mínima necesaria"})
    assert [get(source, f"/data?{group}") for _ in range(2)] == [end, end]


@pytest.mark.failure("F393")
def test_with_a_token_nobody_else_takes_a_batch(testbed: Testbed, csv: Path, tmp_path: Path) -> None:
    """Neither without it nor with a wrong one. The cursor stays. /readyz and the welcome stay open."""
    requests = "/data?group_number=1", "/restart_data_generation?group_number=1"
    wrong: list[dict[str, str]] = [
        {},
        *({"Authorization": each} for each in ("Bearer secre", "secret", "Bearer sécret")),
    ]
    with testbed.service("source", csv=csv, state=tmp_path, token="secret") as process:
        process.wait_until_ready()
        assert {get(process, path, headers=headers)[0] for path in requests for headers in wrong} == {401}
        assert get(process, "/")[0] == 200
        right = {"Authorization": "Bearer secret"}
        numbers = [get(process, requests[0], headers=right)[1]["batch_number"] for _ in range(2)]
        assert numbers == [0, 1]
        assert get(process, requests[1], headers=right) == (200, {"ok": True})


def test_without_a_file_rows_are_generated(testbed: Testbed, tmp_path: Path) -> None:
    """In six batches, which are the same in another process with the same seed. An empty SOURCE_CSV is none."""
    served = []
    for state in ("one", "two"):
        with testbed.service("source", csv="", scale=0.001, seed=5, state=tmp_path / state) as process:
            process.wait_until_ready()
            served.append([get(process, "/data?group_number=1")[1] for _ in range(6)])
            assert get(process, "/data?group_number=1")[0] == 400
    assert [len(body["data"]) for body in served[0]] == [74, 95, 230, 4, 321, 361]
    assert served[0] == served[1]


def epoch(process: Process, batches: int = 6) -> list[list[dict[str, Any]]]:
    """The rows of the next batches of group 1."""
    return [get(process, "/data?group_number=1")[1]["data"] for _ in range(batches)]


def restart(process: Process) -> None:
    """Restart the data of group 1."""
    assert get(process, "/restart_data_generation?group_number=1") == (200, {"ok": True})


@pytest.mark.failure("F443", "F444")
def test_generated_epochs_differ_and_survive_kills(testbed: Testbed, tmp_path: Path) -> None:
    """Each epoch has other rows, the same after kill -9 at any batch and after a restart that was asked for twice.

    On disk are the batches of the epoch that is served.
    """
    epochs = []
    with testbed.service("source", csv="", scale=0.001, seed=5, state=tmp_path / "calm") as source:
        source.wait_until_ready()
        for _ in range(3):
            epochs.append(epoch(source))
            assert [path.name for path in (tmp_path / "calm" / "spool").iterdir()] == [str(len(epochs))]
            restart(source)
    assert [[len(rows) for rows in batches] for batches in epochs] == [[74, 95, 230, 4, 321, 361]] * 3
    rows = [{json.dumps(row) for batch in batches for row in batch} for batches in epochs]
    assert [len(one & other) for one, other in combinations(rows, 2)] == [0, 0, 0]

    with testbed.service("source", csv="", scale=0.001, seed=5, state=tmp_path / "killed") as source:
        for batches in epochs:
            for number in range(0, 6, 2):
                source.wait_until_ready()
                assert epoch(source, 2) == batches[number : number + 2]
                source.kill()
                source.start()
            source.wait_until_ready()
            assert get(source, "/data?group_number=1")[0] == 400
            restart(source)
            restart(source)
            source.kill()
            source.start()
            source.wait_until_ready()
            restart(source)


@pytest.mark.failure("F446")
def test_a_client_that_is_killed_while_an_epoch_is_generated_loses_no_batch(testbed: Testbed, tmp_path: Path) -> None:
    """/readyz shows what the source does meanwhile. The next client gets the first batch."""
    with testbed.service("source", csv="", scale=0.2, seed=5, state=tmp_path) as source:
        wait_until(lambda: http_status(f"{source.url}/livez") == 200)
        killed = HTTPConnection(source.url.removeprefix("http://"), timeout=60)
        killed.request("GET", "/data?group_number=1")
        status, ready = get(source, "/readyz")
        assert (status, ready["waits_for"]["batches"]) == (503, "generating epoch 1")
        killed.close()
        source.wait_until_ready()
        assert get(source, "/readyz")[1]["doing"] == "serving 6 batches; 216,981 generated rows of epoch 1"
        assert get(source, "/data?group_number=1")[1]["batch_number"] == 0


def test_a_dataset_without_a_generator_needs_a_file(testbed: Testbed, tmp_path: Path) -> None:
    """Without one the process exits with one line."""
    plain = tmp_path / "plain.toml"
    plain.write_text(testbed.dataset.text.partition("\n[generator]")[0])
    environment = testbed.environment("source", state=tmp_path) | {"DATASET": str(plain)}
    command = [sys.executable, "-m", "veleta_source"]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert process.returncode == 1
    assert process.stderr.startswith("source: ")
    assert len(process.stderr.splitlines()) == 1


def test_a_restart_serves_the_same_rows_again(source: Process, group: str) -> None:
    """It moves only the cursor of this group."""
    first, other = get(source, f"/data?{group}"), get(source, f"/data?{group}0000")
    assert get(source, f"/restart_data_generation?{group}") == (200, {"ok": True})
    assert get(source, f"/data?{group}") == first
    assert get(source, f"/data?{group}0000")[1]["batch_number"] == other[1]["batch_number"] + 1


def test_a_day_has_its_own_cursor(source: Process, group: str) -> None:
    """The body has the day of the query."""
    get(source, f"/data?{group}")
    status, body = get(source, f"/data?{group}&day=Tuesday")
    assert (status, body["day"], body["batch_number"]) == (200, "Tuesday", 0)


def test_the_welcome_and_the_health(source: Process) -> None:
    """As the course's API has them."""
    assert get(source, "/") == (200, {"Proyecto Final": "Extracción de datos, entrenamiento de modelos."})
    assert get(source, "/health") == (200, {"status": "OK"})


@pytest.mark.parametrize("query", ["", "?group_number=", "?group_number=x", "?group_number=0&day=Friday"])
@pytest.mark.parametrize("path", ["/data", "/restart_data_generation"])
def test_invalid_parameters_are_unprocessable(source: Process, group: str, path: str, query: str) -> None:
    """The body has FastAPI's form, and no cursor moves."""
    status, body = get(source, path + query)
    assert status == 422
    assert {key for fault in body["detail"] for key in fault} == {"type", "loc", "msg", "input"}
    assert get(source, f"/data?{group}")[1]["batch_number"] == 0


def test_only_a_get_moves_the_cursor(source: Process, group: str) -> None:
    """The course's API does not allow a HEAD either."""
    assert get(source, f"/data?{group}", "HEAD")[0] == 405
    assert get(source, f"/data?{group}")[1]["batch_number"] == 0


def test_a_client_that_disconnects_has_moved_the_cursor(source: Process, group: str) -> None:
    """The cursor moves before the first byte of the response."""
    host, port = source.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(f"GET /data?{group} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        client.recv(1)
    assert get(source, f"/data?{group}")[1]["batch_number"] == 1


def test_cursors_survive_a_kill(source: Process, group: str) -> None:
    """After a complete response its move of the cursor is durable. The counts of the rows are shown again."""
    for number in range(3):
        assert get(source, f"/data?{group}")[1]["batch_number"] == number
        source.kill()
        source.start()
        source.wait_until_ready()
        assert (
            f"serving 6 batches; {ROWS * 6 * 5 // 4} rows: {ROWS * 6} complete; " in get(source, "/readyz")[1]["doing"]
        )


def test_data_waits_for_the_splitting(testbed: Testbed, csv: Path, tmp_path: Path) -> None:
    """While the file is split, /livez is 200, /readyz shows what is missing, and requests of /data wait."""
    large = tmp_path / "large.csv"
    repeat_csv(csv, large, 600)
    with testbed.service("source", csv=large, state=tmp_path / "state") as source:
        wait_until(lambda: http_status(f"{source.url}/livez") == 200)
        waiting = HTTPConnection(source.url.removeprefix("http://"), timeout=60)
        waiting.request("GET", "/data?group_number=7")
        status, ready = get(source, "/readyz")
        assert (status, ready["waits_for"]["batches"]) == (503, "splitting")
        assert get(source, "/health")[0] == 200
        assert len(json.loads(waiting.getresponse().read())["data"]) == 600 * ROWS
        waiting.close()
        source.wait_until_ready()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ("a,b\n", "has no column of the dataset"), ("whole", "has a header, but no rows")],
)
def test_a_file_that_cannot_be_served_is_reported_in_one_line(
    testbed: Testbed, csv: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    """The process exits with 1 and the reason."""
    path = tmp_path / "broken.csv"
    if content is not None:
        path.write_text(csv.read_text().splitlines()[0] if content == "whole" else content)
    environment = testbed.environment("source", port=free_port(), csv=path, state=tmp_path / "state")
    command = [sys.executable, "-m", "veleta_source"]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith("source: ")
    assert message in process.stderr.splitlines()[-1]
