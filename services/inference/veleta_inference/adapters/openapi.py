"""The OpenAPI document of the HTTP API: https://spec.openapis.org/oas/v3.1.0"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST

from veleta.dataset import Dataset
from veleta_inference.adapters import problems
from veleta_inference.adapters.explainer_pool import MAX_EXPLAINED_ITEMS
from veleta_inference.adapters.keyed_answers import IDEMPOTENCY_KEY, KEY_PATTERN, REPLAYED
from veleta_inference.adapters.open_inference import MODEL, VERSION
from veleta_inference.adapters.request_adapter import (
    API_VERSION,
    MODEL_VERSION,
    REQUEST_ID,
    TRACE,
)
from veleta_inference.adapters.scoring import WARNINGS
from veleta_inference.domain.protocols import inference_request, input_tensors, mlflow_forms
from veleta_inference.domain.requests import item_type, list_type
from veleta_inference.domain.responses import response_types
from veleta_inference.domain.served_market import AS_OF

Part = dict[str, Any]
"""A part of the document."""
TEXT: Part = {"type": "string"}
INTEGER: Part = {"type": "integer"}
PARAMS: Part = {
    "type": ["object", "null"],
    "properties": {"interval": {"type": "boolean", "default": False, "description": "whether to add the intervals"}},
}
"""Those of MLflow's protocol."""
DAY: Part = {"type": ["string", "null"], "format": "date", "description": "the day whose prices are asked for"}
REF = "#/components/schemas/{name}"
ERRORS = {
    400: "The body is not JSON in UTF-8, has two values with one name, or is incomplete; "
    "or the Idempotency-Key is not valid.",
    401: "The service requires a key, and the request has no valid one.",
    404: "There is no such model, or another version is served.",
    408: "The body did not arrive in time.",
    413: "The body is too large, as sent or decompressed.",
    415: "The body has another Content-Encoding than gzip or deflate.",
    422: "A field is missing, unknown or of the wrong kind; the list is empty or too long; or the service is strict "
    "and the model has not learnt a value. `errors` names each. Or the Idempotency-Key belongs to another request, or "
    "`as_of` is no day of the market's history.",
    429: "This client has too many requests in flight.",
    500: "An error in the service.",
    503: "No model is served yet, the request cannot be stored, or too much is in flight. A request with an "
    "Idempotency-Key also needs MySQL.",
}
GUARDED = (401, 429)
"""The errors of every operation that requires a key if there are keys."""
PRICE_ERRORS = (400, *GUARDED, 408, 413, 415, 422, 500, 503)
"""The errors of a request for prices."""


def document(dataset: Dataset, items_limit: int) -> Part:
    """The whole document of a service of this dataset. One request may have `items_limit` items."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Veleta: {dataset.title}",
            "version": API_VERSION,
            "description": "Prices by the served model, and details of this model. Bodies are read as JSON, whatever "
            "their Content-Type; they may be compressed (Content-Encoding: gzip or deflate). Each request for prices "
            "is stored. A wrong method is answered with 405, an unknown path with 404. An unknown name in the header "
            "Host, or a page of another origin, is answered with 403.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"bearer": []}, {"key": []}],
        "paths": _paths(dataset),
        "components": {
            "schemas": _schemas(dataset, items_limit),
            "parameters": _parameters(dataset),
            "headers": _headers(),
            "responses": {str(status): _error(status, description) for status, description in ERRORS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _schemas(dataset: Dataset, items_limit: int) -> Part:
    """The schemas of all bodies, generated from their types."""
    item, market = item_type(dataset), dataset.market is not None
    items, few_items = (list_type(item, limit) for limit in (items_limit, min(MAX_EXPLAINED_ITEMS, items_limit)))
    name: Any = Literal[tuple(column.name for column in dataset.inputs)]
    forms = mlflow_forms(name, items, float | str | bool | None)
    types = [item | items, item | few_items, *forms.values()]
    types += [inference_request(name, int, market=market), *response_types(dataset.target, market=market)]
    (one_or_many, one_or_few, *schemas), components = msgspec.json.schema_components(types, ref_template=REF)
    del components["Item"]["properties"][dataset.target]["default"]  # it may be missing, but not null
    params = {**PARAMS, "properties": {**PARAMS["properties"], AS_OF: DAY}} if market else PARAMS
    invocations = [
        {"type": "object", "properties": {form: schema, "params": params}, "required": [form]}
        for form, schema in zip(forms, schemas)  # noqa: B905 - the other schemas are not those of forms
    ]
    return {**components, "Items": one_or_many, "FewItems": one_or_few, "Invocation": {"oneOf": invocations}}


def _paths(dataset: Dataset) -> Part:
    paths = {**_prices(dataset), **_models(), **_mlflow(dataset), **_open_inference(dataset), **_health()}
    for path in paths.values():
        path["parameters"] = [*path.get("parameters", []), _parameter(REQUEST_ID), _parameter(TRACE)]
    return paths


def _prices(dataset: Dataset) -> Part:
    row = _example(dataset)
    examples = {"one": {"value": row}, "two": {"value": [row, row]}}
    predict = _post("prices", "predict", "Prices of one item, or of a list of items, in its order.")
    explain = _post("prices", "explain", "Prices, and the contribution of each feature to them, in the price's unit.")
    return {
        "/predict": {"post": predict | _bodies("Items", examples, "Predictions")},
        "/explain": {"post": explain | _bodies("FewItems", examples, "Explanations")},
    }


def _models() -> Part:
    model = _get("model", "model", "The served model, since when and why.", _json("Model"), *GUARDED, 503)
    history = _get("model", "history", "The last promotions, the newest first.", _json("History"), *GUARDED)
    return {"/model": {"get": model}, "/models/history": {"get": history}}


def _mlflow(dataset: Dataset) -> Part:
    row = _example(dataset)
    forms: Part = {
        "dataframe_split": {"columns": list(row), "data": [list(row.values())]},
        "dataframe_records": [row],
        "instances": [row],
        "inputs": {name: [value] for name, value in row.items()},
    }
    examples = {form: {"value": {form: value}} for form, value in forms.items()}
    invoke = _post("MLflow", "invocations", "Prices, in MLflow's scoring protocol.")
    served = "Whether a model is served, in MLflow's scoring protocol."
    version = _get("MLflow", "version", "The version of MLflow whose protocol this is.", _text(), *GUARDED)
    return {
        "/invocations": {"post": invoke | _bodies("Invocation", examples, "Invoked", headers=[WARNINGS])},
        "/ping": {"get": _open(_get("MLflow", "ping", served, _text(), 503))},
        "/health": {"get": _open(_get("MLflow", "health", served, _text(), 503))},
        "/version": {"get": version},
    }


def _open_inference(dataset: Dataset) -> Part:
    tag, row = "Open Inference Protocol", _example(dataset)
    tensors = [tensor for tensor in input_tensors(dataset) if tensor["name"] in row]
    inputs = [{**tensor, "shape": [1], "data": [row[tensor["name"]]]} for tensor in tensors]
    infer = _bodies("Inference", {"one": {"value": {"inputs": inputs}}}, "Inferred", 404)
    server = _get(tag, "server", "The server's name and version.", _json("Server"), *GUARDED)
    live = _open(_get(tag, "server_live", "Whether the server runs.", _json("ServerLive")))
    ready = _open(_get(tag, "server_ready", "Whether a model is served.", _json("ServerReady"), 503))
    paths: Part = {"/v2": {"get": server}, "/v2/health/live": {"get": live}, "/v2/health/ready": {"get": ready}}
    for path, names in ((MODEL, ["model"]), (VERSION, ["model", "version"])):
        kind = names[-1]
        errors, parameters = (*GUARDED, 404, 503), {"parameters": [_parameter(name) for name in names]}
        metadata = _get(tag, f"{kind}_metadata", "The model's inputs and outputs.", _json("ModelMetadata"), *errors)
        model_ready = _get(tag, f"{kind}_ready", "Whether it is served.", _json("ModelReady"), *errors)
        paths[path] = {"get": metadata, **parameters}
        paths[f"{path}/ready"] = {"get": model_ready, **parameters}
        post = _post(tag, f"{kind}_infer", "Prices, one element per row.") | infer
        paths[f"{path}/infer"] = {"post": post, **parameters}
    return paths


def _health() -> Part:
    alive = _open(_get("service", "livez", "Whether the process makes progress.", _json("Alive")))
    ready = _open(_get("service", "readyz", "Whether all dependencies are available.", _json("Readiness")))
    for operation in (alive, ready):
        operation["responses"]["503"] = {**operation["responses"]["200"], "description": "It is not."}
    metrics = _get("service", "metrics", "The metrics for Prometheus.", _text(CONTENT_TYPE_LATEST))
    return {"/livez": {"get": alive}, "/readyz": {"get": ready}, "/metrics": {"get": _open(metrics)}}


def _post(tag: str, name: str, summary: str) -> Part:
    key = [_parameter(IDEMPOTENCY_KEY)]
    return {"tags": [tag], "operationId": name, "summary": summary, "parameters": key}


def _bodies(request: str, examples: Part, response: str, *errors: int, headers: Sequence[str] = ()) -> Part:
    """The bodies of a request for prices and of its response, its errors, and further headers of the response."""
    content = {"application/json": {"schema": _schema(request), "examples": examples}}
    responses = {"200": _success(_json(response), MODEL_VERSION, REPLAYED, *headers), **_errors(*PRICE_ERRORS, *errors)}
    return {"requestBody": {"required": True, "content": content}, "responses": responses}


def _get(tag: str, name: str, summary: str, content: Part, *errors: int) -> Part:
    responses = {"200": _success(content), **_errors(*errors)}
    return {"tags": [tag], "operationId": name, "summary": summary, "responses": responses}


def _open(operation: Part) -> Part:
    """The operation, without a key."""
    return {**operation, "security": []}


def _success(content: Part, *headers: str) -> Part:
    return {"description": "Success.", "headers": _header_references(*headers), "content": content}


def _json(name: str) -> Part:
    return {"application/json": {"schema": _schema(name)}}


def _text(content_type: str = "text/plain") -> Part:
    return {content_type: {"schema": TEXT}}


def _schema(name: str) -> Part:
    return {"$ref": REF.format(name=name)}


def _errors(*statuses: int) -> Part:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}


def _error(status: int, description: str) -> Part:
    headers = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}.get(status, [])
    return {
        "description": description,
        "headers": _header_references(*headers),
        "content": {problems.CONTENT_TYPE: {"schema": _schema("Problem")}},
    }


def _header_references(*headers: str) -> Part:
    """The headers of a response. Every response has the request's id."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (REQUEST_ID, TRACE, *headers)}


def _headers() -> Part:
    headers: Sequence[tuple[str, bool, Part, str]] = (
        (REQUEST_ID, True, TEXT, "The id that the client sent, or else the request's own."),
        (TRACE, False, TEXT, "As it was sent."),
        (MODEL_VERSION, True, INTEGER, "The version that predicted."),
        (REPLAYED, False, TEXT | {"const": "true"}, "The answer was sent before, to a request with this key."),
        (
            WARNINGS,
            False,
            TEXT,
            "Values that were not given, not learnt, or outside the dataset file's bounds.",
        ),
        ("Retry-After", True, INTEGER, "Seconds after which to repeat the request."),
        ("WWW-Authenticate", True, TEXT, "How to send a key."),
    )
    return {
        name: {"required": required, "schema": schema, "description": text} for name, required, schema, text in headers
    }


def _parameters(dataset: Dataset) -> Part:
    parameters: Sequence[tuple[str, str, Part, str]] = (
        (REQUEST_ID, "header", TEXT, "The client's id of its request: stored, and sent back."),
        (TRACE, "header", TEXT, "The request's trace, sent back: https://www.w3.org/TR/trace-context"),
        (
            IDEMPOTENCY_KEY,
            "header",
            TEXT | {"pattern": KEY_PATTERN},
            "The request is answered and stored once: a repeated one gets the stored answer.",
        ),
        ("model", "path", TEXT | {"enum": [dataset.name]}, "The only model."),
        ("version", "path", INTEGER | {"minimum": 1}, "The served version."),
    )
    return {
        name: {"name": name, "in": place, "required": place == "path", "schema": schema, "description": text}
        for name, place, schema, text in parameters
    }


def _parameter(name: str) -> Part:
    return {"$ref": f"#/components/parameters/{name}"}


def _example(dataset: Dataset) -> Part:
    """The dataset's example without the target."""
    return {column.name: dataset.example[column.name] for column in dataset.inputs if column.name in dataset.example}
