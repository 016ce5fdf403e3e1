"""The status of the services over HTTP."""

import socket
from typing import Any

import pytest
from aiohttp import web

from support.http import served
from veleta_monitor.adapters.services import HttpReader


def test_an_unreachable_service_is_a_status() -> None:
    """Nothing is raised. Without inference, the reason for a missing model is that it is unavailable."""
    statuses = HttpReader({"loader": "http://127.0.0.1:1", "inference": "http://127.0.0.1:1"}).read()
    assert {name: status.error for name, status in statuses.services.items()} == {
        "loader": "cannot connect",
        "inference": "cannot connect",
    }
    assert (statuses.model, statuses.no_model_reason) == (None, "inference is unavailable: cannot connect")


def test_without_inference_no_model_is_served() -> None:
    """A deployment without inference is no error."""
    statuses = HttpReader({}).read()
    assert (statuses.model, statuses.no_model_reason) == (None, "inference is not deployed")


@pytest.mark.parametrize("unready", [{"127.0.0.1"}, {"127.0.0.2"}, set()])
def test_a_replica_that_is_not_ready_is_shown(monkeypatch: pytest.MonkeyPatch, unready: set[str]) -> None:
    """A name may have the addresses of several replicas. Each gets the name in the header Host."""
    hosts = set[str]()

    async def readyz(request: web.Request) -> web.Response:
        assert request.transport
        hosts.add(request.headers["Host"])
        own, _ = request.transport.get_extra_info("sockname")
        return web.json_response({"ready": own not in unready, "waits_for": {"mysql": own} if own in unready else {}})

    app = web.Application()
    app.add_routes([web.get("/readyz", readyz)])
    resolve = socket.getaddrinfo

    def resolve_replicas(host: str, *arguments: Any, **more: Any) -> list[Any]:
        names = ("127.0.0.1", "127.0.0.2") if host == "inference" else (host,)
        return [found for name in names for found in resolve(name, *arguments, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve_replicas)
    with served(app, host="0.0.0.0") as url:  # noqa: S104 - two addresses of this machine
        port = url.rsplit(":", 1)[1]
        status = HttpReader({"inference": f"http://inference:{port}"}).read().services["inference"]
    assert (status.ready, set(status.unavailable.values())) == (not unready, unready)
    assert hosts == {f"inference:{port}"}
