"""The load clients record the result of each request, whatever the service does."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from support.load import BROKEN, OK, RECONNECT_SECONDS, load
from support.testbed import free_port, wait_until

RESPONSE = {"request_id": "mine", "model": {"name": "m", "version": 7}, "predictions": [{"price": 236810.5}]}


class FaultyHandler(BaseHTTPRequestHandler):
    """Does what the request body asks for: a response in two pieces, 503, or a broken connection."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:
        what = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["what"]
        self.seen[what] += 1
        if what == "break":
            self.close_connection = True
            return
        body = json.dumps(RESPONSE).encode() if what == "answer" else b'{"detail": "busy"}'
        self.send_response(OK if what == "answer" else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:20])
        self.wfile.flush()
        self.wfile.write(body[20:])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
        """Log nothing."""


@pytest.fixture
def misbehaving_service() -> Iterator[str]:
    """A misbehaving service. Returns its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), FaultyHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_each_request_is_recorded_once(misbehaving_service: str, tmp_path: Path) -> None:
    """With the response of the service."""
    rows = [{"what": what} for what in ("answer", "busy", "break")]
    with load(misbehaving_service, rows, 2, tmp_path / "load") as answers:
        wait_until(lambda: min(FaultyHandler.seen[row["what"]] for row in rows) > 5, 10, "some requests of each kind")
    assert {(answer.row, answer.status, answer.price) for answer in answers} == {
        (0, OK, 236810.5), (1, 503, 0.0), (2, BROKEN, 0.0),
    }  # fmt: skip
    assert {(answer.request_id, answer.version) for answer in answers if answer.status == OK} == {("mine", 7)}
    assert Counter(rows[answer.row]["what"] for answer in answers) == FaultyHandler.seen
    assert all(0 < answer.seconds < 5 for answer in answers)


def test_a_refused_connection_is_recorded_as_broken(tmp_path: Path) -> None:
    """If no server listens, the clients keep trying."""
    with load(f"http://127.0.0.1:{free_port()}", [{}], 1, tmp_path / "load") as answers:
        wait_until(answers.path.exists, 10, "the clients have begun")
        time.sleep(3 * RECONNECT_SECONDS)
    assert {answer.status for answer in answers} == {BROKEN}
    assert len(list(answers)) > 1
