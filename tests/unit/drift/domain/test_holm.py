"""Adjusted p-values."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veleta_drift.domain.holm import holm


def test_an_example_by_hand() -> None:
    """The smallest of four counts four times, the next three times, and so on; none is below one that was smaller."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_no_adjusted_value_is_above_one() -> None:
    """One value is itself, and none stays none."""
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_a_weight_is_a_part_of_the_level() -> None:
    """With the weights 3 and 1, three quarters of the level are for the first p-value. Without weight none counts."""
    assert holm([0.03, 0.03, 0.0], [3.0, 1.0, 0.0]) == pytest.approx([0.04, 0.04, 1.0])
    assert holm([0.0, 0.5], [0.0, 0.0]) == [1.0, 1.0]


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), max_size=8), st.floats(0.001, 0.5))
def test_it_rejects_what_the_steps_of_holm_reject(pairs: Sequence[tuple[float, int]], level: float) -> None:
    """The reference goes through the hypotheses one by one, and stops at the first that it does not reject."""
    open_ones = {i: p / weight for i, (p, weight) in enumerate(pairs) if weight}
    rejected = set[int]()
    while open_ones:
        best = min(open_ones, key=lambda i: open_ones[i])
        if open_ones[best] * sum(pairs[i][1] for i in open_ones) > level:
            break
        rejected.add(best)
        del open_ones[best]
    adjusted = holm([p for p, _ in pairs], [float(weight) for _, weight in pairs])
    certain = [i for i, p in enumerate(adjusted) if not np.isclose(p, level, rtol=1e-12, atol=0)]
    assert {i for i in certain if adjusted[i] <= level} == rejected & set(certain)
