"""What the models of a training predict for rows: any part of the rows gives the same."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from catboost import CatBoostError, CatBoostRegressor

from veleta.dataset import Dataset
from veleta.errors import one_line
from veleta_trainer.domain.clean_rows import CleanRows
from veleta_trainer.domain.learning import Learnt
from veleta_trainer.domain.price_model import predict


@dataclass(frozen=True)
class RowPredictions:
    """For each row, the logarithm of the price by each model, without the level of a market."""

    logarithms: np.ndarray
    sizes: np.ndarray
    """The expected absolute value of the error of `logarithms`."""
    baseline: np.ndarray
    outside: np.ndarray
    """Whether a value was not learnt: see `CleanRows.outside`."""
    champion: np.ndarray
    """NaN without a champion."""
    champion_fault: str = ""
    """Why the champion cannot predict. Empty if it can."""

    @classmethod
    def of(cls, dataset: Dataset, learnt: Learnt, champion: CatBoostRegressor | None, rows: CleanRows) -> Self:
        """The predictions for clean rows."""
        frame, fault = rows.frame(), ""
        by_champion = np.full(len(rows), np.nan)
        try:
            if champion is not None:
                by_champion = predict(champion, dataset, frame)
        except CatBoostError as error:
            fault = one_line(error)
        return cls(
            predict(learnt.models.booster, dataset, frame),
            np.exp(predict(learnt.models.error_model, dataset, frame)),
            learnt.baseline.predict(frame),
            rows.outside(learnt.values),
            by_champion,
            fault,
        )

    @classmethod
    def arrays(cls) -> tuple[str, ...]:
        """The names of the fields with an item for each row."""
        return tuple(field.name for field in fields(cls) if field.type is np.ndarray)
