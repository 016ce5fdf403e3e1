"""What a training leaves of a version to compare batches with: an artifact of its run.

The trainer writes it, and drift reads it.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median, pstdev, quantiles
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from veleta.events.catalogue import CategoryProfile, ErrorProfile, NumberProfile, Profile

REFERENCE_FILE = "evaluation/reference.json"
"""Its place among the artifacts of a run."""
T = TypeVar("T")
MAX_ROWS = 10_000
"""Rows of a sample: of those that the version learnt from, and of its holdout."""
TWENTIETHS = (1, 5, 10, 15, 19)
"""The quantiles of a profile between the lowest and the highest number: those at 5, 25, 50, 75 and 95 %."""
MOST_FREQUENT = 20
"""How many categories of a column a profile has."""
Sample = Annotated[list[T], Field(max_length=MAX_ROWS)]


class LaterErrors(BaseModel):
    """The errors on the latest periods of a model that learnt only the periods before, without the level.

    As `signed`, `sizes` and `slices` of `Reference`. Errors on periods that a model has learnt are smaller.
    """

    model_config = ConfigDict(frozen=True)
    signed: Annotated[Sample[FiniteFloat], Field(min_length=1)]
    sizes: Sample[FiniteFloat]
    slices: dict[str, Sample[str]] = {}


class Reference(BaseModel):
    """A sample of the rows that a version learnt from, and of its errors on the holdout. Both are in their order.

    The samples of the rows are `numbers` (dates as years with a fraction, None for a missing value) and `texts` (also
    the prefixes of identifiers), by column. A number is the shortest decimal of the float32 that the model has learnt,
    so compare it with float32 only: as float64 it may differ from the same value of a batch.

    The samples of the holdout are `signed`, which is log(price) - log(prediction), and `sizes`, the expected absolute
    values by the model of errors. `slices` has the values of the categories that the dataset file declares as slices.

    `train_numbers` and `holdout_numbers` have the number of the batch of each sampled row. Each number has the same
    count of rows, as far as it has so many. So a sample is not distributed as all rows are.

    `unknown` is the share of all holdout rows with a value that the version has not learnt. `importance` is each
    column's share of the influence on predictions: the mean absolute SHAP value.
    """

    model_config = ConfigDict(frozen=True)
    numbers: dict[str, Sample[FiniteFloat | None]]
    texts: dict[str, Sample[str]]
    signed: Annotated[Sample[FiniteFloat], Field(min_length=1)]
    sizes: Sample[FiniteFloat] = []
    """Empty without a model of errors."""
    slices: dict[str, Sample[str]] = {}
    train_numbers: Sample[int] = []
    """As `holdout_numbers`, empty in files without them."""
    holdout_numbers: Sample[int] = []
    later: LaterErrors | None = None
    """In a market, what is expected of the next batch. `signed` is without the level then."""
    last: tuple[int, int] | None = None
    """The epoch and the number of the newest batch that it learnt from. None in files without it."""
    received: int = 0
    """The rows of all batches that it learnt from, as received. 0 in files without it."""
    unknown: float = Field(ge=0, le=1)
    importance: dict[str, float] = {}
    train_rows: int
    holdout_rows: int

    @classmethod
    def read(cls, path: Path) -> Self:
        """The reference in a file. Raises ValueError if the file is damaged."""
        return cls.model_validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """Write it to a file, of some hundred bytes for each row of a sample."""
        path.write_text(self.model_dump_json(), encoding="utf-8")

    def profile(self) -> Profile:
        """What the events of the version have of it: some kilobytes."""
        numbers = {name: [number for number in sample if number is not None] for name, sample in self.numbers.items()}
        return Profile(
            train_rows=self.train_rows,
            numbers={name: _number_profile(values) for name, values in numbers.items() if len(values) > 1},
            categories={name: _category_profile(texts) for name, texts in self.texts.items()},
            errors=ErrorProfile(
                rows=len(self.signed),
                bias=_rounded(fmean(self.signed)),
                deviation=_rounded(pstdev(self.signed)),
                median=_rounded(median(map(abs, self.signed))),
            ),
            importance={column: _rounded(share) for column, share in self.importance.items()},
        )


def _number_profile(numbers: Sequence[float]) -> NumberProfile:
    """Of two numbers at least."""
    cuts = quantiles(numbers, n=20, method="inclusive")
    found = [min(numbers), *(cuts[twentieth - 1] for twentieth in TWENTIETHS), max(numbers)]
    return NumberProfile(rows=len(numbers), quantiles=[float(f"{each:.7g}") for each in found])


def _category_profile(texts: Sequence[str]) -> CategoryProfile:
    counts = Counter(texts)
    shares = {text: _rounded(count / len(texts)) for text, count in counts.most_common(MOST_FREQUENT)}
    return CategoryProfile(rows=len(texts), categories=len(counts), shares=shares)


def _rounded(figure: float) -> float:
    return float(f"{figure:.4g}")
