"""The rows of a file with their prices, as Arrow has them."""

import pyarrow as pa
import pytest

from support.listings import LINE
from support.market_levels import LAST, LEARNT, MARKET
from support.memory_inference import DATASET, NOW, BedsModel
from veleta.dataset import Dataset
from veleta.ports import Version
from veleta_inference.adapters.scored_batches import added_columns, score_batch
from veleta_inference.domain.file_rows import Layout
from veleta_inference.domain.promotions import Promotion
from veleta_inference.domain.row_scorer import ModelSnapshot, RowScorer

POSITIONS = {name: position for position, name in enumerate(LINE)}


def scorer(dataset: Dataset) -> RowScorer:
    """Of version 7, which predicts the number of beds plus 1."""
    booster = BedsModel()
    booster.market = LEARNT if dataset.market else None
    promotion = Promotion(Version(7, "run"), 3, {}, NOW)
    return RowScorer(ModelSnapshot(dataset, promotion, None, None, NOW), booster, Layout(POSITIONS, {}), strict=False)


def batch(*beds: object) -> pa.RecordBatch:
    """Houses with so many beds."""
    columns = {name: pa.array([text] * len(beds)) for name, text in LINE.items()}
    return pa.RecordBatch.from_pydict({**columns, "bed": pa.array(beds)})


def test_the_columns_of_the_file_come_first_and_keep_their_types() -> None:
    """The added ones have the names of a response. A name that the file has begins with `predicted_`."""
    added = added_columns(DATASET, [*LINE])
    assert added.names == ["predicted_price", "low", "high", "model_version", "warnings"]
    assert added_columns(DATASET, ["Low", "beds"]).names == [
        "price", "predicted_low", "high", "model_version", "warnings",
    ]  # fmt: skip
    scored, problems = score_batch(scorer(DATASET), batch(2, 40), added)
    assert (scored.schema.names, problems) == ([*LINE, *added.names], [])
    assert scored.select(list(LINE)).equals(batch(2, 40))
    assert scored["model_version"].to_pylist() == [7, 7]
    assert scored["predicted_price"].to_pylist()[0] == pytest.approx(20.0855, rel=1e-4)
    assert scored["low"].null_count == scored["high"].null_count == 2
    first, second = scored["warnings"].to_pylist()
    assert (first, second.startswith("bed 40 is outside 1 .. 30")) == (None, True)


def test_a_row_without_a_price_is_not_among_them() -> None:
    """What is wrong with it names its place in the batch."""
    scored, (problem,) = score_batch(scorer(DATASET), batch("2", "x", "3"), added_columns(DATASET, [*LINE]))
    assert scored["bed"].to_pylist() == ["2", "3"]
    assert (problem.item, problem.field) == (1, "bed")
    empty, _ = score_batch(scorer(DATASET), batch("x"), added_columns(DATASET, [*LINE]))
    assert (empty.num_rows, empty.schema) == (0, scored.schema)


def test_a_market_adds_the_day_and_the_level() -> None:
    """Under the names that responses have."""
    added = added_columns(MARKET, [*LINE])
    scored, _ = score_batch(scorer(MARKET), batch("2"), added)
    assert scored["as_of"].to_pylist() == [LAST]
    assert scored["market_factor"].to_pylist() == [pytest.approx(1.0253, rel=1e-4)]
    assert scored["market_since"].to_pylist() == ["2014-05"]
