"""The routes /livez, /readyz and /metrics."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from veleta.service.health import ServiceHealth
from veleta.service.routes import HEALTH, health_routes

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def health() -> ServiceHealth:
    return ServiceHealth("loader", liveness_seconds=0.2)


@pytest.fixture
async def client(health: ServiceHealth) -> AsyncIterator[Client]:
    """A client of a service with only these routes."""
    app = web.Application()
    app[HEALTH] = health
    app.add_routes(health_routes())
    async with TestClient(TestServer(app)) as client:
        yield client


async def get(client: Client, path: str) -> tuple[int, Any]:
    async with client.get(path) as response:
        return response.status, json.loads(await response.text())


@pytest.mark.failure("F233")
async def test_livez_is_503_while_a_loop_makes_no_progress(client: Client, health: ServiceHealth) -> None:
    """Although the routes, which need the event loop only, are served."""

    async def stuck_loop() -> None:
        assert await get(client, "/livez") == (200, {"alive": True})
        await asyncio.sleep(0.2)
        assert await get(client, "/livez") == (503, {"alive": False})
        health.heartbeat()
        assert await get(client, "/livez") == (200, {"alive": True})

    await health.supervise("consumer", stuck_loop())


async def test_readyz_is_200_if_no_dependency_is_unavailable(client: Client, health: ServiceHealth) -> None:
    """It shows the activity, and each unavailable dependency with its reason."""
    health.mark_started()
    health.set_activity("waiting for events")
    assert await get(client, "/readyz") == (
        200,
        {"ready": True, "doing": "waiting for events", "waits_for": {}, "warnings": {}},
    )
    health.set_unavailable("kafka", "down")
    status, body = await get(client, "/readyz")
    assert (status, body) == (
        503,
        {"ready": False, "doing": "waiting for events", "waits_for": {"kafka": "down"}, "warnings": {}},
    )


async def test_a_service_with_a_warning_is_ready(client: Client, health: ServiceHealth) -> None:
    """/readyz shows the warning until it is removed."""
    health.mark_started()
    health.set_warning("rows", "9 of 12 rows are left out")
    status, body = await get(client, "/readyz")
    assert isinstance(body, dict)
    assert (status, body["warnings"]) == (200, {"rows": "9 of 12 rows are left out"})
    health.set_warning("rows", "")
    _, body = await get(client, "/readyz")
    assert isinstance(body, dict)
    assert body["warnings"] == {}


async def test_metrics_are_in_the_prometheus_text_format(client: Client) -> None:
    """With the content type that Prometheus requires."""
    async with client.get("/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        assert "# TYPE python_info gauge" in await response.text()
