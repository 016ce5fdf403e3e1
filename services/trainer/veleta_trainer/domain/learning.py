"""What a training makes of its training rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from veleta.dataset import Dataset
from veleta.reference import LaterErrors
from veleta.training_values import TrainingValues
from veleta_trainer.domain.linear_baseline import LinearBaseline, fit_linear_baseline
from veleta_trainer.domain.market_model import VersionModels, fit_models
from veleta_trainer.domain.reference import LearntSample, later_errors
from veleta_trainer.domain.training_data import TrainingData


@dataclass(frozen=True)
class Learnt:
    """The models of a version, the linear baseline, and what its reference has of the rows that it learnt from."""

    models: VersionModels
    baseline: LinearBaseline
    values: TrainingValues
    sample: LearntSample
    later: LaterErrors | None

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        data: TrainingData,
        params: Mapping[str, Any],
        threads: int,
        callbacks: Sequence[object] = (),
        report: Callable[[str], None] = lambda _phase: None,
    ) -> Self:
        """Learn the training rows of `data`. `callbacks` and `report` are those of `fit_models`.

        In a market the rows of the holdout are needed too: see `later_errors`.
        """
        train = data.train.labelled()
        models = fit_models(dataset, train, params, threads, callbacks, report)
        return cls(
            models,
            fit_linear_baseline(dataset, train.frame, train.at(train.levels(models.market)).prices),
            data.train.training_values(),
            LearntSample.of(dataset, data),
            later_errors(dataset, data, models, params, threads),
        )
