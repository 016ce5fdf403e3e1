"""The page /docs. It shows the OpenAPI document by Swagger UI, and loads nothing from other hosts."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from http import HTTPStatus
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js")
"""The files of Swagger UI in the package fastapi-offline, of which nothing is imported."""
ROOT, DOCUMENT, PAGE = "/", "/openapi.json", "/docs"
PATHS = (ROOT, DOCUMENT, PAGE, *(f"{PAGE}/{name}" for name in ASSETS))
START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#page", tryItOutEnabled: true, validatorUrl: null})'
HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script>{start}</script>
</body>
</html>
"""
_START_DIGEST = base64.b64encode(hashlib.sha256(START.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; connect-src 'self'; script-src 'self' 'sha256-{_START_DIGEST}'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
)
"""What the browser may load for the page, and that no page may have it in a frame: https://www.w3.org/TR/CSP3/"""


def routes(document: dict[str, Any]) -> Sequence[web.RouteDef]:
    """GET /openapi.json, the page /docs with its files, and / that leads to it."""
    encoded = orjson.dumps(document)
    page = HTML.format(title=escape(document["info"]["title"]), start=START)
    folder = Path(str(distribution("fastapi-offline").locate_file("fastapi_offline/static")))

    async def root(_request: web.Request) -> web.Response:
        return web.Response(status=HTTPStatus.FOUND, headers={"Location": "docs"})

    async def openapi(_request: web.Request) -> web.Response:
        return web.Response(body=encoded, content_type="application/json")

    async def docs(_request: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    async def asset(request: web.Request) -> web.FileResponse:
        return web.FileResponse(folder / request.path.rpartition("/")[2])

    pages = [web.get(ROOT, root), web.get(DOCUMENT, openapi), web.get(PAGE, docs)]
    return [*pages, *(web.get(f"{PAGE}/{name}", asset) for name in ASSETS)]
