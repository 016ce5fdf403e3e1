"""The bodies of all responses. The OpenAPI document is generated from these types."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

from veleta_inference.domain.errors import ValidationProblem

Time = Annotated[datetime, msgspec.Meta(tz=True)]


class ModelName(TypedDict):
    """The version that predicted."""

    name: str
    version: int


class PromotionDetails(TypedDict):
    """A promoted version, and why it was promoted. `actor` is the person who promoted it by a command, if one did."""

    version: int
    run_id: str
    promoted_at: Time | None
    promotion_seq: int
    metrics: Mapping[str, float]
    causes: Mapping[str, Any] | None
    reason: str | None
    actor: str | None


class Estimate(TypedDict, total=False):
    """The expected error of the last rows that a worker predicted, or only the `reason` why there is no estimate.

    `expected_error` is the mean absolute error of the price's logarithm: 0.14 is about 14 % of the price. `outside` is
    the share of these rows with a value that the model has not learnt, and `outside_of_holdout` that of its holdout.
    """

    rows: int
    expected_error: float
    outside: float
    outside_of_holdout: float
    reason: str


class LevelOfPeriod(TypedDict):
    """The level of a period, by its first day, as `Market` has that of a day."""

    period: date
    factor: float
    error: float


class Market(TypedDict):
    """The level of the market: a factor of the prices of the first period, `since`, on the day `as_of`.

    `error` is the standard error of the factor's logarithm. `level_seq` is the last update, 0: there was none since the
    training. If a batch showed a change that is too large to follow at once, `waiting` is the factor that it shows. If
    `pinned`, a person decided on the level. `periods` has the levels of the training, and of the updates since.
    """

    time: str
    every: str
    method: str
    since: str
    first: date
    as_of: date
    factor: float
    error: float
    level_seq: int
    pinned: bool
    waiting: float | None
    periods: list[LevelOfPeriod]


class Factor(TypedDict):
    """The level of the market that prices are at: `factor` times those of the first period, `since`."""

    factor: float
    since: str


class Model(PromotionDetails):
    """The served version. `interval_level` is the level at which its intervals shall contain 80 % of the prices.

    `market` is there if the dataset has a market, and null if the version was trained without one.
    """

    name: str
    loaded_at: Time
    interval_level: float | None
    estimate: Estimate
    market: NotRequired[Market | None]


class History(TypedDict):
    """The last promotions, the newest first. `serving` is the promotion_seq of the served version."""

    name: str
    serving: int | None
    promotions: list[PromotionDetails]


class Tensor(TypedDict):
    """A tensor of the Open Inference Protocol, without its data."""

    name: str
    datatype: str
    shape: list[int]


class OutputTensor(Tensor):
    """The prices, one element per row."""

    data: list[float]


class Problem(TypedDict):
    """An error: https://www.rfc-editor.org/rfc/rfc9457. Clients of the Open Inference Protocol read `error`."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ValidationProblem]
    error: NotRequired[str]


class FieldWarning(TypedDict):
    """A value that the model has not learnt or that was not given, or one outside the dataset file's bounds."""

    field: str
    message: str


class ResponseParameters(TypedDict):
    """What the Open Inference Protocol has no own field for. The warnings are one text for all items."""

    warnings: NotRequired[str]


class MarketParameters(ResponseParameters):
    """Those of a dataset with a market: the day of the prices, and the level of the market."""

    as_of: NotRequired[date]
    market_factor: NotRequired[float]
    market_since: NotRequired[str]


def response_types(target: str, *, market: bool) -> list[Any]:
    """The types of all responses. The field of a price has the target's name.

    With a market prices have a level, unless the version was trained without one.
    """
    level: dict[str, Any] = {"as_of": NotRequired[date], "market": NotRequired[Factor]} if market else {}
    interval = {"low": float | None, "high": float | None, "coverage": float | None, "no_interval": NotRequired[str]}
    item: dict[str, Any] = {target: float, **interval, "warnings": NotRequired[list[FieldWarning]]}
    prediction: Any = _type("Prediction", item)
    explanation: Any = _type("Explanation", {**item, "base": float, "contributions": dict[str, float]})
    tensors: Any = list[Tensor]
    fields: Mapping[str, dict[str, Any]] = {
        "Predictions": {"request_id": str, "model": ModelName, **level, "predictions": list[prediction]},
        "Explanations": {"request_id": str, "model": ModelName, **level, "explanations": list[explanation]},
        "Invoked": {"predictions": list[float | prediction], **level},
        "Inferred": {
            "id": NotRequired[str],
            "model_name": str,
            "model_version": str,
            "parameters": NotRequired[MarketParameters if market else ResponseParameters],
            "outputs": list[OutputTensor],
        },
        "ModelMetadata": {"name": str, "versions": list[str], "platform": str, "inputs": tensors, "outputs": tensors},
        "ModelReady": {"name": str, "ready": bool},
        "Server": {"name": str, "version": str, "extensions": list[str]},
        "ServerLive": {"live": bool},
        "ServerReady": {"ready": bool},
        "Alive": {"alive": bool},
        "Readiness": {"ready": bool, "doing": str, "waits_for": dict[str, str], "warnings": dict[str, str]},
    }
    return [Model, History, Problem, *(_type(name, fields_) for name, fields_ in fields.items())]


def _type(name: str, fields: dict[str, Any]) -> Any:
    return TypedDict(name, fields)  # type: ignore[operator]  # built while running
