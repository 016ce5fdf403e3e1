"""Load: clients in a separate process that post to /predict all the time and record every response.

`python -m support.load HOST PORT FOLDER CONNECTIONS` posts the lines of FOLDER/bodies in turn, over this many
connections, until SIGTERM. Each line of FOLDER/answers is one request: the number of its body, the time it was posted,
its duration, its status and its response body.
"""

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import orjson

PREDICT = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
RECONNECT_SECONDS = 0.1
"""The pause before a client whose connection was refused connects again."""
END_SECONDS = 60.0
OK, BROKEN = 200, 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a request: it posted row `row` at the Unix time `sent` and ended `seconds` later.

    Status BROKEN: the connection was refused or it broke. The other fields are empty unless the status is 200.
    """

    row: int
    sent: float
    seconds: float
    status: int
    request_id: str = ""
    version: int = 0
    price: float = 0.0
    factor: float = 1.0
    """The level of the market, 1 without one."""

    @property
    def ended(self) -> float:
        """The Unix time of the end of the request."""
        return self.sent + self.seconds


@dataclass(frozen=True)
class Answers:
    """All results of a load in the order of arrival. Can be iterated repeatedly."""

    path: Path

    def __iter__(self) -> Iterator[Answer]:
        with self.path.open("rb") as lines:
            for line in lines:
                row, sent, seconds, status, body = line.split(b" ", 4)
                prediction = _prediction(orjson.loads(body)) if int(status) == OK else ()
                yield Answer(int(row), float(sent), float(seconds), int(status), *prediction)


@contextmanager
def load(url: str, rows: Sequence[Mapping[str, Any]], connections: int, folder: Path) -> Iterator[Answers]:
    """Post rows to the service at `url` while the block runs. The results can be read after the block.

    `folder` is created and holds only this load.
    """
    folder.mkdir()
    (folder / "bodies").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    at = urlsplit(url)
    command = [sys.executable, "-m", "support.load", *map(str, (at.hostname, at.port, folder, connections))]
    process = subprocess.Popen(command, env={"PYTHONPATH": str(Path(__file__).parents[1])})
    try:
        yield Answers(folder / "answers")
    finally:
        process.terminate()
        code = process.wait(END_SECONDS)
    assert code == 0, "the clients failed"


def _prediction(body: Mapping[str, Any]) -> tuple[str, int, float, float]:
    (item,) = body["predictions"]
    price = next(iter(item.values()))  # before low, high and coverage
    return body["request_id"], body["model"]["version"], price, body.get("market", {"factor": 1.0})["factor"]


@dataclass
class LoadState:
    """Shared state of the clients: the requests, whose turn is next, and the file of results."""

    requests: Sequence[bytes]
    results: BinaryIO
    turns: Iterator[int] = field(default_factory=count)
    stop_requested: asyncio.Event = field(default_factory=asyncio.Event)

    def next(self) -> int:
        """The number of the next row to post."""
        return next(self.turns) % len(self.requests)

    def record(self, row: int, sent: float, seconds: float, status: bytes = b"0", body: bytes = b"") -> None:
        """Write the result of a request."""
        self.results.write(b"%d %.6f %.6f %s %s\n" % (row, sent, seconds, status, body))


class Connection(asyncio.Protocol):
    """Posts, waits for the response, records it, and posts again. `closed` completes when the connection ends."""

    def __init__(self, state: LoadState) -> None:
        self.closed = asyncio.get_running_loop().create_future()
        self._state = state
        self._transport: asyncio.Transport | None = None
        self._pending: tuple[int, float, float] | None = None
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)
        self._post_next()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if end and length and len(body) == int(length[1]):
            self._record_result(head[9:12], body)
            self._read = b""
            self._post_next()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._record_result()
        self.closed.set_result(None)

    def _post_next(self) -> None:
        assert self._transport
        if self._state.stop_requested.is_set():
            self._transport.close()
            return
        row = self._state.next()
        self._pending = row, time.time(), time.perf_counter()
        self._transport.write(self._state.requests[row])

    def _record_result(self, status: bytes = b"0", body: bytes = b"") -> None:
        """Record the result of the pending request, if there is one."""
        if self._pending:
            row, sent, began = self._pending
            self._state.record(row, sent, time.perf_counter() - began, status, body)
            self._pending = None


async def post(host: str, port: int, folder: Path, connections: int) -> None:
    """Run this many clients until SIGTERM."""
    bodies = (folder / "bodies").read_bytes().splitlines()
    with (folder / "answers").open("wb") as results:
        state = LoadState([PREDICT % (len(body), body) for body in bodies], results)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, state.stop_requested.set)
        await asyncio.gather(*(client(host, port, state) for _ in range(connections)))


async def client(host: str, port: int, state: LoadState) -> None:
    """One client; it reconnects when its connection breaks."""
    while not state.stop_requested.is_set():
        try:
            _, connection = await asyncio.get_running_loop().create_connection(lambda: Connection(state), host, port)
        except OSError:
            state.record(state.next(), time.time(), 0.0)
            await asyncio.sleep(RECONNECT_SECONDS)
        else:
            await connection.closed


if __name__ == "__main__":
    asyncio.run(post(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))
