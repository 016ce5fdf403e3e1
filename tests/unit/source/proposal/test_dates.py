"""How dates are written."""

from datetime import date

import numpy as np
import pytest

from veleta.dataset import Column
from veleta_source.proposal.dates import (
    DAY_FIRST,
    NUMBERS,
    TIMES,
    WORDS,
    DateFormat,
    exchanged,
    find_date_format,
    is_decided,
)

DAYS = [date(2016, month, day) for month in range(1, 13) for day in (1, 9, 13, 28)]


def found(texts: list[str], *, day_first: bool = True) -> DateFormat | None:
    """The format of texts that are there once each."""
    return find_date_format(texts, np.ones(len(texts), int), day_first=day_first)


@pytest.mark.parametrize(
    "form",
    ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%y", "%m/%d/%y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%B %d, %Y",
     "%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%a, %d %b %Y"],
)  # fmt: skip
@pytest.mark.parametrize("day_first", [True, False])
def test_a_format_is_found_by_its_values(form: str, day_first: bool) -> None:
    """Day and month are told apart by values above 12, whatever is expected."""
    texts = [f"{day:{form}}".replace("00:00", "10:30") for day in DAYS]
    dates = found(texts, day_first=day_first)
    assert dates is not None
    assert (dates.text, list(dates.dates), dates.other) == (form, DAYS, "")


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y/%m/%d", "%Y%m%dT000000"])
def test_some_dates_need_no_format(form: str) -> None:
    """A start reads them as they are."""
    assert found([f"{day:{form}}" for day in DAYS]) == DateFormat("", DAYS)


@pytest.mark.parametrize("form", ["%B %Y", "%m/%Y", "%Y-%m", "%b-%y"])
def test_a_month_is_its_first_day(form: str) -> None:
    """Such dates have no day."""
    dates = found([f"{day:{form}}" for day in DAYS])
    assert dates is not None
    assert (dates.text, list(dates.dates)) == (form, [day.replace(day=1) for day in DAYS])


def test_a_day_without_zeros_is_read() -> None:
    """As Australians write it."""
    dates = found([f"{day.day}/{day:%m/%Y}" for day in DAYS])
    assert dates is not None
    assert (dates.text, is_decided(dates)) == ("%d/%m/%Y", True)


def test_the_expected_order_decides_what_the_values_do_not() -> None:
    """Both formats read all values, so the other one is named."""
    texts = [f"{day:%d/%m/%Y}" for day in DAYS if day.day <= 12]
    first, second = found(texts), found(texts, day_first=False)
    assert first is not None
    assert second is not None
    assert (first.text, first.other, is_decided(first)) == ("%d/%m/%Y", "%m/%d/%Y", False)
    assert (second.text, second.other) == ("%m/%d/%Y", "%d/%m/%Y")


@pytest.mark.parametrize(
    "texts", [["oak", "elm"], ["12 Hill Rd", "14 Hill Rd"], ["1056 - 1200", "356 - 427"], ["99/99/2016"] * 3, []]
)
def test_other_texts_are_no_dates(texts: list[str]) -> None:
    """Although they have digits."""
    assert found(texts) is None


def test_a_tenth_may_be_no_dates() -> None:
    """They have no value."""
    texts = [f"{day:%d/%m/%Y}" for day in DAYS]
    dates = found([*texts, "soon"])
    assert dates is not None
    assert dates.dates[-1] is None
    assert found([*texts, *["soon"] * 10]) is None


@pytest.mark.parametrize("time", TIMES)
def test_a_start_accepts_each_format(time: str) -> None:
    """It reads what it writes, and no other day in the dates of rows that are sent on."""
    for form in [*DAY_FIRST, *map(exchanged, DAY_FIRST), *WORDS, *NUMBERS]:
        column = Column(name="sold", title="Sold", kind="date", format=form + time)
        assert column.convert("2001-02-03") == date(2001, 2, 3)
        assert column.convert(f"{date(2001, 2, 3):{form + time}}") in (date(2001, 2, 3), date(2001, 2, 1))
