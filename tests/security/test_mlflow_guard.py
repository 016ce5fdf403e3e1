"""What reaches MLflow: an allow-list, and a token for each write. No server is needed."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.contracts import REGENERATE
from support.mlflow_routes import ROUTES, example, mounted, routes_text
from support.mlflow_server import TOKENS
from veleta.users import MLFLOW_WRITERS
from veleta_mlflow import guard
from veleta_mlflow.access import RETENTION, RULES, TRAINER, rule_for
from veleta_mlflow.guard import OPEN_BODY_LIMIT, Guard, Message, Receive, Scope, Send

ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
READ, WRITE = ("POST", "/api/2.0/mlflow/runs/search"), ("POST", "/api/2.0/mlflow/runs/create")
FILES = "/api/2.0/mlflow-artifacts/artifacts/1/x"

WAIT = b"a piece that does not arrive"


@dataclass
class Mlflow:
    """MLflow behind the guard: it stores what reaches it."""

    reached: list[tuple[str, str, bytes]] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.reached.append((scope["method"], scope["path"], body))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def request(self, method: str, path: str, authorization: str = "", body: tuple[bytes, ...] = (b"",)) -> int:
        """The status of a request whose body comes in pieces."""
        pieces: Iterator[Message] = iter(
            [
                {"type": "http.request", "body": piece, "more_body": number < len(body)}
                for number, piece in enumerate(body, 1)
            ]
        )

        async def receive() -> Message:
            message = next(pieces)
            if message["body"] == WAIT:
                await asyncio.sleep(60)
            return message

        headers = [(b"authorization", authorization.encode())] if authorization else []
        await self._call({"type": "http", "method": method, "path": path, "headers": headers}, receive)
        return int(self.sent[0]["status"])

    async def websocket(self, path: str) -> list[Message]:
        """What a handshake is answered with."""

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        await self._call({"type": "websocket", "path": path, "headers": []}, receive)
        return self.sent

    async def _call(self, scope: dict[str, Any], receive: Receive) -> None:
        self.sent = []

        async def send(message: Message) -> None:
            self.sent.append(message)

        await Guard(self, TOKENS)(scope, receive, send)


@pytest.fixture
def mlflow() -> Mlflow:
    return Mlflow()


@pytest.mark.failure("F350")
async def test_the_assistant_is_not_served(mlflow: Mlflow) -> None:
    """No path of it, with or without a token: it runs commands as the owner of the run."""
    routes = [(method, example(path)) for method, path in mounted() if path.startswith(ASSISTANT)]
    assert ("PUT", f"{ASSISTANT}/config") in routes
    for method, path in routes:
        for authorization in ("", f"Bearer {TOKENS[TRAINER]}"):
            assert await mlflow.request(method, path, authorization) == 404
    assert mlflow.reached == []


@pytest.mark.failure("F350")
@pytest.mark.parametrize("path", [f"{ASSISTANT}/config", "/", "/graphql", "/api/2.0/mlflow/runs/search"])
async def test_no_websocket_is_served(mlflow: Mlflow, path: str) -> None:
    """It is closed before it is accepted."""
    assert await mlflow.websocket(path) == [{"type": "websocket.close", "code": 1008}]
    assert mlflow.reached == []


@pytest.mark.failure("F350")
@pytest.mark.parametrize(
    "path",
    [
        f"/api{ASSISTANT}/config",
        f"/{ASSISTANT}/config",
        f"{ASSISTANT}/config/",
        "/api/2.0/mlflow/../../..//ajax-api/3.0/mlflow/assistant/config",
        "/api/2.0/mlflow/logged-models/x/../../assistant/config",
        "/AJAX-API/3.0/mlflow/assistant/config",
        "/ajax-api/2.0/mlflow/gateway-proxy",
        "/api/2.0/mlflow/webhooks",
        "/ajax-api/3.0/jobs/",
        "/v1/traces",
        "/invented",
        "",
    ],
)
async def test_every_other_path_is_404(mlflow: Mlflow, path: str) -> None:
    """Also in another spelling: a path is served only as the list has it."""
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        assert await mlflow.request(method, path, f"Bearer {TOKENS[TRAINER]}") == 404
    assert mlflow.reached == []


@pytest.mark.failure("F351")
def test_every_route_of_the_pinned_version_is_decided() -> None:
    """A path that another version of MLflow mounts is 404, and shows up here: then decide about it."""
    assert len(mounted()) > 400
    assert ROUTES.read_text() == routes_text(), f"MLflow mounts other routes: {REGENERATE}"


def test_every_rule_is_for_a_route_that_exists() -> None:
    """So the list is no longer than it needs to be."""
    used = {rule_for(method, example(path)) for method, path in mounted()}
    assert [rule for rule in RULES if rule not in used] == []


@pytest.mark.failure("F352")
async def test_reads_need_no_token(mlflow: Mlflow) -> None:
    """GET, and the searches that MLflow's clients and pages send as POST. HEAD counts as GET."""
    for method, path in (READ, ("GET", "/"), ("HEAD", FILES), ("GET", FILES), ("POST", "/graphql")):
        assert await mlflow.request(method, path) == 200
    assert len(mlflow.reached) == 5


@pytest.mark.failure("F352")
async def test_every_write_needs_the_token_of_its_writer(mlflow: Mlflow) -> None:
    """The trainer may write all that is served, and retention only deletes files and sets tags."""
    writes = [
        (method, example(path)) for method, path in mounted() if (rule_for(method, example(path)) or RULES[0]).writers
    ]
    assert len(writes) > 30
    allowed = dict[str, set[tuple[str, str]]]({RETENTION: set(), TRAINER: set()})
    for method, path in writes:
        for wrong in ("", "Bearer ", "Bearer wrong", TOKENS[TRAINER], f"Basic {TOKENS[TRAINER]}"):
            assert await mlflow.request(method, path, wrong) == 401
        for writer, token in TOKENS.items():
            if (status := await mlflow.request(method, path, f"Bearer {token}")) == 200:
                allowed[writer].add((method, path))
            else:
                assert status == 403
    assert allowed[TRAINER] == set(writes)
    assert allowed[RETENTION] == {
        ("DELETE", FILES.removesuffix("1/x") + "x"),
        ("POST", "/api/2.0/mlflow/model-versions/set-tag"),
    }
    assert len(mlflow.reached) == len(writes) + 2


async def test_a_refusal_has_the_form_of_mlflows_errors(mlflow: Mlflow) -> None:
    """So its clients show the message."""
    await mlflow.request(*WRITE)
    assert json.loads(mlflow.sent[1]["body"]) == {
        "error_code": "UNAUTHENTICATED",
        "message": "writes need the token of a writer in MLFLOW_TRACKING_TOKEN",
    }


@pytest.mark.failure("F353")
async def test_the_body_of_a_read_is_limited(mlflow: Mlflow) -> None:
    """Whoever needs no token cannot fill the memory. A shorter body reaches MLflow whole."""
    half = b"x" * (OPEN_BODY_LIMIT // 2)
    assert await mlflow.request(*READ, body=(half, half, b"x")) == 413
    assert mlflow.reached == []
    assert await mlflow.request(*READ, body=(half, b"y")) == 200
    assert mlflow.reached == [(*READ, half + b"y")]


@pytest.mark.failure("F353")
async def test_the_body_of_a_read_must_arrive_in_time(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends half of it does not keep a connection."""
    monkeypatch.setattr(guard, "OPEN_BODY_SECONDS", 0.1)
    assert await mlflow.request(*READ, body=(b"half", WAIT)) == 408
    assert mlflow.reached == []


async def test_the_body_of_a_write_is_not_limited(mlflow: Mlflow) -> None:
    """A model may be large. MLflow streams its file to the disk."""
    parts = (b"x" * OPEN_BODY_LIMIT, b"y")
    assert await mlflow.request("PUT", FILES, f"Bearer {TOKENS[TRAINER]}", parts) == 200
    assert len(mlflow.reached[0][2]) == OPEN_BODY_LIMIT + 1


def test_the_writers_are_those_with_a_token() -> None:
    """Each has a token in a run and in the containers."""
    assert set(MLFLOW_WRITERS) == {TRAINER, RETENTION} == set().union(*(rule.writers for rule in RULES))
