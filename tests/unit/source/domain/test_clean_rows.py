"""Whether a model can be trained on the rows of a file."""

import pytest

from support.bicycles import BICYCLES
from veleta.dataset import load_dataset
from veleta.features import MIN_TRAINING_ROWS
from veleta_source.domain.clean_rows import CleanRows

DATASET = load_dataset(str(BICYCLES))


def counted(count: int, **values: float) -> CleanRows:
    """The counts of this many bicycles, each with its own serial and price."""
    rows = CleanRows(DATASET)
    for number in range(count):
        rows.add({**DATASET.example, "serial": float(number), "asking": 600.0 + number, **values})
    return rows


def test_enough_clean_rows_are_no_fault() -> None:
    """The trainer needs some for the holdout too."""
    assert counted(100).fault() == ""
    assert counted(100).warning() == ""


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (
            counted(50, gears=99.0),
            "no row is within [cleaning] of the dataset file: 50 of 50 rows are left out (100 %): ",
        ),
        (counted(50, serial=1.0), "clean training rows and "),
        (counted(MIN_TRAINING_ROWS - 1), " are too few for a model, 20 and 1 are needed"),
        (counted(100, asking=600.0), "asking has one value in all rows, so there is nothing to learn"),
    ],
)
def test_rows_without_a_model_are_a_fault(rows: CleanRows, fault: str) -> None:
    """A training would fail after everything has started."""
    assert fault in rows.fault()


def test_many_rows_that_are_not_clean_are_a_warning() -> None:
    """More than a fifth."""
    rows = counted(80)
    for _ in range(20):
        rows.add({**DATASET.example, "gears": 99.0})
    assert rows.warning() == ""
    rows.add({**DATASET.example, "gears": 99.0})
    assert rows.warning() == "not clean: 21 of 101 rows are left out (20.8 %): gears: outside 1 .. 36 21"
