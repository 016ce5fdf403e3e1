"""The form that asks for a price: its fields, the row that their texts mean, and the answer in sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from veleta.dataset import Column, Dataset
from veleta_monitor.domain.formatting import format_number
from veleta_monitor.domain.market import change_text
from veleta_monitor.domain.table import Tone

NOT_GIVEN, REQUIRED = "not given", "required"
"""What an empty field shows."""
AS_OF = "as_of"
"""The day of a price, in a request and in its answer."""
YES_OR_NO = ("", "yes", "no")
UNREADABLE = "Inference returned an answer that the monitor does not understand."


@dataclass(frozen=True)
class PriceField:
    """A field of the form. `text` is that of the dataset's example.

    `choices` are the texts that it may have, if it does not take any text.
    """

    name: str
    label: str
    text: str
    if_empty: str
    choices: Sequence[str] = ()


@dataclass(frozen=True)
class PriceAnswer:
    """What the page shows of an answer: a headline, what belongs to it, and a line for each warning."""

    tone: Tone
    headline: str
    details: Sequence[str] = ()
    warnings: Sequence[str] = ()


def price_fields(dataset: Dataset) -> list[PriceField]:
    """One field for each input, in the file's order. The date of a market is asked for as the day of the price."""
    return [
        PriceField(
            column.name,
            _label(column),
            _text(column, dataset.example.get(column.name)),
            REQUIRED if column.required else NOT_GIVEN,
            YES_OR_NO if column.kind == "boolean" else (),
        )
        for column in dataset.inputs
        if not _is_time(dataset, column.name)
    ]


def request_row(dataset: Dataset, texts: Mapping[str, str]) -> dict[str, Any]:
    """The row of a request. An empty field is left out, and a text that does not fit is left to inference to refuse."""
    return {
        column.name: _json_value(column, text)
        for column in dataset.inputs
        if (text := texts.get(column.name, "").strip())
    }


def price_answer(dataset: Dataset, status: int, body: Any) -> PriceAnswer:
    """The answer of inference to a request with one row: its status and its JSON."""
    try:
        match body:
            case {"predictions": [dict() as prediction], "model": {"version": version}, "request_id": request_id}:
                stored = f"Version {version} of the model predicted it. The request is stored as {request_id}."
                return _priced(dataset, prediction, [*_day(body), stored])
            case {"detail": str(detail)} if status != HTTPStatus.OK:
                return _refused(dataset, status, detail, body.get("errors") or [])
    except (LookupError, TypeError, ValueError, ArithmeticError):
        pass  # the same as another form of answer
    return PriceAnswer("bad", UNREADABLE)


def no_price(reason: str) -> PriceAnswer:
    """There is none now, and the request can be repeated later."""
    return PriceAnswer("warn", f"There is no price now: {reason.rstrip('.')}.")


def _label(column: Column) -> str:
    title = f"{column.title} ({column.unit})" if column.unit else column.title
    return title if column.required else f"{title}, optional"


def _text(column: Column, value: object) -> str:
    """A value of the example as a person types it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return column.digits_of(value) if _is_text(column) else f"{value:.15g}"
    return "" if value is None else str(value)


def _json_value(column: Column, text: str) -> Any:
    """A value as a request has it. Dates stay text: inference knows their formats."""
    typed = None if column.kind == "date" or _is_text(column) else column.convert(text)
    if typed is None or column.kind == "category":
        return text
    return typed == "true" if column.kind == "boolean" else typed


def _is_text(column: Column) -> bool:
    """Whether this is an identifier whose leading zeros are part of the name."""
    return column.kind == "identifier" and column.digits > 0


def _priced(dataset: Dataset, prediction: Mapping[str, Any], details: Sequence[str]) -> PriceAnswer:
    target = dataset.by_name[dataset.target]
    warnings = [
        _about(dataset, each) for each in prediction.get("warnings", ()) if not _is_time(dataset, each["field"])
    ]
    price = _amount(prediction[target.name], target)
    return PriceAnswer("good", f"{target.title}: {price}", [_range(prediction, target), *details], warnings)


def _day(body: Mapping[str, Any]) -> list[str]:
    """The day of the price, and how far the market has moved until then. Nothing without a market."""
    match body:
        case {"as_of": day, "market": {"factor": factor, "since": since}}:
            return [f"It is the price on {day}; market since {since}: {change_text(factor)}."]
        case _:
            return []


def _is_time(dataset: Dataset, name: str) -> bool:
    """Whether a column has the date of each row's own sale."""
    return dataset.market is not None and name == dataset.market.time


def _range(prediction: Mapping[str, Any], target: Column) -> str:
    low, high, coverage = prediction["low"], prediction["high"], prediction["coverage"]
    if low is None:
        return f"It has no range: {prediction['no_interval']}."
    share = f"{100 * coverage:.0f} % of the prices of such rows"
    return f"{share} are between {format_number(low)} and {_amount(high, target)}."


def _amount(value: float, target: Column) -> str:
    return f"{format_number(value)} {target.unit}".rstrip()


def _refused(dataset: Dataset, status: int, detail: str, errors: Sequence[Mapping[str, Any]]) -> PriceAnswer:
    match status:
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            problems = [_about(dataset, each) for each in errors]
            return PriceAnswer("bad", "The model cannot price this row.", problems or [detail])
        case HTTPStatus.SERVICE_UNAVAILABLE:
            return no_price(detail.removeprefix("model: "))
        case HTTPStatus.UNAUTHORIZED:
            return PriceAnswer("bad", "Inference accepts only requests with an API key, and not that of the monitor.")
        case _:
            return PriceAnswer("bad", f"Inference answered with status {status}: {detail.rstrip('.')}.")


def _about(dataset: Dataset, problem: Mapping[str, Any]) -> str:
    """A warning or an error, with the title of its field."""
    column = dataset.by_name.get(problem["field"])
    return f"{column.title if column else problem['field'] or 'The row'}: {problem['message']}"
