"""The form that asks for a price: fields, rows and answers."""

from http import HTTPStatus
from typing import Any

import pytest

from support.bicycles import BICYCLES
from veleta.dataset import load_dataset, parse_dataset
from veleta_inference.domain.requests import RequestReader
from veleta_monitor.domain.prices import UNREADABLE, PriceAnswer, no_price, price_answer, price_fields, request_row

REAL_ESTATE, LISTINGS, BICYCLE = map(load_dataset, ("real_estate", "listings", str(BICYCLES)))
BOOLEAN = '[[columns]]\nname = "pool"\ntitle = "Pool"\nkind = "boolean"\noptional = true\n\n[[columns]]\nname = "city"'
WITH_POOL = parse_dataset(
    REAL_ESTATE.text.replace('[[columns]]\nname = "city"', BOOLEAN).replace(
        "\n[example]\n", "\n[example]\npool = true\n"
    )
)
PRICED: dict[str, Any] = {
    "request_id": "r-1",
    "model": {"name": "real_estate", "version": 3},
    "predictions": [{"price": 309955.06, "low": 241380.9, "high": 398011.4, "coverage": 0.8}],
}
STORED = "Version 3 of the model predicted it. The request is stored as r-1."


def priced(**changes: object) -> dict[str, Any]:
    """The answer, with changes of its prediction."""
    return {**PRICED, "predictions": [{**PRICED["predictions"][0], **changes}]}


@pytest.mark.parametrize("dataset", [REAL_ESTATE, LISTINGS, BICYCLE, WITH_POOL], ids=lambda each: each.name)
def test_the_fields_mean_the_example(dataset: Any) -> None:
    """They are the inputs in the file's order, and their texts are the row of the example, as inference reads it."""
    fields = price_fields(dataset)
    assert [field.name for field in fields] == [column.name for column in dataset.inputs]
    row = request_row(dataset, {field.name: field.text for field in fields})
    example = {name: value for name, value in dataset.example.items() if name != dataset.target}
    reader = RequestReader(dataset, 1)
    assert reader.convert(row) == reader.convert(example)


def test_a_field_shows_whether_it_may_stay_empty() -> None:
    """In its label, and while it is empty. What the model does not use may, and so may an optional column."""
    shown = {field.name: (field.label, field.if_empty) for field in price_fields(LISTINGS)}
    assert shown["street"] == ("Street (number of the address), optional", "not given")
    assert shown["acre_lot"] == ("Lot (acres), optional", "not given")
    assert shown["city"] == ("City", "required")


def test_only_a_boolean_has_choices() -> None:
    """One of them is that it is not given."""
    assert {field.name: field.choices for field in price_fields(WITH_POOL) if field.choices} == {
        "pool": ("", "yes", "no")
    }
    assert request_row(WITH_POOL, {"pool": "yes"}) == {"pool": True}
    assert request_row(WITH_POOL, {"pool": "no"}) == {"pool": False}


def test_an_empty_field_is_left_out() -> None:
    """So are spaces. Inference decides whether a row may be without it."""
    assert request_row(LISTINGS, {"bed": "", "bath": "  ", "city": " Ashford "}) == {"city": "Ashford"}


def test_a_number_is_read_as_people_write_it() -> None:
    """An identifier with leading zeros stays text, and so does a date."""
    texts = {"house_size": "1,617 square feet", "zip_code": "06016", "prev_sold_date": "1999-09-30", "street": "17"}
    assert request_row(REAL_ESTATE, texts) == {**texts, "house_size": 1617.0, "street": 17.0}


def test_what_does_not_fit_is_sent_as_it_is() -> None:
    """The answer of inference names it, with what to write."""
    texts = {"bed": "four", "bath": "nan", "pool": "maybe", "prev_sold_date": "30/09/1999"}
    assert request_row(WITH_POOL, texts) == texts


def test_a_price_has_its_unit_its_range_and_its_version() -> None:
    """And the id under which the request is stored."""
    assert price_answer(REAL_ESTATE, HTTPStatus.OK, PRICED) == PriceAnswer(
        "good",
        "Price: 309,955 USD",
        ["80 % of the prices of such rows are between 241,381 and 398,011 USD.", STORED],
        [],
    )


def test_a_price_without_a_range_says_why() -> None:
    """As inference does."""
    body = priced(low=None, high=None, coverage=None, no_interval="too few rows")
    assert price_answer(REAL_ESTATE, HTTPStatus.OK, body).details == ["It has no range: too few rows.", STORED]


def test_a_warning_has_the_title_of_its_field() -> None:
    """An unknown field has its name."""
    warnings = [{"field": "bed", "message": "was not given"}, {"field": "x", "message": "is unusual"}]
    answer = price_answer(REAL_ESTATE, HTTPStatus.OK, priced(warnings=warnings))
    assert (answer.tone, answer.warnings) == ("good", ["Bedrooms: was not given", "x: is unusual"])


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            HTTPStatus.UNPROCESSABLE_ENTITY,
            {"detail": "see `errors`", "errors": [{"item": 0, "field": "bed", "message": "is required"}]},
            PriceAnswer("bad", "The model cannot price this row.", ["Bedrooms: is required"]),
        ),
        (
            HTTPStatus.UNPROCESSABLE_ENTITY,
            {"detail": "no row", "errors": [{"item": 0, "field": None, "message": "must be an object"}]},
            PriceAnswer("bad", "The model cannot price this row.", ["The row: must be an object"]),
        ),
        (
            HTTPStatus.UNPROCESSABLE_ENTITY,
            {"detail": "the list is empty", "errors": []},
            PriceAnswer("bad", "The model cannot price this row.", ["the list is empty"]),
        ),
        (
            HTTPStatus.SERVICE_UNAVAILABLE,
            {"detail": "model: no model yet: no training has started"},
            no_price("no model yet: no training has started"),
        ),
        (
            HTTPStatus.UNAUTHORIZED,
            {"detail": "no valid key"},
            PriceAnswer("bad", "Inference accepts only requests with an API key, and not that of the monitor."),
        ),
        (
            HTTPStatus.TOO_MANY_REQUESTS,
            {"detail": "too many requests"},
            PriceAnswer("bad", "Inference answered with status 429: too many requests."),
        ),
    ],
)
def test_a_refusal_is_shown_with_its_reason(status: int, body: dict[str, Any], expected: PriceAnswer) -> None:
    """Each problem with its field, or else one sentence."""
    assert price_answer(REAL_ESTATE, status, body) == expected


@pytest.mark.failure("F475")
@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        {},
        {"detail": "x"},
        {**PRICED, "predictions": []},
        {**PRICED, "predictions": ["x"]},
        priced(price="x"),
        priced(price=float("nan")),
        priced(price=float("inf")),
        priced(low="x"),
        priced(warnings=["x"]),
        priced(warnings=[{"field": "bed"}]),
    ],
)
def test_an_answer_of_another_form_is_one_sentence(body: object) -> None:
    """The page has no exception, whatever inference returns."""
    assert price_answer(REAL_ESTATE, HTTPStatus.OK, body) == PriceAnswer("bad", UNREADABLE)


@pytest.mark.failure("F475")
@pytest.mark.parametrize("errors", ["x", ["x"], [{"field": []}], 7])
def test_a_refusal_of_another_form_is_one_sentence(errors: object) -> None:
    """As a price of another form."""
    body = {"detail": "x", "errors": errors}
    assert price_answer(REAL_ESTATE, HTTPStatus.UNPROCESSABLE_ENTITY, body) == PriceAnswer("bad", UNREADABLE)


def test_a_price_has_its_day_and_how_far_the_market_has_moved() -> None:
    """If it has a market. The missing date of the row's own sale is no warning: the day is that."""
    sales = load_dataset("sales")
    assert sales.market
    unused = {"field": sales.market.time, "message": "was not given; the model does not use it"}
    body = {**priced(warnings=[unused]), "as_of": "2015-05-27", "market": {"factor": 1.074, "since": "2014-05"}}
    answer = price_answer(sales, HTTPStatus.OK, body)
    assert list(answer.details[1:]) == ["It is the price on 2015-05-27; market since 2014-05: +7.4 %.", STORED]
    assert list(answer.warnings) == []


def test_the_date_of_a_market_has_no_field() -> None:
    """The day of the price is asked for instead."""
    sales = load_dataset("sales")
    assert [field.name for field in price_fields(sales)] == [field.name for field in price_fields(REAL_ESTATE)]
