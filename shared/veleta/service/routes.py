"""The routes that every service has: /livez, /readyz and /metrics. And the check of a request's origin."""

from collections.abc import Callable, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from veleta.service import metrics
from veleta.service.health import ServiceHealth
from veleta.service.origins import OriginPolicy

HEALTH: web.AppKey[ServiceHealth] = web.AppKey("health", ServiceHealth)


def health_routes() -> Sequence[web.RouteDef]:
    """The routes; the application holds the ServiceHealth under HEALTH."""
    return [web.get("/livez", _livez), web.get("/readyz", _readyz), web.get("/metrics", _metrics)]


def forbidden(_request: web.Request, reason: str) -> web.Response:
    """The response to a request that `check_origins` refuses."""
    return web.Response(status=403, text=reason)


def check_origins(policy: OriginPolicy, forbidden: Callable[[web.Request, str], web.Response]) -> Middleware:
    """A middleware that answers requests which the policy refuses: `forbidden` makes the response with the reason."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if reason := policy.refusal(request.method, request.path, request.headers):
            return forbidden(request, reason)
        return await handler(request)

    return middleware


async def _livez(request: web.Request) -> web.Response:
    alive = request.app[HEALTH].alive
    return web.json_response({"alive": alive}, status=200 if alive else 503)


async def _readyz(request: web.Request) -> web.Response:
    health = request.app[HEALTH]
    body = {
        "ready": health.ready,
        "doing": health.activity,
        "waits_for": health.unavailable,
        "warnings": health.warnings,
    }
    return web.json_response(body, status=200 if health.ready else 503)


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(body=metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})
