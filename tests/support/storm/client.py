"""Clients that post to /predict and record every response."""

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlsplit

CLIENTS = 3
PAUSE = 0.15
TIMEOUT = 120.0
"""Longer than any process is frozen."""
DISCONNECTED, NO_ANSWER = 0, -1
"""Instead of an HTTP status: the connection was refused, reset or closed; no response within TIMEOUT."""


@dataclass(frozen=True)
class Response:
    """The result of one request. `name` is its X-Request-ID; times are time.monotonic()."""

    name: str
    sent: float
    ended: float
    status: int
    items: int
    media: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


class Client:
    """Several clients, each in its own thread, with rows that vary the example."""

    def __init__(self, url: str, example: Mapping[str, Any], seed: int) -> None:
        self.responses: list[Response] = []
        self._address = urlsplit(url).netloc
        self._example = example
        self._seed = seed
        self._stop_requested = threading.Event()

    @contextmanager
    def posting(self) -> Iterator[None]:
        """Post while the block runs."""
        threads = [threading.Thread(target=self._post_repeatedly, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop_requested.set()
            for thread in threads:
                thread.join()

    def _post_repeatedly(self, number: int) -> None:
        chance = random.Random(f"{self._seed}/{number}")  # noqa: S311 - test data, no secret
        for turn in count():
            if self._stop_requested.wait(chance.uniform(0, 2 * PAUSE)):
                return
            rows = [self._row(chance) for _ in range(chance.choice((1, 1, 1, 2, 5)))]
            self.responses.append(self._post(f"storm-{number}-{turn}", rows))

    def _row(self, chance: random.Random) -> dict[str, Any]:
        scale = {name: chance.uniform(0.5, 2) for name, value in self._example.items() if isinstance(value, float)}
        return {name: value * scale.get(name, 1) for name, value in self._example.items()}

    def _post(self, name: str, rows: list[dict[str, Any]]) -> Response:
        body = json.dumps(rows[0] if len(rows) == 1 else rows)
        sent = time.monotonic()
        try:
            status, media, body_object = self._ask(body, {"Content-Type": "application/json", "X-Request-ID": name})
        except TimeoutError:
            status, media, body_object = NO_ANSWER, "", {}
        except (OSError, http.client.HTTPException):
            status, media, body_object = DISCONNECTED, "", {}
        return Response(name, sent, time.monotonic(), status, len(rows), media, body_object)

    def _ask(self, body: str, headers: dict[str, str]) -> tuple[int, str, dict[str, Any]]:
        with closing(http.client.HTTPConnection(self._address, timeout=TIMEOUT)) as connection:
            connection.request("POST", "/predict", body, headers)
            with connection.getresponse() as answer:
                text = answer.read()
                return answer.status, answer.headers.get_content_type(), _object(text)


def _object(text: bytes) -> dict[str, Any]:
    try:
        body_object = json.loads(text)
    except ValueError:
        return {}
    return body_object if isinstance(body_object, dict) else {}
