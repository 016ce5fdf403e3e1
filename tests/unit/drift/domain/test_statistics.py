"""The statistics of a batch."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from veleta.dataset import MAX_TEXT, Row, load_dataset
from veleta_drift.domain.statistics import MAX_KNOWN, ColumnValues, describe

DATASET = load_dataset("real_estate")
COLUMNS = [column for column in DATASET.columns if column.name not in DATASET.drift.ignore]


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1001])
def test_describe_equals_that_of_pandas(size: int) -> None:
    """Sample standard deviation and linear interpolation, to 1e-12 relative; one value has no deviation."""
    values = np.random.default_rng(size).lognormal(10, 2, size)
    expected = pd.Series(values).describe()
    described = describe(values)
    for ours, theirs in (("mean", "mean"), ("std", "std"), ("50", "50%"), ("75", "75%")):
        assert described[ours] == pytest.approx(expected[theirs], rel=1e-12, nan_ok=True)


def test_only_numbers_count() -> None:
    """Nulls, texts and NaN are left out, as pandas leaves out NaN; ignored columns are not compared."""
    values = ColumnValues(DATASET)
    values.add([{"price": 1.0}, {"price": None}, {"price": "2"}, {"price": math.nan}, {"price": 3.0, "street": 9.0}])
    statistics = values.summary().statistics
    assert statistics["price", "mean"] == 2.0
    assert {name for name, _ in statistics} == {"brokered_by", "price", "bed", "bath", "acre_lot", "house_size"}


def test_a_column_without_a_number_has_no_statistics() -> None:
    """All four are NaN."""
    statistics = ColumnValues(DATASET).summary().statistics
    assert all(math.isnan(statistics["price", name]) for name in ("mean", "std", "50", "75"))


def test_rows_and_values_are_counted() -> None:
    """A value counts if it fits its column, of whatever kind. Columns that drift ignores are not counted."""
    values = ColumnValues(DATASET)
    values.add([{"price": 1.0, "city": "Salem", "prev_sold_date": "soon", "street": 9.0}, {"price": "about 2"}])
    values.add([{"price": "3", "city": " ", "prev_sold_date": "1999-09-30"}])
    summary = values.summary()
    assert summary.rows == 3
    assert {name: count for name, count in summary.values.items() if count} == {
        "price": 2,
        "city": 1,
        "prev_sold_date": 1,
    }
    assert set(summary.values) == set(DATASET.names) - {"zip_code", "street"}
    assert summary.statistics["price", "mean"] == 2.0


odd = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(),
    st.sampled_from([1e308, -1e308, 10**400, 2**53 + 1, 2**63 + 1, 2**1024 - 1, -0.0, [], ["a"], {}, {"a": 1}]),
    st.sampled_from(["12", " 1,234 ", "$ 5", "1e3", "06016-1234", "NaN", " ", "x" * (MAX_TEXT + 1), "é" * MAX_TEXT]),
    st.dates().map(lambda day: day.isoformat()),
    st.text(max_size=5),
)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1) | st.none()
names = st.sampled_from([*DATASET.names, "a new column"])
tables = st.lists(st.dictionaries(names, st.one_of(numbers, odd), max_size=len(DATASET.names)), max_size=12)


def one_by_one(chunks: Sequence[Sequence[Row]]) -> dict[str, list[object]]:
    """What each column converts of each row, without the values that do not fit."""
    rows = [row for chunk in chunks for row in chunk]
    converted = {column.name: [column.convert(row.get(column.name)) for row in rows] for column in COLUMNS}
    return {name: [value for value in values if value is not None] for name, values in converted.items()}


@given(st.lists(tables, max_size=3))
@example([[{name: value} for value in (1.5, 2, None, 2**63 + 1)] for name in DATASET.names])
@example([[{name: value} for value in (True, 10**400, "7", math.inf, math.nan)] for name in DATASET.names])
@example([[{name: [1]}, {name: "a"}, {name: "1999-09-30"}, {name: {}}] for name in DATASET.names])
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_columns_are_converted_as_single_values_are(chunks: list[list[Row]]) -> None:
    """Whatever the values are, and in whatever chunks they come: the same counts, and the same bits."""
    values = ColumnValues(DATASET)
    for chunk in chunks:
        values.add(chunk)
    summary, expected = values.summary(), one_by_one(chunks)
    assert summary.rows == sum(map(len, chunks))
    assert summary.values == {name: len(fitting) for name, fitting in expected.items()}
    described = {
        (name, statistic): value
        for name in DATASET.drift_columns
        for statistic, value in describe(np.array(expected[name], dtype=np.float64)).items()
    }
    assert list(summary.statistics) == list(described)
    assert np.array(list(summary.statistics.values())).tobytes() == np.array(list(described.values())).tobytes()


def test_more_texts_than_are_remembered_are_counted() -> None:
    """Each once, whether it is known, new or too long to be remembered."""
    known, long = [f"town {n}" for n in range(MAX_KNOWN + 10)], f"{' ' * MAX_TEXT}town"
    values = ColumnValues(DATASET)
    for _ in range(2):
        values.add([{"city": text} for text in [*known, long, "x" * (MAX_TEXT + 1), " "]])
    assert values.summary().values["city"] == 2 * (MAX_KNOWN + 11)
