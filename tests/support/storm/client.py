"""Clients that post to /predict without pause and keep what they were told."""

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
TIMEOUT = 60.0
"""Longer than any process is frozen."""
CUT, NO_ANSWER = 0, -1
"""For a status: the connection was refused, reset or closed; nothing came within TIMEOUT."""


@dataclass(frozen=True)
class Reply:
    """What came of one request. `name` is the client's own (X-Request-ID); times are of time.monotonic()."""

    name: str
    sent: float
    ended: float
    status: int
    items: int
    media: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


class Client:
    """Several at once, each in a thread of its own, with rows that vary the example."""

    def __init__(self, url: str, example: Mapping[str, Any], seed: int) -> None:
        self.replies: list[Reply] = []
        self._address = urlsplit(url).netloc
        self._example = example
        self._seed = seed
        self._enough = threading.Event()

    @contextmanager
    def posting(self) -> Iterator[None]:
        """Post for as long as the block runs."""
        threads = [threading.Thread(target=self._post_on, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._enough.set()
            for thread in threads:
                thread.join()

    def _post_on(self, number: int) -> None:
        chance = random.Random(f"{self._seed}/{number}")  # noqa: S311 - test data, no secret
        for turn in count():
            if self._enough.wait(chance.uniform(0, 2 * PAUSE)):
                return
            rows = [self._row(chance) for _ in range(chance.choice((1, 1, 1, 2, 5)))]
            self.replies.append(self._post(f"storm-{number}-{turn}", rows))

    def _row(self, chance: random.Random) -> dict[str, Any]:
        scale = {name: chance.uniform(0.5, 2) for name, value in self._example.items() if isinstance(value, float)}
        return {name: value * scale.get(name, 1) for name, value in self._example.items()}

    def _post(self, name: str, rows: list[dict[str, Any]]) -> Reply:
        body = json.dumps(rows[0] if len(rows) == 1 else rows)
        sent = time.monotonic()
        try:
            status, media, said = self._ask(body, {"Content-Type": "application/json", "X-Request-ID": name})
        except TimeoutError:
            status, media, said = NO_ANSWER, "", {}
        except (OSError, http.client.HTTPException):
            status, media, said = CUT, "", {}
        return Reply(name, sent, time.monotonic(), status, len(rows), media, said)

    def _ask(self, body: str, headers: dict[str, str]) -> tuple[int, str, dict[str, Any]]:
        with closing(http.client.HTTPConnection(self._address, timeout=TIMEOUT)) as connection:
            connection.request("POST", "/predict", body, headers)
            with connection.getresponse() as answer:
                text = answer.read()
                return answer.status, answer.headers.get_content_type(), _object(text)


def _object(text: bytes) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
