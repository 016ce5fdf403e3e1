"""The statistics of a batch."""

import math

import numpy as np
import pandas as pd
import pytest

from veleta.dataset import load_dataset
from veleta_drift.domain.statistics import ColumnValues, describe

DATASET = load_dataset("real_estate")


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
