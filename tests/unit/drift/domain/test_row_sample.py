"""The features of a sample that are compared."""

import numpy as np
import pytest

from support.listings import api_rows
from veleta.dataset import load_dataset
from veleta_drift.domain.row_sample import inputs_of

DATASET = load_dataset("real_estate")


def test_the_inputs_are_the_columns_that_the_model_sees() -> None:
    """But those that drift ignores. No ratio and no feature of a place is among them."""
    rows = [DATASET.convert(row)[0] for row in api_rows(0, 20, 3)]
    found = inputs_of(DATASET, rows)
    assert list(found.numbers) == ["bed", "bath", "acre_lot", "house_size", "prev_sold_date"]
    assert list(found.texts) == ["status", "city", "state"]
    assert found.numbers["bed"].tolist() == [row["bed"] for row in rows]


@pytest.mark.failure("F451")
def test_a_number_beyond_float32_is_the_largest_one() -> None:
    """Without a warning of an overflow."""
    row = DATASET.convert(api_rows(0, 20, 3)[0])[0] | {"acre_lot": 1.7e308, "bed": None}
    found = inputs_of(DATASET, [row]).numbers
    assert found["acre_lot"].tolist() == [np.finfo(np.float32).max]
    assert np.isnan(found["bed"]).all()


def test_the_count_of_missing_values_is_no_column() -> None:
    """Gaps are compared by the values that there are."""
    listings = load_dataset("listings")
    values = listings.convert({**listings.example, "bed": None})[0]
    found = inputs_of(listings, [values])
    assert {*found.numbers, *found.texts} <= {*listings.names}
