"""Which prices make sense in a trial."""

import math
from collections.abc import Sequence

import pytest

from veleta.dataset import load_dataset
from veleta.errors import Reject
from veleta_inference.domain.smoke_check import tried

DATASET = load_dataset("real_estate")
USUAL = 250_000.0
"""Between the bounds of cleaning, 10,000 and ten million."""


@pytest.mark.parametrize(
    ("recent", "before"),
    [
        ([], []),
        ([USUAL, USUAL], []),
        ([USUAL, USUAL], [USUAL, USUAL]),
        ([USUAL, 300_000.0], [USUAL, 1e6]),
        ([USUAL, 9_000.0], [USUAL, 9_500.0]),
    ],
)
def test_what_makes_sense_is_served(recent: Sequence[float], before: Sequence[float]) -> None:
    """Also one price for rows to which the model before it gave one, and a few of them out of bounds."""
    tried(DATASET, USUAL, recent, before)


@pytest.mark.failure("F20")
@pytest.mark.parametrize(
    ("example", "recent", "before", "says"),
    [
        (math.nan, [], [], "no price: nan"),
        (-1.0, [], [], "no price: -1"),
        (9_999.0, [], [], "out of bounds: 9999 is not between 10000 and 1e"),
        (1e9, [], [], "out of bounds"),
        (USUAL, [USUAL, math.inf], [], "no price: inf"),
        (USUAL, [1.0, 2.0, USUAL], [], "out of bounds: 2 of 3 of the last requests"),
        (USUAL, [USUAL, USUAL], [USUAL, 1e6], "constant: 250000 for each of the last 2 requests"),
    ],
)
def test_what_makes_none_is_refused(
    example: float, recent: Sequence[float], before: Sequence[float], says: str
) -> None:
    """Before a client is told it."""
    with pytest.raises(Reject, match=says):
        tried(DATASET, example, recent, before)
