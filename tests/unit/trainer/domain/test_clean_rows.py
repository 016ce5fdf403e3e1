"""Clean rows as columns."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from support.bicycles import BICYCLES
from support.listings import api_rows
from support.trainer import DATASET
from veleta.dataset import Dataset, Row, load_dataset
from veleta.errors import Reject
from veleta.features import Features, property_hash
from veleta_inference.domain.value_checks import ValueChecks
from veleta_trainer.domain import clean_rows
from veleta_trainer.domain.clean_rows import PROPERTY, CleanBatch, CleanRows

LISTINGS = load_dataset("listings")


def columns(*batches: Sequence[Row], dataset: Dataset = DATASET) -> CleanRows:
    """The clean rows of batches."""
    return CleanRows(dataset, [CleanBatch.of_rows(dataset, [rows]).table for rows in batches])


def test_features_and_prices_are_those_of_the_rows() -> None:
    """In their order, over all batches: texts are categories in alphabetical order, and numbers are float32."""
    rows = api_rows(0, 100, 3)
    found = columns(rows[:30], rows[30:])
    frame = found.frame()
    assert list(frame.columns) == Features(DATASET).names
    assert frame["bed"].tolist() == [row["bed"] for row in rows]
    assert frame["city"].tolist() == [row["city"] for row in rows]
    assert frame["city"].cat.categories.tolist() == sorted({row["city"] for row in rows})
    assert (str(frame["bed"].dtype), str(frame["city"].dtype)) == ("float32", "category")
    assert found.prices().tolist() == [row["price"] for row in rows]
    assert found.properties().tolist() == [property_hash(DATASET, DATASET.convert(row)[0]) for row in rows]


def test_no_rows_have_all_columns() -> None:
    """Also without a batch."""
    for found in (columns(), columns([])):
        assert len(found) == len(found.prices()) == len(found.properties()) == 0
        assert list(found.frame().columns) == Features(DATASET).names


def test_the_features_of_places_are_those_of_the_rows() -> None:
    """Whichever rows are in a place, in whichever batch, and also after rows were filtered out."""
    rows, features = api_rows(0, 300, 3), Features(DATASET)
    tables = [CleanBatch.of_rows(DATASET, [part]).table for part in (rows[:200], rows)]
    even = [table.filter(pa.array(np.asarray(table.column(PROPERTY)) % 2 == 0)) for table in tables]
    typed = [DATASET.convert(row)[0] for row in [*rows[:200], *rows]]
    kept = [features.of(row) for row in typed if property_hash(DATASET, row) % 2 == 0]
    expected = pd.DataFrame(kept, columns=features.names)
    frame = CleanRows(DATASET, even).frame()
    assert list(frame.columns) == features.names
    assert features.place_names
    for name in features.names:
        if frame[name].dtype == "category":
            assert frame[name].tolist() == expected[name].tolist()
            assert set(frame[name].cat.categories) == set(expected[name])
        else:
            assert np.array_equal(frame[name], expected[name].astype(np.float32), equal_nan=True)


def test_a_dataset_without_places_has_its_own_features_only() -> None:
    """Its place has no columns."""
    dataset = load_dataset(str(BICYCLES))
    for rows in ([], [dataset.example]):
        frame = columns(rows, dataset=dataset).frame()
        assert (list(frame.columns), len(frame)) == (Features(dataset).names, len(rows))


def test_a_batch_that_breaks_off_is_none() -> None:
    """The error passes: nobody gets the rows before it."""

    def chunks() -> Iterator[Sequence[Row]]:
        yield api_rows(0, 5, 3)
        raise Reject("the manifest does not match")

    with pytest.raises(Reject, match="the manifest does not match"):
        CleanBatch.of_rows(DATASET, chunks())


def test_the_training_values_are_those_of_the_rows() -> None:
    """The range of each number, and the texts of each category. The target and identifiers have none."""
    rows = api_rows(0, 500, 3)
    table = CleanBatch.of_rows(DATASET, [rows]).table
    found = CleanRows(DATASET, [table.slice(0, 400)])
    learnt = found.training_values()
    assert learnt.ranges.keys() | learnt.texts.keys() == {c.name for c in DATASET.inputs if c.is_feature}
    beds = [row["bed"] for row in rows[:400]]
    assert learnt.ranges["bed"] == (min(beds), max(beds))
    assert learnt.texts["city"] == sorted({row["city"] for row in rows[:400]})
    assert all(len(text) == 3 for text in learnt.texts["zip_code"])


def test_rows_are_outside_exactly_if_inference_warns_of_them() -> None:
    """The same rule on columns: the share of the holdout and that of requests can be compared. Bounds belong to it."""
    known = api_rows(0, 300, 3)
    learnt = columns(known).training_values()
    rows = [*api_rows(0, 100, 4), *api_rows(3, 100, 5), *api_rows(5, 100, 6)]
    edges = [(name, value) for name in ("bed", "acre_lot", "house_size") for value in learnt.ranges[name]]
    rows += [{**known[0], name: value} for name, value in edges]
    checks = ValueChecks(DATASET, learnt)
    warned = [bool(checks.unusual([DATASET.convert(row)[0]])) for row in rows]
    found = columns(rows).outside(learnt)
    assert found.tolist() == warned
    assert 0 < sum(warned) < len(rows)
    assert not found[-len(edges) :].any()


def test_gaps_are_learnt_as_values_are() -> None:
    """A range is that of the numbers that are there. A row with a gap is outside only if no learnt row had this gap."""
    rows = [{**row, "bed": None} if n % 2 else row for n, row in enumerate(api_rows(0, 300, 3))]
    found = CleanRows(LISTINGS, [CleanBatch.of_rows(LISTINGS, [rows]).table])
    learnt = found.training_values()
    beds = [row["bed"] for row in rows if row["bed"] is not None]
    assert (learnt.ranges["bed"], learnt.gaps) == ((min(beds), max(beds)), ["bed"])
    asked = [{**rows[0], **gap} for gap in ({}, {"bed": None}, {"house_size": None}, {"bed": 99.0, "bath": None})]
    outside = CleanRows(LISTINGS, [CleanBatch.of_rows(LISTINGS, [asked[:3]]).table]).outside(learnt)
    assert outside.tolist() == [False, False, True]
    warned = {each.item for each in ValueChecks(LISTINGS, learnt).unusual([LISTINGS.convert(row)[0] for row in asked])}
    assert warned == {2, 3}


def test_a_number_that_no_row_has_is_not_learnt() -> None:
    """It has no range; each row lacks it."""
    rows = [{**row, "bed": None} for row in api_rows(0, 30, 3)]
    learnt = CleanRows(LISTINGS, [CleanBatch.of_rows(LISTINGS, [rows]).table]).training_values()
    assert "bed" not in learnt.ranges
    assert learnt.gaps == ["bed"]


def test_a_column_with_too_many_texts_has_no_training_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's file would become too large. The other columns have theirs."""
    found = columns(api_rows(0, 500, 3))
    monkeypatch.setattr(clean_rows, "MAX_TEXTS", 3)
    assert {"city", "zip_code"}.isdisjoint(found.training_values().texts)
    assert "status" in found.training_values().texts
    monkeypatch.setattr(clean_rows, "MAX_TEXTS", found.frame()["city"].nunique())
    assert "city" in found.training_values().texts
