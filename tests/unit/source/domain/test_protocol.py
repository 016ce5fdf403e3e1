"""The protocol of the data API."""

import orjson
import pytest

from veleta_source.domain.protocol import InvalidQuery, Query, body_parts, parse_query


def test_each_group_and_each_day_has_its_own_cursor() -> None:
    """So has a group without a day."""
    queries = [{"group_number": "7"}, {"group_number": "7", "day": "Tuesday"}, {"group_number": "8"}]
    assert [parse_query(query).cursor for query in queries] == ["7", "7/Tuesday", "8"]


def test_a_missing_parameter_is_reported_in_the_form_of_fastapi() -> None:
    """Clients of the course's API read this form."""
    with pytest.raises(InvalidQuery) as error:
        parse_query({})
    missing = {"type": "missing", "loc": ["query", "group_number"], "msg": "Field required", "input": None}
    assert error.value.details == [missing]


def test_invalid_parameters_are_reported_in_the_form_of_fastapi() -> None:
    """Each with the value that was sent."""
    with pytest.raises(InvalidQuery) as error:
        parse_query({"group_number": "seven", "day": "Friday"})
    number, day = error.value.details
    assert set(number) == set(day) == {"type", "loc", "msg", "input"}
    assert (number["type"], number["loc"], number["input"]) == ("int_parsing", ["query", "group_number"], "seven")
    assert (day["type"], day["loc"], day["input"]) == ("literal_error", ["query", "day"], "Friday")


def test_the_body_has_the_day_only_if_the_query_has_one() -> None:
    """The rows are between the two parts."""
    head, tail = body_parts(Query(group_number=7), 0)
    assert orjson.loads(head + b"{}" + tail) == {"group_number": 7, "batch_number": 0, "data": [{}]}
    head, tail = body_parts(Query(group_number=7, day="Wednesday"), 1)
    assert list(orjson.loads(head + tail)) == ["group_number", "day", "batch_number", "data"]
