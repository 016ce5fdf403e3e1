"""Training rows and holdout rows."""

import pytest

from support.listings import api_rows
from support.trainer import DATASET
from veleta.features import HOLDOUT_PERCENT
from veleta_trainer.domain import training_data
from veleta_trainer.domain.training_data import TrainingData


def test_the_holdout_is_never_trained_on() -> None:
    """A house is always on the same side. Unclean rows, and rows for the holdout only, add no training rows."""
    rows = api_rows(0, 500, 3)
    both, holdout = TrainingData(DATASET), TrainingData(DATASET)
    both.append([*rows, {**rows[0], "price": None}], holdout_only=False)
    holdout.append(rows, holdout_only=True)
    assert len(holdout.train) == 0
    assert len(holdout.holdout) == len(both.holdout)
    assert len(both.train) + len(both.holdout) == 500
    assert len(both.holdout) == pytest.approx(500 * HOLDOUT_PERCENT / 100, rel=0.3)
    assert list(both.holdout.frame().columns) == list(both.train.frame().columns)
    assert "price" not in both.train.frame().columns


@pytest.mark.failure("F45")
def test_the_reason_of_a_training_without_clean_rows_counts_them() -> None:
    """Rows for the holdout only do not count."""
    data = TrainingData(DATASET)
    rows = api_rows(0, 400, 3)
    data.append([{**row, "price": "POA"} for row in rows], holdout_only=False)
    data.append(rows[:50], holdout_only=True)
    assert data.shortage(1) == ("epoch 1 has no clean row: 400 of 400 rows are left out (100 %): price: no value 400")


@pytest.mark.failure("F45")
def test_the_reason_of_too_few_rows_names_what_is_needed() -> None:
    """And why the others are left out, if any are."""
    data, few = TrainingData(DATASET), TrainingData(DATASET)
    rows = api_rows(0, 400, 3)
    few.append(rows[:5], holdout_only=False)
    assert few.shortage(2).endswith("holdout rows of epoch 2 are too few, 20 and 1 are needed")
    few.append([{**rows[5], "bed": None}], holdout_only=False)
    assert few.shortage(2).endswith("are needed: 1 of 6 rows are left out (16.7 %): bed: no value 1")
    data.append(rows, holdout_only=False)
    assert data.shortage(2) == ""


def test_the_training_values_are_those_of_the_training_rows() -> None:
    """The range of each number, and the texts of each category. The holdout, the target and identifiers have none."""
    data = TrainingData(DATASET)
    data.append(api_rows(0, 500, 3), holdout_only=False)
    frame, learnt = data.train.frame(), data.train.training_values()
    assert learnt.ranges.keys() | learnt.texts.keys() == set(frame.columns)
    assert learnt.ranges["bed"] == (frame["bed"].min(), frame["bed"].max())
    assert learnt.texts["city"] == sorted(set(frame["city"]))
    assert all(len(text) == 3 for text in learnt.texts["zip_code"])


def test_a_column_with_too_many_texts_has_no_training_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's file would become too large. The other columns have theirs."""
    monkeypatch.setattr(training_data, "MAX_TEXTS", 3)
    data = TrainingData(DATASET)
    data.append(api_rows(0, 500, 3), holdout_only=False)
    assert {"city", "zip_code"}.isdisjoint(data.train.training_values().texts)
    assert "status" in data.train.training_values().texts
