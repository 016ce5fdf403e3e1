"""Load: clients that post to /predict without pause, in a process of their own, which notes every answer.

`python -m support.load HOST PORT FOLDER CONNECTIONS` posts the lines of FOLDER/bodies in turns over so many connections
until SIGTERM comes. A line of FOLDER/answers is a request: the number of its body, when it was posted, how long it
took, its status and its answer.
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

PREDICT = b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
AGAIN_SECONDS = 0.1
"""How soon a client whose connection was refused tries again."""
END_SECONDS = 60.0
OK, BROKEN = 200, 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: of row `row`, posted at the Unix time `sent`, ended `seconds` later.

    Status BROKEN: the connection was refused, or it broke. What comes of the service is empty unless it is 200.
    """

    row: int
    sent: float
    seconds: float
    status: int
    request_id: str = ""
    version: int = 0
    price: float = 0.0

    @property
    def ended(self) -> float:
        """When it was there, in Unix time."""
        return self.sent + self.seconds


@dataclass(frozen=True)
class Answers:
    """All answers to a load, in the order they came; as often as one likes."""

    path: Path

    def __iter__(self) -> Iterator[Answer]:
        with self.path.open("rb") as lines:
            for line in lines:
                row, sent, seconds, status, said = line.split(b" ", 4)
                told = _told(orjson.loads(said)) if int(status) == OK else ()
                yield Answer(int(row), float(sent), float(seconds), int(status), *told)


@contextmanager
def load(url: str, rows: Sequence[Mapping[str, Any]], connections: int, folder: Path) -> Iterator[Answers]:
    """Post rows to the service at `url` for as long as the block runs; the answers can be read when it is over.

    `folder` is made, for this load alone.
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
    assert code == 0, "the clients broke down"


def _told(said: Mapping[str, Any]) -> tuple[str, int, float]:
    (prediction,) = said["predictions"]
    (price,) = prediction.values()
    return said["request_id"], said["model"]["version"], price


@dataclass
class Posting:
    """What the clients share: the requests, in whose turns they are posted, and where it is noted what came of each."""

    requests: Sequence[bytes]
    notes: BinaryIO
    turns: Iterator[int] = field(default_factory=count)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def next(self) -> int:
        """The number of the row to be posted now."""
        return next(self.turns) % len(self.requests)

    def note(self, row: int, sent: float, seconds: float, status: bytes = b"0", said: bytes = b"") -> None:
        """Write what came of a request."""
        self.notes.write(b"%d %.6f %.6f %s %s\n" % (row, sent, seconds, status, said))


class Connection(asyncio.Protocol):
    """Posts, waits for the answer, notes it, and posts again; `gone` is done when the connection ends."""

    def __init__(self, posting: Posting) -> None:
        self.gone = asyncio.get_running_loop().create_future()
        self._posting = posting
        self._transport: asyncio.Transport | None = None
        self._asked: tuple[int, float, float] | None = None
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._read += data
        head, end, said = self._read.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if end and length and len(said) == int(length[1]):
            self._note(head[9:12], said)
            self._read = b""
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._note()
        self.gone.set_result(None)

    def _go_on(self) -> None:
        assert self._transport
        if self._posting.over.is_set():
            self._transport.close()
            return
        row = self._posting.next()
        self._asked = row, time.time(), time.perf_counter()
        self._transport.write(self._posting.requests[row])

    def _note(self, status: bytes = b"0", said: bytes = b"") -> None:
        """What came of the request that waits, if one does."""
        if self._asked:
            row, sent, began = self._asked
            self._posting.note(row, sent, time.perf_counter() - began, status, said)
            self._asked = None


async def post(host: str, port: int, folder: Path, connections: int) -> None:
    """Let so many clients post until it is over."""
    bodies = (folder / "bodies").read_bytes().splitlines()
    with (folder / "answers").open("wb") as notes:
        posting = Posting([PREDICT % (len(body), body) for body in bodies], notes)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, posting.over.set)
        await asyncio.gather(*(client(host, port, posting) for _ in range(connections)))


async def client(host: str, port: int, posting: Posting) -> None:
    """One client, which connects again when its connection breaks."""
    while not posting.over.is_set():
        try:
            _, connection = await asyncio.get_running_loop().create_connection(lambda: Connection(posting), host, port)
        except OSError:
            posting.note(posting.next(), time.time(), 0.0)
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            await connection.gone


if __name__ == "__main__":
    asyncio.run(post(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))
