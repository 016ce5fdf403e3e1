"""Prices of the rows of a file: of each row the answer that /predict gives to it alone."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from veleta.dataset import Dataset, Values
from veleta.errors import Reject
from veleta.input.batch_assignment import Cells
from veleta.intervals import AdjustedLevel
from veleta_inference.domain.errors import InvalidRequest, ValidationProblem
from veleta_inference.domain.file_rows import FileRowReader, Layout
from veleta_inference.domain.interval_predictor import IntervalBooster, Prediction
from veleta_inference.domain.promotions import LoadedModel, Promotion
from veleta_inference.domain.served_market import AS_OF, LevelUpdates, PriceLevel


@dataclass(frozen=True)
class ModelSnapshot:
    """A version with its levels at one time: all that its prices depend on, beside the model's file.

    It can be pickled, so another process gives the same prices.
    """

    dataset: Dataset
    promotion: Promotion
    adjusted: AdjustedLevel | None
    updates: LevelUpdates | None
    at: datetime
    """The time for which prices are asked: the level of a market becomes less certain with each day."""

    @classmethod
    def of_model(cls, dataset: Dataset, model: LoadedModel, at: datetime) -> "ModelSnapshot":
        """That of a loaded model."""
        return cls(dataset, model.promotion, model.adjusted, model.market.updates if model.market else None, at)

    def restore(self, booster: IntervalBooster) -> LoadedModel:
        """The model again, from its file, which is loaded. Raises Reject."""
        model = LoadedModel.of_booster(self.dataset, self.promotion, booster, self.at, Path(), "", verified=False)
        return model.at_level(self.adjusted).after(self.updates)


class RowScores(NamedTuple):
    """The prices of rows. `places` has the rows with a price, in their order, and the next three fields follow it.

    `problems` has what is wrong with the others, in the order of the rows.
    """

    places: Sequence[int]
    predictions: Sequence[Prediction]
    levels: Sequence[PriceLevel | None]
    warnings: Sequence[str]
    problems: Sequence[ValidationProblem]


class _Row(NamedTuple):
    place: int
    values: Values
    level: PriceLevel | None


class RowScorer:
    """Scores rows by one model. It is a pure function of the rows, the model's file, its levels and the layout."""

    def __init__(self, snapshot: ModelSnapshot, booster: IntervalBooster, layout: Layout, *, strict: bool) -> None:
        """`booster` is loaded from the file of the snapshot's version. For `strict` see `PredictionService`."""
        self._model = snapshot.restore(booster)
        self._at = snapshot.at
        self._dataset = snapshot.dataset
        self._reader = FileRowReader(snapshot.dataset, layout)
        self._strict = strict

    @property
    def dataset(self) -> Dataset:
        """The dataset of the rows."""
        return self._dataset

    @property
    def version(self) -> int:
        """The version that predicts."""
        return self._model.version

    def score(self, rows: Iterable[Cells]) -> RowScores:
        """The prices of rows, or what is wrong with them."""
        read, problems = self._read(rows)
        if self._strict:
            read, refused = self._refuse_unusual(read)
            problems += refused
        scored, unscored = self._predict(read)
        problems += unscored
        problems.sort(key=lambda each: each.item)
        places = [row.place for row, _ in scored]
        warnings = self._warnings([row.values for row, _ in scored])
        return RowScores(places, [each for _, each in scored], [row.level for row, _ in scored], warnings, problems)

    def _read(self, rows: Iterable[Cells]) -> tuple[list[_Row], list[ValidationProblem]]:
        read, problems, levels = list[_Row](), list[ValidationProblem](), dict[object, PriceLevel | None]()
        for place, cells in enumerate(rows):
            try:
                values, day = self._reader.read(place, cells), self._reader.as_of(cells)
                if day not in levels:
                    levels[day] = self._model.price_level(day, self._at)
                read.append(_Row(place, values, levels[day]))
            except InvalidRequest as error:
                problems += error.problems or [ValidationProblem(place, AS_OF, error.detail)]
        return read, problems

    def _refuse_unusual(self, rows: Sequence[_Row]) -> tuple[list[_Row], list[ValidationProblem]]:
        unusual = self._model.checks.unusual([row.values for row in rows])
        refused = {each.item for each in unusual}
        problems = [ValidationProblem(rows[each.item].place, each.field, each.message) for each in unusual]
        return [row for number, row in enumerate(rows) if number not in refused], problems

    def _predict(self, rows: Sequence[_Row]) -> tuple[list[tuple[_Row, Prediction]], list[ValidationProblem]]:
        """Predict rows by one call of the model. If one of them has no price, it is found by halves."""
        if not rows:
            return [], []
        try:
            predictions = self._model.predictor.predict([row.values for row in rows], [row.level for row in rows])
        except Reject as error:
            if len(rows) == 1:
                return [], [ValidationProblem(rows[0].place, None, str(error))]
            halves = [self._predict(rows[: len(rows) // 2]), self._predict(rows[len(rows) // 2 :])]
            return [each for scored, _ in halves for each in scored], [each for _, found in halves for each in found]
        return list(zip(rows, predictions, strict=True)), []

    def _warnings(self, rows: Sequence[Values]) -> list[str]:
        """The warnings of each row as one text, which is empty without them."""
        found = defaultdict[int, list[str]](list)
        for each in self._model.checks.warnings(rows, self._model.checks.unusual(rows)):
            found[each.item].append(f"{each.field} {each.message}")
        return ["; ".join(found.get(number, ())) for number in range(len(rows))]
