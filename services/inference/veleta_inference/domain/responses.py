"""The bodies of all responses. The OpenAPI document is generated from these types."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

from veleta_inference.domain.requests import ValidationProblem

Time = Annotated[datetime, msgspec.Meta(tz=True)]


class ModelName(TypedDict):
    """The version that predicted."""

    name: str
    version: int


def price_responses(target: str) -> dict[str, Any]:
    """The types of the responses of /predict and /explain. The field of the price is called as the target."""
    common: list[tuple[str, Any]] = [("request_id", str), ("model", ModelName)]
    prediction = msgspec.defstruct("Prediction", [(target, float)])
    explained = [(target, float), ("base", float), ("contributions", dict[str, float])]
    explanation = msgspec.defstruct("Explanation", explained)
    predictions = msgspec.defstruct("Predictions", [*common, ("predictions", list[prediction])])  # type: ignore[valid-type]  # built while running
    explanations = msgspec.defstruct("Explanations", [*common, ("explanations", list[explanation])])  # type: ignore[valid-type]  # as above
    return {"Predictions": predictions, "Explanations": explanations}


class PromotionDetails(TypedDict):
    """A promoted version, and why it was promoted."""

    version: int
    run_id: str
    promoted_at: Time | None
    promotion_seq: int
    metrics: Mapping[str, float]
    causes: Mapping[str, Any] | None


class Model(PromotionDetails):
    """The served version."""

    name: str
    loaded_at: Time


class History(TypedDict):
    """The last promotions, the newest first. `serving` is the promotion_seq of the served version."""

    name: str
    serving: int | None
    promotions: list[PromotionDetails]


class Invoked(TypedDict):
    """Prices in MLflow's scoring protocol, in the order of the rows."""

    predictions: list[float]


class TensorMetadata(TypedDict):
    """A tensor of the Open Inference Protocol without its data."""

    name: str
    datatype: str
    shape: list[int]


class OutputTensor(TensorMetadata):
    """The prices, one element per row."""

    data: list[float]


class Inferred(TypedDict):
    """The response to an inference request. `id` is the request's own."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: NotRequired[str]


class ModelMetadata(TypedDict):
    """The served version, and the tensors of its requests and responses."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelReady(TypedDict):
    """Whether the model is served."""

    name: str
    ready: bool


class Server(TypedDict):
    """The server of the Open Inference Protocol."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(TypedDict):
    """Whether the server runs."""

    live: bool


class ServerReady(TypedDict):
    """Whether a model is served."""

    ready: bool


class Problem(TypedDict):
    """An error: https://www.rfc-editor.org/rfc/rfc9457. Clients of the Open Inference Protocol read `error`."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ValidationProblem]
    error: NotRequired[str]


class Alive(TypedDict):
    """Whether the process makes progress."""

    alive: bool


class Readiness(TypedDict):
    """Whether the service is ready, what it does, and which dependencies are unavailable for which reason."""

    ready: bool
    doing: str
    waits_for: dict[str, str]


FIXED = (
    Model, History, Invoked, Inferred, ModelMetadata, ModelReady, Server, ServerLive, ServerReady, Problem, Alive,
    Readiness,
)  # fmt: skip
"""The types that are the same for every dataset."""
