"""MLflow's scoring protocol, for clients of `mlflow models serve`.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally
"""

from collections.abc import Sequence

from aiohttp import web
from mlflow.version import VERSION

from veleta_inference.adapters.request_adapter import (
    DAY,
    RequestAdapter,
    as_item,
    market_fields,
    price_response,
    printable,
)
from veleta_inference.domain.errors import in_one_line
from veleta_inference.domain.protocols import Rows, mlflow_rows, requested_day, wants_intervals

WARNINGS = "X-Warnings"
"""The header with warnings: MLflow's response has no place for them."""


def routes(adapter: RequestAdapter) -> Sequence[web.RouteDef]:
    """POST /invocations, GET /ping, /health, /version."""
    target = adapter.dataset.target

    async def invocations(request: web.Request) -> web.Response:
        with_intervals = False

        def rows(body: object) -> Rows:
            nonlocal with_intervals
            request[DAY] = requested_day(body.get("params") if isinstance(body, dict) else None)
            if with_intervals := wants_intervals(body):
                adapter.service.require_intervals()
            return mlflow_rows(body)

        response = await adapter.predict_rows(request, "mlflow", rows)
        headers = {WARNINGS: printable(in_one_line(response.warnings))} if response.warnings else {}
        predictions = [as_item(target, each) for each in response.predictions] if with_intervals else response.prices
        return price_response(response, {"predictions": predictions, **market_fields(response.level)}, headers)

    async def ping(_request: web.Request) -> web.Response:
        adapter.service.model()  # raises Retry while there is none
        return web.Response(text="\n")

    async def version(_request: web.Request) -> web.Response:
        return web.Response(text=VERSION)

    health = [web.get("/ping", ping), web.get("/health", ping), web.get("/version", version)]
    return [web.post("/invocations", invocations), *health]
