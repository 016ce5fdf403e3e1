"""The samples that drift compares."""

import numpy as np

from veleta_drift.domain.samples import MAX_EFFECT, Errors, Inputs, bounded


def test_the_errors_of_a_slice_are_those_of_its_rows() -> None:
    """In their order."""
    names = np.array(["b", "a", "b", "a", "c"], dtype=object)
    parts = Errors(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), slices={"kind": names}).parts()
    assert {name: values.tolist() for name, values in parts.items()} == {
        "kind = a": [2.0, 4.0],
        "kind = b": [1.0, 3.0],
        "kind = c": [5.0],
    }


def test_inputs_have_a_length() -> None:
    """That of their columns, also if all are texts."""
    assert [len(Inputs({}, {})), len(Inputs({}, {"a": np.array(["x", "y"])}))] == [0, 2]


def test_a_ratio_is_finite() -> None:
    """Without a change it is 0, whatever the base."""
    assert bounded(1.0, 2.0) == 0.5
    assert bounded(0.0, 0.0) == bounded(0.0, 3.0) == 0
    assert bounded(1.0, 0.0) == bounded(1.0, 5e-324) == MAX_EFFECT
