"""The Open Inference Protocol, version 2, in JSON.

https://github.com/kserve/open-inference-protocol
"""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from veleta_inference.adapters.request_adapter import API_VERSION, Asking, as_json, reply
from veleta_inference.domain.protocols import NUMERIC, open_inference, tensors
from veleta_inference.domain.requests import Unreadable
from veleta_inference.handlers import NotServed

MODEL = "/v2/models/{model}"
VERSION = MODEL + "/versions/{version}"
BINARY = "Inference-Header-Content-Length"
"""Says where in a body its JSON ends and binary tensors begin: an extension of the protocol, not spoken here."""


def routes(asking: Asking) -> Sequence[web.RouteDef]:
    """Health, metadata and inference; the only model is the dataset's, its only version the served one."""
    pages = _Pages(asking)
    found = [web.get("/v2", _server), web.get("/v2/health/live", _live), web.get("/v2/health/ready", pages.ready)]
    for path in (MODEL, VERSION):
        found.append(web.get(path, pages.model))
        found.append(web.get(f"{path}/ready", pages.model_ready))
        found.append(web.post(f"{path}/infer", pages.infer))
    return found


class _Pages:
    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._name, self._target = asking.dataset.name, asking.dataset.target

    async def ready(self, _request: web.Request) -> web.Response:
        self._served()
        return as_json({"ready": True})

    async def model_ready(self, request: web.Request) -> web.Response:
        self._asked_for(request)
        return as_json({"name": self._name, "ready": True})

    async def model(self, request: web.Request) -> web.Response:
        self._asked_for(request)
        about = {"name": self._name, "versions": [str(self._served())], "platform": "catboost"}
        output = {"name": self._target, "datatype": NUMERIC[0], "shape": [-1]}
        return as_json({**about, "inputs": tensors(self._asking.dataset), "outputs": [output]})

    async def infer(self, request: web.Request) -> web.Response:
        if BINARY in request.headers:
            raise Unreadable("binary tensors are not read", "send their data in the JSON (binary_data=False)")
        said: dict[str, Any] = {}

        def rows(body: object) -> list[dict[str, Any]]:
            said.update(body if isinstance(body, dict) else {})
            return open_inference(body)

        answer = await self._asking.translated(request, rows, self._asked_for(request))
        tensor = {"name": self._target, "datatype": NUMERIC[0], "shape": [len(answer.prices)], "data": answer.prices}
        named = {"id": said["id"]} if "id" in said else {}
        about = {"model_name": self._name, "model_version": str(answer.version), **named}
        return reply(answer, {**about, "outputs": [tensor]})

    def _served(self) -> int:
        """The version that is served. Raises Retry while there is none."""
        return int(self._asking.predicting.model()["version"])

    def _asked_for(self, request: web.Request) -> int | None:
        """The version in the path. Raises NotServed for another model, or for a version that is not the served one."""
        if request.match_info["model"] != self._name:
            raise NotServed(f"the model is called {self._name}")
        said, served = request.match_info.get("version"), self._served()
        if said not in (None, str(served)):
            raise NotServed(f"version {served} is served")
        return served if said else None


async def _live(_request: web.Request) -> web.Response:
    return as_json({"live": True})


async def _server(_request: web.Request) -> web.Response:
    return as_json({"name": "veleta-inference", "version": API_VERSION, "extensions": []})
