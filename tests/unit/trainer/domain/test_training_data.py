"""Training rows and holdout rows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from support.listings import api_rows
from support.trainer import DATASET
from veleta.dataset import Row
from veleta.errors import Reject
from veleta.features import HOLDOUT_PERCENT, MIN_TRAINING_ROWS, Features, in_holdout
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


def split(number: int) -> tuple[list[Row], list[Row]]:
    """Clean rows that are trained on, and clean rows of the holdout."""
    rows = api_rows(0, number, 3)
    held = [in_holdout(DATASET, DATASET.convert(row)[0]) for row in rows]
    return (
        [row for row, holdout in zip(rows, held, strict=True) if not holdout],
        [row for row, holdout in zip(rows, held, strict=True) if holdout],
    )


def test_features_and_prices_are_those_of_the_rows() -> None:
    """In their order: texts are categories, and other features and the prices are floats."""
    train, _ = split(100)
    data = TrainingData(DATASET)
    assert data.train.prices().tolist() == []
    data.append(train, holdout_only=False)
    frame = data.train.frame()
    assert list(frame.columns) == Features(DATASET).names
    assert frame["bed"].tolist() == [row["bed"] for row in train]
    assert frame["city"].tolist() == [row["city"] for row in train]
    assert (str(frame["bed"].dtype), str(frame["city"].dtype)) == ("float64", "category")
    assert data.train.prices().tolist() == [row["price"] for row in train]


def test_the_features_of_places_are_those_of_the_rows() -> None:
    """They are stored once for each place, whichever rows are in it, and also after rows were deleted."""
    rows = api_rows(0, 300, 3)
    data, features = TrainingData(DATASET), Features(DATASET)
    data.append(rows[:200], holdout_only=False)
    data.train.truncate(50)
    data.append(rows, holdout_only=False)
    typed = [DATASET.convert(row)[0] for row in [*rows[:200], *rows]]
    trained = [row for row in typed if not in_holdout(DATASET, row)]
    kept = len([row for row in typed[:200] if not in_holdout(DATASET, row)])
    expected = pd.DataFrame([features.of(row) for row in [*trained[:50], *trained[kept:]]], columns=features.names)
    frame = data.train.frame()
    assert list(frame.columns) == features.names
    assert len(frame) == len(expected)
    for name in features.place_names:
        if name == "place_county":
            assert frame[name].tolist() == expected[name].tolist()
        else:
            assert frame[name].dtype == np.float32
            assert np.array_equal(frame[name], expected[name].astype(np.float32), equal_nan=True)
    assert features.place_names


def test_rows_are_counted_once_and_by_reason() -> None:
    """Whether they are clean or not. Rows that are read for the holdout only are counted by nobody."""
    data = TrainingData(DATASET)
    rows: list[dict[str, Any]] = api_rows(0, 10, 3)
    data.append([*rows, {**rows[0], "price": None}, {**rows[1], "price": None}], holdout_only=False)
    data.append([*rows, {**rows[0], "price": None}], holdout_only=True)
    assert (data.received, dict(data.rejected)) == (12, {"price: no value": 2})


def test_a_batch_that_breaks_off_leaves_no_row() -> None:
    """Rows, prices and counts are those before it, and the error is raised again."""
    train, holdout = split(100)
    unclean: dict[str, Any] = {**train[0], "price": None}

    def chunks() -> Iterator[list[Row]]:
        yield [*train[5:], *holdout[1:], unclean]
        raise Reject("the manifest does not match")

    data, expected = TrainingData(DATASET), TrainingData(DATASET)
    for each in (data, expected):
        each.append_batch([[*train[:3], holdout[0]], [*train[3:5], unclean]], holdout_only=False)
    with pytest.raises(Reject):
        data.append_batch(chunks(), holdout_only=False)
    assert data.train.frame().equals(expected.train.frame())
    assert data.holdout.frame().equals(expected.holdout.frame())
    assert data.train.prices().tolist() == [row["price"] for row in train[:5]]
    assert (data.received, data.rejected) == (expected.received, expected.rejected) == (7, {"price: no value": 1})


def test_a_batch_for_the_holdout_adds_no_training_rows() -> None:
    """Nor does it count as received."""
    train, holdout = split(100)
    data = TrainingData(DATASET)
    data.append_batch([train, holdout], holdout_only=True)
    assert (len(data.train), len(data.holdout), data.received) == (0, len(holdout), 0)


def test_the_fewest_rows_are_enough() -> None:
    """One row less, or no row to compare on, is too few."""
    train, holdout = split(200)
    for rows, enough in (
        ([*train[:MIN_TRAINING_ROWS], holdout[0]], True),
        ([*train[: MIN_TRAINING_ROWS - 1], *holdout], False),
        (train, False),
    ):
        data = TrainingData(DATASET)
        data.append(rows, holdout_only=False)
        assert (data.shortage(1) == "") == enough


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
    counts = f"{len(few.train)} clean training rows and {len(few.holdout)} holdout rows of epoch 2"
    assert few.shortage(2) == f"{counts} are too few, 20 and 1 are needed"
    few.append([{**rows[5], "bed": None}], holdout_only=False)
    assert few.shortage(2).endswith("are needed: 1 of 6 rows are left out (16.7 %): bed: no value 1")
    data.append(rows, holdout_only=False)
    assert data.shortage(2) == ""


def test_the_training_values_are_those_of_the_training_rows() -> None:
    """The range of each number, and the texts of each category. The holdout, the target and identifiers have none."""
    data = TrainingData(DATASET)
    data.append(api_rows(0, 500, 3), holdout_only=False)
    frame, learnt = data.train.frame(), data.train.training_values()
    assert learnt.ranges.keys() | learnt.texts.keys() == {c.name for c in DATASET.inputs if c.is_feature}
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
    monkeypatch.setattr(training_data, "MAX_TEXTS", data.train.frame()["city"].nunique())
    assert "city" in data.train.training_values().texts
