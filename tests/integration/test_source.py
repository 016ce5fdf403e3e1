"""Source as a process: the API over HTTP, and what survives it."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from support.listings import repeat_csv, write_csv
from support.world import Process, World, eventually, free_port, http_status

ROWS = 30
GROUPS = count(1)


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("listings") / "listings.csv"
    write_csv(path, ROWS, seed=3)
    return path


@pytest.fixture(scope="module")
def source(world: World, csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with world.service("source", csv=csv, state=tmp_path_factory.mktemp("state")) as process:
        process.ready()
        yield process


@pytest.fixture
def group() -> str:
    """The parameter of a group that nobody else is."""
    return f"group_number={next(GROUPS)}"


def get(process: Process, path: str, method: str = "GET") -> tuple[int, Any]:
    """Status and JSON body of an answer; None where there is no body."""
    try:
        with urlopen(Request(process.url + path, method=method), timeout=30) as answer:
            status, body = answer.status, answer.read()
    except HTTPError as error:
        status, body = error.code, error.read()
    return status, json.loads(body) if body.startswith(b"{") else None


def test_all_batches_then_the_end(source: Process, group: str) -> None:
    """Each GET moves the cursor; the rows are complete, with floats for numbers; at the end it stays."""
    answers = [get(source, f"/data?{group}") for _ in range(6)]
    assert [status for status, _ in answers] == [200] * 6
    assert [body["batch_number"] for _, body in answers] == list(range(6))
    assert [len(body["data"]) for _, body in answers] == [ROWS] * 6
    assert {next(iter(body)) for _, body in answers} == {"group_number"}
    assert all(isinstance(row["zip_code"], float) for _, body in answers for row in body["data"])
    end = (400, {"detail": "Ya se recolectó toda la información mínima necesaria"})
    assert [get(source, f"/data?{group}") for _ in range(2)] == [end, end]


def test_without_a_file_rows_are_made_by_chance(world: World, tmp_path: Path) -> None:
    """Six batches of the stated sizes; another process with the same seed hands out the same. An empty CSV is none."""
    handed = []
    for state in ("one", "two"):
        with world.service("source", csv="", scale=0.001, seed=5, state=tmp_path / state) as process:
            process.ready()
            handed.append([get(process, "/data?group_number=1")[1] for _ in range(6)])
            assert get(process, "/data?group_number=1")[0] == 400
    assert [len(body["data"]) for body in handed[0]] == [74, 95, 230, 4, 321, 361]
    assert handed[0] == handed[1]


def test_a_dataset_without_a_generator_needs_a_file(world: World, tmp_path: Path) -> None:
    """It is said in one line, and nothing is served."""
    plain = tmp_path / "plain.toml"
    plain.write_text(world.dataset.text.partition("\n[generator]")[0])
    told = world.environment("source", state=tmp_path) | {"DATASET": str(plain)}
    command = [sys.executable, "-m", "veleta_source"]
    ended = subprocess.run(command, env=told, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith("source: no CSV was given, and the dataset file of ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_restart_gives_the_same_rows_again(source: Process, group: str) -> None:
    """The cursor of this group alone is back at 0."""
    first, other = get(source, f"/data?{group}"), get(source, f"/data?{group}0000")
    assert get(source, f"/restart_data_generation?{group}") == (200, {"ok": True})
    assert get(source, f"/data?{group}") == first
    assert get(source, f"/data?{group}0000")[1]["batch_number"] == other[1]["batch_number"] + 1


def test_a_day_has_its_own_cursor(source: Process, group: str) -> None:
    """It stands in the answer when it was asked for."""
    get(source, f"/data?{group}")
    status, body = get(source, f"/data?{group}&day=Tuesday")
    assert (status, body["day"], body["batch_number"]) == (200, "Tuesday", 0)


def test_what_stands_beside_the_data(source: Process) -> None:
    """The welcome and the health of the course's API."""
    assert get(source, "/") == (200, {"Proyecto Final": "Extracción de datos, entrenamiento de modelos."})
    assert get(source, "/health") == (200, {"status": "OK"})


@pytest.mark.parametrize("query", ["", "?group_number=", "?group_number=x", "?group_number=0&day=Friday"])
@pytest.mark.parametrize("path", ["/data", "/restart_data_generation"])
def test_wrong_parameters_are_unprocessable(source: Process, group: str, path: str, query: str) -> None:
    """In FastAPI's form, and without moving a cursor."""
    status, body = get(source, path + query)
    assert status == 422
    assert {key for fault in body["detail"] for key in fault} == {"type", "loc", "msg", "input"}
    assert get(source, f"/data?{group}")[1]["batch_number"] == 0


def test_only_a_get_moves_the_cursor(source: Process, group: str) -> None:
    """A HEAD is refused, as by the course's API."""
    assert get(source, f"/data?{group}", "HEAD")[0] == 405
    assert get(source, f"/data?{group}")[1]["batch_number"] == 0


def test_a_client_that_goes_away_has_moved_the_cursor(source: Process, group: str) -> None:
    """The answer was on its way: there is no reading without moving."""
    host, port = source.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(f"GET /data?{group} HTTP/1.1\r\nHost: source\r\n\r\n".encode())
        client.recv(1)
    assert get(source, f"/data?{group}")[1]["batch_number"] == 1


def test_a_kill_keeps_the_cursors(source: Process, group: str) -> None:
    """What was handed out stays handed out; a whole answer proves that its move is on the disk."""
    for number in range(3):
        assert get(source, f"/data?{group}")[1]["batch_number"] == number
        source.kill()
        source.start()
        source.ready()


def test_data_waits_for_the_splitting(world: World, csv: Path, tmp_path: Path) -> None:
    """While the file is split /livez answers, /readyz says what is going on, and /data keeps its asker waiting."""
    large = tmp_path / "large.csv"
    repeat_csv(csv, large, 600)
    with world.service("source", csv=large, state=tmp_path / "state") as source:
        eventually(lambda: http_status(f"{source.url}/livez") == 200)
        waiting = HTTPConnection(source.url.removeprefix("http://"), timeout=60)
        waiting.request("GET", "/data?group_number=7")
        status, ready = get(source, "/readyz")
        assert (status, ready["waits_for"]["batches"]) == (503, "splitting")
        assert get(source, "/health")[0] == 200
        assert len(json.loads(waiting.getresponse().read())["data"]) == 600 * ROWS
        waiting.close()
        source.ready()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ("", "no header"), ("a,b\n", "header lacks: brokered_by"), ("whole", "no complete row")],
)
def test_a_file_that_cannot_be_handed_out_is_said_in_one_line(
    world: World, csv: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    """The process ends with 1 and says why."""
    path = tmp_path / "broken.csv"
    if content is not None:
        path.write_text(csv.read_text().splitlines()[0] if content == "whole" else content)
    environment = world.environment("source", port=free_port(), csv=path, state=tmp_path / "state")
    command = [sys.executable, "-m", "veleta_source"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("source: ")
    assert message in done.stderr.splitlines()[-1]
