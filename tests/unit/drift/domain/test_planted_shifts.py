"""Random batches with a planted shift."""

import numpy as np
import pytest

from support.listings import api_rows
from veleta.dataset import load_dataset
from veleta_drift.domain.planted_shifts import NOTHING, Sample, shifts

DATASET = load_dataset("real_estate")
ROWS, SIZE = 900, 300


@pytest.fixture(scope="module")
def rows() -> Sample:
    """Complete rows, each with its number as the error."""
    values = [DATASET.convert(row)[0] for row in api_rows(0, ROWS, 3)]
    return Sample.of_rows(DATASET, values, np.arange(ROWS, dtype=float), np.full(ROWS, 0.2))


def drawn(rows: Sample, name: str, seed: int = 1) -> Sample:
    """A batch with this shift."""
    shift = next(each for each in shifts(DATASET, rows) if each.name == name)
    return shift.draw(SIZE, np.random.default_rng(seed))


def numbers(sample: Sample) -> np.ndarray:
    """The numbers of the drawn rows."""
    return np.round(sample.errors.signed).astype(int)


def test_a_batch_without_a_shift_has_rows_of_the_file(rows: Sample) -> None:
    """None twice, and all columns are those of the same row."""
    batch = drawn(rows, NOTHING)
    chosen = numbers(batch)
    assert len(set(chosen)) == len(batch) == SIZE
    assert batch.numbers["price"].tolist() == rows.numbers["price"][chosen].tolist()
    inputs, all_inputs = batch.evidence.inputs, rows.evidence.inputs
    assert inputs.numbers["prev_sold_date"].tolist() == all_inputs.numbers["prev_sold_date"][chosen].tolist()
    assert inputs.texts["city"].tolist() == all_inputs.texts["city"][chosen].tolist()
    assert batch.errors.slices["state"].tolist() == inputs.texts["state"].tolist()
    assert batch.presence.values["city"] == SIZE
    assert set(inputs.texts) == {"status", "city", "state"}


def test_a_higher_price_is_an_error(rows: Sample) -> None:
    """Of each row, by the logarithm of its factor."""
    plain, raised = drawn(rows, NOTHING), drawn(rows, "price +5 %")
    assert raised.numbers["price"] == pytest.approx(1.05 * plain.numbers["price"])
    assert raised.errors.signed == pytest.approx(plain.errors.signed + np.log(1.05))
    assert raised.numbers["bed"].tolist() == plain.numbers["bed"].tolist()


def test_one_slice_has_higher_prices(rows: Sample) -> None:
    """The rows of the three most frequent states."""
    plain, raised = drawn(rows, NOTHING), drawn(rows, "price +10 % in 3 of state")
    higher = raised.numbers["price"] > plain.numbers["price"]
    names, counts = np.unique(rows.errors.slices["state"].astype(str), return_counts=True)
    assert set(raised.errors.slices["state"][higher]) == set(names[np.argsort(-counts, kind="stable")][:3])
    assert raised.errors.signed[higher] == pytest.approx(plain.errors.signed[higher] + np.log(1.1))


def test_a_mix_draws_some_rows_more_often(rows: Sample) -> None:
    """About three times as often, as far as there are such rows. None twice."""
    large = drawn(rows, "house_size mix")
    above = rows.numbers["house_size"] > np.median(rows.numbers["house_size"])
    assert 0.6 < above[numbers(large)].mean() < 0.85
    assert len(set(numbers(large))) == SIZE
    often = np.unique(rows.errors.slices["state"].astype(str))[::3]
    share = np.isin(rows.errors.slices["state"].astype(str), often).mean()
    found = np.isin(drawn(rows, "state mix").errors.slices["state"].astype(str), often).mean()
    assert found > 1.5 * share


def test_rows_without_a_value_are_received_but_not_clean(rows: Sample) -> None:
    """A tenth of them."""
    batch = drawn(rows, "house_size missing")
    lost = SIZE - len(batch.errors)
    assert 15 < lost < 50
    assert batch.presence.values["house_size"] == (~np.isnan(batch.numbers["house_size"])).sum() == SIZE - lost
    assert batch.presence.values["bed"] == len(batch.numbers["bed"]) == batch.presence.rows == SIZE
    assert len(batch.evidence.inputs) == SIZE - lost


def test_a_value_that_may_be_missing_is_not_lost() -> None:
    """Rows with gaps are clean. Statistics leave the gaps out, and those of a category are a slice."""
    listings = load_dataset("listings")
    gaps = [{"house_size": None}, {"status": None}, {}]
    values = [listings.convert({**row, **gaps[n % 3]})[0] for n, row in enumerate(api_rows(0, 90, 3))]
    rows = Sample.of_rows(listings, values, np.arange(90, dtype=float), np.full(90, 0.2))
    assert (rows.presence.values["house_size"], rows.presence.values["status"]) == (60, 60)
    assert len(rows.errors.parts()["status = not given"]) == 30
    names = [shift.name for shift in shifts(listings, rows)]
    assert "house_size mix" in names
    assert "house_size missing" not in names
    batch = shifts(listings, rows)[names.index("house_size mix")].draw(40, np.random.default_rng(0))
    assert batch.presence.values["house_size"] == (~np.isnan(batch.numbers["house_size"])).sum()


def test_only_prices_make_the_model_wrong(rows: Sample) -> None:
    """Other rows are no errors of the model."""
    wrong = {each.name for each in shifts(DATASET, rows) if each.wrong}
    assert wrong == {"price +5 %", "price +10 %", "price +10 % in 3 of state"}
