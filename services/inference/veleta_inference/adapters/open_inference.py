"""The Open Inference Protocol, version 2, in JSON.

https://github.com/kserve/open-inference-protocol
"""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from veleta_inference.adapters.request_adapter import API_VERSION, DAY, RequestAdapter, json_response, price_response
from veleta_inference.domain.errors import UnreadableBody, in_one_line
from veleta_inference.domain.protocols import (
    NUMERIC,
    input_tensors,
    open_inference_rows,
    requested_day,
    requested_outputs,
)
from veleta_inference.handlers import PredictionResponse, VersionNotServed

MODEL = "/v2/models/{model}"
VERSION = MODEL + "/versions/{version}"
BINARY = "Inference-Header-Content-Length"
"""The header of a body with binary tensors, an extension of the protocol that is not supported."""


def routes(adapter: RequestAdapter) -> Sequence[web.RouteDef]:
    """Health, metadata and inference. The only model is the dataset's, its only version the served one."""
    handlers = _Handlers(adapter)
    definitions = [
        web.get("/v2", _server),
        web.get("/v2/health/live", _live),
        web.get("/v2/health/ready", handlers.ready),
    ]
    for path in (MODEL, VERSION):
        definitions.append(web.get(path, handlers.model))
        definitions.append(web.get(f"{path}/ready", handlers.model_ready))
        definitions.append(web.post(f"{path}/infer", handlers.infer))
    return definitions


class _Handlers:
    def __init__(self, adapter: RequestAdapter) -> None:
        self._adapter = adapter
        self._name, self._outputs = adapter.dataset.name, (adapter.dataset.target, "low", "high")

    async def ready(self, _request: web.Request) -> web.Response:
        self._served_version()
        return json_response({"ready": True})

    async def model_ready(self, request: web.Request) -> web.Response:
        self._requested_version(request)
        return json_response({"name": self._name, "ready": True})

    async def model(self, request: web.Request) -> web.Response:
        self._requested_version(request)
        model = {"name": self._name, "versions": [str(self._served_version())], "platform": "catboost"}
        outputs = [{"name": name, "datatype": NUMERIC[0], "shape": [-1]} for name in self._outputs]
        return json_response({**model, "inputs": input_tensors(self._adapter.dataset), "outputs": outputs})

    async def infer(self, request: web.Request) -> web.Response:
        if BINARY in request.headers:
            raise UnreadableBody("binary tensors are not read", "send their data in the JSON (binary_data=False)")
        request_id: dict[str, Any] = {}
        wanted: list[str] = []

        def rows(body: object) -> list[dict[str, Any]]:
            if isinstance(body, dict):
                request[DAY] = requested_day(body.get("parameters"))
                if "id" in body:
                    request_id["id"] = body["id"]
            wanted.extend(requested_outputs(body, self._outputs))
            if set(wanted) & set(self._outputs[1:]):
                self._adapter.service.require_intervals()
            return open_inference_rows(body)

        response = await self._adapter.predict_rows(request, "tensors", rows, self._requested_version(request))
        model = {"model_name": self._name, "model_version": str(response.model.version)}
        *columns_of_outputs, _ = zip(*response.predictions, strict=True)
        columns = dict(zip(self._outputs, columns_of_outputs, strict=True))
        outputs = [_tensor(name, columns[name]) for name in wanted]
        parameters = {"parameters": found} if (found := _parameters(response)) else {}
        return price_response(response, {**model, **request_id, **parameters, "outputs": outputs})

    def _served_version(self) -> int:
        """The served version. Raises Retry while there is none."""
        return self._adapter.service.served_version

    def _requested_version(self, request: web.Request) -> int | None:
        """The version in the path, if any. Raises VersionNotServed unless model and version are the served ones."""
        if request.match_info["model"] != self._name:
            raise VersionNotServed(f"the model is called {self._name}")
        requested, served = request.match_info.get("version"), self._served_version()
        if requested not in (None, str(served)):
            raise VersionNotServed(f"version {served} is served")
        return served if requested else None


def _parameters(response: PredictionResponse) -> dict[str, Any]:
    """What the protocol has no own field for. Each value is a text or a number."""
    warnings = {"warnings": in_one_line(response.warnings)} if response.warnings else {}
    if (level := response.level) is None:
        return warnings
    return {**warnings, "as_of": level.as_of, "market_factor": level.factor, "market_since": level.since}


def _tensor(name: str, data: Sequence[float | None]) -> dict[str, Any]:
    return {"name": name, "datatype": NUMERIC[0], "shape": [len(data)], "data": data}


async def _live(_request: web.Request) -> web.Response:
    return json_response({"live": True})


async def _server(_request: web.Request) -> web.Response:
    return json_response({"name": "veleta-inference", "version": API_VERSION, "extensions": []})
