"""The expected error of the rows that a model predicted last, and when there is none."""

import pytest

from veleta.holdout_errors import MIN_ROWS, HoldoutErrors
from veleta_inference.domain.error_window import MAX_SHIFT, ROWS, UNMEASURED, ErrorWindow
from veleta_inference.domain.errors import ValidationProblem
from veleta_inference.domain.interval_predictor import Prediction

HOLDOUT = HoldoutErrors(ratio=1.2, outside=0.25)


def add(window: ErrorWindow, rows: int, error: float | None = 0.1, outside: int = 0) -> None:
    """Add a request with so many rows, of which the last `outside` have two warnings each."""
    warnings = [
        ValidationProblem(rows - 1 - place, field, "unknown") for place in range(outside) for field in ("city", "bed")
    ]
    window.add([Prediction(1.0, expected_error=error)] * rows, warnings)


def test_the_estimate_is_the_mean_of_the_last_rows() -> None:
    """Over all requests, and beside the share of the rows with a warning. Rows before the last ROWS do not count."""
    window = ErrorWindow(HOLDOUT)
    add(window, 500, 9.9, outside=500)
    add(window, ROWS - 400, 0.1, outside=100)
    add(window, 400, 0.2, outside=50)
    assert window.estimate() == {
        "rows": ROWS,
        "expected_error": pytest.approx(0.14),
        "outside": 0.15,
        "outside_of_holdout": 0.25,
    }
    add(window, 1, 100.14)
    assert window.estimate()["expected_error"] == pytest.approx(0.14 + (100.14 - 0.1) / ROWS)


def test_few_rows_have_no_estimate() -> None:
    """Their mean is mostly chance."""
    window = ErrorWindow(HOLDOUT)
    add(window, MIN_ROWS - 1)
    assert window.outside is None
    assert window.estimate() == {"reason": "99 rows were predicted since the version was loaded, and 100 are needed"}
    add(window, 1)
    assert window.estimate()["rows"] == MIN_ROWS


@pytest.mark.failure("F447")
def test_rows_outside_what_was_learnt_have_no_estimate() -> None:
    """If their share is higher than in the holdout by more than MAX_SHIFT. The share itself remains."""
    window, allowed = ErrorWindow(HOLDOUT), round((HOLDOUT.outside + MAX_SHIFT) * ROWS)
    add(window, ROWS, outside=allowed)
    assert window.estimate()["outside"] == 0.3
    add(window, ROWS, outside=allowed + 1)
    assert window.estimate() == {
        "reason": "30.1 % of the last 1,000 rows, and 25.0 % of the holdout, are outside what the model has learnt: "
        "their errors cannot be estimated"
    }
    assert window.outside == 0.301
    add(window, ROWS)
    assert window.estimate()["expected_error"] == pytest.approx(0.1)


@pytest.mark.failure("F448")
def test_a_model_without_measured_errors_has_no_estimate() -> None:
    """It has predictions without expected errors. The share of the rows with a warning is known nevertheless."""
    window = ErrorWindow(None)
    add(window, ROWS, None, outside=100)
    assert window.estimate() == {"reason": UNMEASURED}
    assert window.outside == 0.1
