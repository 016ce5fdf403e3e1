"""Histograms of a batch beside its reference."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from veleta.events.catalogue import Histogram
from veleta_drift.domain.histograms import BINS, MAX_CATEGORIES, histograms
from veleta_drift.domain.samples import Inputs

RANDOM = np.random.default_rng(5)


def inputs(numbers: Sequence[float] = (), texts: Sequence[str] = ()) -> Inputs:
    """Rows with a number `a` and a text `b`."""
    return Inputs({"a": np.array(numbers, np.float32)}, {"b": np.array(texts, object)})


def bins(histogram: Histogram) -> list[tuple[float | None, float | None, float, float | None]]:
    return [(each.lower, each.upper, each.share, each.reference_share) for each in histogram.bins]


def shares(histogram: Histogram) -> dict[str | None, tuple[float, float | None]]:
    return {each.category: (each.share, each.reference_share) for each in histogram.bins}


def test_a_number_is_binned_at_the_quantiles_of_its_reference() -> None:
    """Ten bins with equally many rows of the reference, and one on each side for what it does not have."""
    reference = inputs(RANDOM.lognormal(0, 2, 5_000).tolist())
    (histogram,) = histograms(inputs([1e-9, *reference.numbers["a"], 1e9]), reference, "champion")
    assert (histogram.column, histogram.reference, len(histogram.bins)) == ("a", "champion", BINS + 2)
    assert [each.reference_share for each in histogram.bins[1:-1]] == [pytest.approx(0.1, abs=0.001)] * BINS
    assert [each.reference_share for each in (histogram.bins[0], histogram.bins[-1])] == [0, 0]
    assert histogram.bins[-1].share == pytest.approx(1 / 5_002, abs=1e-6)
    assert sum(each.share for each in histogram.bins) == pytest.approx(1)
    edges = [each.upper for each in histogram.bins[:-1]]
    assert edges == sorted(edges, key=lambda edge: edge or 0)
    assert [each.lower for each in histogram.bins[1:]] == edges


def test_a_batch_that_equals_its_reference_has_equal_shares() -> None:
    """Whole numbers of which many are equal have fewer bins, and none is counted twice."""
    same = inputs([1, 2, 2, 2, 2, 3, 3, 4, 5, 40], ["x", "y"] * 5)
    for histogram in histograms(same, same, "previous"):
        assert all(each.share == each.reference_share for each in histogram.bins)
        assert sum(each.share for each in histogram.bins) == pytest.approx(1)
    assert bins(histograms(same, same, "previous")[0])[:3] == [
        (None, 1.0, 0.0, 0.0),
        (1.0, 2.0, 0.5, 0.5),
        (2.0, 3.0, 0.2, 0.2),
    ]


@pytest.mark.failure("F455")
@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ([2, 2], [2, 2, 2], [(None, 2.0, 0.0, 0.0), (2.0, 2.0, 1.0, 1.0), (2.0, None, 0.0, 0.0)]),
        ([1, 2, 3, 3], [2, 2], [(None, 2.0, 0.25, 0.0), (2.0, 2.0, 0.25, 1.0), (2.0, None, 0.5, 0.0)]),
        ([2, math.nan, math.inf], [2, math.nan], [(None, 2.0, 0.0, 0.0), (2.0, 2.0, 1.0, 1.0), (2.0, None, 0.0, 0.0)]),
        ([3], [], [(None, 3.0, 0.0, None), (3.0, 3.0, 1.0, None), (3.0, None, 0.0, None)]),
        ([3], [math.nan], [(None, 3.0, 0.0, None), (3.0, 3.0, 1.0, None), (3.0, None, 0.0, None)]),
        ([], [1, 2], None),
        ([math.nan], [1, 2], None),
    ],
    ids=["constants", "new values", "not a number", "new column", "empty reference", "empty column", "only NaN"],
)
def test_columns_with_few_values_have_defined_histograms(
    new: Sequence[float], old: Sequence[float], expected: list[tuple[float | None, ...]] | None
) -> None:
    """What is no finite number is left out, and a column without a number has no histogram."""
    found = histograms(inputs(new), inputs(old), "champion")
    assert [bins(each) for each in found] == ([expected] if expected else [])


@pytest.mark.failure("F455")
def test_new_and_vanished_categories_have_bins() -> None:
    """Also if they are rare elsewhere. A batch without a reference has its own shares only."""
    (histogram,) = histograms(inputs(texts=["x", "x", "new", ""]), inputs(texts=["x", "gone"]), "champion")
    assert shares(histogram) == {"x": (0.5, 0.5), "gone": (0.0, 0.5), "new": (0.25, 0.0), "": (0.25, 0.0)}
    (alone,) = histograms(inputs(texts=["x", "y"]))
    assert shares(alone) == {"x": (0.5, None), "y": (0.5, None)}
    assert alone.reference is None
    assert histograms(inputs(texts=[]), inputs(texts=["x"]), "champion") == []


def test_the_largest_categories_of_either_side_have_bins() -> None:
    """The rest share one, which is the last. All shares add up to 1."""
    old = [f"c{index:03}" for index in range(200)] + ["only old"] * 50
    new = [f"c{index:03}" for index in range(200)] + ["only new"] * 50
    (histogram,) = histograms(inputs(texts=new), inputs(texts=old), "champion")
    assert len(histogram.bins) == MAX_CATEGORIES + 1
    assert [each.category for each in histogram.bins[:3]] == ["only new", "only old", "c000"]
    assert histogram.bins[-1].category is None
    assert sum(each.share for each in histogram.bins) == pytest.approx(1)
    assert sum(each.reference_share or 0 for each in histogram.bins) == pytest.approx(1)


def test_edges_are_the_shortest_numbers_of_their_precision() -> None:
    """A float32 is no long number in an event."""
    (histogram,) = histograms(inputs([0.38, 0.38]))
    assert [each.upper for each in histogram.bins] == [0.38, 0.38, None]
