"""The prices that pass the smoke check of a model."""

import math
from collections.abc import Sequence

import pytest

from veleta.dataset import load_dataset
from veleta.errors import Reject
from veleta.smoke_check import smoke_check

DATASET = load_dataset("real_estate")
USUAL = 250_000.0
"""Within the bounds of cleaning, 10,000 and ten million."""


@pytest.mark.parametrize(
    ("recent", "before"),
    [
        ([], []),
        ([USUAL, USUAL], []),
        ([USUAL, USUAL], [USUAL, USUAL]),
        ([USUAL, 300_000.0], [USUAL, 1e6]),
        ([USUAL, 9_000.0], [USUAL, 9_500.0]),
        ([USUAL, 1.0], [USUAL, USUAL]),
        ([10_000.0, 1.0], []),
        ([10_000_000.0, 1.0], []),
    ],
)
def test_plausible_prices_pass(recent: Sequence[float], before: Sequence[float]) -> None:
    """A constant price passes if the served model's is constant, too. Half of the prices may be out of bounds."""
    smoke_check(DATASET, USUAL, recent, before)


@pytest.mark.parametrize("example", [10_000.0, 10_000_000.0])
def test_a_price_on_a_bound_is_within_it(example: float) -> None:
    """As in cleaning."""
    smoke_check(DATASET, example, [], [])


@pytest.mark.failure("F123")
@pytest.mark.parametrize(
    ("example", "recent", "before", "message"),
    [
        (math.nan, [], [], "^the smoke check's price is not a positive number: nan$"),
        (0.0, [], [], "not a positive number: 0"),
        (-1.0, [], [], "not a positive number: -1"),
        (9_999.0, [], [], "^the smoke check's price is out of bounds: 9999 is not between 10000 and 1e"),
        (1e9, [], [], "out of bounds"),
        (USUAL, [USUAL, math.inf], [], "not a positive number: inf"),
        (USUAL, [1.0, 2.0, USUAL], [], "^the smoke check's prices are out of bounds: 2 of 3 recent rows$"),
        (
            USUAL,
            [USUAL, USUAL],
            [USUAL, 1e6],
            "^the smoke check's prices are constant: 250000 for each of 2 recent rows$",
        ),
    ],
)
def test_implausible_prices_are_refused(
    example: float, recent: Sequence[float], before: Sequence[float], message: str
) -> None:
    """Before a client gets one."""
    with pytest.raises(Reject, match=message):
        smoke_check(DATASET, example, recent, before)
