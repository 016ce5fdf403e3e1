"""What the holdout shows about expected errors is part of the model's file."""

import pytest

from veleta.holdout_errors import METADATA, HoldoutErrors
from veleta.intervals import MIN_SIZE

ERRORS = HoldoutErrors(ratio=1.25, outside=0.031)


def test_a_model_contains_it() -> None:
    """A model of an earlier release has none. Damaged figures are not taken for missing ones."""
    metadata: dict[str, str] = {}
    assert HoldoutErrors.of_model(metadata) is None
    ERRORS.save(metadata)
    assert HoldoutErrors.of_model(metadata) == ERRORS
    with pytest.raises(ValueError, match="ratio"):
        HoldoutErrors.of_model({METADATA: "{}"})


def test_an_expected_error_is_corrected_by_the_ratio() -> None:
    """What was added before the error was learnt is subtracted, and no error is negative."""
    assert ERRORS.expected(0.1 + MIN_SIZE) == pytest.approx(0.125)
    assert ERRORS.expected(MIN_SIZE / 2) == 0
