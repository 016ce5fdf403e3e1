"""How rows are divided into batches without [[source]] rules."""

from datetime import date

import pytest

from veleta.dataset import BatchesRule, Period, load_dataset
from veleta.input.batch_assignment import Row
from veleta.periods import period_of
from veleta_source.domain.batch_division import EQUAL_PARTS, in_equal_parts, numbered

DATASET = load_dataset("real_estate")


@pytest.mark.parametrize(
    ("every", "last", "next_one"),
    [
        ("day", date(2024, 2, 28), date(2024, 2, 29)),
        ("week", date(2024, 12, 29), date(2024, 12, 30)),
        ("month", date(2024, 12, 31), date(2025, 1, 1)),
        ("quarter", date(2024, 3, 31), date(2024, 4, 1)),
        ("year", date(2024, 12, 31), date(2025, 1, 1)),
    ],
)
def test_periods_are_numbered_in_the_order_of_time(every: Period, last: date, next_one: date) -> None:
    """The next one begins with its first day: a week with Monday."""
    assert period_of(next_one, every) == period_of(last, every) + 1
    assert period_of(date(last.year, last.month, last.day - 1), every) == period_of(last, every) - (every == "day")


def test_rows_have_the_place_of_their_date_or_of_their_position() -> None:
    """Whatever the order of the file is."""
    rows: list[Row] = [{"prev_sold_date": day, "bed": 3.0} for day in ("2024-03-01", "2024-01-31", "2024-03-31")]
    by_date = DATASET.model_copy(update={"batches": BatchesRule(by="prev_sold_date")})
    places = [place for place, _ in numbered(rows, by_date)]
    assert [place - places[1] for place in places] == [2, 0, 2]
    by_rows = DATASET.model_copy(update={"batches": BatchesRule(rows=2)})
    assert [(place, row) for place, row in numbered(rows, by_rows)] == [(0, rows[0]), (0, rows[1]), (1, rows[2])]


@pytest.mark.parametrize("total", [1, 5, 6, 7, 1_000])
def test_equal_parts_differ_by_one_row_at_most(total: int) -> None:
    """In the order of the file. With fewer rows than parts each row is a batch."""
    places = [place for place, _ in in_equal_parts([b"{}"] * total, total)]
    sizes = [places.count(place) for place in sorted(set(places))]
    assert places == sorted(places)
    assert len(sizes) == min(EQUAL_PARTS, total)
    assert max(sizes) - min(sizes) <= 1
