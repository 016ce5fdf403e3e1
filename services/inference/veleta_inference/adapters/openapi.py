"""The document that says what the service can be asked, and what it answers: https://spec.openapis.org/oas/v3.1.0"""

from collections.abc import Sequence
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST

from veleta.dataset import Dataset
from veleta_inference.adapters import problems
from veleta_inference.adapters.open_inference import MODEL, VERSION
from veleta_inference.adapters.request_adapter import (
    API_VERSION,
    IDEMPOTENCY_KEY,
    KEY_PATTERN,
    MODEL_VERSION,
    REQUEST_ID,
    TRACE,
)
from veleta_inference.adapters.schemas import INTEGER, TEXT, ref, schemas
from veleta_inference.domain.protocols import tensors

Part = dict[str, Any]
"""A part of the document."""
REFUSALS = {
    400: "The body is not JSON in UTF-8, has two values with one name, or did not come whole; "
    "or the Idempotency-Key is none.",
    401: "The service asks for a key, and the request bears none that is known.",
    404: "There is no such model, or another version is served.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    422: "A field is missing, unknown or of the wrong kind; the list is empty or too long. `errors` names each.",
    429: "This client has too many requests under way.",
    500: "A fault in the service.",
    503: "No model is served yet, the request cannot be kept, or too many requests wait.",
}
GUARDED = (401, 429)
"""What any request may be refused with that needs a key where keys are asked for."""
ASKED = (400, *GUARDED, 408, 413, 422, 500, 503)
"""What a request for prices may be refused with."""


def document(dataset: Dataset, items_limit: int) -> Part:
    """The whole document of a service of this dataset; one request may have `items_limit` items."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Veleta: {dataset.title}",
            "version": API_VERSION,
            "description": "Prices by the model that is served, and what is known of it. Bodies are read as JSON, "
            "whatever their Content-Type; they may be compressed (Content-Encoding: gzip or deflate). Each request "
            "for prices is kept. A wrong method is answered with 405, an unknown path with 404.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"bearer": []}, {"key": []}],
        "paths": _paths(dataset),
        "components": {
            "schemas": schemas(dataset, items_limit),
            "parameters": _parameters(dataset),
            "headers": _headers(),
            "responses": {str(status): _refusal(status, why) for status, why in REFUSALS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _paths(dataset: Dataset) -> Part:
    paths = {**_prices(dataset), **_models(), **_mlflow(dataset), **_open_inference(dataset), **_health()}
    for path in paths.values():
        path["parameters"] = [*path.get("parameters", []), _parameter(REQUEST_ID), _parameter(TRACE)]
    return paths


def _prices(dataset: Dataset) -> Part:
    row = _example(dataset)
    one_or_many = {"one": {"value": row}, "two": {"value": [row, row]}}
    predict = _post("prices", "predict", "Prices of one item, or of a list of them, in its order.")
    explain = _post("prices", "explain", "Prices, and what each feature adds to them, in the price's unit.")
    return {
        "/predict": {"post": predict | _bodies("Items", one_or_many, "Predictions")},
        "/explain": {"post": explain | _bodies("FewItems", one_or_many, "Explanations")},
    }


def _models() -> Part:
    model = _get("model", "model", "What is served, since when, and why.", _json("Model"), *GUARDED, 503)
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
    examples = {form: {"value": {form: said}} for form, said in forms.items()}
    invoke = _post("MLflow", "invocations", "Prices, in MLflow's scoring protocol.")
    served = "Whether a model is served, in MLflow's scoring protocol."
    version = _get("MLflow", "version", "The version of MLflow whose protocol this is.", _text(), *GUARDED)
    return {
        "/invocations": {"post": invoke | _bodies("Invocation", examples, "Invoked")},
        "/ping": {"get": _open(_get("MLflow", "ping", served, _text(), 503))},
        "/health": {"get": _open(_get("MLflow", "health", served, _text(), 503))},
        "/version": {"get": version},
    }


def _open_inference(dataset: Dataset) -> Part:
    tag, row = "Open Inference Protocol", _example(dataset)
    inputs = [{**tensor, "shape": [1], "data": [row[tensor["name"]]]} for tensor in tensors(dataset)]
    infer = _bodies("Inference", {"one": {"value": {"inputs": inputs}}}, "Inferred", 404)
    server = _get(tag, "server", "The server's name and version.", _json("Server"), *GUARDED)
    live = _open(_get(tag, "server_live", "Whether the server runs.", _json("ServerLive")))
    ready = _open(_get(tag, "server_ready", "Whether a model is served.", _json("ServerReady"), 503))
    paths: Part = {"/v2": {"get": server}, "/v2/health/live": {"get": live}, "/v2/health/ready": {"get": ready}}
    for path, names in ((MODEL, ["model"]), (VERSION, ["model", "version"])):
        kind = names[-1]
        unknown, named = (*GUARDED, 404, 503), {"parameters": [_parameter(name) for name in names]}
        about = _get(tag, f"{kind}_metadata", "What the model takes and gives.", _json("ModelMetadata"), *unknown)
        loaded = _get(tag, f"{kind}_ready", "Whether it is served.", _json("ModelReady"), *unknown)
        paths[path] = {"get": about, **named}
        paths[f"{path}/ready"] = {"get": loaded, **named}
        paths[f"{path}/infer"] = {"post": _post(tag, f"{kind}_infer", "Prices, an element a row.") | infer, **named}
    return paths


def _health() -> Part:
    alive = _open(_get("service", "livez", "Whether the process makes progress.", _json("Alive")))
    ready = _open(_get("service", "readyz", "Whether nothing is missing, and what it is.", _json("Readiness")))
    for each in (alive, ready):
        each["responses"]["503"] = {**each["responses"]["200"], "description": "It is not."}
    figures = _get("service", "metrics", "Figures for Prometheus.", _text(CONTENT_TYPE_LATEST))
    return {"/livez": {"get": alive}, "/readyz": {"get": ready}, "/metrics": {"get": _open(figures)}}


def _post(tag: str, name: str, summary: str) -> Part:
    key = [_parameter(IDEMPOTENCY_KEY)]
    return {"tags": [tag], "operationId": name, "summary": summary, "parameters": key}


def _bodies(asked: str, examples: Part, answered: str, *refused: int) -> Part:
    """What a request for prices sends, and what it gets."""
    content = {"application/json": {"schema": ref(asked), "examples": examples}}
    answer = _answer(_json(answered), MODEL_VERSION)
    return {
        "requestBody": {"required": True, "content": content},
        "responses": {"200": answer, **_refused(*ASKED, *refused)},
    }


def _get(tag: str, name: str, summary: str, content: Part, *refused: int) -> Part:
    responses = {"200": _answer(content), **_refused(*refused)}
    return {"tags": [tag], "operationId": name, "summary": summary, "responses": responses}


def _open(operation: Part) -> Part:
    """It asks for no key."""
    return {**operation, "security": []}


def _answer(content: Part, *headers: str) -> Part:
    return {"description": "As asked.", "headers": _borne(*headers), "content": content}


def _json(name: str) -> Part:
    return {"application/json": {"schema": ref(name)}}


def _text(content_type: str = "text/plain") -> Part:
    return {content_type: {"schema": TEXT}}


def _refused(*statuses: int) -> Part:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}


def _refusal(status: int, why: str) -> Part:
    borne = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}.get(status, [])
    return {
        "description": why,
        "headers": _borne(*borne),
        "content": {problems.CONTENT_TYPE: {"schema": ref("Problem")}},
    }


def _borne(*headers: str) -> Part:
    """The headers of an answer; all bear the request's name."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (REQUEST_ID, TRACE, *headers)}


def _headers() -> Part:
    described: Sequence[tuple[str, bool, Part, str]] = (
        (REQUEST_ID, True, TEXT, "The request's name: the client's, or else its id."),
        (TRACE, False, TEXT, "As it was sent."),
        (MODEL_VERSION, True, INTEGER, "The version that answered."),
        ("Retry-After", True, INTEGER, "Seconds after which to ask again."),
        ("WWW-Authenticate", True, TEXT, "How to send a key."),
    )
    return {name: {"required": must, "schema": schema, "description": says} for name, must, schema, says in described}


def _parameters(dataset: Dataset) -> Part:
    described: Sequence[tuple[str, str, Part, str]] = (
        (REQUEST_ID, "header", TEXT, "The client's name for its request: kept, and sent back."),
        (TRACE, "header", TEXT, "Its trace, sent back: https://www.w3.org/TR/trace-context"),
        (IDEMPOTENCY_KEY, "header", TEXT | {"pattern": KEY_PATTERN}, "The request's id: under one, it is kept once."),
        ("model", "path", TEXT | {"enum": [dataset.name]}, "The only model there is."),
        ("version", "path", INTEGER | {"minimum": 1}, "The version that is served."),
    )
    return {
        name: {"name": name, "in": place, "required": place == "path", "schema": schema, "description": says}
        for name, place, schema, says in described
    }


def _parameter(name: str) -> Part:
    return {"$ref": f"#/components/parameters/{name}"}


def _example(dataset: Dataset) -> Part:
    """The dataset's example, as it is asked with."""
    return {column.name: dataset.example[column.name] for column in dataset.inputs}
