"""How large errors are without labels: what the holdout shows about the error that a model expects of a row.

The trainer measures it, inference estimates the error of requests with it. It is part of the model's CatBoost file.
"""

from collections.abc import Mapping, MutableMapping
from typing import Self

from pydantic import BaseModel, ConfigDict

from veleta.intervals import MIN_SIZE

METADATA = "holdout_errors"
"""The key in the metadata of the CatBoost model. Models of earlier versions, or with too few rows, have none."""
MIN_ROWS = 100
"""The mean error of fewer rows is mostly chance: of the holdout, and of requests."""


class HoldoutErrors(BaseModel):
    """The mean error of the holdout over the mean that was expected there, and the share of its rows that is `outside`.

    An error is that of the logarithm of a price, without its sign. A row is outside if it has a value that the model
    has not learnt: see `veleta.training_values`.

    The model of errors learns the mean of log(error + MIN_SIZE). The exponential of a mean is less than the mean of the
    exponentials, so the expected errors are too small: `ratio` corrects their mean.
    """

    model_config = ConfigDict(frozen=True)
    ratio: float
    outside: float

    @classmethod
    def of_model(cls, metadata: Mapping[str, str]) -> Self | None:
        """That in a model's metadata, if it has one. Raises ValueError if it cannot be read."""
        text = metadata.get(METADATA)
        return cls.model_validate_json(text) if text else None

    def save(self, metadata: MutableMapping[str, str]) -> None:
        """Add it to a model's metadata."""
        metadata[METADATA] = self.model_dump_json()

    def expected(self, size: float) -> float:
        """The expected error of a row. `size` is the exponential of what the model of errors predicts for it."""
        return self.ratio * max(size - MIN_SIZE, 0.0)
