"""The Open Inference Protocol, version 2, in JSON.

https://github.com/kserve/open-inference-protocol
"""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from veleta_inference.adapters.request_adapter import API_VERSION, RequestAdapter, json_response, price_response
from veleta_inference.domain.protocols import NUMERIC, input_tensors, open_inference_rows
from veleta_inference.domain.requests import UnreadableBody
from veleta_inference.domain.responses import (
    Inferred,
    ModelMetadata,
    ModelReady,
    OutputTensor,
    Server,
    ServerLive,
    ServerReady,
    TensorMetadata,
)
from veleta_inference.handlers import VersionNotServed

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
        self._name, self._target = adapter.dataset.name, adapter.dataset.target

    async def ready(self, _request: web.Request) -> web.Response:
        self._served_version()
        return json_response(ServerReady(ready=True))

    async def model_ready(self, request: web.Request) -> web.Response:
        self._requested_version(request)
        return json_response(ModelReady(name=self._name, ready=True))

    async def model(self, request: web.Request) -> web.Response:
        self._requested_version(request)
        metadata = ModelMetadata(
            name=self._name,
            versions=[str(self._served_version())],
            platform="catboost",
            inputs=input_tensors(self._adapter.dataset),
            outputs=[TensorMetadata(name=self._target, datatype=NUMERIC[0], shape=[-1])],
        )
        return json_response(metadata)

    async def infer(self, request: web.Request) -> web.Response:
        if BINARY in request.headers:
            raise UnreadableBody("binary tensors are not read", "send their data in the JSON (binary_data=False)")
        ids: list[str] = []

        def rows(body: object) -> list[dict[str, Any]]:
            if isinstance(body, dict) and "id" in body:
                ids.append(body["id"])
            return open_inference_rows(body)

        response = await self._adapter.predict_rows(request, rows, self._requested_version(request))
        prices = list(response.prices)
        body = Inferred(
            model_name=self._name,
            model_version=str(response.model.version),
            outputs=[OutputTensor(name=self._target, datatype=NUMERIC[0], shape=[len(prices)], data=prices)],
        )
        if ids:
            body["id"] = ids[0]
        return price_response(response, body)

    def _served_version(self) -> int:
        """The served version. Raises Retry while there is none."""
        return self._adapter.service.model()["version"]

    def _requested_version(self, request: web.Request) -> int | None:
        """The version in the path, if any. Raises VersionNotServed unless model and version are the served ones."""
        if request.match_info["model"] != self._name:
            raise VersionNotServed(f"the model is called {self._name}")
        requested, served = request.match_info.get("version"), self._served_version()
        if requested not in (None, str(served)):
            raise VersionNotServed(f"version {served} is served")
        return served if requested else None


async def _live(_request: web.Request) -> web.Response:
    return json_response(ServerLive(live=True))


async def _server(_request: web.Request) -> web.Response:
    return json_response(Server(name="veleta-inference", version=API_VERSION, extensions=[]))
