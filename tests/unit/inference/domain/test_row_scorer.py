"""The prices of the rows of a file: each is the answer that /predict gives to the row alone."""

import math
import pickle
from datetime import date, timedelta
from pathlib import Path

import pytest

from support.listings import LINE
from support.market_levels import LAST, LEARNT, MARKET, UPDATED_AT, level_updated
from support.memory_inference import DATASET, NOW, BedsModel
from veleta.dataset import Dataset
from veleta.holdout_errors import HoldoutErrors
from veleta.intervals import AdjustedLevel, Calibration
from veleta.ports import Version
from veleta_inference.domain.errors import ValidationProblem
from veleta_inference.domain.file_rows import Layout
from veleta_inference.domain.interval_predictor import IntervalPredictor, Prediction
from veleta_inference.domain.promotions import LoadedModel, Promotion
from veleta_inference.domain.row_scorer import ModelSnapshot, RowScorer, RowScores
from veleta_inference.domain.served_market import LevelUpdates

POSITIONS = {name: position for position, name in enumerate(LINE)}
VERSION = Version(7, "run")
QUANTILES = [float(number) for number in range(50)]


def booster(*, market: bool = False) -> BedsModel:
    """A model that predicts the number of beds plus 1, with intervals."""
    model = BedsModel()
    model.calibration = Calibration(edges=[3.5], quantiles=[QUANTILES, QUANTILES[::-1]], rows=1_000)
    model.holdout_errors = HoldoutErrors(ratio=1.1, outside=0.0)
    model.market = LEARNT if market else None
    return model


def snapshot(
    dataset: Dataset = DATASET, updates: LevelUpdates | None = None, adjusted: AdjustedLevel | None = None
) -> ModelSnapshot:
    """Of version 7, which was promoted a day before."""
    return ModelSnapshot(dataset, Promotion(VERSION, 3, {}, NOW - timedelta(days=1)), adjusted, updates, NOW)


def scorer(of: ModelSnapshot | None = None, *, strict: bool = False, as_of: int | None = None) -> RowScorer:
    of = of or snapshot()
    market = of.dataset.market is not None
    return RowScorer(of, booster(market=market), Layout(POSITIONS, {}, as_of), strict=strict)


def cells(**changes: object) -> list[object]:
    return [*{**LINE, **changes}.values()]


def beds(*numbers: object) -> RowScores:
    """The scores of houses with so many beds."""
    return scorer().score([cells(bed=number) for number in numbers])


def test_each_price_is_that_of_the_row_alone() -> None:
    """With its interval, by one call of the model for all rows."""
    predictor = IntervalPredictor(DATASET, booster())
    row, _ = DATASET.convert(LINE)
    expected = [predictor.predict([{**row, "bed": number}])[0] for number in (2.0, 3.0, 5.0)]
    scores = beds(2, 3, 5)
    assert (list(scores.predictions), list(scores.places), scores.problems) == (expected, [0, 1, 2], [])
    assert all(each.low and each.low < each.value for each in expected)


def test_a_row_without_a_price_leaves_the_others_in_their_places() -> None:
    """A cell that is no value, and a price that is not finite. So many beds have none."""
    scores = beds(2, "x", 3, 2000, 4)
    assert list(scores.places) == [0, 2, 4]
    assert [each.value for each in scores.predictions] == pytest.approx([math.exp(3), math.exp(4), math.exp(5)])
    not_finite = "the model's prediction is not a price: it is not finite"
    assert scores.problems == [
        ValidationProblem(1, "bed", "'x' is no number"),
        ValidationProblem(3, None, not_finite),
    ]


def test_no_row_and_no_usable_row_have_no_price() -> None:
    """The model is not called."""
    assert beds().places == beds("x").places == []


def test_a_value_that_was_not_learnt_is_a_warning() -> None:
    """One text for each row, in the words of /predict. The row has its price."""
    scores = scorer().score([cells(), cells(bed="40", street=""), cells()])
    outside = "bed 40 is outside 1 .. 30, the bounds of the dataset file"
    absent = "street was not given; the model does not use it"
    assert list(scores.warnings) == ["", f"{outside}; {absent}", ""]
    assert list(scores.places) == [0, 1, 2]


def test_with_strict_such_a_row_has_no_price() -> None:
    """As with STRICT=1 for requests. A field that the model does not use may be left out."""
    scores = scorer(strict=True).score([cells(), cells(bed="40"), cells(street="")])
    assert list(scores.places) == [0, 2]
    assert [(each.item, each.field) for each in scores.problems] == [(1, "bed")]


def test_the_intervals_are_at_the_level_of_the_version() -> None:
    """The one that the coverage of batches has adjusted."""
    wide = scorer(snapshot(adjusted=AdjustedLevel(1, 2, 0.9))).score([cells(bed=2)])
    row, _ = DATASET.convert(LINE)
    assert wide.predictions == IntervalPredictor(DATASET, booster()).at_level(0.9).predict([{**row, "bed": 2.0}])
    assert wide.predictions != beds(2).predictions


def test_a_price_is_at_the_level_of_its_day() -> None:
    """At that of the newest day, unless the row asks for another one. A day outside the history is a problem."""
    updates = LevelUpdates.after(None, level_updated(VERSION, 4, date(2014, 10, 3), 0.07), UPDATED_AT)
    of = snapshot(MARKET, updates)
    days = ["", "2014-06-30", "2013-01-01", "2014-06-30"]
    scores = scorer(of, as_of=len(LINE)).score([[*cells(bed=2), day] for day in days])
    assert [level and (level.as_of, level.value) for level in scores.levels] == [
        (date(2014, 10, 3), 0.07), (date(2014, 6, 30), 0.01), (date(2014, 6, 30), 0.01),
    ]  # fmt: skip
    assert [each.value for each in scores.predictions] == pytest.approx([math.exp(3.07), *[math.exp(3.01)] * 2])
    message = "as_of must be a day from 2014-05-02 to 2014-10-03, not 2013-01-01"
    assert scores.problems == [ValidationProblem(2, "as_of", message)]


def test_a_snapshot_gives_the_same_prices_in_another_process() -> None:
    """Whenever they are computed: the error of a level grows with the time until the snapshot."""
    loaded = LoadedModel.of_booster(
        MARKET, snapshot(MARKET).promotion, booster(market=True), NOW, Path(), "", verified=True
    )
    of = ModelSnapshot.of_model(MARKET, loaded.at_level(AdjustedLevel(1, 1, 0.85)), NOW)
    copied: ModelSnapshot = pickle.loads(pickle.dumps(of))  # noqa: S301 - what the line itself makes
    first, again = (scorer(each).score([cells(bed=2)]) for each in (of, copied))
    assert first == again
    level = loaded.price_level(None, NOW)
    assert first.levels == [level]
    assert level
    assert (level.as_of, level.variance) == (LAST, LEARNT.variance(LEARNT.state, 1.0))
    assert isinstance(first.predictions[0], Prediction)
