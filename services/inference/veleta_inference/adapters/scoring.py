"""MLflow's scoring protocol, so that its clients can ask us instead of `mlflow models serve`.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally
"""

from collections.abc import Sequence

from aiohttp import web
from mlflow.version import VERSION

from veleta_inference.adapters.request_adapter import Asking, reply
from veleta_inference.domain.protocols import scoring


def routes(asking: Asking) -> Sequence[web.RouteDef]:
    """POST /invocations, GET /ping, /health, /version."""

    async def invocations(request: web.Request) -> web.Response:
        answer = await asking.translated(request, scoring)
        return reply(answer, {"predictions": answer.prices})

    async def ping(_request: web.Request) -> web.Response:
        asking.predicting.model()
        return web.Response(text="\n")

    async def version(_request: web.Request) -> web.Response:
        return web.Response(text=VERSION)

    return [
        web.post("/invocations", invocations),
        web.get("/ping", ping),
        web.get("/health", ping),
        web.get("/version", version),
    ]
