"""Texts about rows that are left out."""

import pytest

from veleta.left_out import describe_left_out, left_out_warning

REJECTED = {"bed: below 1": 12, "price: no value": 300}
DESCRIBED = '312 of 400 rows are left out (78 %): price: no value 300 (row 0: "POA"), bed: below 1 12'


def test_rows_left_out_are_counted_by_reason() -> None:
    """The most frequent reason is first, and an example follows its reason."""
    assert describe_left_out(400, REJECTED, {"price: no value": 'row 0: "POA"'}) == DESCRIBED
    assert describe_left_out(400, {}) == ""


def test_rare_reasons_are_only_counted() -> None:
    """The text is a line."""
    many = {f"column_{number}: no value": 1_000 - number for number in range(9)}
    described = describe_left_out(20_000, many)
    assert described.startswith("8,964 of 20,000 rows are left out (44.8 %): column_0: no value 1,000, column_1")
    assert described.endswith("column_4: no value 996, 4 more reasons")


@pytest.mark.failure("F173")
@pytest.mark.parametrize("left_out", [0, 80])
def test_up_to_a_fifth_of_a_batch_is_no_warning(left_out: int) -> None:
    """A few rows are always outside the bounds."""
    assert left_out_warning("1/3", 400, {"bed: below 1": left_out} if left_out else {}) == ""


@pytest.mark.failure("F173")
def test_more_than_a_fifth_is_a_warning() -> None:
    """With the examples, if the findings of the batch have them."""
    assert left_out_warning("1/3", 400, {"bed: below 1": 81}) == (
        "batch 1/3: 81 of 400 rows are left out (20.2 %): bed: below 1 81"
    )
    assert left_out_warning("1/3", 400, REJECTED, f"nulls\n{DESCRIBED}") == f"batch 1/3: {DESCRIBED}"


@pytest.mark.failure("F173")
def test_a_batch_without_a_clean_row_is_named() -> None:
    """It is loaded, but no model learns from it."""
    assert left_out_warning("1/3", 9, {"price: no value": 9}) == (
        "batch 1/3 has no clean row: 9 of 9 rows are left out (100 %): price: no value 9"
    )
