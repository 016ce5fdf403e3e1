"""`python -m bench.echo PORT`: an aiohttp server that only sends each body back."""

import sys

from aiohttp import web


async def echo(request: web.Request) -> web.Response:
    """Send the body back."""
    return web.Response(body=await request.read(), content_type="application/json")


if __name__ == "__main__":
    app = web.Application()
    app.add_routes([web.post("/predict", echo), web.get("/livez", echo)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
